package hub

import (
	"context"

	"parley/hub/broker"
	"parley/wire"
)

// Kinds of messages on the bus.
const (
	kindEvent        broker.Kind = iota // Frame goes to the targets' sessions
	kindReplace                         // the target's device opened a session, stamped Seq: older ones end
	kindRevoke                          // Frame is a Revocation
	kindTold                            // Frame is what TellNodes was given
	kindStreamAsk                       // Frame is a streamWord for the node that holds the target's stream
	kindStreamAnswer                    // and its answer
)

// heldMax bounds the signals held back while a session opens, in bytes.
const heldMax = 256 << 10

// heldEvents are what arrived while a session opened.
type heldEvents struct {
	signals [][]byte
	bytes   int
	noted   map[wire.ConversationID]span
}

// span is the first and last entry heard of in a conversation.
type span struct{ first, last int64 }

// Publish implements wire.Publisher. The event is encoded once for all sockets.
func (h *Hub) Publish(_ context.Context, ev wire.Event, to ...wire.To) {
	if len(to) == 0 {
		return
	}
	frame, err := eventFrame(&ev)
	if err != nil {
		h.cfg.Log.Error("event not encoded", "type", ev.Type, "err", err)
		h.metrics.drops[dropEncode].Inc()
		return
	}
	targets := make([]broker.Target, len(to))
	for i, t := range to {
		targets[i] = broker.Target{Topic: string(t.User), Device: string(t.Device), NotSession: string(t.NotSession), NotDevice: string(t.NotDevice)}
	}
	h.metrics.published.Inc()
	err = h.bus.Publish(&broker.Message{
		Kind: kindEvent, Conversation: string(ev.Conversation), Seq: ev.Seq, Frame: frame, To: targets,
	})
	if err != nil {
		h.metrics.drops[dropBus].Inc()
	}
}

// receiver is the hub as the bus sees it. The bus calls it from one goroutine at a time.
type receiver struct {
	*Hub
	// Kept for their memory: sockets that got something in this round, and what of
	// one topic is being handed out.
	dirty []*session
	pubs  []publication
	// alone says that the round is what is being handed out and nothing else.
	alone bool
}

// Deliver implements broker.Receiver. A round's frames are first queued, then
// each socket that got some is written once. Where a round is one message, or one
// run of a topic's, each socket is written as it gets that: among ten thousand, a
// session that is looked at twice has left the processor's cache meanwhile.
func (r *receiver) Deliver(ctx context.Context, round []*broker.Message) {
	delivered := 0
	for i, n := 0, 1; i < len(round); i, n = i+n, 1 {
		m := round[i]
		switch m.Kind {
		case kindEvent:
			r.alone = len(round) == 1
			delivered += r.fanOut(ctx, m)
		case kindReplace:
			for i := range m.To {
				r.replace(m, &m.To[i])
			}
		case kindRevoke:
			r.revokeFrame(m.Frame)
		case broker.KindStream:
			for i+n < len(round) && round[i+n].Kind == broker.KindStream && round[i+n].To[0].Topic == m.To[0].Topic {
				n++
			}
			r.alone = len(round) == n
			delivered += r.fanOutTopic(round[i : i+n])
		case kindStreamAsk, kindStreamAnswer:
			r.hopped(m.Kind, m.Frame)
		case kindTold:
			if r.cfg.OnTold != nil {
				r.cfg.OnTold(m.Frame)
			}
		}
	}
	r.metrics.delivered.Add(float64(delivered))
	r.flushDirty()
}

// sendUnlock has the session written, now or at the round's end, if it got
// something; it lets go of the session's lock.
func (r *receiver) sendUnlock(s *session, got bool) {
	switch {
	case !got || s.dirty:
		s.mu.Unlock()
	case r.alone:
		s.flushUnlock()
	default:
		s.dirty = true
		s.mu.Unlock()
		r.dirty = append(r.dirty, s)
	}
}

