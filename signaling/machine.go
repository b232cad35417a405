package signaling

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"parley/wire"
)

// transition is a row of the machine's table.
type transition struct {
	on   Action
	from State
	to   []State // where it may lead
	move func(*step) error
}

// transitions is the whole machine. An action that has no row for a state is
// refused with ErrState, or with ErrEnded once the call is over.
var transitions = []transition{
	{ActRing, Ringing, []State{Ringing}, rings},
	{ActRing, Active, []State{Active}, rings},

	{ActAnswer, Ringing, []State{Ringing, Connecting, Active}, answer},
	{ActAnswer, Connecting, []State{Connecting}, answer},
	{ActAnswer, Active, []State{Active}, answer},

	{ActDecline, Ringing, []State{Ringing, Ended}, decline},
	{ActDecline, Connecting, nil, decline}, // always too late: says that it was answered elsewhere
	{ActDecline, Active, []State{Active}, decline},
	{ActDecline, Ended, []State{Ended}, nothing},

	{ActCancel, Ringing, []State{Ended}, cancel},
	{ActCancel, Connecting, []State{Ended}, cancel},
	{ActCancel, Active, []State{Active, Ended}, cancel},
	{ActCancel, Ended, []State{Ended}, nothing},

	{ActHangup, Ringing, []State{Ringing, Ended}, hangup},
	{ActHangup, Connecting, []State{Ended}, hangup},
	{ActHangup, Active, []State{Active, Ended}, hangup},
	{ActHangup, Ended, []State{Ended}, nothing},

	{ActConnect, Ringing, []State{Ringing}, connect}, // the caller of a group waits in the room
	{ActConnect, Connecting, []State{Connecting, Active}, connect},
	{ActConnect, Active, []State{Active}, connect},

	{ActLose, Ringing, []State{Ringing}, lose},
	{ActLose, Connecting, []State{Connecting}, lose},
	{ActLose, Active, []State{Active}, lose},
	{ActLose, Ended, []State{Ended}, nothing},

	{ActResume, Ringing, []State{Ringing}, resume},
	{ActResume, Connecting, []State{Connecting}, resume},
	{ActResume, Active, []State{Active}, resume},

	{ActVerify, Connecting, []State{Connecting, Ended}, verify},
	{ActVerify, Active, []State{Active, Ended}, verify},

	{ActInvite, Active, []State{Active}, invite},

	{ActMute, Ringing, []State{Ringing}, mute},
	{ActMute, Connecting, []State{Connecting}, mute},
	{ActMute, Active, []State{Active}, mute},

	{ActPlace, Ringing, []State{Ringing}, place},
	{ActPlace, Connecting, []State{Connecting}, place},
	{ActPlace, Active, []State{Active}, place},

	{ActExpire, Ringing, []State{Ringing, Ended}, expire},
	{ActExpire, Connecting, []State{Connecting, Ended}, expire},
	{ActExpire, Active, []State{Active, Ended}, expire},
	{ActExpire, Ended, []State{Ended}, nothing},

	{ActTerminate, Ringing, []State{Ended}, terminate},
	{ActTerminate, Connecting, []State{Ended}, terminate},
	{ActTerminate, Active, []State{Ended}, terminate},
	{ActTerminate, Ended, []State{Ended}, nothing},
}

// legs says where each leg may go. A leg that a call ends on stays as it is,
// but for present ones (left, or answered for a leg that never connected) and
// ringing ones (missed).
var legs = map[Leg][]Leg{
	LegRinging:      {LegAnswered, LegDeclined, LegMissed},
	LegAnswered:     {LegConnected, LegLeft},
	LegConnected:    {LegReconnecting, LegLeft},
	LegReconnecting: {LegConnected, LegLeft},
	LegLeft:         {LegAnswered, LegRinging}, // rejoin of a group call; invited again
	LegDeclined:     {LegAnswered, LegRinging}, // late join of a group call; invited again
	LegMissed:       {LegAnswered, LegRinging},
	LegBusy:         {LegAnswered, LegRinging},
}

var rows = func() map[Action]map[State]transition {
	m := map[Action]map[State]transition{}
	for _, t := range transitions {
		if m[t.on] == nil {
			m[t.on] = map[State]transition{}
		}
		m[t.on][t.from] = t
	}
	return m
}()

