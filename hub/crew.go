package hub

import (
	"context"
	"sync"
)

// crewIdle is how many workers wait for the next session's requests. A worker
// that has run an operation has a stack grown for it; a new goroutine would
// have to grow one again.
const crewIdle = 256

// crew runs functions on goroutines that it uses again. Nothing waits for a
// worker that is busy: as long as something waits, one more worker is on its way,
// and before that one begins it sends for the next. So a hundred short requests
// that were read together are run by one or two workers, without a switch for
// each, and one that takes its time holds back nothing.
type crew struct {
	all sync.WaitGroup // grows only while a session is there

	mu     sync.Mutex
	wake   sync.Cond // of mu: something waits, or the crew goes home
	queue  []func()  // what waits, from first on
	first  int
	idle   int  // workers that wait
	coming bool // a worker is on its way
	closed bool
}

// newCrew makes a crew whose waiting workers go home when ctx ends.
func newCrew(ctx context.Context) *crew {
	c := &crew{}
	c.wake.L = &c.mu
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.closed = true
		c.wake.Broadcast()
	})
	return c
}

// run starts f, which no other f waits for.
func (c *crew) run(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first > len(c.queue)/2 && len(c.queue) == cap(c.queue) { // instead of growing
		n := copy(c.queue, c.queue[c.first:])
		clear(c.queue[n:])
		c.queue, c.first = c.queue[:n], 0
	}
	c.queue = append(c.queue, f)
	c.sendLocked()
}

// sendLocked sends for a worker unless one is on its way.
func (c *crew) sendLocked() {
	switch {
	case c.coming:
		return
	case c.idle > 0:
		c.wake.Signal()
	default:
		c.all.Go(c.work)
	}
	c.coming = true
}

// work runs what waits, and ends when nothing does and enough others wait.
func (c *crew) work() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.coming = false
	for {
		f := c.nextLocked()
		if f == nil {
			if c.closed || c.idle >= crewIdle {
				return
			}
			c.idle++
			c.wake.Wait()
			c.idle--
			c.coming = false
			continue
		}
		if c.first < len(c.queue) {
			c.sendLocked()
		}
		c.mu.Unlock()
		f()
		c.mu.Lock()
	}
}

// nextLocked takes the first of what waits, or nil.
func (c *crew) nextLocked() func() {
	if c.first == len(c.queue) {
		return nil
	}
	f := c.queue[c.first]
	c.queue[c.first] = nil
	if c.first++; c.first == len(c.queue) {
		c.queue, c.first = c.queue[:0], 0
		if cap(c.queue) > 4*crewIdle {
			c.queue = nil
		}
	}
	return f
}
