package hub

import (
	"sync"
	"time"
)

// The wheel's resolution and size; a session due later than a turn waits in the
// furthest slot and is put back.
const (
	wheelTick  = 250 * time.Millisecond
	wheelSlots = 512
)

// wheel holds when each session wants to be looked at next. One wheel serves
// all, where a timer for each would cost memory and wake-ups.
type wheel struct {
	mu    sync.Mutex
	slots [wheelSlots]*session
	tick  int64 // the last one taken
}

// timer is a session's place in the wheel.
type timer struct {
	next, prev *session
	slot       int
	in         bool
	due        time.Duration
}

func newWheel() *wheel { return &wheel{} }

// schedule has s looked at once uptime has reached at, or before that if it is
// due earlier already.
func (w *wheel) schedule(s *session, at time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.timer.in {
		if s.timer.due <= at {
			return
		}
		w.unlink(s)
	}
	w.link(s, at)
}

// remove takes s out.
func (w *wheel) remove(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.timer.in {
		w.unlink(s)
	}
}

// advance takes out the sessions that are due at now, appended to list.
func (w *wheel) advance(now time.Duration, list []*session) []*session {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := int64(now / wheelTick)
	for w.tick < last { // every tick, even after a long sleep: what is put back on the way may be due too
		w.tick++
		for s := w.slots[w.tick%wheelSlots]; s != nil; {
			next := s.timer.next
			if due := s.timer.due; w.tickOf(due) <= w.tick || due <= now {
				w.unlink(s)
				list = append(list, s)
			} else { // in the furthest slot, due in a later turn
				w.unlink(s)
				w.link(s, due)
			}
			s = next
		}
	}
	return list
}

// tickOf rounds up, so that nothing is looked at before it is due.
func (w *wheel) tickOf(at time.Duration) int64 { return int64((at + wheelTick - 1) / wheelTick) }

func (w *wheel) link(s *session, at time.Duration) {
	t := min(max(w.tickOf(at), w.tick+1), w.tick+wheelSlots-1)
	slot := int(t % wheelSlots)
	s.timer = timer{next: w.slots[slot], slot: slot, in: true, due: at}
	if s.timer.next != nil {
		s.timer.next.timer.prev = s
	}
	w.slots[slot] = s
}

func (w *wheel) unlink(s *session) {
	t := &s.timer
	if t.prev != nil {
		t.prev.timer.next = t.next
	} else {
		w.slots[t.slot] = t.next
	}
	if t.next != nil {
		t.next.timer.prev = t.prev
	}
	*t = timer{}
}
