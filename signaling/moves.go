package signaling

import (
	"fmt"
	"time"

	"parley/wire"
)

// The moves: one function per action, each for all states that have a row.

func rings(s *step) error {
	p, err := s.find()
	switch {
	case err != nil:
		return err
	case p.Leg != LegRinging, p.Rang:
		return nil // too late or said before
	}
	p.Rang = true
	s.emit(Effect{Kind: EffRings, User: p.User})
	return nil
}

func answer(s *step) error {
	p, err := s.find()
	if err != nil {
		if !s.cmd.Member || s.call.Kind != Group {
			return err
		}
		if p, err = s.add(s.cmd.By.User, LegMissed); err != nil {
			return err
		}
	}
	switch {
	case p.Present() && p.Device == s.cmd.By.Device:
		return nil // said before
	case p.Present():
		return ErrTaken
	case s.call.Kind == Direct && p.Leg != LegRinging:
		return ErrState
	}
	return s.bind(p)
}

// bind gives p's part to the acting device.
func (s *step) bind(p *Participant) error {
	c := s.call
	rang := p.Leg == LegRinging
	if err := s.to(p, LegAnswered, s.now.Add(ConnectTimeout)); err != nil {
		return err
	}
	p.Device, p.Route, p.Check, p.Note = s.cmd.By.Device, "", Check{}, ""
	if c.Payment == "" {
		c.Payment = s.cmd.Payment
	}
	if c.State == Ringing {
		s.begin()
	}
	s.emit(Effect{Kind: EffAnswered, User: p.User, Device: p.Device})
	if rang {
		s.emit(Effect{Kind: EffDismiss, User: p.User, Device: p.Device, Reason: AnsweredElsewhere})
	}
	return nil
}

// begin starts the talk at the first answer: from now on the caller, too, must connect.
func (s *step) begin() {
	c := s.call
	c.AnsweredAt = s.now
	c.State = Connecting
	if c.Kind == Group {
		c.State, c.ActiveAt = Active, s.now
	}
	for i := range c.Participants {
		if p := &c.Participants[i]; p.Leg == LegAnswered {
			p.Until = s.now.Add(ConnectTimeout)
		}
	}
}

// add appends a participant on a leg from which the next move goes on.
func (s *step) add(user wire.UserID, leg Leg) (*Participant, error) {
	c := s.call
	if len(c.Participants) >= MaxParticipants {
		return nil, ErrFull
	}
	c.Participants = append(c.Participants, Participant{User: user, Leg: leg})
	return &c.Participants[len(c.Participants)-1], nil
}

func decline(s *step) error {
	p, err := s.find()
	switch {
	case err != nil:
		return err
	case p.Present():
		return ErrTaken
	case p.Leg == LegDeclined:
		return nil
	}
	if err := s.to(p, LegDeclined, time.Time{}); err != nil {
		return err
	}
	p.Note = s.cmd.Note
	return s.unanswered(p, Declined)
}

// unanswered tells p's devices and ends the call when nobody is left to answer.
func (s *step) unanswered(p *Participant, why Reason) error {
	c := s.call
	switch {
	case c.Kind == Direct:
		s.end(why, "")
	case c.State == Ringing && c.ringing() == 0:
		if p.User != s.cmd.By.User { // else the end tells them
			s.emit(Effect{Kind: EffEnd, User: p.User})
		}
		s.end(c.outcome(), "")
	default:
		s.emit(Effect{Kind: EffDismiss, User: p.User, Reason: why}, Effect{Kind: EffUpdate})
	}
	return nil
}

// outcome says why nobody answered a group call: the reason all share, else no answer.
func (c Call) outcome() Reason {
	why := map[Leg]Reason{LegDeclined: Declined, LegBusy: Busy}
	var all Reason
	for _, p := range c.Participants[1:] {
		r, ok := why[p.Leg]
		if !ok || (all != "" && all != r) {
			return NoAnswer
		}
		all = r
	}
	return all
}

func cancel(s *step) error {
	p, err := s.find()
	switch {
	case err != nil:
		return err
	case p.User != s.call.From.User:
		return ErrNotParticipant
	}
	return hangup(s) // a cancel that meets an answer is meant as a hang-up
}

func hangup(s *step) error {
	p, err := s.find()
	switch {
	case err != nil:
		return err
	case p.Leg == LegRinging:
		return decline(s)
	case !p.Present():
		return nil
	case s.cmd.By.Device != "" && p.Device != s.cmd.By.Device:
		return ErrTaken // clean-up of a device that lost the answer must not end the call
	case s.call.State == Ringing:
		s.end(Cancelled, "")
		return nil
	}
	return s.leave(p, Completed, "")
}

func connect(s *step) error {
	p, err := s.bound()
	if err != nil {
		return err
	}
	c := s.call
	if (c.Media == SFU) != (s.cmd.Route == RouteSFU) {
		return ErrState // a direct route in the SFU, or the other way round
	}
	if c.State == Ringing && c.Kind == Direct {
		return ErrState
	}
	if p.Leg == LegConnected && p.Until.IsZero() && p.Route == s.cmd.Route {
		return nil
	}
	if p.Leg != LegConnected {
		if err := s.to(p, LegConnected, time.Time{}); err != nil {
			return err
		}
	}
	p.Until, p.Route = time.Time{}, s.cmd.Route
	s.settle()
	return nil
}

