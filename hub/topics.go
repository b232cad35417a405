package hub

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"parley/hub/broker"
	"parley/wire"
)

// The reasons for refusing a seat in an open topic.
var (
	// ErrNoSession says that the caller's session is not open on this node.
	ErrNoSession = errors.New("hub: the session is not open here")
	// ErrTooManyTopics says that a session has joined as many topics as it may.
	ErrTooManyTopics = errors.New("hub: the session has joined too many topics")
)

// TakeSeat makes c's session hear of an open topic, one of at most most. What
// is published from now on is held back until SettleSeat; joining again holds
// back anew. Errors wrap ErrNoSession, ErrTooManyTopics, or are the bus'.
func (h *Hub) TakeSeat(ctx context.Context, c wire.Caller, topic string, most int) error {
	s := h.sessionOf(c)
	if s == nil {
		return ErrNoSession
	}
	if s.sitAgain(topic) {
		return nil
	}
	if err := h.bus.Subscribe(ctx, TopicPrefix+topic); err != nil {
		return err
	}
	st := h.audiences.add(s, topic)
	if err := s.sit(st, most); err != nil {
		h.vacate(st)
		return err
	}
	return nil
}

// SettleSeat says that the answer under way brings the session up to at in
// topic; what comes after at follows the answer.
func (h *Hub) SettleSeat(c wire.Caller, topic string, at broker.Place) {
	s := h.sessionOf(c)
	if s == nil {
		return
	}
	s.mu.Lock()
	st := s.seating.find(topic)
	if st != nil {
		st.stage, st.place = seatSettled, at
		s.seating.settled = true
	}
	s.mu.Unlock()
	if st != nil {
		st.at.begin(at)
	}
}

// GiveSeat makes c's session hear of topic no longer.
func (h *Hub) GiveSeat(c wire.Caller, topic string) {
	if s := h.sessionOf(c); s != nil {
		s.stand(func(name string) bool { return name == topic })
	}
}

// Joined is how many sessions of this node have joined topic.
func (h *Hub) Joined(topic string) int {
	if a := h.audiences.of(topic); a != nil {
		return a.count()
	}
	return 0
}

// JoinedAll is how many sessions of this node have joined each topic.
func (h *Hub) JoinedAll() map[string]int {
	counts := make(map[string]int)
	for _, a := range h.audiences.all() {
		counts[a.name] = a.count()
	}
	return counts
}

// sessionOf returns the session in which c asks, if it is here.
func (h *Hub) sessionOf(c wire.Caller) *session {
	for _, s := range h.roster.of(c.User) {
		if s.id == c.Session {
			return s
		}
	}
	return nil
}

// sitAgain makes a seat that s has in topic wait for another answer.
func (s *session) sitAgain(topic string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.seating.find(topic)
	if st == nil {
		return false
	}
	st.stage, st.held, st.bytes, st.missed = seatJoining, nil, 0, false
	return true
}

// sit notes a seat, unless the session is over or has too many.
func (s *session) sit(st *seat, most int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stage != stageOpen {
		return ErrNoSession
	}
	if s.seating == nil {
		s.seating = &seating{}
	}
	if len(s.seating.seats) >= most || s.seating.find(st.at.name) != nil {
		return ErrTooManyTopics
	}
	s.seating.seats = append(s.seating.seats, st)
	return nil
}

// stand gives up the seats in topics that which names, and returns those topics.
func (s *session) stand(which func(topic string) bool) []string {
	s.mu.Lock()
	var left []*seat
	if g := s.seating; g != nil {
		kept := g.seats[:0]
		for _, st := range g.seats {
			if which(st.at.name) {
				left = append(left, st)
			} else {
				kept = append(kept, st)
			}
		}
		clear(g.seats[len(kept):])
		if g.seats = kept; len(kept) == 0 {
			s.seating = nil
		}
	}
	s.mu.Unlock()
	names := make([]string, len(left))
	for i, st := range left {
		names[i] = st.at.name
		s.hub.vacate(st)
	}
	return names
}

// vacate takes a seat out of its audience and gives its interest back.
func (h *Hub) vacate(st *seat) {
	st.s.mu.Lock()
	st.stage, st.held = seatGone, nil
	st.s.mu.Unlock()
	h.audiences.remove(st)
	h.bus.Unsubscribe(TopicPrefix + st.at.name)
}

