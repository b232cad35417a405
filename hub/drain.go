package hub

import (
	"context"
	"math/rand/v2"
	"time"

	"parley/wire"
)

// drainShare is the part of Drain's time over which the goodbyes are spread;
// the rest is for requests under way and answers to close frames.
const drainShare = 0.6

// Drain takes no sockets from now on and sends those that are here elsewhere:
// their requests under way are answered, then they are closed with 4010 and a
// random delay in the reason ("retry_ms=…"), spread evenly over the time that
// ctx leaves (10 s without a deadline). It returns nil when all are gone, else
// ctx's error; Run then closes the rest.
func (h *Hub) Drain(ctx context.Context) error {
	sessions := h.shut()
	window := 10 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		window = time.Until(deadline)
	}
	spread := time.Duration(float64(window) * drainShare)
	rand.Shuffle(len(sessions), func(i, j int) { sessions[i], sessions[j] = sessions[j], sessions[i] })
	started := h.uptime()
	for i, s := range sessions {
		at := started + spread*time.Duration(i)/time.Duration(len(sessions))
		if wait(ctx, at-h.uptime()) != nil {
			break
		}
		s.end(ending{
			code: wire.CloseDrain, text: retryIn(rand.N(h.cfg.RetryAfterDrain)), reason: reasonDrain, finish: true,
		})
	}
	gone := make(chan struct{})
	go func() {
		h.sessions.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait sleeps for d unless ctx ends first.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
