package signaling

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// record writes the effects that belong to the transaction: log entries and the payment's review.
func (s *Service) record(tx *sqldb.Tx, c Call, effects []Effect, now time.Time) error {
	for _, e := range effects {
		var err error
		switch e.Kind {
		case EffLogStarted:
			err = s.append(tx, c, "call.started", now, recordData{c.Record()})
		case EffLogEnded:
			err = s.append(tx, c, "call.ended", now, recordData{c.Record()})
		case EffLogUnverified:
			err = s.append(tx, c, "note", now, noteData{
				Code: DetailVerificationFailed, Text: "The verification words did not match. Do not continue on this line."})
		case EffReview:
			err = s.Payments.Review(tx, c.Payment, DetailVerificationFailed)
		}
		if err != nil {
			return fmt.Errorf("signaling: record %s: %w", e.Kind, err)
		}
	}
	return nil
}

type recordData struct {
	Call CallView `json:"call"`
}

type noteData struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// append adds an entry to the log of c's conversation. A note is the server's own; a record has the caller as author.
func (s *Service) append(tx *sqldb.Tx, c Call, kind string, now time.Time, data any) error {
	raw, err := json.Marshal(data)
	if err != nil {
		return err
	}
	entry := wire.Entry{Type: kind, Time: now, Data: raw}
	if kind != "note" {
		entry.Author = c.From.User
	}
	_, err = s.Log.Append(tx, c.Conversation, entry)
	return err
}

// What the signals of calls carry.
type (
	callData struct {
		Call CallView `json:"call"`
	}
	offeredData struct {
		Call  CallView `json:"call"`
		Card  string   `json:"card,omitempty"`
		RingS int      `json:"ring_s"` // whole seconds left, rounded up
	}
	ringingData struct {
		Call wire.CallID `json:"call"`
		User wire.UserID `json:"user"`
	}
	answeredData struct {
		Call CallView `json:"call"`
		By   Endpoint `json:"by"`
		SDP  string   `json:"sdp,omitempty"`
	}
	slotsData struct {
		Call  wire.CallID `json:"call"`
		Slots []Slot      `json:"slots"`
	}
	speakersData struct {
		Call  wire.CallID   `json:"call"`
		Users []wire.UserID `json:"users"`
	}
	signalData struct {
		Call wire.CallID     `json:"call"`
		From Endpoint        `json:"from"`
		Kind SignalKind      `json:"kind"`
		Data json.RawMessage `json:"data,omitempty"`
	}
)

// announce sends the signals of a committed change. It does not block.
func (s *Service) announce(ctx context.Context, c Call, effects []Effect, now time.Time, from origin) {
	for _, e := range effects {
		switch e.Kind {
		case EffOffer:
			s.offer(ctx, c, wire.To{User: e.User}, now)
		case EffRings:
			s.send(ctx, c, now, "call.ringing", e.User, ringingData{c.ID, e.User}, wire.To{User: c.From.User, Device: c.From.Device})
		case EffAnswered:
			s.answered(ctx, c, e, now, from)
		case EffDismiss:
			s.send(ctx, c, now, "call.ended", "", callData{c.over(e.User, e.Reason, now)},
				wire.To{User: e.User, NotDevice: e.Device, NotSession: from.session})
		case EffUpdate:
			s.updated(ctx, c, now, from)
		case EffEnd:
			s.send(ctx, c, now, "call.ended", "", callData{c.For(e.User)}, wire.To{User: e.User, NotSession: from.session})
		}
	}
	s.count(c, effects)
}

func (s *Service) count(c Call, effects []Effect) {
	for _, e := range effects {
		switch e.Kind {
		case EffLogStarted:
			s.metrics.started.WithLabelValues(string(c.Kind)).Inc()
		case EffLogEnded:
			s.metrics.ended.WithLabelValues(string(c.Reason)).Inc()
			if c.Kind == Direct && !c.ActiveAt.IsZero() {
				s.metrics.answer.Observe(c.ActiveAt.Sub(c.AnsweredAt).Seconds())
			}
		}
	}
}

// offer rings a callee's devices.
func (s *Service) offer(ctx context.Context, c Call, to wire.To, now time.Time) {
	v := c.For(to.User)
	left := max(0, v.RingDeadline.Sub(now))
	s.send(ctx, c, now, "call.offered", c.From.User,
		offeredData{Call: v, Card: v.Card, RingS: int((left + time.Second - 1) / time.Second)}, to)
}

// answered tells the devices that take part already.
func (s *Service) answered(ctx context.Context, c Call, e Effect, now time.Time, from origin) {
	by := Endpoint{User: e.User, Device: e.Device}
	for _, p := range c.Participants {
		if p.User == e.User || !p.Present() {
			continue
		}
		s.send(ctx, c, now, "call.answered", e.User, answeredData{Call: c.For(p.User), By: by, SDP: from.sdp},
			wire.To{User: p.User, Device: p.Device})
	}
}

// updated shows the new state to everybody who takes part or may still answer.
func (s *Service) updated(ctx context.Context, c Call, now time.Time, from origin) {
	for _, p := range c.Participants {
		if p.Present() || p.Leg == LegRinging {
			s.send(ctx, c, now, "call.updated", "", callData{c.For(p.User)},
				wire.To{User: p.User, NotSession: from.session})
		}
	}
}

// send publishes one signal. What it carries is never logged.
func (s *Service) send(ctx context.Context, c Call, now time.Time, kind string, author wire.UserID, data any, to wire.To) {
	raw, err := json.Marshal(data)
	if err != nil {
		s.Logger.Error("encode call signal", "type", kind, "call", c.ID, "error", err)
		return
	}
	s.Publisher.Publish(ctx, wire.Event{Type: kind, Conversation: c.Conversation, Time: now, Author: author, Data: raw}, to)
}
