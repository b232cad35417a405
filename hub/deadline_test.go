package hub

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Calls that begin together share a context; each has its timeout and at most a step more.
func TestDeadlines_AreSharedForAStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		next := sharedDeadlines(ctx, 3*time.Second)
		begun := time.Now()
		first := next()
		<-time.After(deadlineStep - 1)
		if next() != first {
			t.Error("not shared within a step")
		}
		<-time.After(1)
		second := next()
		if second == first {
			t.Error("shared beyond a step")
		}
		<-first.Done()
		if took := time.Since(begun); took != 3*time.Second+deadlineStep || second.Err() != nil {
			t.Errorf("the first ended after %v, the second with %v", took, second.Err())
		}
		<-second.Done()
		if took := time.Since(begun); took != 3*time.Second+2*deadlineStep {
			t.Errorf("the second ended after %v", took)
		}
		third := next()
		cancel()
		<-third.Done()
	})
}
