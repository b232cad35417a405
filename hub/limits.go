package hub

import (
	"net/netip"
	"sync"
	"time"
)

// bucket is a session's token bucket. Refusals while it is empty are strikes;
// a full bucket forgives them.
type bucket struct {
	tokens  float64
	at      time.Duration
	strikes int
}

// take takes n tokens, at most burst of them, or none and answers how long until there are as many.
func (b *bucket) take(n int, now time.Duration, rate float64, burst int) (wait time.Duration, ok bool) {
	if b.tokens += (now - b.at).Seconds() * rate; b.tokens >= float64(burst) {
		b.tokens = float64(burst)
		b.strikes = 0
	}
	b.at = now
	cost := float64(min(n, burst))
	if b.tokens >= cost {
		b.tokens -= cost
		return 0, true
	}
	b.strikes++
	return time.Duration((cost - b.tokens) / rate * float64(time.Second)), false
}

// places counts the sockets of each address.
type places struct {
	max int // per address; negative for no limit

	mu sync.Mutex
	n  map[netip.Addr]int
}

func newPlaces(most int) places { return places{max: most, n: make(map[netip.Addr]int)} }

// place returns what is counted for an address: an IPv6 host has a /64.
func place(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// enter takes a place, or reports that there is none.
func (p *places) enter(a netip.Addr) bool {
	if p.max < 0 {
		return true
	}
	a = place(a)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n[a] >= p.max {
		return false
	}
	p.n[a]++
	return true
}

// leave gives the place back.
func (p *places) leave(a netip.Addr) {
	if p.max < 0 {
		return
	}
	a = place(a)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n[a]--; p.n[a] <= 0 {
		delete(p.n, a)
	}
}
