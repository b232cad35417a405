// Package opustest measures sounds in tests: it owns no sound and no codec.
package opustest

import "math"

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
