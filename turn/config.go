package turn

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"parley/internal/clock"
)

// maxRealm keeps the 401 to a browser's first Allocate (28 bytes) under four times its size.
const maxRealm = 48

// Off as a listen address leaves that listener out.
const Off = "off"

// ErrConfig is wrapped by every error New answers for its Config.
var ErrConfig = errors.New("turn: configuration")

// Config says where the server listens and what it lets through. The zero
// value works: UDP and TCP on a free port of 127.0.0.1, no TLS, a secret of
// its own, no peers but the legs of the same call.
type Config struct {
	// UDPAddr and TCPAddr are host:port to listen on; "" is 127.0.0.1:0, [Off] none.
	// Name one address, not a wildcard, on machines with several: answers leave
	// by the kernel's choice of source address.
	UDPAddr, TCPAddr string
	// TLSAddr is host:port for TURN over TLS; "" or [Off] is none.
	TLSAddr string
	// CertFile and KeyFile are PEM files, read again when they change.
	CertFile, KeyFile string
	// SelfSigned makes a certificate for Host at start. Browsers refuse it: for
	// development and tests.
	SelfSigned bool

	// Host is the name that ICEURLs advertises; "" is the listen address, and
	// "localhost" for turns, since Firefox refuses an IP literal there silently.
	Host string
	// PublicUDP, PublicTCP and PublicTLS are the ports that ICEURLs advertises
	// when they differ from those listened on (a port mapping); 0 is no difference.
	PublicUDP, PublicTCP, PublicTLS uint16

	// RelayIP is the address relay sockets are bound to; default 127.0.0.1.
	RelayIP netip.Addr
	// ExternalIP is what clients are told instead of RelayIP behind a 1:1 NAT.
	ExternalIP netip.Addr
	// RelayIP6 and ExternalIP6 are the same for IPv6 relays; without RelayIP6
	// such requests are refused (440).
	RelayIP6, ExternalIP6 netip.Addr
	// RelayPorts is the first and last relay port; default 49152 to 65535.
	RelayPorts [2]uint16

	// Realm is the authentication realm, at most 48 bytes; default "parley". It is
	// in every answer to an unauthenticated request, and one that would be four
	// times the request is not given.
	Realm string
	// Secret signs time-limited credentials; nodes that share users share it.
	// "" makes one at start.
	Secret string
	// PreviousSecret is still accepted while secrets are rotated.
	PreviousSecret string
	// MaxTTL caps the life of a credential made here or elsewhere; default 24 h.
	MaxTTL time.Duration
	// NonceLife is how long a nonce may be used; default 10 minutes.
	NonceLife time.Duration

	// AllowPeers are prefixes clients may send to although they are loopback,
	// private, link-local or otherwise not public. Danger: services there that
	// trust their network become reachable by every caller. An address of this
	// machine named here opens all its UDP ports but this server's own.
	AllowPeers []netip.Prefix

	// SelfPorts are UDP ports of this machine that clients may send to without
	// AllowPeers naming its address: those of the SFU beside this server.
	SelfPorts []uint16

	// UserCallQuota, UserQuota and CallQuota bound allocations of one user in
	// one call (default 4), of one user over all calls (8) and of one call (16).
	UserCallQuota, UserQuota, CallQuota int
	// Bandwidth is bytes per second and direction of one allocation; default 262,144.
	Bandwidth int
	// UnauthorizedPerSecond bounds answers to unauthenticated requests per
	// source address; default 100 (a carrier's NAT is one source).
	UnauthorizedPerSecond int
	// StreamsPerIP and MaxStreams bound TCP and TLS connections; default 64 and 8192.
	StreamsPerIP, MaxStreams int
	// SilentAfter is how long a stream may live without an allocation, and how
	// long a TLS handshake may take; default 10 s.
	SilentAfter time.Duration
	// ReloadEvery is how often certificate files are looked at; default 30 s.
	ReloadEvery time.Duration

	// CallLive tells whether a call goes on. Then what was allocated in it
	// outlives its credential, whose own life can be minutes, until the call is
	// over or Revoke is called. It is asked about once in ten minutes and call.
	// nil: allocations end with their credentials.
	CallLive func(ctx context.Context, call string) bool

	// Clock tells credential, nonce and quota time; default the machine's. Socket
	// deadlines and the lives of permissions always use the machine's.
	Clock clock.Clock
}

