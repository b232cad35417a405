package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"parley/hub/broker"
	"parley/wire"
)

// A Revocation signs sessions out. Every field that is set narrows it; one with
// none of User, Device and Token covers nothing.
type Revocation struct {
	User   wire.UserID   `json:"user,omitempty"`
	Device wire.DeviceID `json:"device,omitempty"`
	Token  string        `json:"token,omitempty"` // the token's id ("jti")
	// Before spares tokens issued at this time or later. Without it, a revocation
	// of no single Token spares those issued after the call of Revoke.
	Before time.Time `json:"before,omitzero"`
}

// bearer is what of a session a revocation looks at.
type bearer struct {
	user   wire.UserID
	device wire.DeviceID
	token  string
	issued time.Time
}

func (r Revocation) covers(b bearer) bool {
	switch {
	case r.User == "" && r.Device == "" && r.Token == "":
		return false
	case r.User != "" && r.User != b.user,
		r.Device != "" && r.Device != b.device,
		r.Token != "" && r.Token != b.token,
		!r.Before.IsZero() && !b.issued.Before(r.Before):
		return false
	}
	return true
}

// revocations are the recent ones, so that a session whose token was checked
// just before does not slip in just after.
type revocations struct {
	mu     sync.Mutex
	recent []recentRevocation
}

type recentRevocation struct {
	Revocation
	at time.Duration // hub uptime
}

// revocationMemory is longer than a session can take from its token's check to the roster.
const revocationMemory = 2 * time.Minute

func (rs *revocations) add(r Revocation, now time.Duration) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.recent = slices.DeleteFunc(rs.recent, func(old recentRevocation) bool { return now-old.at > revocationMemory })
	rs.recent = append(rs.recent, recentRevocation{r, now})
}

// cover reports whether b was signed out lately: after its token was checked,
// or on another node before this one's authenticator has heard of it.
func (rs *revocations) cover(b bearer) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.recent {
		if r.covers(b) {
			return true
		}
	}
	return false
}

// Revoke closes with 4003 every session that r covers, on this node at once and
// on the others as soon as the bus has told them; an error means that the bus
// did not take it. Whether tokens are refused from now on is the
// Authenticator's business: make it so before calling Revoke.
func (h *Hub) Revoke(_ context.Context, r Revocation) error {
	if r.Before.IsZero() && r.Token == "" {
		r.Before = h.cfg.Clock.Now()
	}
	h.revoke(r)
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("hub: revocation: %w", err)
	}
	err = h.bus.Publish(&broker.Message{Kind: kindRevoke, Frame: body, To: []broker.Target{{Topic: topicNodes}}})
	if err != nil {
		return fmt.Errorf("hub: revocation reaches this node only: %w", err)
	}
	return nil
}

// revokeFrame takes a revocation from the bus.
func (h *Hub) revokeFrame(frame []byte) {
	var r Revocation
	if err := json.Unmarshal(frame, &r); err != nil {
		h.cfg.Log.Error("revocation not understood", "err", err)
		return
	}
	h.revoke(r)
}

func (h *Hub) revoke(r Revocation) {
	h.revocations.add(r, h.uptime())
	candidates := h.roster.of(r.User)
	if r.User == "" {
		candidates = h.roster.all()
	}
	for _, s := range candidates {
		if r.covers(s.identity()) {
			s.end(endRevoked)
		}
	}
}

// identity returns what revocations look at.
func (s *session) identity() bearer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bearer{user: s.caller.User, device: s.caller.Device, token: s.token.id, issued: s.token.issued}
}
