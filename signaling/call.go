package signaling

import (
	"slices"
	"time"

	"parley/wire"
)

// Kind says how a call ends: a direct call when either person leaves, a group
// call when the last one does.
type Kind string

// The kinds. A direct call becomes a group call when a third person is invited.
const (
	Direct Kind = "direct"
	Group  Kind = "group"
)

// Media is the path of the sound.
type Media string

// The paths: directly between two people (through TURN if need be), or through the SFU.
const (
	P2P Media = "p2p"
	SFU Media = "sfu"
)

// State is where a call as a whole stands.
type State string

// The states of a call. Ended is final.
const (
	Ringing    State = "ringing"
	Connecting State = "connecting" // answered, media not there on both ends yet; direct calls only
	Active     State = "active"
	Ended      State = "ended"
)

// Leg is where one participant stands.
type Leg string

// The legs. A participant is present while answered, connected or reconnecting.
const (
	LegRinging      Leg = "ringing"
	LegAnswered     Leg = "answered" // a device is bound; no media yet. The caller begins here
	LegConnected    Leg = "connected"
	LegReconnecting Leg = "reconnecting"
	LegLeft         Leg = "left"
	LegDeclined     Leg = "declined"
	LegMissed       Leg = "missed"
	LegBusy         Leg = "busy"
)

// Reason says why a call ended.
type Reason string

// The reasons.
const (
	Completed         Reason = "completed"
	Declined          Reason = "declined"
	Busy              Reason = "busy"
	NoAnswer          Reason = "no_answer"
	Cancelled         Reason = "cancelled"
	AnsweredElsewhere Reason = "answered_elsewhere"
	Unreachable       Reason = "unreachable"
	Policy            Reason = "policy"
	Failed            Reason = "failed"
	MediaTimeout      Reason = "media_timeout"
)

// Reasons lists every reason, in the order of the documentation.
func Reasons() []Reason {
	return []Reason{Completed, Declined, Busy, NoAnswer, Cancelled, AnsweredElsewhere, Unreachable, Policy, Failed, MediaTimeout}
}

// Details of a reason.
const (
	DetailNoMediaPath        = "no_media_path"       // answered, but no media within ConnectTimeout
	DetailVerificationFailed = "verification_failed" // the words differed
)

// Verified is what the two people said about their verification words.
type Verified string

// The outcomes. Through the SFU words are never end to end and stay WordsNone.
const (
	WordsNone   Verified = "none"
	WordsMatch  Verified = "words_match"
	WordsDiffer Verified = "words_differ"
)

// Route is how a participant's media travels.
type Route string

// The routes.
const (
	RouteDirect Route = "direct"
	RouteRelay  Route = "relay"
	RouteSFU    Route = "sfu"
)

// Times of a call.
const (
	RingTimeout    = 45 * time.Second // no answer: missed
	ConnectTimeout = 20 * time.Second // answered, never connected: no media path
	ReconnectGrace = 20 * time.Second // lost and not back: media timeout
	LostAfter      = 10 * time.Second // without a report: reconnecting
	AliveWithin    = 5 * time.Second  // media is alive when reported this recently
)

// MaxVerifyAttempts bounds the transcripts that may be tried in one call: a
// middleman gets no more draws than that at words that look alike.
const MaxVerifyAttempts = 3

// MaxParticipants bounds who can be in a call, the caller included: a device
// hears twelve others in the SFU's preallocated slots.
const MaxParticipants = 13

// Endpoint is a person on one device.
type Endpoint struct {
	User   wire.UserID   `json:"user"`
	Device wire.DeviceID `json:"device,omitempty"`
}

// Check is what one end said about its verification words.
type Check struct {
	Transcript string `json:"transcript,omitempty"`
	Match      bool   `json:"match,omitempty"`
}

