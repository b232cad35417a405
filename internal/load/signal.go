package load

import (
	"context"
)

// Signal sends signals, which are neither stored nor answered, between pairs of
// sockets and times each from before it is sent until the other socket has it.
func Signal(ctx context.Context, t Target, cfg PairConfig) (Result, error) {
	cfg = cfg.withDefaults()
	result := Result{Bench: "signal"}
	counts := &tally{}
	last := make(map[*pair]*int64, cfg.Conns/2)
	pairs, err := newPairs(ctx, t, cfg, func(p *pair, message []byte) {
		// The flag says whether the unit's number is odd, which is enough to
		// notice one that came twice.
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
	runPairs(ctx, t, pairs, cfg, &result, counts, func(p *pair, n int64) error {
		return p.from.notify("typing.set", map[string]any{"conversation": p.conv, "typing": n%2 == 1})
	})
	return result, nil
}
