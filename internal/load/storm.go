package load

import "context"

// StormConfig of a Storm run.
type StormConfig struct {
	// Conns is the number of sockets. 0 means 1000.
	Conns int
	// SpreadMS is the jitter of the clients, in ms: each waits a random part of
	// it before its first try. 0 means 1000.
	SpreadMS int
}

// Storm opens sockets, cuts them all at once and has them all come back: a unit
// is a reconnect, timed from the cut until its session is open again.
func Storm(ctx context.Context, t Target, cfg StormConfig) (Result, error) {
	if cfg.Conns <= 0 {
		cfg.Conns = 1000
	}
	if cfg.SpreadMS <= 0 {
		cfg.SpreadMS = 1000
	}
	result := Result{Bench: "storm"}
	f, err := newFleet(ctx, cfg.Conns)
	if err != nil {
		return result, err
	}
	defer f.close()
	first, err := f.tell(order{Do: "open", SocketURLs: []string{t.SocketURL}, Deflate: t.Deflate, AtOnce: connectAtOnce})
	if err != nil {
		return result, err
	}
	if _, err := f.tell(order{Do: "cut"}); err != nil {
		return result, err
	}
	m := newMeter(t.PID)
	a, err := f.tell(order{Do: "storm", SpreadMS: cfg.SpreadMS})
	if err != nil {
		return result, err
	}
	result.Units = a.Open
	m.finish(&result)
	took := a.times()
	result.P50MS, result.P99MS, result.MaxMS = took.at(0.50), took.at(0.99), took.at(1)
	result.Errors, result.ErrorsSaid = first.Errors+a.Errors, mergeSaid(first.Said, a.Said)
	result.Lost = a.Dropped
	return result, nil
}
