package signaling

import (
	"context"
	"encoding/json"
	"fmt"

	"parley/internal/sqldb"
	"parley/wire"
)

// SignalKind says what a signal between two devices carries.
type SignalKind string

// The kinds. Offer, answer and restart carry {sdp} or the SDP as a string;
// candidate an RTCIceCandidateInit, an array of them, or null for the last;
// commit, nonce and reveal the parts of the verification words.
const (
	SignalOffer     SignalKind = "offer"
	SignalAnswer    SignalKind = "answer"
	SignalCandidate SignalKind = "candidate"
	SignalCommit    SignalKind = "commit"
	SignalNonce     SignalKind = "nonce"
	SignalReveal    SignalKind = "reveal"
	SignalRestart   SignalKind = "restart" // asks for an ICE restart; may carry the new offer
)

// SignalKinds lists every kind.
func SignalKinds() []SignalKind {
	return []SignalKind{SignalOffer, SignalAnswer, SignalCandidate, SignalCommit, SignalNonce, SignalReveal, SignalRestart}
}

// Signal is a message from one device in a call to another.
type Signal struct {
	Call wire.CallID
	To   Endpoint // zero: the other end of a direct call
	Kind SignalKind
	Data json.RawMessage
}

// Signal passes a message on, between devices that are both in the call. It is
// stored and logged nowhere. Errors: ErrUnknown, ErrEnded, ErrState,
// ErrNotParticipant, ErrSignal.
func (s *Service) Signal(ctx context.Context, c wire.Caller, in Signal) error {
	from, err := device(c)
	if err != nil {
		return err
	}
	call, err := s.read(ctx, in.Call)
	if err != nil {
		return err
	}
	to, err := call.route(from, in.To)
	if err != nil {
		return err
	}
	data, pass, err := screen(in.Kind, in.Data, call.RelayOnly)
	if err != nil || !pass {
		return err
	}
	s.relay(ctx, call, from, to, in.Kind, data)
	return nil
}

func (s *Service) relay(ctx context.Context, call Call, from, to Endpoint, kind SignalKind, data json.RawMessage) {
	s.metrics.signals.WithLabelValues(string(kind)).Inc()
	s.send(ctx, call, stamp(s.Clock.Now()), "call.signal", from.User,
		signalData{Call: call.ID, From: from, Kind: kind, Data: data}, wire.To{User: to.User, Device: to.Device})
}

// route says which device a signal goes to, if from may send it there.
func (c Call) route(from, to Endpoint) (Endpoint, error) {
	switch {
	case c.State == Ended:
		return Endpoint{}, ErrEnded
	case !c.Bound(from):
		return Endpoint{}, ErrNotParticipant
	case c.State == Ringing:
		return Endpoint{}, fmt.Errorf("%w: nobody has answered yet", ErrState)
	}
	if to.User == "" {
		if c.present() != 2 {
			return Endpoint{}, fmt.Errorf("%w: name to whom, there are several", ErrInput)
		}
		for _, p := range c.Participants {
			if p.Present() && p.User != from.User {
				to.User = p.User
			}
		}
	}
	p, ok := c.Find(to.User)
	if !ok || !p.Present() || to.User == from.User || (to.Device != "" && to.Device != p.Device) {
		return Endpoint{}, fmt.Errorf("%w: the receiver is not in the call on that device", ErrState)
	}
	return Endpoint{User: p.User, Device: p.Device}, nil
}

// read loads a call outside of a change.
func (s *Service) read(ctx context.Context, id wire.CallID) (c Call, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		c, err = load(tx, id)
		return err
	})
	return c, err
}

// device returns the caller's end, which must name a device.
func device(c wire.Caller) (Endpoint, error) {
	if c.User == "" || c.Device == "" {
		return Endpoint{}, ErrDevice
	}
	return Endpoint{User: c.User, Device: c.Device}, nil
}
