package load

import (
	"context"
)

// SignalConfig of a Signal run.
type SignalConfig struct {
	// Conns is the number of sockets; they talk in pairs. 0 means 2.
	Conns int
	// Rate is how many signals a second each pair sends; 0 means the next one as
	// soon as the last one has arrived.
	Rate float64
	// Seconds is how long signals are sent. 0 means 5.
	Seconds float64
}

// Signal sends signals, which are not stored, between pairs of sockets and
// times each from before it is sent until the other socket has it.
func Signal(ctx context.Context, t Target, cfg SignalConfig) (Result, error) {
	if cfg.Conns < 2 {
		cfg.Conns = 2
	}
	if cfg.Seconds <= 0 {
		cfg.Seconds = 5
	}
	result := Result{Bench: "signal"}
	counts := &tally{}
	last := make(map[*pair]*int64, cfg.Conns/2)
	pairs, err := newPairs(ctx, t, cfg.Conns/2, func(p *pair, message []byte) {
		// The flag says whether the unit's number is odd, which is enough to
		// notice one that came twice, as only one is under way.
		if string(field(message, "type")) != "typing" {
			return
		}
		n := last[p]
		if odd := string(field(message, "typing")) == "true"; odd == (*n%2 == 1) {
			counts.doubled.Add(1)
			return
		}
		*n++
		p.arrived(*n)
	})
	if err != nil {
		return result, err
	}
	defer closePairs(pairs)
	for _, p := range pairs {
		last[p] = new(int64)
	}
	runPairs(ctx, t, pairs, cfg.Seconds, cfg.Rate, &result, counts, func(p *pair, n int64) error {
		_, err := p.from.call("typing.set", map[string]any{"conversation": p.conv, "typing": n%2 == 1})
		return err
	})
	return result, nil
}