// withDefaults returns c with every zero replaced, or why it cannot work.
func (c Config) withDefaults() (Config, error) {
	c.UDPAddr = cmp.Or(c.UDPAddr, "127.0.0.1:0")
	c.TCPAddr = cmp.Or(c.TCPAddr, "127.0.0.1:0")
	c.TLSAddr = cmp.Or(c.TLSAddr, Off)
	c.RelayIP = cmp.Or(c.RelayIP, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	c.ExternalIP = cmp.Or(c.ExternalIP, c.RelayIP)
	c.ExternalIP6 = cmp.Or(c.ExternalIP6, c.RelayIP6)
	c.RelayPorts = cmp.Or(c.RelayPorts, [2]uint16{49152, 65535})
	c.Realm = cmp.Or(c.Realm, "parley")
	if c.Secret == "" {
		c.Secret = randomSecret()
	}
	c.MaxTTL = cmp.Or(c.MaxTTL, 24*time.Hour)
	c.NonceLife = cmp.Or(c.NonceLife, 10*time.Minute)
	c.UserCallQuota = cmp.Or(c.UserCallQuota, 4)
	c.UserQuota = cmp.Or(c.UserQuota, 8)
	c.CallQuota = cmp.Or(c.CallQuota, 16)
	c.Bandwidth = cmp.Or(c.Bandwidth, 256<<10)
	c.UnauthorizedPerSecond = cmp.Or(c.UnauthorizedPerSecond, 100)
	c.StreamsPerIP = cmp.Or(c.StreamsPerIP, 64)
	c.MaxStreams = cmp.Or(c.MaxStreams, 8192)
	c.SilentAfter = cmp.Or(c.SilentAfter, 10*time.Second)
	c.ReloadEvery = cmp.Or(c.ReloadEvery, 30*time.Second)
	if c.Clock == nil {
		c.Clock = clock.System{}
	}
	return c, c.check()
}

func (c Config) check() error {
	files := c.CertFile != "" || c.KeyFile != ""
	switch {
	case c.UDPAddr == Off && c.TCPAddr == Off && c.TLSAddr == Off:
		return fmt.Errorf("%w: nothing to listen on", ErrConfig)
	case c.TLSAddr != Off && files == c.SelfSigned:
		return fmt.Errorf("%w: TLSAddr needs either CertFile and KeyFile or SelfSigned", ErrConfig)
	case len(c.Realm) > maxRealm:
		return fmt.Errorf("%w: Realm longer than %d bytes", ErrConfig, maxRealm)
	case c.RelayPorts[0] == 0 || c.RelayPorts[0] > c.RelayPorts[1]:
		return fmt.Errorf("%w: RelayPorts %d-%d", ErrConfig, c.RelayPorts[0], c.RelayPorts[1])
	case !c.RelayIP.Is4() || !c.ExternalIP.Is4() || c.ExternalIP.IsUnspecified():
		return fmt.Errorf("%w: RelayIP and ExternalIP must be IPv4, ExternalIP one address", ErrConfig)
	case c.RelayIP6.IsValid() && (!c.RelayIP6.Is6() || c.ExternalIP6.IsUnspecified() || !c.ExternalIP6.Is6()):
		return fmt.Errorf("%w: RelayIP6 and ExternalIP6 must be IPv6, ExternalIP6 one address", ErrConfig)
	case min(c.UserCallQuota, c.UserQuota, c.CallQuota, c.Bandwidth, c.UnauthorizedPerSecond, c.StreamsPerIP, c.MaxStreams) < 0:
		return fmt.Errorf("%w: negative limit", ErrConfig)
	case min(c.MaxTTL, c.NonceLife, c.SilentAfter, c.ReloadEvery) < 0:
		return fmt.Errorf("%w: negative duration", ErrConfig)
	}
	return nil
}

func randomSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails (Go 1.24)
	return base64.RawURLEncoding.EncodeToString(b[:])
}
