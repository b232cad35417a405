package presence

import (
	"container/heap"
	"context"
	"encoding/json"
	"slices"
	"time"

	"parley/wire"
)

// saveTimeout bounds how long the end of Run waits for the last times to be stored.
const saveTimeout = 5 * time.Second

// Run expires leases and announces changes until ctx ends; then it stores when
// those still connected were last seen. It returns after all it started has ended.
func (m *Memory) Run(ctx context.Context) error {
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		for m.clock.Wait(ctx, m.clock.Now().Add(m.cfg.Sweep)) == nil {
			m.expire(m.clock.Now())
		}
	}()
	for ctx.Err() == nil {
		select {
		case <-m.wake:
			m.announce(ctx)
		case <-ctx.Done():
		}
	}
	<-swept
	m.saveAll(ctx)
	return nil
}

// expire drops the leases that are over, and wakes the announcer if there is
// anything to say, new or left over from a failure.
func (m *Memory) expire(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		u, ok := m.due.pop(now)
		if !ok {
			break
		}
		p := m.people[u.user]
		if p == nil || !p.due.Equal(u.at) {
			continue // replaced by an earlier look, or gone
		}
		p.due = time.Time{}
		p.leases = slices.DeleteFunc(p.leases, func(l lease) bool { return !l.expires.After(now) })
		m.due.schedule(u.user, p)
		m.check(u.user, p)
		m.forget(u.user, p)
	}
	if len(m.dirty) > 0 {
		m.nudge()
	}
}

// forget lets go of somebody of whose leaving everybody has heard. The caller holds mu.
func (m *Memory) forget(u wire.UserID, p *person) {
	if len(p.leases) > 0 || p.dirty {
		return
	}
	if p.inCall {
		m.inCalls[u] = true
	}
	delete(m.people, u)
}

// change is a new state on its way to the peers.
type change struct {
	wire.Presence
	was  wire.PresenceState
	seen time.Time
}

// announceMax bounds the changes stored in one transaction.
const announceMax = 256

// announce stores and publishes up to announceMax changes, and wakes itself for
// the rest. What fails waits for the next sweep.
func (m *Memory) announce(ctx context.Context) {
	changes, more := m.take()
	for i, err := range m.tell(ctx, changes) {
		m.settle(changes[i], err == nil)
		if err != nil && ctx.Err() == nil {
			m.fails.Inc()
			m.log.Warn("presence change waits", "err", err)
			more = false // until the next sweep
		}
	}
	if more {
		m.nudge()
	}
}

// tellPeers stores when people came or went, and publishes each change.
func (m *Memory) tellPeers(ctx context.Context, changes []change) []error {
	errs := make([]error, len(changes))
	seen := map[wire.UserID]time.Time{}
	for _, c := range changes {
		if c.State == wire.Offline || c.was == wire.Offline {
			seen[c.User] = c.seen
		}
	}
	err := m.seen.SaveSeen(ctx, seen)
	for i, c := range changes {
		if errs[i] = err; err == nil {
			errs[i] = m.publish(ctx, c)
		}
	}
	return errs
}

// take takes changes off the list, and reports whether more are left.
func (m *Memory) take() (changes []change, more bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := min(len(m.dirty), announceMax)
	for _, u := range m.dirty[:n] {
		p := m.people[u]
		is := p.presence(u)
		if is.State == p.heard() && !p.again { // it went back meanwhile
			p.dirty = false
			m.forget(u, p)
			continue
		}
		changes = append(changes, change{Presence: is, was: p.heard(), seen: p.seen})
	}
	if m.dirty = m.dirty[n:]; len(m.dirty) == 0 {
		m.dirty = nil // lets the array go
	}
	return changes, len(m.dirty) > 0
}

// settle notes what peers have heard, and looks for what changed meanwhile.
func (m *Memory) settle(c change, done bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.people[c.User]
	if !done {
		m.dirty = append(m.dirty, c.User)
		return
	}
	p.dirty, p.again = false, false
	p.shown = c.State
	m.check(c.User, p)
	m.forget(c.User, p)
}

// announceAll has everybody announced again, as if it were news.
func (m *Memory) announceAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for u, p := range m.people {
		p.again = true
		if !p.dirty {
			p.dirty = true
			m.dirty = append(m.dirty, u)
		}
	}
	if len(m.dirty) > 0 {
		m.nudge()
	}
}

func (m *Memory) publish(ctx context.Context, c change) error {
	peers, err := m.peers.Peers(ctx, c.User)
	if err != nil {
		return err
	}
	data, err := json.Marshal(c.Presence)
	if err != nil {
		return err
	}
	to := make([]wire.To, 0, len(peers)+1)
	for _, u := range append(peers, c.User) { // one's other devices show it too
		to = append(to, wire.To{User: u})
	}
	m.out.Publish(ctx, wire.Event{Type: "presence.updated", Time: m.clock.Now(), Data: data}, to...)
	return nil
}

// saveAll stores when those still connected were last seen: now.
func (m *Memory) saveAll(ctx context.Context) {
	now := m.clock.Now()
	seen := map[wire.UserID]time.Time{}
	m.mu.Lock()
	for u := range m.people {
		seen[u] = now
	}
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	if err := m.seen.SaveSeen(ctx, seen); err != nil {
		m.log.Warn("last seen times of connected people not stored", "people", len(seen), "err", err)
	}
}

// due says when to look at somebody's leases.
type due struct {
	at   time.Time
	user wire.UserID
}

// dueHeap is a container/heap ordered by time. Each person has one entry that
// counts, the one at person.due; earlier made ones are passed over.
type dueHeap []due

// schedule makes sure that p is looked at when the first lease is over.
func (h *dueHeap) schedule(u wire.UserID, p *person) {
	next, ok := p.nextExpiry()
	if !ok || !p.due.IsZero() && !next.Before(p.due) {
		return // nothing to expire, or looked at before that anyway
	}
	p.due = next
	heap.Push(h, due{at: next, user: u})
}

// pop takes the first entry that is due by now.
func (h *dueHeap) pop(now time.Time) (due, bool) {
	if len(*h) == 0 || (*h)[0].at.After(now) {
		return due{}, false
	}
	return heap.Pop(h).(due), true
}

// Len implements heap.Interface.
func (h dueHeap) Len() int { return len(h) }

// Less implements heap.Interface.
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

// Swap implements heap.Interface.
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) { *h = append(*h, x.(due)) }

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
