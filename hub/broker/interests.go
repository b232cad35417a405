package broker

import (
	"context"
	"sync"
)

// interests are the topics of one lane and how far Redis knows of them. One
// goroutine sends the commands and Redis answers them in order, so that the
// last command about a topic is always about its last state.
type interests struct {
	channel func(topic string) string
	wake    chan struct{} // of capacity 1: there are changes

	mu      sync.Mutex
	topics  map[string]*interest
	changed []*interest
	asked   []question // commands that Redis has not confirmed, oldest first
	phase   phase
	lost    bool // the connection was away since the receiver was last told
	tell    bool // it is back: the receiver must be told
}

// phase is how a lane's connection is.
type phase uint8

const (
	phaseConnecting phase = iota // the first time, or again: subscribers wait
	phaseUp
	phaseAway // the last attempt failed: subscribers do not wait
)

// interest is what is known of one topic.
type interest struct {
	topic   string
	channel string
	count   int  // of Subscribes not taken back
	queued  bool // on the list of changes
	on      bool // Redis was asked to subscribe, on this connection
	live    bool // and has confirmed
	waiters []chan struct{}
}

// question is a command about one channel that waits for its confirmation.
type question struct {
	interest *interest
	channel  string
	off      bool
	last     bool // of what was subscribed to when the connection began
}

func newInterests(channel func(string) string) *interests {
	return &interests{channel: channel, wake: make(chan struct{}, 1), topics: make(map[string]*interest)}
}

func (s *interests) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.topics)
}

// add counts one more interest and waits until Redis has confirmed it. When
// ctx ends first it is taken back.
func (s *interests) add(ctx context.Context, topic string) error {
	ready := s.want(topic)
	if ready == nil {
		return nil
	}
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		s.remove(topic)
		return ctx.Err()
	}
}

// want counts one more interest; what it returns is closed when there is nothing more to wait for.
func (s *interests) want(topic string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.topics[topic]
	if i == nil {
		i = &interest{topic: topic, channel: s.channel(topic)}
		s.topics[topic] = i
	}
	i.count++
	if i.live {
		return nil
	}
	s.note(i)
	if s.phase == phaseAway {
		return nil
	}
	ready := make(chan struct{})
	i.waiters = append(i.waiters, ready)
	return ready
}

// remove takes back one interest.
func (s *interests) remove(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.topics[topic]
	if i == nil {
		return
	}
	if i.count = max(0, i.count-1); i.count == 0 {
		s.note(i) // it leaves the list of topics with the command
	}
}

// note puts i on the list of changes. The caller holds mu.
func (s *interests) note(i *interest) {
	if s.phase == phaseAway { // begin looks at all of them
		return
	}
	if !i.queued {
		i.queued = true
		s.changed = append(s.changed, i)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// begin starts over on a new connection with the lane's own channels.
func (s *interests) begin(own ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = phaseConnecting
	s.asked, s.changed, s.tell = nil, nil, false
	for _, channel := range own {
		s.changed = append(s.changed, &interest{channel: channel, count: 1, queued: true})
	}
	for topic, i := range s.topics {
		if i.count == 0 {
			delete(s.topics, topic)
			continue
		}
		i.queued = true
		s.changed = append(s.changed, i)
	}
	s.changed = append(s.changed, nil) // marks the end of what must be there before the lane is up
}

// changes takes up to most changes off the list, as channels to subscribe to
// and channels to leave; the commands must be sent in this order.
func (s *interests) changes(most int) (on, off []string, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(most, len(s.changed))
	var leaving []question
	for _, i := range s.changed[:n] {
		if i == nil {
			s.asked[len(s.asked)-1].last = true // the lane's own channels at least were asked for
			continue
		}
		i.queued = false
		switch want := i.count > 0; {
		case want && !i.on:
			i.on = true
			on = append(on, i.channel)
			s.asked = append(s.asked, question{interest: i, channel: i.channel})
		case !want:
			delete(s.topics, i.topic)
			if i.on {
				off = append(off, i.channel)
				leaving = append(leaving, question{interest: i, channel: i.channel, off: true})
			}
		}
	}
	s.asked = append(s.asked, leaving...)
	if s.changed = s.changed[n:]; len(s.changed) == 0 {
		s.changed = nil
	}
	return on, off, len(s.changed) > 0
}

// confirm takes Redis' answer about a channel, and fails when nobody asked for it.
func (s *interests) confirm(channel string, off bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) == 0 || s.asked[0].channel != channel || s.asked[0].off != off {
		return errMoved
	}
	q := s.asked[0]
	if s.asked = s.asked[1:]; len(s.asked) == 0 {
		s.asked = nil
	}
	if !off {
		q.interest.live = true
		q.interest.release()
	}
	if q.last {
		s.phase = phaseUp
		s.tell, s.lost = s.lost, false
	}
	return nil
}

// caughtUp reports, once, that a connection replaced one that was lost and is
// subscribed to everything.
func (s *interests) caughtUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	tell := s.tell
	s.tell = false
	return tell
}

// down notes that the connection is gone: subscribers wait no longer.
func (s *interests) down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase, s.lost = phaseAway, true
	s.asked, s.changed = nil, nil
	for _, i := range s.topics {
		i.on, i.live, i.queued = false, false, false
		i.release()
	}
}

// release wakes who waits for the topic.
func (i *interest) release() {
	for _, ready := range i.waiters {
		close(ready)
	}
	i.waiters = nil
}
