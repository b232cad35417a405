package clock_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"parley/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestShifted_AdvanceWakesWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock.Shifted
		start := time.Now()
		done := make(chan error, 1)
		go func() { done <- c.Wait(t.Context(), c.Now().Add(24*time.Hour)) }()
		synctest.Wait()
		c.Advance(23 * time.Hour)
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("woke an hour early")
		default:
		}
		c.Advance(time.Hour)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if time.Since(start) > 0 {
			t.Error("waited real time")
		}
	})
}

func TestWait_EndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []clock.Clock{clock.System{}, &clock.Shifted{}} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := c.Wait(ctx, c.Now().Add(time.Minute)); err != context.DeadlineExceeded {
				t.Errorf("%T: got %v", c, err)
			}
			cancel()
		}
	})
}
