package turn

import (
	"net/netip"
	"sync"
)

// table finds allocations by client, by relay address and by call.
type table struct {
	mu       sync.RWMutex
	byClient map[client]*allocation
	byRelay  map[netip.AddrPort]*allocation // until released, so that late events find their own
	byCall   map[string]map[*allocation]bool
	changed  chan struct{} // closed and replaced when an allocation leaves
}

func newTable() *table {
	return &table{
		byClient: map[client]*allocation{},
		byRelay:  map[netip.AddrPort]*allocation{},
		byCall:   map[string]map[*allocation]bool{},
		changed:  make(chan struct{}),
	}
}

func (t *table) add(a *allocation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byClient[a.client] = a
	t.byRelay[a.relay] = a
	if t.byCall[a.id.call] == nil {
		t.byCall[a.id.call] = map[*allocation]bool{}
	}
	t.byCall[a.id.call][a] = true
}

// remove takes a out of service; a stays known by its relay address until forget.
func (t *table) remove(a *allocation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byClient[a.client] == a {
		delete(t.byClient, a.client)
	}
	legs := t.byCall[a.id.call]
	delete(legs, a)
	if len(legs) == 0 {
		delete(t.byCall, a.id.call)
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *table) forget(a *allocation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byRelay[a.relay] == a {
		delete(t.byRelay, a.relay)
	}
}

// of returns the client's allocation or nil.
func (t *table) of(c client) *allocation {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byClient[c]
}

// event returns the allocation that holds the relay address, ended or not, or nil.
func (t *table) event(relay netip.AddrPort) *allocation {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byRelay[relay]
}

// relayAt returns the allocation in service at the relay address or nil.
func (t *table) relayAt(relay netip.AddrPort) *allocation {
	if a := t.event(relay); a != nil && !a.ended() {
		return a
	}
	return nil
}

// ofCall returns the allocations of a call.
func (t *table) ofCall(call string) []*allocation {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var out []*allocation
	for a := range t.byCall[call] {
		out = append(out, a)
	}
	return out
}

// all returns every allocation in service.
func (t *table) all() []*allocation {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]*allocation, 0, len(t.byClient))
	for _, a := range t.byClient {
		out = append(out, a)
	}
	return out
}

// count returns how many allocations are in service, and a channel that is
// closed when one leaves.
func (t *table) count() (int, <-chan struct{}) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.byClient), t.changed
}
