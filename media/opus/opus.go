// Package opus turns sound into Opus packets and back: prompts that the server
// plays into a room, 48 kHz mono, 20 ms a packet (RFC 7587).
//
// Encoding and decoding need libopus through cgo and exist only in binaries
// built with the tag "opus" (add "nolibopusfile": nothing here reads Opus
// files). Without it the package compiles, Available is false and they return
// ErrUnavailable. Sounds themselves (Chime, ReadWAV) are plain Go.
package opus

import (
	"errors"
	"time"
)

// The shape of all sound in this package.
const (
	SampleRate   = 48000                 // Hz
	FrameSamples = 960                   // samples in a frame, one channel
	FrameLength  = 20 * time.Millisecond // of a frame
	MaxPacket    = 1275                  // bytes, RFC 6716, 3.4
)

// ErrUnavailable says that the binary was built without libopus.
var ErrUnavailable = errors.New("this binary was built without Opus (tag opus)")

// Prompt is a sound ready to be played into a room: Opus packets of 20 ms each.
type Prompt struct {
	Name   string
	Frames [][]byte
}

// Length returns how long the prompt takes to play.
func (p Prompt) Length() time.Duration { return time.Duration(len(p.Frames)) * FrameLength }

// NewPrompt encodes pcm (48 kHz mono); the last frame is filled with silence.
// Errors: ErrUnavailable, ErrSound.
func NewPrompt(name string, pcm []int16) (Prompt, error) {
	if len(pcm) == 0 || len(pcm) > maxPromptSamples {
		return Prompt{}, errLength
	}
	e, err := NewEncoder(promptBitrate)
	if err != nil {
		return Prompt{}, err
	}
	p := Prompt{Name: name}
	frame := make([]int16, FrameSamples)
	for len(pcm) > 0 {
		n := copy(frame, pcm)
		clear(frame[n:])
		pcm = pcm[n:]
		packet, err := e.Encode(frame)
		if err != nil {
			return Prompt{}, err
		}
		p.Frames = append(p.Frames, packet)
	}
	return p, nil
}
