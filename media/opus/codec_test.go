//go:build opus

package opus_test

import (
	"errors"
	"testing"
	"time"

	"parley/media/opus"
	"parley/media/opus/opustest"
)

func TestEncoder_WhatIsEncodedDecodesToTheSameTone(t *testing.T) {
	p, err := opus.NewPrompt("tone", opus.Chime(opus.Tone{Hz: 440, Length: 490 * time.Millisecond}))
	if err != nil {
		t.Fatal(err)
	}
	if p.Length() != 500*time.Millisecond {
		t.Errorf("%v long: the last frame is to be filled up", p.Length())
	}
	dec, err := opus.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	var pcm []int16
	for i, f := range p.Frames {
		if len(f) == 0 || len(f) > 200 {
			t.Errorf("frame %d has %d bytes at 32 kbit/s", i, len(f))
		}
		out, err := dec.Decode(f)
		if err != nil || len(out) != opus.FrameSamples {
			t.Fatalf("frame %d: %d samples, %v", i, len(out), err)
		}
		pcm = append(pcm, out...)
	}
	if share := opustest.Share(pcm[4800:19200], 440); share < 0.9 {
		t.Errorf("%.2f of the energy at 440 Hz", share)
	}
	if out, err := dec.Conceal(); err != nil || len(out) != opus.FrameSamples {
		t.Errorf("concealed: %d samples, %v", len(out), err)
	}
}

func TestCodec_RefusesWhatIsNotSound(t *testing.T) {
	enc, err := opus.NewEncoder(32000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enc.Encode(make([]int16, 100)); !errors.Is(err, opus.ErrSound) {
		t.Errorf("half a frame: %v", err)
	}
	dec, err := opus.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dec.Decode(nil); !errors.Is(err, opus.ErrSound) {
		t.Errorf("no packet: %v", err)
	}
	if _, err := opus.NewPrompt("empty", nil); !errors.Is(err, opus.ErrSound) {
		t.Errorf("no sound: %v", err)
	}
}

func BenchmarkEncode(b *testing.B) {
	enc, err := opus.NewEncoder(32000)
	if err != nil {
		b.Fatal(err)
	}
	frame := opus.Chime(opus.Tone{Hz: 440, Length: time.Second})[4800:][:opus.FrameSamples]
	for b.Loop() {
		if _, err := enc.Encode(frame); err != nil {
			b.Fatal(err)
		}
	}
}
