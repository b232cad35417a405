package wire

import "time"

// A PresenceState says how a person can be reached, over all their devices.
type PresenceState string

// The presence states, as clients see them.
const (
	Online  PresenceState = "online"  // at least one device is in use
	Away    PresenceState = "away"    // devices are connected, none is in use
	InCall  PresenceState = "in_call" // connected and in a call
	Offline PresenceState = "offline"
)

// Presence is what others see of a person.
type Presence struct {
	User  UserID        `json:"user"`
	State PresenceState `json:"state" enum:"online,away,in_call,offline"`
	// LastSeen is when the last device left; only with Offline, and only when known.
	LastSeen *time.Time `json:"last_seen,omitempty" doc:"when the last device left; only when offline"`
}