// expel gives up the seats in topics that which names and tells the client why.
func (s *session) expel(reason string, which func(topic string) bool) {
	for _, topic := range s.stand(which) {
		s.push(s.hub.topicFrame("topic.left", topic, broker.Place{}, struct {
			Reason string `json:"reason"`
		}{reason}))
	}
}

// topicFrame is an event of the hub's own about a topic.
func (h *Hub) topicFrame(kind, topic string, at broker.Place, data any) []byte {
	body, err := json.Marshal(data)
	if err != nil { // ours always encode
		body = []byte("{}")
	}
	frame, err := eventFrame(&wire.Event{Type: kind, Topic: topic, Seq: at.Seq, Epoch: at.Epoch, Time: h.cfg.Clock.Now(), Data: body})
	if err != nil {
		return nil
	}
	return frame
}

// fanOutTopic queues publications of one topic for everyone who has joined it.
func (r *receiver) fanOutTopic(list []*broker.Message) (delivered int) {
	a := r.audiences.of(list[0].To[0].Topic[len(TopicPrefix):])
	if a == nil {
		return 0
	}
	r.pubs = r.pubs[:0]
	for _, m := range list {
		r.pubs = append(r.pubs, publication{place: broker.Place{Epoch: m.Epoch, Seq: m.Seq}, frame: textFrame(eventPrefix, m.Frame, closeBrace)})
	}
	seats, now, read, dropped := a.admit(r.pubs)
	if dropped > 0 {
		r.metrics.drops[dropTopicWaiting].Add(float64(dropped))
	}
	delivered = r.handOut(a, seats, r.pubs[:now])
	if read {
		r.readers.ask(a)
	}
	clear(r.pubs)
	return delivered
}

// handOut queues publications for seats and returns how many were queued.
func (r *receiver) handOut(a *audience, seats []*seat, list []publication) (delivered int) {
	for len(list) > 0 {
		n := together(list)
		r.alone = r.alone && n == len(list)
		delivered += r.handRun(a, seats, list[:n])
		list = list[n:]
	}
	return delivered
}

// together is how many publications, from the first on, follow on each other and
// fit into one frame.
func together(list []publication) (n int) {
	size, last := len(list[0].frame), list[0].place
	for n = 1; n < len(list); n++ {
		p := list[n]
		size += len(p.frame)
		if p.place.Epoch != last.Epoch || p.place.Seq != last.Seq+1 || size > flushChunk {
			return n
		}
		last = p.place
	}
	return n
}

// run is publications that follow on each other, on their way to many sockets.
type run struct {
	list  []publication
	frame []byte // of them all, encoded once for those who lack nothing before
	gap   func() []byte
}

// handRun queues publications that follow on each other for seats; those that
// lack something before them are told.
func (r *receiver) handRun(a *audience, seats []*seat, list []publication) (delivered int) {
	first := list[0].place
	b := run{list: list, frame: joined(list), gap: sync.OnceValue(func() []byte {
		return r.topicFrame("topic.gap", a.name, broker.Place{Epoch: first.Epoch, Seq: first.Seq - 1}, struct{}{})
	})}
	now := r.uptime()
	sockets := 0
	for _, st := range seats {
		s := st.s
		s.mu.Lock()
		queued, reason := st.takeRunLocked(&b, now)
		r.sendUnlock(s, queued > 0)
		if queued > 0 {
			sockets++
			delivered += queued
		}
		if reason != "" {
			s.end(slow(reason))
		}
	}
	for range list {
		r.metrics.fanout.Observe(float64(sockets))
	}
	return delivered
}

// joined makes one frame of publications, a batch if they are several.
func joined(list []publication) []byte {
	if len(list) == 1 {
		return list[0].frame
	}
	size := 0
	frames := make([]queued, len(list))
	for i, p := range list {
		frames[i].frame = p.frame
		size += 1 + len(p.frame)
	}
	return formJSON.appendBatch(make([]byte, 0, headerRoom+size), frames)
}

