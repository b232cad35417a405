package turn

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// limiterSlots bounds the limiter's memory (8 bytes each), whatever number of
// forged sources arrives. Sources that share a slot share its limit.
const limiterSlots = 1 << 14

// limiter counts answers per source address and second.
type limiter struct {
	seed  maphash.Seed
	limit uint32
	slots [limiterSlots]atomic.Uint64 // second<<32 | count
}

func newLimiter(perSecond int) *limiter {
	return &limiter{seed: maphash.MakeSeed(), limit: uint32(perSecond)}
}

// allow counts one answer for src and reports whether it is within the limit.
func (l *limiter) allow(src netip.Addr, now time.Time) bool {
	slot := &l.slots[maphash.Comparable(l.seed, sourceOf(src))%limiterSlots]
	second := uint64(uint32(now.Unix())) << 32
	for {
		old := slot.Load()
		next := second | 1
		if old&^0xFFFFFFFF == second {
			next = old + 1
		}
		if uint32(next) > l.limit {
			return false
		}
		if slot.CompareAndSwap(old, next) {
			return true
		}
	}
}

// sourceOf is the unit that limits count: an IPv4 address or an IPv6 /64.
func sourceOf(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a
	}
	p, _ := a.Prefix(64)
	return p.Addr()
}

// bucket is a token bucket of bytes.
type bucket struct {
	mu     sync.Mutex
	rate   float64 // bytes per second
	tokens float64
	last   time.Time
}

// fill sets the rate and fills the bucket.
func (b *bucket) fill(perSecond int, now time.Time) {
	b.rate, b.tokens, b.last = float64(perSecond), float64(perSecond), now
}

// take spends n bytes, or reports false and spends nothing. It saves at most one second's worth.
func (b *bucket) take(n int, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d := now.Sub(b.last); d > 0 {
		b.tokens = min(b.rate, b.tokens+d.Seconds()*b.rate)
		b.last = now
	}
	if b.tokens < float64(n) {
		return false
	}
	b.tokens -= float64(n)
	return true
}
