// Package presence owns who is reachable: a lease per device, from them a
// state per person, and the word about changes to the people who share a
// conversation with them.
//
// It knows neither sockets nor conversations: sockets touch and leave, calls
// set the in-call mark, and who a person's peers are is asked of Peers.
package presence

import (
	"context"
	"time"

	"parley/wire"
)

// Board is who is reachable. Memory serves one node, Redis several; the methods
// return errors for boards that are shared over a network.
type Board interface {
	// Touch says that a device is connected and takes or renews its lease.
	// state is wire.Online, wire.Away, or empty to keep what the device said last.
	Touch(ctx context.Context, u wire.UserID, d wire.DeviceID, state wire.PresenceState) error
	// Leave says that the device's socket is gone. It still counts for the
	// grace time, so that a reload does not show. Not for a socket that another
	// one of the same device replaced: the device has not left.
	Leave(ctx context.Context, u wire.UserID, d wire.DeviceID) error
	// SetInCall sets or clears the in-call mark, which shows while the person is connected.
	SetInCall(ctx context.Context, u wire.UserID, in bool) error
	// Get returns the presence of each of users, in their order.
	Get(ctx context.Context, users []wire.UserID) ([]wire.Presence, error)
}

// Peers tells who may see a person's presence.
type Peers interface {
	Peers(ctx context.Context, u wire.UserID) ([]wire.UserID, error)
}

// Seen keeps when people were last reachable, across restarts.
type Seen interface {
	SaveSeen(ctx context.Context, seen map[wire.UserID]time.Time) error
	LoadSeen(ctx context.Context, users []wire.UserID) (map[wire.UserID]time.Time, error)
}

// Config of a Memory. The zero value works.
type Config struct {
	// Lease is how long a device counts without being touched. 0 means 90 s:
	// more than the 2.5 heartbeats after which the hub gives up a socket.
	Lease time.Duration
	// Grace is how long a device that left still counts. 0 means 5 s.
	Grace time.Duration
	// Sweep is how often leases are looked at. 0 means 500 ms.
	Sweep time.Duration
}

func (c Config) withDefaults() Config {
	if c.Lease == 0 {
		c.Lease = 90 * time.Second
	}
	if c.Grace == 0 {
		c.Grace = 5 * time.Second
	}
	if c.Sweep == 0 {
		c.Sweep = 500 * time.Millisecond
	}
	return c
}

// lease is one device's claim to be connected.
type lease struct {
	device  wire.DeviceID
	state   wire.PresenceState // online or away
	seen    time.Time          // last touch, or when it left
	expires time.Time
	left    bool
}

// person is everything known about somebody who is or just was connected.
type person struct {
	leases []lease
	inCall bool
	seen   time.Time          // latest sign of life over all devices
	shown  wire.PresenceState // what peers heard last; empty is offline
	dirty  bool               // waits in Memory.dirty, or is being announced
	again  bool               // to be announced though nothing changed
	due    time.Time          // its place in Memory.due; zero when it has none
}

// state sums the devices up.
func (p *person) state() wire.PresenceState {
	state := wire.Offline
	for i := range p.leases {
		if p.inCall {
			return wire.InCall
		}
		if p.leases[i].state == wire.Online {
			return wire.Online
		}
		state = wire.Away
	}
	return state
}

func (p *person) find(d wire.DeviceID) *lease {
	for i := range p.leases {
		if p.leases[i].device == d {
			return &p.leases[i]
		}
	}
	return nil
}

// nextExpiry is when the first lease is over.
func (p *person) nextExpiry() (next time.Time, ok bool) {
	for i := range p.leases {
		if at := p.leases[i].expires; !ok || at.Before(next) {
			next, ok = at, true
		}
	}
	return next, ok
}

// presence is what others may see. Offline people carry the last sign of life.
func (p *person) presence(u wire.UserID) wire.Presence {
	is := wire.Presence{User: u, State: p.state()}
	if is.State == wire.Offline {
		at := p.seen.UTC().Truncate(time.Millisecond)
		is.LastSeen = &at
	}
	return is
}

// heard is what peers know now.
func (p *person) heard() wire.PresenceState {
	if p.shown == "" {
		return wire.Offline
	}
	return p.shown
}
