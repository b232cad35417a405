package app

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// proxies are whose word on where a request comes from is believed.
type proxies []netip.Prefix

// parseProxies reads http.trusted_proxies.
func parseProxies(texts []string) (proxies, error) {
	list := make(proxies, 0, len(texts))
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("http.trusted_proxies: %w", err)
		}
		list = append(list, prefix.Masked())
	}
	return list, nil
}

func (ps proxies) trust(a netip.Addr) bool {
	a = a.Unmap()
	return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Contains(a) })
}

// client is the last address before the trusted proxies: each of them appends
// to X-Forwarded-For who came to it, so what stands left of the first stranger
// is that stranger's invention.
func (ps proxies) client(r *http.Request) (netip.AddrPort, bool) {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !ps.trust(at.Addr()) {
		return at, false
	}
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(chain) {
		addr, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			break
		}
		if at = netip.AddrPortFrom(addr.Unmap(), 0); !ps.trust(addr) {
			break
		}
	}
	return at, true
}

// withClientAddr has requests that came through a trusted proxy carry their
// client's address, for limits and logs.
func withClientAddr(next http.Handler, ps proxies) http.Handler {
	if len(ps) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if at, ok := ps.client(r); ok {
			r.RemoteAddr = at.String()
		}
		next.ServeHTTP(w, r)
	})
}
