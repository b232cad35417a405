// Package opustest measures sounds in tests: it owns no sound and no codec.
package opustest

import (
	"bytes"
	"encoding/binary"
	"math"
)

// Share returns how much of pcm's energy (48 kHz) lies at hz: near 1 for that
// tone alone, near 0 for others, for silence and for noise.
func Share(pcm []int16, hz float64) float64 {
	var re, im, energy float64
	for i, s := range pcm {
		v, phase := float64(s), 2*math.Pi*hz*float64(i)/48000
		re += v * math.Cos(phase)
		im += v * math.Sin(phase)
		energy += v * v
	}
	if energy == 0 {
		return 0
	}
	return 2 * (re*re + im*im) / (energy * float64(len(pcm)))
}

// WAV returns a file of 16-bit PCM, with a chunk in it that readers have to skip.
func WAV(rate uint32, channels uint16, pcm []int16) []byte {
	var b bytes.Buffer
	le := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) }
	b.WriteString("RIFF")
	le(uint32(36 + 8 + 4 + 2*len(pcm)))
	b.WriteString("WAVEfmt ")
	le(uint32(16))
	le(uint16(1))
	le(channels)
	le(rate)
	le(rate * uint32(channels) * 2)
	le(channels * 2)
	le(uint16(16))
	b.WriteString("LIST")
	le(uint32(3))
	b.WriteString("abc\x00") // odd chunks are padded
	b.WriteString("data")
	le(uint32(2 * len(pcm)))
	le(pcm)
	return b.Bytes()
}
