package signaling

import "parley/wire"

// Action names a command of the state machine.
type Action string

// The actions. Those of people carry who acts in By; those of the clock and
// the server carry nobody.
const (
	ActRing      Action = "ringing"   // a device of the callee rings
	ActAnswer    Action = "answer"    // also: late join, rejoin
	ActDecline   Action = "decline"   //
	ActCancel    Action = "cancel"    // the caller gives up
	ActHangup    Action = "hangup"    //
	ActConnect   Action = "connected" // media flows
	ActLose      Action = "lose"      // no report from the device
	ActResume    Action = "resume"    // reports are back
	ActVerify    Action = "verify"    //
	ActInvite    Action = "invite"    //
	ActMute      Action = "mute"      //
	ActPlace     Action = "place"     // a node's media server holds the room from now on
	ActExpire    Action = "expire"    // a deadline has passed
	ActTerminate Action = "terminate" // policy ends the call
)

// Command is an action with its arguments; only those of the action are read.
type Command struct {
	Action Action
	By     Endpoint

	Member  bool           // answer: a member of the conversation, though not rung
	Payment wire.PaymentID // answer: what the call is about, if it has no payment yet (glare)
	Note    string         // decline: the decliner's own note
	Route   Route          // connected

	Transcript string // verify
	Match      bool   // verify

	Invitee wire.UserID // invite
	Busy    bool        // invite: the invitee is in another call
	Card    string      // invite: the signed caller card for the invitee

	Muted     bool   // mute
	Was, Host string // place: the node that holds the room now, and the one that shall
	Detail    string // terminate
}

// EffectKind names an effect.
type EffectKind string

// The effects. Offer, Rings, Answered, Dismiss, Update and End are signals to
// devices, sent after commit; LogStarted, LogEnded, LogUnverified and Review
// are written in the transaction that stores the change; LeaveRoom, MuteRoom and CloseRoom
// go to the SFU after commit.
const (
	EffOffer         EffectKind = "offer"          // User's devices ring
	EffRings         EffectKind = "rings"          // the caller hears that User's device rings
	EffAnswered      EffectKind = "answered"       // User answered on Device
	EffDismiss       EffectKind = "dismiss"        // the call is over for User's devices but Device, for Reason
	EffUpdate        EffectKind = "update"         // everybody sees the new state
	EffEnd           EffectKind = "end"            // User's devices see the end
	EffLogStarted    EffectKind = "log_started"    //
	EffLogEnded      EffectKind = "log_ended"      //
	EffLogUnverified EffectKind = "log_unverified" //
	EffReview        EffectKind = "review"         // the payment goes to review
	EffLeaveRoom     EffectKind = "leave_room"     // User's Device leaves the SFU
	EffMuteRoom      EffectKind = "mute_room"      //
	EffCloseRoom     EffectKind = "close_room"     //
)

// Effect is one thing to do because of a transition.
type Effect struct {
	Kind   EffectKind
	User   wire.UserID
	Device wire.DeviceID
	Reason Reason
	Muted  bool
}
