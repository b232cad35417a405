package signaling

import (
	"time"

	"parley/wire"
)

// Callee is somebody to ring.
type Callee struct {
	User wire.UserID
	Busy bool   // in another call: does not ring
	Card string // the signed caller card to show
}

// Offer is what a new call is made of.
type Offer struct {
	ID           wire.CallID
	Conversation wire.ConversationID
	Payment      wire.PaymentID
	Kind         Kind
	Media        Media
	From         Endpoint
	To           []Callee // one for a direct call
	RelayOnly    bool
	ClientID     string
}

// Open returns the call that o makes at time now and what is to be done about
// it. A call whose every callee is busy is born ended.
func Open(o Offer, now time.Time) (Call, []Effect) {
	now = stamp(now)
	c := Call{
		ID: o.ID, Conversation: o.Conversation, Payment: o.Payment, Kind: o.Kind, Media: o.Media,
		State: Ringing, Version: 1, From: o.From, ClientID: o.ClientID, RelayOnly: o.RelayOnly,
		Verified: WordsNone, CreatedAt: now, RingDeadline: now.Add(RingTimeout),
		Participants: []Participant{{User: o.From.User, Device: o.From.Device, Leg: LegAnswered}},
	}
	s := &step{call: &c, now: now, effects: []Effect{{Kind: EffLogStarted}}}
	for _, to := range o.To {
		p := Participant{User: to.User, Leg: LegRinging, Until: c.RingDeadline, Card: to.Card}
		if to.Busy {
			p.Leg, p.Until = LegBusy, time.Time{}
		} else {
			s.emit(Effect{Kind: EffOffer, User: to.User})
		}
		c.Participants = append(c.Participants, p)
	}
	if c.ringing() == 0 {
		s.end(Busy, "")
	}
	return c, s.effects
}
