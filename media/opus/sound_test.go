package opus_test

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"parley/media/opus"
	"parley/media/opus/opustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sine(rate int, hz float64, n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(10000 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
	}
	return out
}

func TestChime_HasItsTonesAndSoftEdges(t *testing.T) {
	pcm := opus.Chime(opus.Tone{Hz: 500, Length: 100 * time.Millisecond}, opus.Tone{Hz: 1000, Length: 100 * time.Millisecond})
	if len(pcm) != 9600 {
		t.Fatalf("%d samples", len(pcm))
	}
	if a, b := opustest.Share(pcm[:4800], 500), opustest.Share(pcm[4800:], 1000); a < 0.9 || b < 0.9 {
		t.Errorf("shares %.2f and %.2f", a, b)
	}
	for _, at := range []int{0, 4799, 4800, 9599} {
		if v := pcm[at]; v > 500 || v < -500 {
			t.Errorf("sample %d is %d: it clicks", at, v)
		}
	}
}

func TestReadWAV_EveryRateAndChannelCountKeepsThePitch(t *testing.T) {
	for _, rate := range []int{8000, 16000, 24000, 48000} {
		mono := sine(rate, 440, rate/5)
		stereo := make([]int16, 0, 2*len(mono))
		for _, s := range mono {
			stereo = append(stereo, s, s)
		}
		for channels, pcm := range map[uint16][]int16{1: mono, 2: stereo} {
			got, err := opus.ReadWAV(bytes.NewReader(opustest.WAV(uint32(rate), channels, pcm)))
			if err != nil {
				t.Fatalf("%d Hz, %d channels: %v", rate, channels, err)
			}
			if len(got) != 9600 || opustest.Share(got, 440) < 0.95 {
				t.Errorf("%d Hz, %d channels: %d samples, %.2f at 440 Hz", rate, channels, len(got), opustest.Share(got, 440))
			}
		}
	}
}

func TestReadWAV_Refuses(t *testing.T) {
	good := opustest.WAV(48000, 1, sine(48000, 440, 960))
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"nothing":        {},
		"other file":     []byte("OggS and so on and on"),
		"header only":    good[:12],
		"cut in format":  good[:30],
		"other coding":   change(20, 3),
		"three channels": change(22, 3),
		"odd rate":       change(24, 0x81),
		"eight bits":     change(34, 8),
		"no sound":       opustest.WAV(48000, 1, nil),
	} {
		if _, err := opus.ReadWAV(bytes.NewReader(b)); !errors.Is(err, opus.ErrSound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadWAV(f *testing.F) {
	f.Add(opustest.WAV(48000, 1, sine(48000, 440, 960)))
	f.Add(opustest.WAV(8000, 2, sine(8000, 440, 320)))
	f.Fuzz(func(t *testing.T, b []byte) {
		pcm, err := opus.ReadWAV(bytes.NewReader(b))
		if err == nil && (len(pcm) == 0 || len(pcm) > 6*len(b)) {
			t.Errorf("%d samples of %d bytes", len(pcm), len(b))
		}
		if err != nil && !errors.Is(err, opus.ErrSound) {
			t.Errorf("refused with %v", err)
		}
	})
}

func TestLoadLibrary_HasTheBuiltinPromptsInEveryBinary(t *testing.T) {
	lib, err := opus.LoadLibrary(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"joined", "left", "attention"} {
		if n := lib[name].Length(); n < 300*time.Millisecond || n > time.Second {
			t.Errorf("%s lasts %v", name, n)
		}
	}
}

func TestLoadLibrary_RefusesBadFiles(t *testing.T) {
	_, err := opus.LoadLibrary(fstest.MapFS{"bad.wav": {Data: []byte("RIFF")}})
	if !errors.Is(err, opus.ErrSound) {
		t.Errorf("got %v", err)
	}
}