// Participant is one person's part in a call.
type Participant struct {
	User   wire.UserID   `json:"user"`
	Device wire.DeviceID `json:"device,omitempty"` // bound by the answer; empty before
	Leg    Leg           `json:"leg"`
	// Until is when the leg's patience ends: ringing turns into missed,
	// answered into no media path, reconnecting into media timeout, and a
	// connected one that should have moved to the SFU by then has failed to.
	// Zero: nothing waits.
	Until time.Time `json:"until,omitzero"`
	Rang  bool      `json:"rang,omitempty"` // a device said that it rings
	Route Route     `json:"route,omitempty"`
	Muted bool      `json:"muted,omitempty"`
	Check Check     `json:"check,omitzero"`
	Card  string    `json:"card,omitempty"` // the signed caller card this person was shown
	Note  string    `json:"note,omitempty"` // why this person declined: for their own eyes only
}

// Present reports whether the participant takes part with a bound device.
func (p Participant) Present() bool {
	return p.Leg == LegAnswered || p.Leg == LegConnected || p.Leg == LegReconnecting
}

// Call is the whole state of a call: a value that only [Call.Apply] changes.
// Its JSON is what the store keeps; clients see a [CallView].
type Call struct {
	ID           wire.CallID         `json:"id"`
	Conversation wire.ConversationID `json:"conversation,omitempty"`
	Payment      wire.PaymentID      `json:"payment,omitempty"`
	Kind         Kind                `json:"kind"`
	Media        Media               `json:"media"`
	State        State               `json:"state"`
	Version      int64               `json:"version"`
	From         Endpoint            `json:"from"`
	ClientID     string              `json:"client_id,omitempty"`
	Participants []Participant       `json:"participants"` // the caller first
	RelayOnly    bool                `json:"relay_only,omitempty"`
	E2E          bool                `json:"e2e,omitempty"`
	// Host is the node whose media server has the call's room; empty before the
	// first device joins. Room counts the rooms that the call has had.
	Host string `json:"host,omitempty"`
	Room int    `json:"room,omitempty"`

	Route        Route     `json:"route,omitempty"`
	Transcript   string    `json:"transcript,omitempty"`
	Verified     Verified  `json:"verified"`
	Attempts     int       `json:"attempts,omitempty"` // transcripts tried
	CreatedAt    time.Time `json:"created_at"`
	AnsweredAt   time.Time `json:"answered_at,omitzero"`
	ActiveAt     time.Time `json:"active_at,omitzero"`
	EndedAt      time.Time `json:"ended_at,omitzero"`
	Reason       Reason    `json:"reason,omitempty"`
	Detail       string    `json:"detail,omitempty"`
	RingDeadline time.Time `json:"ring_deadline"`
}

// Find returns user's part in the call.
func (c Call) Find(user wire.UserID) (Participant, bool) {
	i := slices.IndexFunc(c.Participants, func(p Participant) bool { return p.User == user })
	if i < 0 {
		return Participant{}, false
	}
	return c.Participants[i], true
}

// Bound reports whether e is present in the call on exactly this device.
func (c Call) Bound(e Endpoint) bool {
	p, ok := c.Find(e.User)
	return ok && p.Present() && p.Device == e.Device
}

// Deadline returns when the next leg's patience ends; zero when nothing waits.
func (c Call) Deadline() time.Time {
	var next time.Time
	if c.State == Ended {
		return next
	}
	for _, p := range c.Participants {
		if !p.Until.IsZero() && (next.IsZero() || p.Until.Before(next)) {
			next = p.Until
		}
	}
	return next
}

// Talking reports whether user is taken by this call, so that another caller
// finds the line busy. Who only rings out is not.
func (c Call) Talking(user wire.UserID) bool {
	p, ok := c.Find(user)
	return ok && p.Present() && (c.State == Connecting || c.State == Active)
}

func (c Call) clone() Call {
	c.Participants = slices.Clone(c.Participants)
	return c
}

// present counts who takes part.
func (c Call) present() int {
	n := 0
	for _, p := range c.Participants {
		if p.Present() {
			n++
		}
	}
	return n
}

// ringing counts who may still answer.
func (c Call) ringing() int {
	n := 0
	for _, p := range c.Participants {
		if p.Leg == LegRinging {
			n++
		}
	}
	return n
}
