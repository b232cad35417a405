package topics

import (
	"context"
	"encoding/json"

	"parley/wire"
)

// Bounds of what an answer brings of a topic's history.
const (
	historyMax      = 500
	historyBytesMax = 512 << 10
)

// State is where a topic stands.
type State struct {
	Topic string
	Place Place
	// Count is how many sessions have joined it on all nodes; others' counts are
	// a few seconds old.
	Count int
}

// Joined is what a session is told that joined a topic.
type Joined struct {
	State
	// History are events in order, the last of them the topic's last: what the
	// session missed since Resume, or the last ones it asked for.
	History []json.RawMessage
	// Gap says that publications since Resume are missing before History.
	Gap bool
}

// JoinRequest is what Join takes.
type JoinRequest struct {
	Topic string
	// Resume is where the client was; nil for the first time.
	Resume *Place
	// Last is how many of the last publications are wanted without Resume.
	Last int
}

// Join makes c's session hear of a topic. Everything after the answer's place
// reaches it in order, or it is told of the gap (topic.gap). Joining again
// answers anew. It fails with ErrName, ErrForbidden, ErrTooMany, ErrSession and
// ErrUnavailable.
func (s *Service) Join(ctx context.Context, c wire.Caller, in JoinRequest) (Joined, error) {
	if err := s.readable(c, in.Topic); err != nil {
		return Joined{}, err
	}
	if err := s.deps.Seats.Take(ctx, c, in.Topic, s.cfg.MaxPerSession); err != nil {
		return Joined{}, err
	}
	page, gap, err := s.missed(ctx, in)
	if err != nil {
		s.deps.Seats.Give(c, in.Topic)
		return Joined{}, err
	}
	s.deps.Seats.Settle(c, in.Topic, page.Head)
	s.joins[gap].Inc()
	joined := Joined{State: State{Topic: in.Topic, Place: page.Head, Count: s.count(ctx, in.Topic)}, Gap: gap}
	joined.History = raw(page.Events)
	return joined, nil
}

// missed reads what a joining session is to be sent.
func (s *Service) missed(ctx context.Context, in JoinRequest) (page Page, gap bool, err error) {
	if in.Resume == nil {
		page, err = s.deps.Streams.Read(ctx, in.Topic, -1, min(in.Last, historyMax))
		page.trim()
		return page, false, err
	}
	page, err = s.deps.Streams.Read(ctx, in.Topic, max(in.Resume.Seq, 0), historyMax)
	if err != nil {
		return page, false, err
	}
	if page.Head.Epoch == in.Resume.Epoch {
		if missing := page.Head.Seq - in.Resume.Seq; missing == 0 || missing > 0 && int64(len(page.Events)) == missing && !page.trim() {
			return page, false, nil
		}
	}
	page, err = s.deps.Streams.Read(ctx, in.Topic, -1, historyMax)
	page.trim()
	return page, true, err
}

// trim leaves out the oldest events that are too much for one answer.
func (p *Page) trim() (trimmed bool) {
	bytes := 0
	for i := len(p.Events) - 1; i >= 0; i-- {
		if bytes += len(p.Events[i]); bytes > historyBytesMax {
			p.First += int64(i + 1)
			p.Events = p.Events[i+1:]
			return true
		}
	}
	return false
}

func raw(events [][]byte) []json.RawMessage {
	list := make([]json.RawMessage, len(events))
	for i, e := range events {
		list[i] = e
	}
	return list
}

// Leave makes c's session hear of a topic no longer.
func (s *Service) Leave(_ context.Context, c wire.Caller, topic string) error {
	if err := CheckName(topic); err != nil {
		return err
	}
	s.deps.Seats.Give(c, topic)
	return nil
}

// Get returns where a topic stands. It fails as Join does.
func (s *Service) Get(ctx context.Context, c wire.Caller, topic string) (State, error) {
	if err := s.readable(c, topic); err != nil {
		return State{}, err
	}
	page, err := s.deps.Streams.Read(ctx, topic, -1, 0)
	return State{Topic: topic, Place: page.Head, Count: s.count(ctx, topic)}, err
}

// History is a part of what a topic keeps.
type History struct {
	Topic string
	Place Place
	// Events are in order. Gap says that publications between what was asked for
	// and the first of them, or the topic's place, are not kept any more.
	Events []json.RawMessage
	Gap    bool
	// More says that later ones are kept, too.
	More bool
}

// History returns up to limit events after after, or with after -1 the last
// ones. It fails as Join does.
func (s *Service) History(ctx context.Context, c wire.Caller, topic string, after int64, limit int) (History, error) {
	if err := s.readable(c, topic); err != nil {
		return History{}, err
	}
	page, err := s.deps.Streams.Read(ctx, topic, after, min(limit, historyMax))
	if err != nil {
		return History{}, err
	}
	h := History{Topic: topic, Place: page.Head}
	if after < 0 {
		page.trim()
	} else {
		page.cut()
		h.Gap = page.First > after+1
		h.More = page.First+int64(len(page.Events)) <= page.Head.Seq
	}
	h.Events = raw(page.Events)
	return h, nil
}

// cut leaves out the newest events that are too much for one answer.
func (p *Page) cut() {
	bytes := 0
	for i := range p.Events {
		if bytes += len(p.Events[i]); bytes > historyBytesMax && i > 0 {
			p.Events = p.Events[:i]
			return
		}
	}
}
