//go:build opus

package media_test

import (
	"testing"
	"time"

	"parley/media"
	"parley/media/opus"
	"parley/media/opus/opustest"
)

func TestPlay_PromptDecodesToItsTones(t *testing.T) {
	s := served(t, media.Config{}, media.Deps{})
	ann := join(t, s, "ann", 1)
	tones := []opus.Tone{{Hz: 660, Length: 200 * time.Millisecond}, {Hz: 880, Length: 200 * time.Millisecond}}
	p, err := opus.NewPrompt("chime", opus.Chime(tones...))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Play(t.Context(), room, p.Frames); err != nil {
		t.Fatal(err)
	}
	dec, err := opus.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	var pcm []int16
	for range p.Frames {
		out, err := dec.Decode((<-ann.heard).Payload)
		if err != nil {
			t.Fatal(err)
		}
		pcm = append(pcm, out...)
	}
	half := len(pcm) / 2
	const edge = 2 * opus.FrameSamples
	for i, part := range [][]int16{pcm[edge : half-edge], pcm[half+edge : len(pcm)-edge]} {
		right, wrong := opustest.Share(part, tones[i].Hz), opustest.Share(part, tones[1-i].Hz)
		if right < 0.8 || wrong > 0.1 {
			t.Errorf("tone %d: %.2f of its energy at %.0f Hz, %.2f at the other", i, right, tones[i].Hz, wrong)
		}
	}
}
