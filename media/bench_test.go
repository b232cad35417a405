package media_test

import (
	"slices"
	"testing"
	"time"

	"parley/media"
)

// BenchmarkJoin measures from calling Join to the first voice packet that comes
// back, with another participant already talking. The pion client stands for
// the browser; it adds its own share of some milliseconds.
func BenchmarkJoin(b *testing.B) {
	for _, c := range []struct {
		name string
		cfg  media.Config
	}{{"lite", media.Config{}}, {"full", media.Config{FullICE: true}}} {
		b.Run(c.name, func(b *testing.B) {
			s := served(b, c.cfg, media.Deps{})
			talker := join(b, s, "talker", 1)
			stop := talker.talk(b, time.Millisecond)
			defer stop()
			var answers, firsts []time.Duration
			for b.Loop() {
				c, offer := newClient(b, "joiner", 2)
				began := time.Now()
				c.enter(b, s, room, offer)
				answers = append(answers, time.Since(began))
				select {
				case <-c.heard:
				case <-time.After(patience):
					b.Fatal("nothing heard")
				}
				firsts = append(firsts, time.Since(began))
				if err := s.Leave(room, c.Participant); err != nil {
					b.Fatal(err)
				}
				c.hangUp()
			}
			b.ReportMetric(ms(answers, 50), "answer_p50_ms")
			b.ReportMetric(ms(firsts, 50), "first_rtp_p50_ms")
			b.ReportMetric(ms(firsts, 99), "first_rtp_p99_ms")
		})
	}
}

// ms returns the p-th percentile in milliseconds.
func ms(all []time.Duration, p int) float64 {
	slices.Sort(all)
	return float64(all[(len(all)-1)*p/100].Microseconds()) / 1000
}
