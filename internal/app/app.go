// Package app puts a node together and runs it. It is the only package that
// knows all the others; the adapters between features live here.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"parley/internal/clock"
	"parley/internal/config"
)

// Version of the binary, set when it is linked.
var Version = "dev"

// Options of a Node.
type Options struct {
	Config config.Config
	// Dev makes a node for trying out: demo users, fixed keys and play money.
	// It is refused unless the listener is on loopback.
	Dev bool
	// Clock tells the node's time. nil is the machine's; in dev mode one that can be moved.
	Clock clock.Clock
	// Log is where the node speaks. nil is silent.
	Log *slog.Logger
}

// Info tells how to reach a running node. It is the line that `parley dev --json` prints.
type Info struct {
	URL         string     `json:"url"`
	SocketURL   string     `json:"socket_url"`
	ConsoleURL  string     `json:"console_url"`
	ConsoleLink string     `json:"console_link,omitempty"` // with a token in it
	Keys        InfoKeys   `json:"keys"`
	Users       []InfoUser `json:"users"`
	TURN        []string   `json:"turn"`
	// TURNSPKI is the base64 SHA-256 of the TLS relay's public key, for test browsers.
	TURNSPKI string `json:"turn_spki,omitempty"`
	PID      int    `json:"pid"`
}

// InfoKeys are the dev keys; empty outside dev mode.
type InfoKeys struct {
	Secret string `json:"secret,omitempty"`
}

// InfoUser is a demo user.
type InfoUser struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Token string `json:"token"`
	Link  string `json:"link"`
}

// Node is one Parley. New binds its ports and opens its database; Run serves.
type Node struct {
	opts     Options
	log      *slog.Logger
	clock    clock.Clock
	listener net.Listener
	baseURL  string
	parts    *parts
	server   *http.Server

	lobby      *lobby
	handshakes http.Handler
}

// New makes a node from opts. When it fails, everything it opened is closed again.
func New(ctx context.Context, opts Options) (*Node, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Clock == nil {
		opts.Clock = clock.System{}
		if opts.Dev {
			opts.Clock = &clock.Shifted{}
		}
	}
	if err := checkLoopbackOnly(opts); err != nil {
		return nil, err
	}
	// No TCP keep-alives: every connection has a shorter timeout of its own, and
	// a probe every 15 s would wake phones between heartbeats.
	listener, err := (&net.ListenConfig{KeepAlive: -1}).Listen(ctx, "tcp", opts.Config.HTTP.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP: %w (choose another with http.listen or --port)", err)
	}
	n := &Node{opts: opts, log: opts.Log, clock: opts.Clock, listener: listener, baseURL: publicURL(opts.Config, listener.Addr())}
	if n.parts, err = build(ctx, n); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	handler, sockets, err := n.parts.handler(opts.Config)
	if err != nil {
		return nil, errors.Join(err, n.parts.close(), listener.Close())
	}
	waiting := newLobby(opts.Config.HTTP.MaxWaiting, n.parts.registry)
	n.lobby, n.handshakes = waiting, sockets
	n.server = &http.Server{
		Handler: waiting.through(handler), ConnContext: waiting.enter, ConnState: waiting.state, ReadHeaderTimeout: headerTimeout, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: headerMax, ErrorLog: slog.NewLogLogger(opts.Log.Handler(), slog.LevelDebug),
	}
	return n, nil
}

// checkLoopbackOnly refuses what must never face a network: dev keys and play money.
func checkLoopbackOnly(opts Options) error {
	host, _, err := net.SplitHostPort(opts.Config.HTTP.Listen)
	if err != nil {
		return fmt.Errorf("http.listen %q: %w", opts.Config.HTTP.Listen, err)
	}
	addr, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && addr.IsLoopback() {
		return nil
	}
	switch {
	case opts.Dev:
		return fmt.Errorf("dev mode has fixed keys and play money, so it listens on loopback only, not on %q", host)
	case opts.Config.Payments.Sandbox || opts.Config.Payments.Rail == railSandbox:
		return fmt.Errorf("the sandbox rail makes play money, so it needs a listener on loopback, not on %q", host)
	}
	for _, key := range opts.Config.Auth.ServerKeys {
		if strings.HasPrefix(key, devKeyPrefix) {
			return fmt.Errorf("a dev server key (%s…) is refused unless the listener is on loopback", devKeyPrefix)
		}
	}
	if opts.Config.Auth.Secret == devSecret {
		return errors.New("the dev secret is refused unless the listener is on loopback")
	}
	return nil
}

// publicURL is where clients reach the node: as configured, or localhost, where
// browsers allow passkeys and microphones without TLS.
func publicURL(cfg config.Config, at net.Addr) string {
	if cfg.HTTP.PublicURL != "" {
		return strings.TrimRight(cfg.HTTP.PublicURL, "/")
	}
	scheme, host := "http", "localhost"
	if cfg.HTTP.CertFile != "" {
		scheme = "https"
	}
	tcp := at.(*net.TCPAddr)
	if !tcp.IP.IsLoopback() && !tcp.IP.IsUnspecified() {
		host = tcp.IP.String()
	}
	return fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(host, fmt.Sprint(tcp.Port)))
}

// Run serves until ctx ends: then it drains sockets, finishes what is in
// flight, and returns after everything it started has ended. ready, if given,
// is called once the node answers.
func (n *Node) Run(ctx context.Context, ready func(Info) error) error {
	p := n.parts
	stages := []stage{
		{p.db.Run},
		{p.hub.Run, p.features},
		{n.media},
		{n.serve},
	}
	err := runStages(ctx, stages, func(ctx context.Context) error {
		info, err := n.welcome(ctx)
		if err != nil || ready == nil {
			return err
		}
		return ready(info)
	})
	return errors.Join(err, p.close())
}

// serve answers HTTP; at the end it drains the sockets, then waits for requests under way.
func (n *Node) serve(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() {
		if n.opts.Config.HTTP.CertFile != "" {
			ended <- n.server.ServeTLS(n.listener, n.opts.Config.HTTP.CertFile, n.opts.Config.HTTP.KeyFile)
			return
		}
		f := newFront(n.listener, n.handshakes, n.lobby, n.parts.hub.Crowded, n.log)
		var front sync.WaitGroup
		front.Go(f.run)
		err := n.server.Serve(f)
		front.Wait()
		ended <- err
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("HTTP: %w", err)
	case <-ctx.Done():
	}
	n.parts.stopping.Store(true)
	n.parts.draining.Store(true)
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.opts.Config.Hub.DrainTime)
	defer cancel()
	moved := n.parts.moveRooms(limit) // while the sockets are here that tell people of it
	if err := n.parts.hub.Drain(limit); err != nil {
		n.log.Warn("sockets were still open at the end of the drain time", "err", err)
	}
	moved()
	limit, cancel = context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := n.server.Shutdown(limit)
	if errors.Is(err, context.DeadlineExceeded) {
		n.log.Warn("requests were still under way at the end")
		err = n.server.Close()
	}
	<-ended
	return err
}

// info tells how to reach the node.
func (n *Node) info() Info {
	i := Info{
		URL: n.baseURL, SocketURL: "ws" + strings.TrimPrefix(n.baseURL, "http") + "/v1/socket",
		ConsoleURL: n.baseURL + "/console/", PID: os.Getpid(), TURN: []string{}, Users: []InfoUser{},
	}
	if n.parts.turn != nil {
		i.TURN = n.parts.turn.ICEURLs()
		i.TURNSPKI = n.parts.turn.SPKI()
	}
	return i
}

// hostOf is the host name of a URL.
func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
