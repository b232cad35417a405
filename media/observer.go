package media

import (
	"time"

	"parley/wire"
)

// ServerUser is the user of the slot through which a prompt is heard.
const ServerUser wire.UserID = "server"

// Participant is one person's device in a room.
type Participant struct {
	User   wire.UserID   `json:"user"`
	Device wire.DeviceID `json:"device"`
}

// Slot says whose voice a receive-only section of a participant's offer carries.
type Slot struct {
	MID  string      `json:"mid" doc:"a=mid of the receive-only section"`
	User wire.UserID `json:"user" doc:"whose voice; server for prompts"`
}

// Observer hears what happens in the rooms. Its methods are called one at a
// time from Run, without any lock held, and must not block: all rooms wait.
// They report states, not steps: several changes between two calls are one.
type Observer interface {
	// Slots reports all attached slots of one participant after a change that
	// its own Join did not answer already.
	Slots(room wire.CallID, who Participant, slots []Slot)
	// Speakers reports who speaks now, loudest first; at most four times a second.
	Speakers(room wire.CallID, users []wire.UserID)
	// Connected reports that media can flow to and from the participant.
	Connected(room wire.CallID, who Participant)
	// Disconnected reports that it no longer can: nothing came for
	// Config.Disconnected, or the client has closed. Connected may follow, by
	// itself or after another Join. Leave, Close and being replaced are not reported.
	Disconnected(room wire.CallID, who Participant)
	// Alive reports, about once a second while voice packets keep coming from
	// the participant, when the last one came.
	Alive(room wire.CallID, who Participant, lastRTP time.Time)
}

type silent struct{}

func (silent) Slots(wire.CallID, Participant, []Slot)    {}
func (silent) Speakers(wire.CallID, []wire.UserID)       {}
func (silent) Connected(wire.CallID, Participant)        {}
func (silent) Disconnected(wire.CallID, Participant)     {}
func (silent) Alive(wire.CallID, Participant, time.Time) {}
