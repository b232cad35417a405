// Package clock is where Parley's time comes from, so that holds, deadlines,
// meters and retries can be moved in dev mode and tests never sleep.
package clock

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Clock tells the time and waits for it.
type Clock interface {
	// Now returns the current time in UTC.
	Now() time.Time
	// Wait returns nil once Now is at or after until, or ctx's error before that.
	Wait(ctx context.Context, until time.Time) error
}

// System is the machine's clock.
type System struct{}

// Now implements Clock.
func (System) Now() time.Time { return time.Now().UTC() }

// Wait implements Clock.
func (System) Wait(ctx context.Context, until time.Time) error {
	return wait(ctx, time.Until(until), nil)
}

// Shifted is the machine's clock plus an offset that only grows.
// The zero value is ready and runs with the machine.
type Shifted struct {
	offset atomic.Int64 // nanoseconds

	mu      sync.Mutex
	changed chan struct{} // closed by Advance, then replaced
}

// Now implements Clock.
func (s *Shifted) Now() time.Time {
	return time.Now().Add(time.Duration(s.offset.Load())).UTC()
}

// Advance moves the clock forward by d and wakes whoever waits. Negative d is ignored.
func (s *Shifted) Advance(d time.Duration) {
	if d <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset.Add(int64(d))
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// Wait implements Clock.
func (s *Shifted) Wait(ctx context.Context, until time.Time) error {
	for {
		changed := s.change()
		left := until.Sub(s.Now())
		if err := wait(ctx, left, changed); err != nil {
			return err
		}
		if !s.Now().Before(until) {
			return nil
		}
	}
}

func (s *Shifted) change() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// wait returns when d has passed, changed is closed, or ctx has ended.
func wait(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
	case <-changed:
	}
	return nil
}
