package app

import (
	"context"
	"math"
	"net/http"
	"net/netip"
	"time"

	"parley/internal/cluster"
	"parley/wire"
)

// What is limited besides the operations.
const (
	limitOpen        = "session.open" // a socket's, once its token is good
	limitTokenFailed = "token.failed" // a token that was refused
)

// limits refuses who does too much of something (api.Config.Limit).
type limits struct{ guard *cluster.Guard }

func (p *parts) newLimits(n *Node) (*limits, error) {
	var counts cluster.Limiter = &cluster.Counts{Clock: n.clock}
	if p.redis != nil {
		counts = cluster.NewSharedCounts(p.redis, n.opts.Config.Redis.Prefix, n.clock, p.registry)
	}
	guard, err := cluster.NewGuard(n.opts.Config.Limits.Rules, counts, p.registry)
	return &limits{guard: guard}, err
}

// allow counts one more of what by c, or answers a problem. Servers are trusted.
func (l *limits) allow(ctx context.Context, c wire.Caller, what string) error {
	if c.Role == wire.RoleServer || l == nil {
		return nil
	}
	wait := l.guard.Allow(ctx, what, cluster.Who{User: string(c.User), Device: string(c.Device), IP: countedAddr(c.Addr)})
	if wait == 0 {
		return nil
	}
	return &wire.Problem{
		Code: "rate_limited", Status: http.StatusTooManyRequests, Title: "Too many requests", RetryAfter: wholeSeconds(wait),
		Detail: "This was done too often. Wait for retry_after seconds.",
	}
}

func wholeSeconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }

// countedAddr is what limits per address count: an IPv4 address, the /64 of an
// IPv6 one. Loopback is not counted: behind a proxy on this machine it is everybody.
func countedAddr(a netip.Addr) string {
	a = a.Unmap()
	switch {
	case !a.IsValid() || a.IsLoopback():
		return ""
	case a.Is6():
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
