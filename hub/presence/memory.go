package presence

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/clock"
	"parley/wire"
)

// Deps are what a Memory needs; all but Log and Metrics must be given.
type Deps struct {
	Clock     clock.Clock
	Publisher wire.Publisher
	Peers     Peers
	Seen      Seen
	Log       *slog.Logger          // nil discards
	Metrics   prometheus.Registerer // nil: not registered
}

// Memory is the Board of a single node. Its methods are safe for concurrent
// use and never wait for the database, except that Get asks Seen about people
// who are offline. Nothing is announced before Run runs.
type Memory struct {
	cfg   Config
	clock clock.Clock
	out   wire.Publisher
	peers Peers
	seen  Seen
	log   *slog.Logger
	fails prometheus.Counter
	wake  chan struct{} // holds one token while dirty is not empty
	// tell stores and publishes changes, and says of each whether that failed.
	tell func(ctx context.Context, changes []change) []error

	mu      sync.Mutex // guards what follows
	people  map[wire.UserID]*person
	inCalls map[wire.UserID]bool // in-call marks of people who are not connected
	dirty   []wire.UserID        // people whose state may differ from what peers heard
	due     dueHeap              // when to look at whose leases
}

var _ Board = (*Memory)(nil)

// NewMemory makes an empty board; call Run to expire leases and announce changes.
func NewMemory(cfg Config, d Deps) *Memory {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	m := &Memory{
		cfg: cfg.withDefaults(), clock: d.Clock, out: d.Publisher, peers: d.Peers, seen: d.Seen, log: d.Log,
		fails: prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_presence_retries_total",
			Help: "Presence changes whose announcement or storing failed and is tried again."}),
		wake:   make(chan struct{}, 1),
		people: map[wire.UserID]*person{}, inCalls: map[wire.UserID]bool{},
	}
	m.tell = m.tellPeers
	if d.Metrics != nil {
		d.Metrics.MustRegister(m.fails, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_presence_people",
			Help: "People with at least one connected device on this node."}, func() float64 { return float64(m.People()) }))
	}
	return m
}

// People is how many people have, or just had, a device connected here.
func (m *Memory) People() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.people)
}

// Touch implements Board.
func (m *Memory) Touch(_ context.Context, u wire.UserID, d wire.DeviceID, state wire.PresenceState) error {
	if state != "" && state != wire.Online && state != wire.Away {
		return fmt.Errorf("presence: a device is online or away, not %q", state)
	}
	now := m.clock.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.people[u]
	if p == nil {
		p = &person{inCall: m.inCalls[u]}
		delete(m.inCalls, u)
		m.people[u] = p
	}
	l := p.find(d)
	if l == nil {
		p.leases = append(p.leases, lease{device: d, state: wire.Online})
		l = &p.leases[len(p.leases)-1]
	}
	if state != "" {
		l.state = state
	}
	l.left, l.seen, l.expires = false, now, now.Add(m.cfg.Lease)
	p.seen = now
	m.due.schedule(u, p)
	m.check(u, p)
	return nil
}

// Leave implements Board.
func (m *Memory) Leave(_ context.Context, u wire.UserID, d wire.DeviceID) error {
	now := m.clock.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.people[u]
	if p == nil {
		return nil
	}
	if l := p.find(d); l != nil && !l.left {
		l.left, l.seen, l.expires = true, now, now.Add(m.cfg.Grace)
		p.seen = now
		m.due.schedule(u, p)
	}
	return nil
}

// SetInCall implements Board.
func (m *Memory) SetInCall(_ context.Context, u wire.UserID, in bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.people[u]
	switch {
	case p != nil:
		p.inCall = in
		m.check(u, p)
	case in:
		m.inCalls[u] = true
	default:
		delete(m.inCalls, u)
	}
	return nil
}

// Get implements Board.
func (m *Memory) Get(ctx context.Context, users []wire.UserID) ([]wire.Presence, error) {
	all := make([]wire.Presence, len(users))
	var unknown []wire.UserID
	m.mu.Lock()
	for i, u := range users {
		all[i] = wire.Presence{User: u, State: wire.Offline}
		if p := m.people[u]; p == nil {
			unknown = append(unknown, u)
		} else {
			all[i] = p.presence(u)
		}
	}
	m.mu.Unlock()
	if len(unknown) == 0 {
		return all, nil
	}
	seen, err := m.seen.LoadSeen(ctx, unknown)
	if err != nil {
		return nil, fmt.Errorf("presence: last seen: %w", err)
	}
	for i := range all {
		if at, ok := seen[all[i].User]; ok && all[i].State == wire.Offline && all[i].LastSeen == nil {
			all[i].LastSeen = &at
		}
	}
	return all, nil
}

// check notes u down for announcing when peers have heard something else. The caller holds mu.
func (m *Memory) check(u wire.UserID, p *person) {
	if p.dirty || p.state() == p.heard() {
		return
	}
	p.dirty = true
	m.dirty = append(m.dirty, u)
	m.nudge()
}

// nudge wakes the announcer.
func (m *Memory) nudge() {
	select {
	case m.wake <- struct{}{}:
	default: // a token is there
	}
}