// settle derives the route and, in a direct call, whether both are there.
func (s *step) settle() {
	c := s.call
	c.Route = ""
	all := true
	for _, p := range c.Participants {
		switch {
		case !p.Present():
		case p.Leg == LegAnswered:
			all = false
		case c.Route == "", p.Route == RouteRelay, p.Route == RouteSFU:
			c.Route = p.Route
		}
	}
	if c.State == Connecting && all {
		c.State, c.ActiveAt = Active, s.now
	}
	s.emit(Effect{Kind: EffUpdate})
}

func lose(s *step) error {
	p, err := s.find()
	if err != nil {
		return err
	}
	if p.Leg != LegConnected {
		return nil
	}
	s.emit(Effect{Kind: EffUpdate})
	return s.to(p, LegReconnecting, s.now.Add(ReconnectGrace))
}

func resume(s *step) error {
	p, err := s.bound()
	if err != nil {
		return err
	}
	if p.Leg != LegReconnecting {
		return nil
	}
	s.emit(Effect{Kind: EffUpdate})
	var until time.Time
	if s.call.Media == SFU && p.Route != RouteSFU { // still has to move there
		until = s.now.Add(ConnectTimeout)
	}
	return s.to(p, LegConnected, until)
}

func invite(s *step) error {
	if _, err := s.bound(); err != nil {
		return err
	}
	p, err := s.part(s.cmd.Invitee)
	switch {
	case err == nil && (p.Present() || p.Leg == LegRinging):
		return nil
	case s.cmd.Busy:
		return ErrBusy // nobody comes: the two go on as they are, end to end
	case err != nil:
		if p, err = s.add(s.cmd.Invitee, LegMissed); err != nil {
			return err
		}
	}
	p.Device, p.Rang, p.Card, p.Note = "", false, s.cmd.Card, ""
	if err := s.to(p, LegRinging, s.now.Add(RingTimeout)); err != nil {
		return err
	}
	s.call.Kind = Group
	s.moveToSFU()
	s.emit(Effect{Kind: EffOffer, User: p.User}, Effect{Kind: EffUpdate})
	return nil
}

// moveToSFU turns a direct call into one through the SFU, without hanging up:
// the direct connection goes on until each end has joined the room.
func (s *step) moveToSFU() {
	c := s.call
	if c.Media == SFU {
		return
	}
	c.Media = SFU
	c.E2E, c.Verified, c.Transcript = false, WordsNone, ""
	for i := range c.Participants {
		if p := &c.Participants[i]; p.Present() {
			p.Check = Check{}
			if p.Leg == LegConnected {
				p.Until = s.now.Add(ConnectTimeout)
			}
		}
	}
}

// place has a node hold the room. When another one held it, everybody has to
// join anew: their sound counts once it comes there.
func place(s *step) error {
	c := s.call
	switch {
	case c.Media != SFU:
		return fmt.Errorf("%w: the call is direct", ErrState)
	case c.Host != s.cmd.Was, c.Host == s.cmd.Host:
		return nil // another node was faster
	}
	c.Host = s.cmd.Host
	c.Room++
	if s.cmd.Was == "" {
		return nil
	}
	c.Route = ""
	for i := range c.Participants {
		if p := &c.Participants[i]; p.Present() {
			p.Route, p.Until = "", s.now.Add(ConnectTimeout)
		}
	}
	s.emit(Effect{Kind: EffUpdate})
	return nil
}

func mute(s *step) error {
	p, err := s.bound()
	if err != nil {
		return err
	}
	if p.Muted == s.cmd.Muted {
		return nil
	}
	p.Muted = s.cmd.Muted
	s.emit(Effect{Kind: EffUpdate})
	if s.call.Media == SFU {
		s.emit(Effect{Kind: EffMuteRoom, User: p.User, Muted: p.Muted})
	}
	return nil
}

func terminate(s *step) error {
	s.end(Policy, s.cmd.Detail)
	return nil
}

// expire acts on every leg whose patience has ended.
func expire(s *step) error {
	for i := range s.call.Participants {
		if s.call.State == Ended {
			return nil
		}
		p := &s.call.Participants[i]
		if p.Until.IsZero() || s.now.Before(p.Until) {
			continue
		}
		if err := s.expireLeg(p); err != nil {
			return err
		}
	}
	return nil
}

func (s *step) expireLeg(p *Participant) error {
	switch p.Leg {
	case LegRinging:
		if s.call.Kind == Direct {
			s.end(NoAnswer, "")
			return nil
		}
		if err := s.to(p, LegMissed, time.Time{}); err != nil {
			return err
		}
		return s.unanswered(p, NoAnswer)
	case LegReconnecting:
		return s.leave(p, MediaTimeout, "")
	default: // answered, or connected and not moved to the SFU
		return s.leave(p, Failed, DetailNoMediaPath)
	}
}
