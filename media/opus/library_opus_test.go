//go:build opus

package opus

import (
	"flag"
	"math"
	"os"
	"testing"
	"testing/fstest"

	"parley/media/opus/opustest"
)

var update = flag.Bool("update", false, "write the built-in prompts")

// TestBuiltin_IsWhatTheSoundsEncodeTo decodes the files that binaries without
// libopus play, and holds them against the sounds they are made of.
func TestBuiltin_IsWhatTheSoundsEncodeTo(t *testing.T) {
	if *update {
		for name, pcm := range sounds() {
			p, err := NewPrompt(name, pcm)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile("prompts/"+name+framesSuffix, pack(p), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	lib, err := LoadLibrary(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, pcm := range sounds() {
		if got := likeness(t, lib[name], pcm); got < 0.95 {
			t.Errorf("%s: correlation %.2f with its sound: run the test with -update", name, got)
		}
	}
}

// likeness correlates what p decodes to with pcm, at the codec's delay.
func likeness(t *testing.T, p Prompt, pcm []int16) float64 {
	t.Helper()
	dec, err := NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	var out []int16
	for _, f := range p.Frames {
		samples, err := dec.Decode(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, samples...)
	}
	best := 0.0
	for delay := range FrameSamples {
		var ab, aa, bb float64
		for i := delay; i < min(len(out), len(pcm)+delay); i++ {
			a, b := float64(out[i]), float64(pcm[i-delay])
			ab, aa, bb = ab+a*b, aa+a*a, bb+b*b
		}
		best = max(best, ab/math.Sqrt(aa*bb+1))
	}
	return best
}

func TestLoadLibrary_FilesBecomePromptsUnderTheirNames(t *testing.T) {
	tone := Chime(Tone{Hz: 440, Length: FrameLength * 20})
	lib, err := LoadLibrary(fstest.MapFS{
		"welcome.wav": {Data: opustest.WAV(48000, 1, tone)},
		"joined.wav":  {Data: opustest.WAV(48000, 1, tone)},
		"notes.txt":   {Data: []byte("not a sound")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(lib) != len(sounds())+1 {
		t.Errorf("%d prompts", len(lib))
	}
	for _, name := range []string{"welcome", "joined"} {
		if got := likeness(t, lib[name], tone); got < 0.95 {
			t.Errorf("%s: correlation %.2f with its file", name, got)
		}
	}
}