// takeRunLocked queues what the client does not have of b, in one frame if that
// is all of it. reason says that the socket is too slow.
func (st *seat) takeRunLocked(b *run, now time.Duration) (queued int, reason string) {
	first := b.list[0].place
	if st.stage == seatLive && st.s.stage == stageOpen && st.place.Epoch == first.Epoch && st.place.Seq+1 == first.Seq {
		st.place = b.list[len(b.list)-1].place
		return len(b.list), st.s.pushManyLocked(b.frame, len(b.list), now)
	}
	for _, p := range b.list {
		var took bool
		if took, reason = st.takeLocked(p, b.gap, now); took {
			queued++
		}
		if reason != "" {
			break
		}
	}
	return queued, reason
}

// takeLocked queues p if the client does not have it, behind gap where
// something before it is missing. reason says that the socket is too slow.
func (st *seat) takeLocked(p publication, gap func() []byte, now time.Duration) (queued bool, reason string) {
	switch {
	case st.stage == seatGone || st.s.stage != stageOpen:
		return false, ""
	case st.stage != seatLive:
		st.holdLocked(p)
		return false, ""
	case p.place.Epoch == st.place.Epoch && p.place.Seq <= st.place.Seq:
		return false, ""
	case p.place.Epoch != st.place.Epoch || p.place.Seq != st.place.Seq+1:
		st.s.hub.metrics.drops[dropTopicGap].Inc()
		reason = st.s.pushLocked(gap(), now)
	}
	st.place = p.place
	if reason == "" {
		reason = st.s.pushLocked(p.frame, now)
	}
	return true, reason
}

// holdLocked keeps a publication until the answer to topic.join is queued.
func (st *seat) holdLocked(p publication) {
	if st.missed || st.bytes+len(p.frame) > seatMax {
		if st.missed = true; len(st.held) > 0 {
			st.s.hub.metrics.drops[dropTopicHeld].Add(float64(len(st.held)))
		}
		st.held = append(st.held[:0], publication{place: p.place}) // how far it has come
		return
	}
	st.held = append(st.held, p)
	st.bytes += len(p.frame)
}

// seatLive lets publications flow to seats whose answer is queued.
func (s *session) seatLive() {
	s.mu.Lock()
	g := s.seating
	if g == nil || !g.settled {
		s.mu.Unlock()
		return
	}
	g.settled = false
	reason, now := "", s.hub.uptime()
	for _, st := range g.seats {
		if st.stage != seatSettled {
			continue
		}
		st.stage = seatLive
		held, missed := st.held, st.missed
		st.held, st.bytes, st.missed = nil, 0, false
		for _, p := range held {
			if reason != "" {
				break
			}
			if missed {
				reason = st.missLocked(p.place, now)
				continue
			}
			_, reason = st.takeLocked(p, func() []byte {
				return s.hub.topicFrame("topic.gap", st.at.name, broker.Place{Epoch: p.place.Epoch, Seq: p.place.Seq - 1}, struct{}{})
			}, now)
		}
	}
	s.mu.Unlock()
	if reason != "" {
		s.end(slow(reason))
	}
	s.flush()
}

// missLocked tells the client that what it lacks up to head is lost.
func (st *seat) missLocked(head broker.Place, now time.Duration) (reason string) {
	if st.stage != seatLive || st.s.stage != stageOpen || head.Epoch == st.place.Epoch && head.Seq <= st.place.Seq {
		return ""
	}
	st.place = head
	st.s.hub.metrics.drops[dropTopicGap].Inc()
	return st.s.pushLocked(st.s.hub.topicFrame("topic.gap", st.at.name, head, struct{}{}), now)
}

// readers read streams for what the bus has lost.
type readers struct {
	wake chan struct{} // of capacity 1

	mu    sync.Mutex
	asked []*audience // each once: it is marked as being read
}

func newReaders() *readers { return &readers{wake: make(chan struct{}, 1)} }

func (rs *readers) ask(list ...*audience) {
	rs.mu.Lock()
	rs.asked = append(rs.asked, list...)
	rs.mu.Unlock()
	rs.poke()
}

func (rs *readers) poke() {
	select {
	case rs.wake <- struct{}{}:
	default:
	}
}

// take returns one that is to be read, and wakes another reader for the rest.
func (rs *readers) take() *audience {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if len(rs.asked) == 0 {
		return nil
	}
	a := rs.asked[0]
	rs.asked[0] = nil
	if rs.asked = rs.asked[1:]; len(rs.asked) > 0 {
		rs.poke()
	}
	return a
}
