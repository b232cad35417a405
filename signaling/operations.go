package signaling

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"parley/wire"
)

// Ringing says that the caller's device rings. Errors: ErrUnknown, ErrNotParticipant, ErrEnded.
func (s *Service) Ringing(ctx context.Context, c wire.Caller, id wire.CallID) (CallView, error) {
	return s.act(ctx, c, id, Command{Action: ActRing})
}

// Answer takes the call on the caller's device; of several devices exactly one
// wins, the others get ErrTaken. sdp may carry the device's offer, which then
// travels with the news of the answer. Answering again from the same device
// answers the same. Errors: ErrDevice, ErrUnknown, ErrTaken, ErrInCall,
// ErrEnded, ErrState, ErrNotParticipant, ErrSignal.
func (s *Service) Answer(ctx context.Context, c wire.Caller, id wire.CallID, sdp string) (Joining, error) {
	by, err := device(c)
	if err != nil {
		return Joining{}, err
	}
	call, err := s.read(ctx, id)
	if err != nil {
		return Joining{}, err
	}
	cmd := Command{Action: ActAnswer, By: by}
	if _, ok := call.Find(by.User); !ok {
		if cmd.Member, err = s.mayJoin(ctx, by.User, call); err != nil {
			return Joining{}, err
		}
	}
	if sdp != "" {
		if sdp, err = screenSDP(sdp, call.RelayOnly); err != nil {
			return Joining{}, err
		}
	}
	again := call.Bound(by)
	if call, err = s.change(ctx, id, cmd, origin{session: c.Session, sdp: sdp}); err != nil {
		return Joining{}, err
	}
	if again && sdp != "" {
		s.offerAgain(ctx, call, by, sdp)
	}
	return s.joining(call, by.User), nil
}

// offerAgain passes on the offer of a device that was known to have answered
// before it could send one (both called at once, or a resend).
func (s *Service) offerAgain(ctx context.Context, call Call, by Endpoint, sdp string) {
	to, err := call.route(by, Endpoint{})
	if err != nil {
		return // nobody there to hear it
	}
	data, err := json.Marshal(map[string]string{"type": string(SignalOffer), "sdp": sdp})
	if err != nil {
		return // strings always encode
	}
	s.relay(ctx, call, by, to, SignalOffer, data)
}

// mayJoin reports whether user, who was not rung, may join a group call: as a
// member of its conversation.
func (s *Service) mayJoin(ctx context.Context, user wire.UserID, call Call) (bool, error) {
	if call.Kind != Group || call.State == Ended {
		return false, ErrNotParticipant
	}
	members, err := s.Rooms.Members(ctx, call.Conversation)
	if err != nil && !errors.Is(err, ErrConversationUnknown) {
		return false, err
	}
	if !slices.Contains(members, user) {
		return false, ErrNotParticipant
	}
	return true, nil
}

// MaxNote bounds the note of a decline, in bytes.
const MaxNote = 200

// Decline refuses the call on all of the caller's devices. note is kept for
// the decliner's own eyes; the other end learns no reason.
func (s *Service) Decline(ctx context.Context, c wire.Caller, id wire.CallID, note string) (CallView, error) {
	if len(note) > MaxNote {
		return CallView{}, fmt.Errorf("%w: the note has more than %d bytes", ErrInput, MaxNote)
	}
	return s.act(ctx, c, id, Command{Action: ActDecline, Note: note})
}

// Cancel gives up ringing. When an answer was faster it hangs up.
func (s *Service) Cancel(ctx context.Context, c wire.Caller, id wire.CallID) (CallView, error) {
	return s.act(ctx, c, id, Command{Action: ActCancel})
}

// Hangup leaves the call, which ends a direct one; while it rings it cancels
// or declines. A device that has not got the call gets ErrTaken. A server key
// that acts for nobody ends the call for all, by policy.
func (s *Service) Hangup(ctx context.Context, c wire.Caller, id wire.CallID) (CallView, error) {
	if c.IsServer() && c.User == "" {
		call, err := s.change(ctx, id, Command{Action: ActTerminate}, origin{})
		return call.For(""), err
	}
	return s.act(ctx, c, id, Command{Action: ActHangup})
}

// Connected says that media flows on the caller's device, over which route.
// Saying it again with another route (after an ICE restart) changes the route.
func (s *Service) Connected(ctx context.Context, c wire.Caller, id wire.CallID, route Route) (CallView, error) {
	if _, err := device(c); err != nil {
		return CallView{}, err
	}
	return s.act(ctx, c, id, Command{Action: ActConnect, Route: route})
}

// Verify takes what the caller says about the verification words: transcript
// is the hex SHA-256 they were made of. See [WordsDiffer] for what a mismatch
// does. Errors: besides those of every action, ErrNotEndToEnd and ErrInput.
func (s *Service) Verify(ctx context.Context, c wire.Caller, id wire.CallID, transcript string, match bool) (CallView, error) {
	if _, err := device(c); err != nil {
		return CallView{}, err
	}
	if raw, err := hex.DecodeString(transcript); err != nil || len(raw) != 32 || hex.EncodeToString(raw) != transcript {
		return CallView{}, fmt.Errorf("%w: a transcript is 64 lower-case hex digits", ErrInput)
	}
	return s.act(ctx, c, id, Command{Action: ActVerify, Transcript: transcript, Match: match})
}

// Mute says that the caller's microphone is off, or on again.
func (s *Service) Mute(ctx context.Context, c wire.Caller, id wire.CallID, muted bool) (CallView, error) {
	if _, err := device(c); err != nil {
		return CallView{}, err
	}
	return s.act(ctx, c, id, Command{Action: ActMute, Muted: muted})
}

// Terminate ends a call by policy, for example because a person was
// restricted. Ending it again changes nothing.
func (s *Service) Terminate(ctx context.Context, id wire.CallID, detail string) error {
	_, err := s.change(ctx, id, Command{Action: ActTerminate, Detail: detail}, origin{})
	return err
}

// act runs one person's command and returns the call as they see it.
func (s *Service) act(ctx context.Context, c wire.Caller, id wire.CallID, cmd Command) (CallView, error) {
	if c.User == "" {
		return CallView{}, ErrDevice
	}
	cmd.By = Endpoint{User: c.User, Device: c.Device}
	call, err := s.change(ctx, id, cmd, origin{session: c.Session})
	if err != nil {
		return CallView{}, err
	}
	return call.For(c.User), nil
}
