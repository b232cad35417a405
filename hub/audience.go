package hub

import (
	"sync"

	"parley/hub/broker"
)

// TopicPrefix begins the bus topics of open topics; a user's has no "#".
const TopicPrefix = "#t:"

// publication is one event of an open topic, framed once for all sockets.
type publication struct {
	place broker.Place
	frame []byte
}

// audience is who of this node has joined one open topic.
type audience struct {
	name string

	mu sync.Mutex
	// seats only grows, or is replaced, so that a broadcast walks what it has seen
	// without the lock. Those that were given up stay until half of them are.
	seats []*seat
	empty int // seats that were given up
	// place is the last publication that was handed to the seats.
	place broker.Place
	known bool // place is
	// reading says that the stream is read for what was lost; meanwhile
	// publications wait, and whoever reads hands them out.
	reading      bool
	doubted      bool // what came last may be lost
	waiting      []publication
	waitingBytes int
}

// Bounds of what waits while a stream is read, and while a session joins.
const (
	waitingMax = 4 << 20
	seatMax    = 256 << 10
)

// A seat is a session's place in an audience; the session's mu guards it.
type seat struct {
	s     *session
	at    *audience
	stage seatStage
	place broker.Place // the last publication the client has
	held  []publication
	bytes int // of held
	// missed says that something did not fit into held.
	missed bool
}

type seatStage uint8

const (
	seatJoining seatStage = iota // the answer to topic.join is not made yet: publications are held
	seatSettled                  // it is made, and not queued yet
	seatLive
	seatGone
)

// seating is what a session keeps of the topics it has joined.
type seating struct {
	seats   []*seat
	settled bool // an answer to topic.join is on its way
}

func (g *seating) find(topic string) *seat {
	if g == nil {
		return nil
	}
	for _, st := range g.seats {
		if st.at.name == topic {
			return st
		}
	}
	return nil
}

// audiences are those of a node, by topic.
type audiences struct {
	mu     sync.RWMutex
	topics map[string]*audience
}

func newAudiences() *audiences { return &audiences{topics: make(map[string]*audience)} }

func (as *audiences) of(topic string) *audience {
	as.mu.RLock()
	defer as.mu.RUnlock()
	return as.topics[topic]
}

func (as *audiences) all() []*audience {
	as.mu.RLock()
	defer as.mu.RUnlock()
	list := make([]*audience, 0, len(as.topics))
	for _, a := range as.topics {
		list = append(list, a)
	}
	return list
}

// add gives s a seat in the audience of topic.
func (as *audiences) add(s *session, topic string) *seat {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.topics[topic]
	if a == nil {
		a = &audience{name: topic}
		as.topics[topic] = a
	}
	st := &seat{s: s, at: a}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seats = append(a.seats, st)
	return st
}

// remove takes a seat away, once.
func (as *audiences) remove(st *seat) {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := st.at
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.empty++; a.empty == len(a.seats) {
		delete(as.topics, a.name)
		return
	}
	if 2*a.empty < len(a.seats) {
		return
	}
	taken := make([]*seat, 0, len(a.seats)-a.empty)
	for _, other := range a.seats {
		other.s.mu.Lock()
		if other.stage != seatGone {
			taken = append(taken, other)
		}
		other.s.mu.Unlock()
	}
	a.empty -= len(a.seats) - len(taken)
	a.seats = taken
}

func (a *audience) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seats) - a.empty
}

// begin takes a first place from a session that joined.
func (a *audience) begin(p broker.Place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.known {
		a.place, a.known = p, true
	}
}

// admit decides what becomes of publications: the first now of them are for
// seats, the others wait until the stream was read, or are dropped. read asks for
// that, once those for seats were handed out.
func (a *audience) admit(list []publication) (seats []*seat, now int, read bool, dropped int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range list {
		if !a.reading && a.known && p.place.Epoch == a.place.Epoch && p.place.Seq > a.place.Seq+1 {
			a.reading, read = true, true
		}
		switch {
		case !a.reading:
			a.advance(p.place)
			now++
		case a.waitingBytes+len(p.frame) > waitingMax:
			dropped++
		default:
			a.waiting = append(a.waiting, p)
			a.waitingBytes += len(p.frame)
		}
	}
	return a.seats, now, read, dropped
}

// advance notes what the seats are handed; the caller holds mu.
func (a *audience) advance(p broker.Place) {
	if !a.known || p.Epoch != a.place.Epoch || p.Seq > a.place.Seq {
		a.place, a.known = p, true
	}
}

// doubt begins to read the stream because what came last may be lost; ask says
// that nobody reads it yet.
func (a *audience) doubt() (ask bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.known {
		return false
	}
	a.doubted = true
	ask = !a.reading
	a.reading = true
	return ask
}

// question begins a round of reading: from where, and whether what came last is in doubt.
func (a *audience) question() (place broker.Place, doubted bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	doubted, a.doubted = a.doubted, false
	return a.place, doubted
}

// keepDoubt says that the round has failed.
func (a *audience) keepDoubt(doubted bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.doubted = a.doubted || doubted
}

// hand notes what was read from the stream and returns who gets it.
func (a *audience) hand(last broker.Place) []*seat {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.advance(last)
	return a.seats
}

// next takes what waits while the stream is read, and who gets it. When nothing
// waits, and unless more is to be done, the reading is over.
func (a *audience) next(more bool) (waiting []publication, seats []*seat) {
	a.mu.Lock()
	defer a.mu.Unlock()
	waiting = a.waiting
	a.waiting, a.waitingBytes = nil, 0
	for _, p := range waiting {
		a.advance(p.place)
	}
	if len(waiting) == 0 && !more && !a.doubted {
		a.reading = false
	}
	return waiting, a.seats
}

// busy reports whether the stream is still to be read.
func (a *audience) busy() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reading
}
