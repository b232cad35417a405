package signaling

import (
	"context"
	"fmt"

	"parley/internal/sqldb"
	"parley/wire"
)

// Joined is the SFU's answer to a device's offer.
type Joined struct {
	Call  CallView `json:"call"`
	SDP   string   `json:"sdp" doc:"the SFU's answer"`
	Slots []Slot   `json:"slots" doc:"which media section carries whom"`
}

// Invite rings one more person. A direct call thereby becomes a group call and
// its media moves to the SFU without hanging up: on call.updated with media
// sfu each end joins the room and then drops the direct connection. Words that
// were verified no longer say anything. Errors: ErrNoRelation, ErrFull,
// ErrNoSFU, ErrState and those of every action.
func (s *Service) Invite(ctx context.Context, c wire.Caller, id wire.CallID, user wire.UserID) (CallView, error) {
	by, err := device(c)
	if err != nil {
		return CallView{}, err
	}
	if s.SFU == nil {
		return CallView{}, ErrNoSFU
	}
	call, err := s.read(ctx, id)
	switch {
	case err != nil:
		return CallView{}, err
	case user == by.User:
		return CallView{}, fmt.Errorf("%w: you are in the call", ErrInput)
	}
	if _, mine := call.Find(by.User); !mine {
		return CallView{}, ErrNotParticipant
	}
	if _, err := s.mayRing(ctx, by.User, []wire.UserID{user}, false); err != nil {
		return CallView{}, err
	}
	cmd := Command{Action: ActInvite, Invitee: user, Card: s.card(ctx, by.User, user, call.Payment)}
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		cmd.Busy, err = talks(tx, user)
		return err
	})
	if err != nil {
		return CallView{}, err
	}
	return s.act(ctx, c, id, cmd)
}

// joinTries bounds how often a join follows a room that moves meanwhile.
const joinTries = 3

// Join brings the caller's device into the call's room at the SFU, on whichever
// node that is: sdp is its one offer, with the audio sections that the room will
// use. The first to join chooses the node. Errors: those of the SFU besides
// ErrUnknown, ErrNotParticipant, ErrEnded, ErrState, ErrNoSFU, ErrSignal.
func (s *Service) Join(ctx context.Context, c wire.Caller, id wire.CallID, sdp string) (Joined, error) {
	by, err := device(c)
	if err != nil {
		return Joined{}, err
	}
	if sdp, err = screenSDP(sdp, false); err != nil {
		return Joined{}, err
	}
	for range joinTries {
		joined, ok, err := s.join(ctx, id, by, sdp)
		if err != nil || ok {
			return joined, err
		}
	}
	return Joined{}, ErrNoSFU
}

// join reports false when the room has moved meanwhile.
func (s *Service) join(ctx context.Context, id wire.CallID, by Endpoint, sdp string) (joined Joined, ok bool, err error) {
	call, err := s.hosted(ctx, id, by)
	if err != nil {
		return Joined{}, false, err
	}
	room := call.Room
	answer, slots, err := s.SFU.Join(ctx, call.Host, id, by.User, by.Device, sdp)
	if err != nil {
		return Joined{}, false, fmt.Errorf("signaling: join room: %w", err)
	}
	if call, err = s.inRoom(ctx, id, by); err != nil {
		s.SFU.Leave(id, by.User, by.Device) // the call went on without this device meanwhile
		return Joined{}, false, err
	}
	if call.Room != room {
		return Joined{}, false, nil // the old room lets go of who never connects
	}
	if p, _ := call.Find(by.User); p.Muted {
		s.SFU.Mute(id, by.User, true)
	}
	if slots == nil {
		slots = []Slot{}
	}
	return Joined{Call: call.For(by.User), SDP: answer, Slots: slots}, true, nil
}

// inRoom returns the call if by may be in its room.
func (s *Service) inRoom(ctx context.Context, id wire.CallID, by Endpoint) (Call, error) {
	call, err := s.read(ctx, id)
	if err != nil {
		return Call{}, err
	}
	_, mine := call.Find(by.User)
	switch {
	case !mine:
		return Call{}, ErrNotParticipant
	case call.State == Ended:
		return Call{}, ErrEnded
	case !call.Bound(by):
		return Call{}, ErrNotParticipant
	case call.Media != SFU:
		return Call{}, fmt.Errorf("%w: the call is direct", ErrState)
	case s.SFU == nil:
		return Call{}, ErrNoSFU
	}
	return call, nil
}

// Prompt plays a prompt by name into the call's room. Server keys only.
func (s *Service) Prompt(ctx context.Context, c wire.Caller, id wire.CallID, prompt string) error {
	if !c.IsServer() {
		return ErrForbidden
	}
	call, err := s.read(ctx, id)
	switch {
	case err != nil:
		return err
	case call.State == Ended:
		return ErrEnded
	case call.Media != SFU:
		return fmt.Errorf("%w: the call is direct", ErrState)
	case s.SFU == nil:
		return ErrNoSFU
	}
	return s.SFU.Play(ctx, call.Host, id, prompt)
}

// SFUSlots tells a device which of its media sections now carries whom, as the
// node that holds the room says.
func (s *Service) SFUSlots(ctx context.Context, node string, id wire.CallID, to Endpoint, slots []Slot) error {
	call, err := s.read(ctx, id)
	if err != nil || !call.Bound(to) || call.Host != node {
		return err
	}
	s.send(ctx, call, stamp(s.Clock.Now()), "call.slots", "", slotsData{id, slots}, wire.To{User: to.User, Device: to.Device})
	return nil
}

// SFUSpeakers tells everybody in the call who speaks, the loudest first, as the
// node that holds the room says.
func (s *Service) SFUSpeakers(ctx context.Context, node string, id wire.CallID, users []wire.UserID) error {
	call, err := s.read(ctx, id)
	if err != nil || call.State == Ended || call.Host != node {
		return err
	}
	if users == nil {
		users = []wire.UserID{}
	}
	for _, p := range call.Participants {
		if p.Present() {
			s.send(ctx, call, stamp(s.Clock.Now()), "call.speakers", "", speakersData{id, users}, wire.To{User: p.User, Device: p.Device})
		}
	}
	return nil
}
