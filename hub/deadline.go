package hub

import (
	"context"
	"sync"
	"time"
)

// deadlineStep is how much later than CallTimeout a call may be cut off. Calls
// of polled sessions that begin within a step share a deadline: a context and a
// timer for each would be a good part of what a short call costs.
const deadlineStep = 250 * time.Millisecond

// sharedDeadlines makes contexts that end timeout after they are asked for, or up
// to a step later, or with ctx.
func sharedDeadlines(ctx context.Context, timeout time.Duration) func() context.Context {
	var mu sync.Mutex
	var shared context.Context
	var until time.Time // it is given out
	return func() context.Context {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); shared == nil || !now.Before(until) {
			var cancel context.CancelFunc
			shared, cancel = context.WithTimeout(ctx, timeout+deadlineStep)
			context.AfterFunc(shared, cancel)
			until = now.Add(deadlineStep)
		}
		return shared
	}
}

// bounded returns the context of a call that begins now, for a session whose
// requests run in ctx.
func (s *session) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.pollers != nil {
		return s.pollers.bounded(), func() {}
	}
	return context.WithTimeout(ctx, s.hub.cfg.CallTimeout)
}
