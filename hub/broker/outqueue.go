package broker

import "sync"

// outgoing is one encoded message on its way to Redis.
type outgoing struct {
	channel string
	payload []byte
}

// outQueue holds what waits to be published, bounded by bytes.
type outQueue struct {
	max  int
	wake chan struct{} // of capacity 1: something waits

	mu      sync.Mutex
	waiting []outgoing
	bytes   int
	dropped bool // something did not fit since the last take
}

func newOutQueue(most int) *outQueue { return &outQueue{max: most, wake: make(chan struct{}, 1)} }

func (q *outQueue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

// put appends o, or reports that it does not fit; one message always fits.
func (q *outQueue) put(o outgoing) bool {
	size := len(o.payload) + messageOverhead
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes > 0 && q.bytes+size > q.max {
		q.dropped = true
		return false
	}
	q.append(o, size)
	return true
}

// force appends o whether it fits or not.
func (q *outQueue) force(o outgoing) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.append(o, len(o.payload)+messageOverhead)
}

func (q *outQueue) append(o outgoing, size int) {
	q.waiting = append(q.waiting, o)
	q.bytes += size
	q.poke()
}

func (q *outQueue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take takes up to most messages, and reports whether others were dropped.
func (q *outQueue) take(most int) (batch []outgoing, dropped bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(most, len(q.waiting))
	batch = q.waiting[:n:n]
	if q.waiting = q.waiting[n:]; len(q.waiting) == 0 {
		q.waiting = nil
	}
	for _, o := range batch {
		q.bytes -= len(o.payload) + messageOverhead
	}
	dropped, q.dropped = q.dropped, false
	return batch, dropped
}
