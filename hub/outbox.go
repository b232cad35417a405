package hub

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// flushChunk is how much is gathered into one write.
const flushChunk = 64 << 10

var chunks = sync.Pool{New: func() any { b := make([]byte, 0, flushChunk); return &b }}

// A queued frame waits for the socket.
type queued struct {
	frame    []byte
	messages int
	at       time.Duration // hub uptime when it was queued
}

// outbox is a session's way out. Whoever has a frame appends it; whoever finds
// nobody writing writes, without blocking, all that has gathered. What the
// socket refuses is left to a goroutine that waits for the socket and ends when
// nothing is left. The session's mutex guards it and is never held over a write.
type outbox struct {
	queue []queued
	box   *[]queued // where queue's memory came from
	// rest is the part the socket has not taken of frames it has begun to take.
	rest   []byte
	restAt time.Duration
	bytes  int  // of queue and of what is being written
	busy   bool // someone is writing
	room   chan struct{}
	corked bool // whoever reads the socket will flush
	sealed bool // the close frame is queued; nothing follows it
	dead   bool // the connection is gone
}

// budget bounds what all sessions of a hub have queued together.
type budget struct {
	max  int64
	used atomic.Int64
}

// fairShare is what a session may queue while the hub's budget is used up.
const fairShare = 64 << 10

// pushLocked queues a frame that goes to others, too, or answers the reason why
// the session must end.
func (s *session) pushLocked(frame []byte, now time.Duration) (reason string) {
	return s.pushManyLocked(frame, 1, now)
}

// pushManyLocked is pushLocked for a frame that holds so many messages.
func (s *session) pushManyLocked(frame []byte, messages int, now time.Duration) (reason string) {
	s.tapOutLocked(frame)
	frame, err := s.hub.shared.in(s.form, frame)
	if err != nil {
		return s.unformed(err)
	}
	return s.queueLocked(queued{frame, messages, now})
}

// unformed counts a message that the session's form has no words for.
func (s *session) unformed(err error) (reason string) {
	s.hub.cfg.Log.Error("message not encoded", "session", s.id, "err", err)
	s.hub.metrics.drops[dropEncode].Inc()
	return ""
}

// queueLocked queues a frame in the session's form, or answers the reason why
// the session must end.
func (s *session) queueLocked(q queued) (reason string) {
	o := &s.out
	if o.sealed || o.dead {
		return ""
	}
	if o.bytes > 0 {
		limits := &s.hub.cfg
		switch {
		case o.bytes+len(q.frame) > limits.QueueBytes:
			return reasonSlowBytes
		case o.bytes+len(q.frame) > fairShare && s.hub.budget.used.Load() > s.hub.budget.max:
			return reasonSlowTotal
		}
	}
	s.appendLocked(q)
	return ""
}

// appendLocked queues a frame. An empty outbox holds no memory: it borrows.
func (s *session) appendLocked(q queued) {
	o := &s.out
	if o.box == nil {
		o.box = queues.Get().(*[]queued)
		o.queue = *o.box
	}
	o.queue = append(o.queue, q)
	o.bytes += len(q.frame)
	s.hub.budget.used.Add(int64(len(q.frame)))
}

var queues = sync.Pool{New: func() any { q := make([]queued, 0, 16); return &q }}

// push queues a frame of this session's own and flushes.
func (s *session) push(frame []byte) {
	s.queue(frame)
	s.flush()
}

// queue queues a frame of this session's own, which must be flushed soon.
func (s *session) queue(frame []byte) {
	s.tapOut(frame)
	frame, err := s.form.of(frame)
	if err != nil {
		s.unformed(err)
		return
	}
	s.mu.Lock()
	reason := s.queueLocked(queued{frame, 1, s.hub.uptime()})
	s.mu.Unlock()
	if reason != "" {
		s.end(slow(reason))
	}
}

// takeLocked returns what to write next and the pooled buffer it is in, if any.
// Messages that wait together leave as one frame, a JSON-RPC batch.
func (s *session) takeLocked() (chunk []byte, pooled *[]byte, at time.Duration) {
	o := &s.out
	switch {
	case len(o.rest) > 0:
		chunk, at = o.rest, o.restAt
		o.rest = nil
		return chunk, nil, at
	case len(o.queue) == 0:
		return nil, nil, 0
	case len(o.queue) == 1 || len(o.queue[0].frame) >= flushChunk:
		first := o.queue[0]
		o.dropFirst(1)
		s.hub.metrics.batch.Observe(float64(first.messages))
		return first.frame, nil, first.at
	}
	pooled = chunks.Get().(*[]byte)
	n, size, messages := 0, 0, 0
	at = o.queue[0].at
	for n < len(o.queue) && size+len(o.queue[n].frame) <= flushChunk {
		size += len(o.queue[n].frame)
		messages += o.queue[n].messages
		n++
	}
	chunk = s.form.appendFrames((*pooled)[:0], o.queue[:n])
	o.dropFirst(n)
	s.hub.metrics.batch.Observe(float64(messages))
	o.bytes += len(chunk) - size // what is written from now on is the chunk
	s.hub.budget.used.Add(int64(len(chunk) - size))
	return chunk, pooled, at
}

