package signaling

import (
	"errors"
	"fmt"
)

// What can go wrong. The texts are fit to be shown to the caller.
var (
	// ErrUnknown says that there is no such call, or none that concerns the caller.
	ErrUnknown = errors.New("there is no such call")
	// ErrState says that the call's state does not allow the action.
	ErrState = errors.New("not in this state of the call")
	// ErrEnded says that the call is over. It is an ErrState.
	ErrEnded = fmt.Errorf("%w: the call has ended", ErrState)
	// ErrInCall says that the person is in another call and must leave it first. It is an ErrState.
	ErrInCall = fmt.Errorf("%w: you are in another call: leave it first", ErrState)
	// ErrNotEndToEnd says that words prove nothing here: the call does not run directly between two people. It is an ErrState.
	ErrNotEndToEnd = fmt.Errorf("%w: words are compared in direct calls between two people only", ErrState)
	// ErrBusy says that the person invited is in another call. It is an ErrState.
	ErrBusy = fmt.Errorf("%w: the person is in another call", ErrState)
	// ErrFull says that the call has MaxParticipants. It is an ErrState.
	ErrFull = fmt.Errorf("%w: the call is full", ErrState)
	// ErrNotParticipant says that the caller's device takes no part in the call.
	ErrNotParticipant = errors.New("this device takes no part in the call")
	// ErrTaken says that another device of the same person has the call.
	ErrTaken = errors.New("the call was answered on another device")
	// ErrNoRelation says that the caller may not ring this person.
	ErrNoRelation = errors.New("you may ring only people with whom you share a conversation or an open payment")
	// ErrNotParty says that the payment is not between the caller and the callee.
	ErrNotParty = errors.New("the payment is not between you and the person called")
	// ErrPaymentUnknown says that there is no such payment. Payments.Payment returns it.
	ErrPaymentUnknown = errors.New("there is no such payment")
	// ErrConversationUnknown says that there is no such conversation, or that the caller is not in it. Rooms.Members returns it.
	ErrConversationUnknown = errors.New("there is no such conversation")
	// ErrInput says that the parameters make no call; the wrapping text says why.
	ErrInput = errors.New("wrong parameters")
	// ErrSignal says that the data of a signal is not what its kind promises.
	ErrSignal = errors.New("the data does not fit the kind of signal")
	// ErrDevice says that the operation needs a device, which the token or socket did not name.
	ErrDevice = errors.New("this needs a device: use a socket or a token with a device")
	// ErrNoSFU says that this node has no room for media.
	ErrNoSFU = errors.New("no media server is available")
	// ErrForbidden says that only a server key may do this.
	ErrForbidden = errors.New("only a server key may do this")
	// errConflict says that somebody else changed the call meanwhile: try again.
	errConflict = errors.New("call changed meanwhile")
)
