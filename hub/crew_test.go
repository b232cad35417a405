package hub

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// What takes its time holds back nothing that came with it or after it.
func TestCrew_NothingWaitsForABusyWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := newCrew(ctx)
		release := make(chan struct{})
		var begun, ended atomic.Int64
		for range 2 * crewIdle {
			c.run(func() {
				begun.Add(1)
				<-release
				ended.Add(1)
			})
		}
		synctest.Wait()
		if begun.Load() != 2*crewIdle {
			t.Errorf("%d begun", begun.Load())
		}
		close(release)
		synctest.Wait()
		if ended.Load() != 2*crewIdle || c.idle != crewIdle {
			t.Errorf("%d ended, %d workers wait", ended.Load(), c.idle)
		}
		c.run(func() { ended.Add(1) }) // by one that waits
		synctest.Wait()
		if ended.Load() != 2*crewIdle+1 || c.idle != crewIdle {
			t.Errorf("%d ended, %d workers wait", ended.Load(), c.idle)
		}
		cancel()
		c.all.Wait()
	})
}

// Short functions that come together are run by few workers, in the order in which they came.
func TestCrew_ShortFunctionsShareAWorker(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := newCrew(ctx)
		var order []int
		for round := range 3 {
			for i := range 1000 {
				c.run(func() { order = append(order, 1000*round+i) })
			}
			synctest.Wait()
		}
		for i, n := range order {
			if i != n {
				t.Fatalf("number %d ran as %d", n, i)
			}
		}
		if len(order) != 3000 || c.idle > 3 || cap(c.queue) > 4*crewIdle {
			t.Errorf("%d ran, %d workers, room for %d", len(order), c.idle, cap(c.queue))
		}
		cancel()
		c.all.Wait()
	})
}

// The memory of what waits does not grow while it never runs dry.
func TestCrew_MemoryOfAQueueThatNeverRunsDry(t *testing.T) {
	c := newCrew(t.Context())
	c.coming = true // nobody comes: this test works
	for range 10 {
		c.run(func() {})
	}
	for range 100_000 {
		c.run(func() {})
		if c.nextLocked() == nil {
			t.Fatal("empty")
		}
	}
	if cap(c.queue) > 64 || len(c.queue)-c.first != 10 {
		t.Errorf("room for %d, %d wait", cap(c.queue), len(c.queue)-c.first)
	}
}

func TestCrew_ManyAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := newCrew(ctx)
	var ran atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5000 {
				c.run(func() { ran.Add(1) })
			}
		})
	}
	wg.Wait()
	for ran.Load() < 40_000 {
		runtime.Gosched()
	}
	cancel()
	c.all.Wait()
}