// appendFrames appends the frames, neighbouring messages joined to batches.
func (f form) appendFrames(b []byte, list []queued) []byte {
	for len(list) > 0 {
		n := 0
		for n < len(list) && f.joinable(list[n].frame) {
			n++
		}
		if n < 2 {
			b = append(b, list[0].frame...)
			list = list[1:]
			continue
		}
		b = f.appendBatch(b, list[:n])
		list = list[n:]
	}
	return b
}

// dropFirst removes the first n frames; an empty queue gives its memory back.
func (o *outbox) dropFirst(n int) {
	clear(o.queue[:n])
	if o.queue = o.queue[n:]; len(o.queue) > 0 || o.box == nil {
		return
	}
	borrowed := *o.box
	clear(borrowed[:cap(borrowed)]) // the queue may have moved on to memory of its own
	queues.Put(o.box)
	o.queue, o.box = nil, nil
}

// flush writes what is queued unless someone is writing already. It never blocks.
func (s *session) flush() {
	s.mu.Lock()
	s.flushUnlock()
}

// flushUnlock is flush for who holds the lock, which it lets go of.
func (s *session) flushUnlock() {
	o := &s.out
	if o.busy || o.dead || o.corked {
		s.mu.Unlock()
		return
	}
	o.busy = true
	for {
		chunk, pooled, at := s.takeLocked()
		if chunk == nil {
			o.busy = false
			s.roomLocked()
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		n, err := s.link.tryWrite(chunk)
		s.mu.Lock()
		if s.wroteLocked(chunk, pooled, n, at, err) {
			s.mu.Unlock()
			s.cut()
			return
		}
		if n < len(chunk) {
			s.spawnLocked(s.drain, nil)
			s.mu.Unlock()
			return
		}
	}
}

// cork gathers what is queued until uncork, which must follow soon.
func (s *session) cork() {
	s.mu.Lock()
	s.out.corked = true
	s.mu.Unlock()
}

func (s *session) uncork() {
	s.mu.Lock()
	s.out.corked = false
	s.mu.Unlock()
	s.flush()
}

// wroteLocked accounts for a write of n bytes of chunk and keeps the rest. It
// reports whether the connection is of no more use.
func (s *session) wroteLocked(chunk []byte, pooled *[]byte, n int, at time.Duration, err error) (broken bool) {
	o := &s.out
	if !o.dead {
		o.bytes -= n
		s.hub.budget.used.Add(int64(-n))
		if n < len(chunk) {
			o.rest, o.restAt = chunk[n:], at
			if pooled != nil {
				o.rest = append([]byte(nil), o.rest...)
			}
		}
	}
	if pooled != nil {
		chunks.Put(pooled)
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		o.busy = false
		return true
	}
	return o.dead
}

// drain writes what the socket refused, waiting for it. Frames may wait for
// QueueAge, then the session ends as a slow consumer.
func (s *session) drain() {
	defer s.tasks.Done()
	for {
		s.mu.Lock()
		o := &s.out
		chunk, pooled, at := s.takeLocked()
		if chunk == nil || o.dead {
			o.busy = false
			s.roomLocked()
			over := o.sealed && s.form == formSSE // which does not answer a goodbye
			s.mu.Unlock()
			if over {
				s.cut()
			}
			return
		}
		sealed := o.sealed
		s.mu.Unlock()

		left := at + s.hub.cfg.QueueAge - s.hub.uptime()
		if sealed {
			left = s.hub.cfg.CloseTimeout
		}
		n, err := s.link.writeBy(chunk, time.Now().Add(left))

		s.mu.Lock()
		broken := s.wroteLocked(chunk, pooled, n, at, err)
		s.roomLocked()
		s.mu.Unlock()
		switch {
		case broken, err != nil && sealed:
			s.cut()
			return
		case err != nil:
			s.end(slow(reasonSlowAge))
		}
	}
}

// roomLocked wakes who waits for the queue to shrink.
func (s *session) roomLocked() {
	o := &s.out
	if o.room != nil && (o.dead || o.sealed || o.bytes < s.hub.cfg.QueueBytes/4) {
		close(o.room)
		o.room = nil
	}
}

// awaitRoom waits until the queue is short, and reports false when the session ends instead.
func (s *session) awaitRoom() bool {
	s.mu.Lock()
	o := &s.out
	if o.dead || o.sealed || o.bytes < s.hub.cfg.QueueBytes/4 {
		defer s.mu.Unlock()
		return !o.dead && !o.sealed
	}
	if o.room == nil {
		o.room = make(chan struct{})
	}
	room := o.room
	s.mu.Unlock()
	s.flush()
	<-room
	return s.alive()
}

// alive reports whether what is queued now is still sent.
func (s *session) alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.out.dead && !s.out.sealed
}

// sealLocked queues the close frame as the last one; with drop, what waits is
// given up, except the rest of a frame the socket has begun to take.
func (s *session) sealLocked(frame []byte, drop bool, now time.Duration) {
	o := &s.out
	if drop {
		for _, q := range o.queue {
			o.bytes -= len(q.frame)
			s.hub.budget.used.Add(int64(-len(q.frame)))
		}
		o.dropFirst(len(o.queue))
	}
	s.appendLocked(queued{frame, 1, now})
	o.sealed = true
	s.roomLocked()
}

// killLocked lets go of everything: the connection is gone.
func (s *session) killLocked() {
	o := &s.out
	o.dead = true
	s.hub.budget.used.Add(int64(-o.bytes))
	o.dropFirst(len(o.queue))
	o.rest, o.bytes = nil, 0
	s.roomLocked()
}
