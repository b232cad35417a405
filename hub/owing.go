package hub

import (
	"context"
	"sync"
	"time"
)

// answerWait is how long an answer may wait for that of the session's next
// request, which is running meanwhile: those of requests that came together leave
// in one write, and one that takes its time holds back nothing.
const answerWait = time.Millisecond

// owing are the sessions that have an answer which waits.
type owing struct {
	wake chan struct{} // of capacity 1

	mu   sync.Mutex
	list []*session // each once, see session.owes
}

// owe has the session flushed soon.
func (s *session) owe() {
	s.mu.Lock()
	already := s.owes
	s.owes = true
	s.mu.Unlock()
	if already {
		return
	}
	o := &s.hub.owing
	o.mu.Lock()
	o.list = append(o.list, s)
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// flushOwing flushes sessions whose answers have waited, until ctx ends.
func (h *Hub) flushOwing(ctx context.Context) {
	o := &h.owing
	var list []*session
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		}
		if !pause(ctx, answerWait) {
			return
		}
		o.mu.Lock()
		list, o.list = o.list, list[:0]
		o.mu.Unlock()
		for _, s := range list {
			s.mu.Lock()
			s.owes = false
			s.mu.Unlock()
			s.flush()
		}
		clear(list)
	}
}
