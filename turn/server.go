package turn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// sweepEvery is how often allocations are looked at for expired credentials.
const sweepEvery = time.Second

// ErrDrained is what Drain answers when it had to end allocations.
var ErrDrained = errors.New("turn: allocations ended by drain deadline")

// Server is a STUN and TURN server. New opens its sockets, Run serves them.
type Server struct {
	cfg       Config
	log       *slog.Logger
	metrics   *metrics
	listeners []*listener

	nonces       *noncer
	unauthorized *limiter
	quota        *quota
	policy       policy
	table        *table
	revoked      revocations
	streams      *streams
	certificate  *certificate // nil without TLS
	ports4       *ports
	ports6       *ports // nil without IPv6 relays
	engine       *engine

	draining atomic.Bool
	live     sync.WaitGroup // allocations not yet released, and their pumps
}

// New opens the sockets that cfg names. reg and log may be nil. It wraps
// [ErrConfig] when cfg cannot work. A server that is not Run must be Closed.
func New(cfg Config, reg prometheus.Registerer, log *slog.Logger) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, fmt.Errorf("turn: metrics: %w", err)
	}
	cert, err := newCertificate(cfg)
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, log: log, metrics: m, certificate: cert,
		nonces:       newNoncer(cfg.NonceLife),
		unauthorized: newLimiter(cfg.UnauthorizedPerSecond),
		quota: &quota{
			perUserInCall: cfg.UserCallQuota, perUser: cfg.UserQuota, perCall: cfg.CallQuota,
			count: map[quotaKey]int{},
		},
		table:   newTable(),
		streams: &streams{perIP: cfg.StreamsPerIP, total: cfg.MaxStreams, metrics: m, open: map[net.Conn]netip.Addr{}, bySrc: map[netip.Addr]int{}},
		ports4:  newPorts(cfg.RelayIP, cfg.RelayPorts[0], cfg.RelayPorts[1]),
	}
	s.engine = newEngine(cfg.Realm, s.table.event)
	if cfg.RelayIP6.IsValid() {
		s.ports6 = newPorts(cfg.RelayIP6, cfg.RelayPorts[0], cfg.RelayPorts[1])
	}
	if err := s.listenAll(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.policy = s.newPolicy()
	return s, nil
}

func (s *Server) listenAll() error {
	for t, addr := range []string{overUDP: s.cfg.UDPAddr, overTCP: s.cfg.TCPAddr, overTLS: s.cfg.TLSAddr} {
		if addr == Off {
			continue
		}
		l, err := s.listen(transport(t), addr)
		if err != nil {
			return err
		}
		s.listeners = append(s.listeners, l)
	}
	return nil
}

// newPolicy knows every address of this machine, and every address its listeners are reached at.
func (s *Server) newPolicy() policy {
	p := policy{
		allow: s.cfg.AllowPeers, selfPorts: s.cfg.SelfPorts,
		self: map[netip.Addr]bool{}, listeners: map[netip.AddrPort]bool{},
	}
	own := append(ownAddresses(), s.cfg.RelayIP, s.cfg.ExternalIP, s.cfg.RelayIP6, s.cfg.ExternalIP6)
	for _, l := range s.listeners {
		own = append(own, l.addr.Addr())
	}
	for _, a := range own {
		if a.IsValid() && !a.IsUnspecified() {
			p.self[a.WithZone("")] = true
		}
	}
	for _, l := range s.listeners {
		p.listeners[l.addr] = true
		for a := range p.self {
			p.listeners[netip.AddrPortFrom(a, l.addr.Port())] = true
		}
	}
	return p
}

