package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// errAddress says that a host has an address to which nothing may be sent.
var errAddress = errors.New("address not allowed")

// notPublic are the prefixes that are not the public Internet's, or whose
// addresses may lead elsewhere (IANA special-purpose registries, RFC 6890).
var notPublic = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32",       // a cloud's metadata and agent service on a public address
	"2001::/23",              // protocol assignments, Teredo among them
	"2001:db8::/32",          // documentation
	"2002::/16", "3fff::/20", // 6to4, documentation
)

// globalUnicast is the only part of IPv6 from which public addresses come.
var globalUnicast = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		list[i] = netip.MustParsePrefix(t)
	}
	return list
}

// public reports whether a is an address of the public Internet. An IPv4
// address inside an IPv6 one counts as what it is.
func public(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if a.Is6() && !globalUnicast.Contains(a) {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// parseURL checks the URL of an endpoint as far as its text tells, and returns
// it in its normal form. Errors are ErrURL.
func parseURL(text string, allowPrivate bool) (string, error) {
	if len(text) > MaxURL {
		return "", fmt.Errorf("%w: longer than %d bytes", ErrURL, MaxURL)
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("%w: it does not parse", ErrURL) // the error would repeat the URL, which may hold a secret
	}
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !allowPrivate):
		return "", fmt.Errorf("%w: want https", ErrURL)
	case u.Opaque != "" || u.Hostname() == "":
		return "", fmt.Errorf("%w: it has no host", ErrURL)
	case u.User != nil:
		return "", fmt.Errorf("%w: a user and password do not belong there; check the signature instead", ErrURL)
	case u.Fragment != "":
		return "", fmt.Errorf("%w: a fragment is never sent", ErrURL)
	}
	if err := checkPort(u); err != nil {
		return "", err
	}
	if err := checkHost(u.Hostname()); err != nil && !allowPrivate {
		return "", err
	}
	return u.String(), nil
}

func checkPort(u *url.URL) error {
	if u.Port() == "" {
		if strings.HasSuffix(u.Host, ":") {
			return fmt.Errorf("%w: the port is missing", ErrURL)
		}
		return nil
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%w: the port is out of range", ErrURL)
	}
	return nil
}

// checkHost refuses what is visibly not public. What a name points to is
// checked each time something is sent.
func checkHost(host string) error {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return fmt.Errorf("%w: it points to this machine", ErrURL)
	}
	if a, err := netip.ParseAddr(host); err == nil && !public(a) {
		return fmt.Errorf("%w: it is not a public address", ErrURL)
	}
	return nil
}

// guard dials only addresses that it has checked: the name is resolved once,
// every address of it must be public, and one of those is dialed.
type guard struct {
	resolver     Resolver
	allowPrivate bool
	dialer       net.Dialer
}

func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, a := range addrs {
		conn, err := g.dialer.DialContext(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (g *guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	addrs := []netip.Addr{}
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = append(addrs, a)
	} else if addrs, err = g.resolver.LookupNetIP(ctx, "ip", host); err != nil {
		return nil, fmt.Errorf("webhook: resolve: %w", err)
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%w: the name has none", errAddress)
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap()
		if !g.allowPrivate && !public(a) {
			return nil, errAddress
		}
	}
	return addrs, nil
}

// newClient returns a client that follows no redirects, asks no proxy and
// dials through g.
func newClient(g guard) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: g.dial, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2, MaxIdleConns: 2 * MaxEndpoints,
			IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 16 << 10,
		},
	}
}
