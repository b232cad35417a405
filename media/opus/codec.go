//go:build opus

package opus

import (
	"fmt"

	libopus "gopkg.in/hraban/opus.v2"
)

// Available reports whether this binary can encode and decode.
const Available = true

// Encoder makes Opus packets of a mono stream. It is not safe for concurrent use.
type Encoder struct {
	enc *libopus.Encoder
	buf []byte
}

// NewEncoder makes an encoder for speech at so many bit/s (6000 to 510000).
func NewEncoder(bitrate int) (*Encoder, error) {
	enc, err := libopus.NewEncoder(SampleRate, 1, libopus.AppVoIP)
	if err != nil {
		return nil, fmt.Errorf("opus: encoder: %w", err)
	}
	if err := enc.SetBitrate(bitrate); err != nil {
		return nil, fmt.Errorf("opus: bitrate: %w", err)
	}
	// The library writes up to cap, whatever len says: give it exactly one packet.
	return &Encoder{enc: enc, buf: make([]byte, MaxPacket)}, nil
}

// Encode returns the packet for one frame of FrameSamples samples. Errors: ErrSound.
func (e *Encoder) Encode(frame []int16) ([]byte, error) {
	if len(frame) != FrameSamples {
		return nil, fmt.Errorf("%w: a frame has %d samples", ErrSound, FrameSamples)
	}
	n, err := e.enc.Encode(frame, e.buf)
	if err != nil {
		return nil, fmt.Errorf("opus: encode: %w", err)
	}
	return append([]byte(nil), e.buf[:n]...), nil
}

// Decoder makes samples of the Opus packets of one stream. It is not safe for concurrent use.
type Decoder struct{ dec *libopus.Decoder }

// NewDecoder makes a decoder that puts out 48 kHz mono.
func NewDecoder() (*Decoder, error) {
	dec, err := libopus.NewDecoder(SampleRate, 1)
	if err != nil {
		return nil, fmt.Errorf("opus: decoder: %w", err)
	}
	return &Decoder{dec}, nil
}

// maxPacketSamples is the longest packet there is: 120 ms.
const maxPacketSamples = 6 * FrameSamples

// Decode returns the samples of one packet. Errors: ErrSound, if it is not Opus.
func (d *Decoder) Decode(packet []byte) ([]int16, error) {
	pcm := make([]int16, maxPacketSamples)
	n, err := d.dec.Decode(packet, pcm)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSound, err)
	}
	return pcm[:n], nil
}

// Conceal returns one frame in place of a packet that was lost.
func (d *Decoder) Conceal() ([]int16, error) {
	pcm := make([]int16, FrameSamples)
	if err := d.dec.DecodePLC(pcm); err != nil {
		return nil, fmt.Errorf("opus: conceal: %w", err)
	}
	return pcm, nil
}