// Run serves until ctx ends and returns after everything it started has ended.
// It is called once. An error means that a socket broke.
func (s *Server) Run(ctx context.Context) error {
	defer s.live.Wait()
	defer s.engine.close()
	if err := s.engine.start(); err != nil {
		s.closeSockets()
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		<-ctx.Done()
		s.closeSockets()
		return nil
	})
	for _, l := range s.listeners {
		group.Go(func() error { return l.run(ctx) })
	}
	group.Go(func() error { s.sweep(ctx); return nil })
	if s.certificate != nil && !s.cfg.SelfSigned {
		group.Go(func() error {
			s.certificate.watch(ctx, s.cfg.ReloadEvery, s.cfg.Clock, s.metrics, s.log)
			return nil
		})
	}
	return group.Wait()
}

// closeSockets closes what clients come in by.
func (s *Server) closeSockets() {
	for _, l := range s.listeners {
		l.close()
	}
	s.streams.closeAll()
}

// Close closes the sockets of a server that was not Run.
func (s *Server) Close() error {
	s.closeSockets()
	return nil
}

// Allocations of a call that goes on are prolonged by liveRenewal when less
// than liveAhead is left.
const (
	liveAhead   = 2 * time.Minute
	liveRenewal = 10 * time.Minute
)

// sweep ends allocations whose credentials have expired, unless their call goes on.
func (s *Server) sweep(ctx context.Context) {
	for s.cfg.Clock.Wait(ctx, s.cfg.Clock.Now().Add(sweepEvery)) == nil {
		now := s.cfg.Clock.Now()
		for _, a := range s.table.all() {
			switch {
			case a.expired(now.Add(liveAhead)) && s.cfg.CallLive != nil && s.cfg.CallLive(ctx, a.id.call):
				a.prolong(now.Add(liveRenewal))
			case a.expired(now):
				a.end(endedByExpiry)
			}
		}
	}
}

// Revoke ends the allocations of a call at once, closes their streams and lets
// nobody allocate for that call again. It returns how many it ended.
func (s *Server) Revoke(call string) int {
	s.revoked.add(call)
	legs := s.table.ofCall(call)
	for _, a := range legs {
		a.end(endedByRevoke)
	}
	return len(legs)
}

// Allocations returns how many allocations are in service.
func (s *Server) Allocations() int {
	n, _ := s.table.count()
	return n
}

// Drain refuses new allocations (486) and returns nil when the last one has
// ended. When ctx ends first, it ends those that are left and returns [ErrDrained].
func (s *Server) Drain(ctx context.Context) error {
	s.draining.Store(true)
	for {
		n, changed := s.table.count()
		if n == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			for _, a := range s.table.all() {
				a.end(endedByRevoke)
			}
			return fmt.Errorf("%w: %d", ErrDrained, n)
		}
	}
}

// ICEURLs lists what listens, as RTCIceServer.urls takes it: stun, turn over
// UDP and TCP, turns over TLS.
func (s *Server) ICEURLs() []string {
	var urls []string
	for _, l := range s.listeners {
		switch l.transport {
		case overUDP:
			at := s.advertised(l, s.cfg.PublicUDP)
			urls = append(urls, "stun:"+at, "turn:"+at+"?transport=udp")
		case overTCP:
			urls = append(urls, "turn:"+s.advertised(l, s.cfg.PublicTCP)+"?transport=tcp")
		case overTLS:
			urls = append(urls, "turns:"+s.advertised(l, s.cfg.PublicTLS)+"?transport=tcp")
		}
	}
	return urls
}

func (s *Server) advertised(l *listener, port uint16) string {
	host := s.cfg.Host
	switch {
	case host != "":
	case l.transport == overTLS:
		host = "localhost"
	case l.addr.Addr().IsUnspecified():
		host = s.cfg.ExternalIP.String()
	default:
		host = l.addr.Addr().String()
	}
	if port == 0 {
		port = l.addr.Port()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// Addr returns where "udp", "tcp" or "tls" clients are served; the zero value if they are not.
func (s *Server) Addr(transport string) netip.AddrPort {
	for _, l := range s.listeners {
		if l.transport.String() == transport {
			return l.addr
		}
	}
	return netip.AddrPort{}
}
