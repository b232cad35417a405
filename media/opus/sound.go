package opus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

const (
	promptBitrate    = 32000               // bit/s: speech and tones without audible loss
	maxPromptSamples = 5 * 60 * SampleRate // five minutes
)

// ErrSound says that a sound is not one that can be made into a prompt; the
// wrapped text says why.
var ErrSound = errors.New("the sound cannot be used")

var errLength = fmt.Errorf("%w: a prompt lasts up to five minutes and is not empty", ErrSound)

// Tone is a sine of one pitch.
type Tone struct {
	Hz     float64
	Length time.Duration
}

// Chime synthesises tones one after another at half of full scale, each with
// soft edges of 10 ms so that it does not click.
func Chime(tones ...Tone) []int16 {
	const edge = SampleRate / 100
	var pcm []int16
	for _, t := range tones {
		n := int(t.Length.Seconds() * SampleRate)
		for i := range n {
			gain := min(1, float64(i)/edge, float64(n-i)/edge) / 2
			pcm = append(pcm, int16(gain*math.MaxInt16*math.Sin(2*math.Pi*t.Hz*float64(i)/SampleRate)))
		}
	}
	return pcm
}

// ReadWAV reads a RIFF file of 16-bit PCM: one or two channels, 8, 16, 24 or
// 48 kHz. Two channels are mixed, and lower rates brought up to 48 kHz by
// straight lines between samples. At most five minutes are read. Errors: ErrSound.
func ReadWAV(r io.Reader) ([]int16, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return nil, fmt.Errorf("%w: not a WAV file", ErrSound)
	}
	var f *wavFormat
	for {
		id, size, err := chunk(r)
		if err != nil {
			return nil, fmt.Errorf("%w: the WAV file has no data chunk", ErrSound)
		}
		switch id {
		case "fmt ":
			if f, err = readFormat(r, size); err != nil {
				return nil, err
			}
		case "data":
			if f == nil {
				return nil, fmt.Errorf("%w: the WAV file's data comes before its format", ErrSound)
			}
			return f.read(r, size)
		default:
			if _, err := io.CopyN(io.Discard, r, int64(size)+int64(size&1)); err != nil {
				return nil, fmt.Errorf("%w: the WAV file is cut short", ErrSound)
			}
		}
	}
}

func chunk(r io.Reader) (id string, size uint32, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", 0, err
	}
	return string(head[:4]), binary.LittleEndian.Uint32(head[4:]), nil
}

type wavFormat struct{ channels, step int }

func readFormat(r io.Reader, size uint32) (*wavFormat, error) {
	if size < 16 || size > 256 {
		return nil, fmt.Errorf("%w: the WAV file's format chunk has an odd size", ErrSound)
	}
	b := make([]byte, size+size&1)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("%w: the WAV file is cut short", ErrSound)
	}
	const pcm = 1
	coding, channels := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
	rate, bits := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint16(b[14:])
	if coding != pcm || bits != 16 || channels < 1 || channels > 2 {
		return nil, fmt.Errorf("%w: want 16-bit PCM with one or two channels", ErrSound)
	}
	switch rate {
	case 8000, 16000, 24000, 48000:
		return &wavFormat{channels: channels, step: int(SampleRate / rate)}, nil
	}
	return nil, fmt.Errorf("%w: want 8, 16, 24 or 48 kHz", ErrSound)
}

func (f *wavFormat) read(r io.Reader, size uint32) ([]int16, error) {
	most := int64(maxPromptSamples/f.step) * int64(2*f.channels)
	if int64(size) > most && size != math.MaxUint32 { // the latter: written to a pipe
		return nil, errLength
	}
	b, err := io.ReadAll(io.LimitReader(r, min(int64(size), most)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSound, err)
	}
	mono := make([]int16, len(b)/(2*f.channels))
	for i := range mono {
		sum := 0
		for c := range f.channels {
			sum += int(int16(binary.LittleEndian.Uint16(b[2*(i*f.channels+c):])))
		}
		mono[i] = int16(sum / f.channels)
	}
	if len(mono) == 0 {
		return nil, errLength
	}
	return stretch(mono, f.step), nil
}

// stretch puts step-1 samples between each two of pcm.
func stretch(pcm []int16, step int) []int16 {
	if step == 1 {
		return pcm
	}
	out := make([]int16, 0, len(pcm)*step)
	for i, a := range pcm {
		b := pcm[min(i+1, len(pcm)-1)]
		for k := range step {
			out = append(out, int16((int(a)*(step-k)+int(b)*k)/step))
		}
	}
	return out
}
