package hub

import (
	"context"
	"sync"
)

// crewIdle is how many workers wait for the next session's requests. A worker
// that has run an operation has a stack grown for it; a new goroutine would
// have to grow one again. As many as a poller hears of at once.
const crewIdle = 256

// crew runs functions on goroutines that it uses again.
type crew struct {
	places chan struct{} // of waiting workers
	next   chan func()
	done   <-chan struct{}
	all    sync.WaitGroup // grows only while a session is there
}

// newCrew makes a crew whose waiting workers go home when ctx ends.
func newCrew(ctx context.Context) *crew {
	return &crew{places: make(chan struct{}, crewIdle), next: make(chan func()), done: ctx.Done()}
}

// run starts f, which no other f waits for.
func (c *crew) run(f func()) {
	select {
	case c.next <- f:
	default:
		c.all.Go(func() { c.work(f) })
	}
}

// work runs f and what follows, and ends when enough others wait.
func (c *crew) work(f func()) {
	for {
		f()
		select {
		case c.places <- struct{}{}:
		default:
			return
		}
		select {
		case f = <-c.next:
			<-c.places
		case <-c.done:
			return
		}
	}
}
