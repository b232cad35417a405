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
// ctx's error; Run then closes the rest. Until Reopen no sockets are taken.
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
	select {
	case <-h.emptied():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Reopen takes sockets again after a Drain that was to be undone. It does
// nothing to one that goes on: end that first.
func (h *Hub) Reopen() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = false
}

// emptied is closed once there is no socket; ask only when no new ones are taken.
func (h *Hub) emptied() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.empty == nil {
		h.empty = make(chan struct{})
	}
	empty := h.empty
	h.tellEmptyLocked()
	return empty
}

// tellEmptyLocked tells who waits for the last socket to go.
func (h *Hub) tellEmptyLocked() {
	if len(h.live) == 0 && h.empty != nil {
		close(h.empty)
		h.empty = nil
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
