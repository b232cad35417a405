package signaling

import (
	"time"

	"parley/wire"
)

// ParticipantView is one person's part in a call, as clients see it.
type ParticipantView struct {
	User   wire.UserID   `json:"user"`
	Device wire.DeviceID `json:"device,omitempty" doc:"the device that has the call; absent before the answer"`
	State  Leg           `json:"state" enum:"ringing,answered,connected,reconnecting,left,declined,missed,busy"`
	Muted  bool          `json:"muted,omitempty"`
}

// CallView is a call as clients see it.
type CallView struct {
	ID           wire.CallID         `json:"id"`
	Conversation wire.ConversationID `json:"conversation,omitempty" doc:"whose log has the call's record"`
	Payment      wire.PaymentID      `json:"payment,omitempty" doc:"what the call is about"`
	Kind         Kind                `json:"kind" enum:"direct,group"`
	Media        Media               `json:"media" enum:"p2p,sfu"`
	State        State               `json:"state" enum:"ringing,connecting,active,ended"`
	Version      int64               `json:"version" doc:"grows with every change; drop what is older than what you have"`
	From         Endpoint            `json:"from"`
	Participants []ParticipantView   `json:"participants"`
	RelayOnly    bool                `json:"relay_only" doc:"only relayed candidates are passed on, so that neither end learns the other's address"`
	E2E          bool                `json:"e2e" doc:"verified to be end-to-end encrypted: direct media, and both ends compared the same words"`
	Route        Route               `json:"route,omitempty" enum:"direct,relay,sfu"`
	Room         int                 `json:"room,omitempty" doc:"which room of the media servers has the call: when it differs from that of your calls.join, join again"`
	Transcript   string              `json:"transcript,omitempty" doc:"what the verification words were made of; present once both ends agree"`
	Verified     Verified            `json:"verified" enum:"none,words_match,words_differ"`
	CreatedAt    time.Time           `json:"created_at"`
	AnsweredAt   *time.Time          `json:"answered_at,omitempty"`
	ActiveAt     *time.Time          `json:"active_at,omitempty"`
	EndedAt      *time.Time          `json:"ended_at,omitempty"`
	Reason       Reason              `json:"reason,omitempty" enum:"completed,declined,busy,no_answer,cancelled,answered_elsewhere,unreachable,policy,failed,media_timeout"`
	Detail       string              `json:"detail,omitempty" doc:"more about the reason: no_media_path, verification_failed"`
	Text         string              `json:"text,omitempty" doc:"the end in neutral words fit to be shown"`
	DurationMS   int64               `json:"duration_ms,omitempty" doc:"from active to ended"`
	RingDeadline time.Time           `json:"ring_deadline" doc:"when it stops ringing for you"`
	Card         string              `json:"card,omitempty" doc:"signed caller card (JWS), for the person called"`
	Note         string              `json:"note,omitempty" doc:"your own note on why you declined; nobody else sees it"`
}

// texts says an end in words that give nothing away: whether somebody declined
// or was not there is theirs to tell.
var texts = map[Reason]string{
	Completed:         "The call has ended.",
	Declined:          "Could not be reached right now.",
	NoAnswer:          "Could not be reached right now.",
	Unreachable:       "Could not be reached right now.",
	Busy:              "In another call right now.",
	Cancelled:         "The caller hung up.",
	AnsweredElsewhere: "Answered on another device.",
	Policy:            "The call was ended. Do not continue on this line.",
	Failed:            "No connection could be made.",
	MediaTimeout:      "The connection was lost.",
}

// For returns the call as user sees it: with their own card, note and ring deadline.
func (c Call) For(user wire.UserID) CallView {
	v := c.view()
	if p, ok := c.Find(user); ok {
		v.Card, v.Note = p.Card, p.Note
		if p.Leg == LegRinging {
			v.RingDeadline = p.Until
		}
	}
	return v
}

// Record returns the call as its conversation's log keeps it: without devices and cards.
func (c Call) Record() CallView {
	v := c.view()
	v.From.Device = ""
	for i := range v.Participants {
		v.Participants[i].Device = ""
	}
	return v
}

// over returns the call as a device sees it for which it has ended, though it goes on for others.
func (c Call) over(user wire.UserID, why Reason, now time.Time) CallView {
	v := c.For(user)
	v.State, v.Reason, v.Text = Ended, why, texts[why]
	if v.EndedAt == nil {
		v.EndedAt = moment(now)
	}
	return v
}

func (c Call) view() CallView {
	v := CallView{
		ID: c.ID, Conversation: c.Conversation, Payment: c.Payment, Kind: c.Kind, Media: c.Media, State: c.State,
		Version: c.Version, From: c.From, RelayOnly: c.RelayOnly, E2E: c.E2E, Route: c.Route, Room: c.Room, Transcript: c.Transcript,
		Verified: c.Verified, CreatedAt: c.CreatedAt, AnsweredAt: moment(c.AnsweredAt), ActiveAt: moment(c.ActiveAt),
		EndedAt: moment(c.EndedAt), Reason: c.Reason, Detail: c.Detail, Text: texts[c.Reason], RingDeadline: c.RingDeadline,
		Participants: make([]ParticipantView, 0, len(c.Participants)),
	}
	if c.State == Ended && !c.ActiveAt.IsZero() {
		v.DurationMS = c.EndedAt.Sub(c.ActiveAt).Milliseconds()
	}
	for _, p := range c.Participants {
		v.Participants = append(v.Participants, ParticipantView{User: p.User, Device: p.Device, State: p.Leg, Muted: p.Muted})
	}
	return v
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