// Apply returns the call after cmd at time now, and what is to be done about
// it. The receiver is not changed. A command that changes nothing (a resend)
// returns an equal call with the same Version. Errors: ErrState and those that
// are one, ErrNotParticipant, ErrTaken.
func (c Call) Apply(cmd Command, now time.Time) (Call, []Effect, error) {
	row, ok := rows[cmd.Action][c.State]
	switch {
	case !ok && c.State == Ended:
		return c, nil, ErrEnded
	case !ok:
		return c, nil, fmt.Errorf("%w: %s while %s", ErrState, cmd.Action, c.State)
	}
	next := c.clone()
	s := &step{call: &next, cmd: cmd, now: stamp(now)}
	if err := row.move(s); err != nil {
		return c, nil, err
	}
	if !slices.Contains(row.to, next.State) {
		return c, nil, fmt.Errorf("signaling: %s led from %s to %s, which the table does not know", cmd.Action, c.State, next.State)
	}
	if !same(c, next) {
		next.Version++
	}
	return next, dedupe(s.effects), nil
}

// stamp drops what a stored time would lose: the monotonic clock and all below a millisecond.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func same(a, b Call) bool {
	if !slices.Equal(a.Participants, b.Participants) {
		return false
	}
	a.Participants, b.Participants = nil, nil
	return reflect.DeepEqual(a, b)
}

// dedupe drops repeated effects, keeping the first.
func dedupe(in []Effect) []Effect {
	seen := make(map[Effect]bool, len(in))
	return slices.DeleteFunc(in, func(e Effect) bool {
		again := seen[e]
		seen[e] = true
		return again
	})
}

// step is one transition under way.
type step struct {
	call    *Call
	cmd     Command
	now     time.Time
	effects []Effect
}

func (s *step) emit(e ...Effect) { s.effects = append(s.effects, e...) }

// find returns the acting user's part.
func (s *step) find() (*Participant, error) { return s.part(s.cmd.By.User) }

func (s *step) part(user wire.UserID) (*Participant, error) {
	for i := range s.call.Participants {
		if s.call.Participants[i].User == user {
			return &s.call.Participants[i], nil
		}
	}
	return nil, ErrNotParticipant
}

// bound returns the acting user's part if the acting device is the one bound to it.
func (s *step) bound() (*Participant, error) {
	p, err := s.find()
	switch {
	case err != nil:
		return nil, err
	case !p.Present():
		return nil, ErrNotParticipant
	case p.Device != s.cmd.By.Device:
		return nil, ErrTaken
	}
	return p, nil
}

// to moves a leg along the table of legs.
func (s *step) to(p *Participant, leg Leg, until time.Time) error {
	if !slices.Contains(legs[p.Leg], leg) {
		return fmt.Errorf("%w: you are %s", ErrState, p.Leg)
	}
	p.Leg, p.Until = leg, until
	return nil
}

// nothing answers a resend by somebody who was in the call.
func nothing(s *step) error {
	if s.cmd.By.User == "" {
		return nil
	}
	_, err := s.find()
	return err
}

// end closes the call for everybody who is still in it.
func (s *step) end(reason Reason, detail string) {
	c := s.call
	c.State, c.Reason, c.Detail, c.EndedAt = Ended, reason, detail, s.now
	for i := range c.Participants {
		p := &c.Participants[i]
		concerned := p.Present() || p.Leg == LegRinging || p.User == s.cmd.By.User
		switch {
		case p.Leg == LegRinging:
			p.Leg = LegMissed
		case p.Leg == LegAnswered && reason == Failed: // the failing leg stays visible
		case p.Present():
			p.Leg = LegLeft
		}
		p.Until = time.Time{}
		if concerned {
			s.emit(Effect{Kind: EffEnd, User: p.User})
		}
	}
	s.emit(Effect{Kind: EffLogEnded}, Effect{Kind: EffCloseRoom})
}

// leave takes one present participant out; the call ends when it cannot go on.
// It must not be called for a direct call that should go on.
func (s *step) leave(p *Participant, reason Reason, detail string) error {
	c := s.call
	if c.Kind == Direct {
		s.end(reason, detail)
		return nil
	}
	if c.present() == 1 {
		s.end(reason, detail)
		return nil
	}
	user, device := p.User, p.Device
	if err := s.to(p, LegLeft, time.Time{}); err != nil {
		return err
	}
	s.emit(Effect{Kind: EffDismiss, User: user, Reason: reason}, Effect{Kind: EffUpdate})
	if c.Media == SFU {
		s.emit(Effect{Kind: EffLeaveRoom, User: user, Device: device})
	}
	return nil
}