// flushDirty writes to each socket that got something.
func (r *receiver) flushDirty() {
	for _, s := range r.dirty {
		s.mu.Lock()
		s.dirty = false
		s.mu.Unlock()
		s.flush()
	}
	clear(r.dirty)
	r.dirty = r.dirty[:0]
}

// fanOut queues one event for every session that is meant and returns how many these are.
func (r *receiver) fanOut(ctx context.Context, m *broker.Message) (sockets int) {
	for i := range m.To {
		t := &m.To[i]
		for _, s := range r.roster.of(wire.UserID(t.Topic)) {
			if r.deliver(ctx, s, m, t) {
				sockets++
			}
		}
	}
	r.metrics.fanout.Observe(float64(sockets))
	return sockets
}

// Lost implements broker.Receiver: within seconds every session's positions are compared with the log.
func (r *receiver) Lost(context.Context) { r.lose() }

// deliver queues one message for the session if it is meant and due.
func (r *receiver) deliver(ctx context.Context, s *session, m *broker.Message, t *broker.Target) (queued bool) {
	if t.Device != "" && t.Device != string(s.caller.Device) {
		return false
	}
	own := t.NotSession != "" && t.NotSession == string(s.id) || t.NotDevice != "" && t.NotDevice == string(s.caller.Device)
	s.mu.Lock()
	due := s.dueLocked(ctx, m, own)
	if !due {
		s.mu.Unlock()
		return false
	}
	reason := s.pushLocked(m.Frame, s.hub.uptime())
	r.sendUnlock(s, true)
	if reason != "" {
		s.end(slow(reason))
	}
	return reason == ""
}

// dueLocked decides whether a message is to be queued now.
func (s *session) dueLocked(ctx context.Context, m *broker.Message, own bool) bool {
	conv := wire.ConversationID(m.Conversation)
	switch {
	case s.stage == stageOpening && m.Seq > 0:
		if s.held.noted == nil {
			s.held.noted = make(map[wire.ConversationID]span)
		}
		seen, ok := s.held.noted[conv]
		if !ok {
			seen.first = m.Seq
		}
		s.held.noted[conv] = span{min(seen.first, m.Seq), max(seen.last, m.Seq)}
		return false
	case s.stage == stageOpening:
		s.holdLocked(m.Frame, own)
		return false
	case s.stage != stageOpen:
		return false
	case m.Seq == 0:
		return !own
	}
	switch s.pos.offer(conv, m.Seq) {
	case verdictSend:
		return !own
	case verdictOld:
		s.hub.metrics.drops[dropOld].Inc()
	case verdictHole:
		s.hub.metrics.holes.Inc()
		s.startReadingLocked(ctx)
	case verdictWait:
	}
	return false
}

// holdLocked keeps a signal until the session is open.
func (s *session) holdLocked(frame []byte, own bool) {
	if own {
		return
	}
	if s.held.bytes+len(frame) > heldMax {
		s.hub.metrics.drops[dropHeld].Inc()
		return
	}
	s.held.signals = append(s.held.signals, frame)
	s.held.bytes += len(frame)
}

// replaceElsewhere ends older sessions of the same device on other nodes.
func (s *session) replaceElsewhere(c wire.Caller) {
	err := s.hub.bus.Publish(&broker.Message{
		Kind: kindReplace, Seq: s.stamp,
		To: []broker.Target{{Topic: string(c.User), Device: string(c.Device), NotSession: string(s.id)}},
	})
	if err != nil {
		s.hub.metrics.drops[dropBus].Inc()
	}
}

func (h *Hub) replace(m *broker.Message, t *broker.Target) {
	for _, s := range h.roster.of(wire.UserID(t.Topic)) {
		if string(s.caller.Device) == t.Device && string(s.id) != t.NotSession && s.stamp < m.Seq {
			s.end(endReplaced)
		}
	}
}
