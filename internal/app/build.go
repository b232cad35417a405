package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"parley/api"
	"parley/chat"
	"parley/hub"
	"parley/hub/broker"
	"parley/hub/presence"
	"parley/identity"
	"parley/internal/auth"
	"parley/internal/clock"
	"parley/internal/cluster"
	"parley/internal/config"
	"parley/internal/obs"
	"parley/internal/redisdb"
	"parley/internal/sqldb"
	"parley/media"
	"parley/media/opus"
	"parley/payments"
	"parley/payments/ledger"
	"parley/payments/outbox"
	"parley/safety"
	"parley/signaling"
	"parley/topics"
	"parley/turn"
	"parley/web"
	"parley/webhook"
	"parley/wire"
)

// parts are what a node is made of.
type parts struct {
	log      *slog.Logger
	registry *prometheus.Registry
	recent   obs.Recent
	started  time.Time
	draining atomic.Bool
	stopping atomic.Bool // draining for good

	db       *sqldb.DB
	redis    redisdb.Client // nil: this node is alone
	nodeID   string
	name     string // of this node, for people
	drainer  *drainer
	tails    *tails
	broker   broker.Broker
	streams  broker.Streams
	hub      *hub.Hub
	verifier *auth.Verifier
	chat     *chat.Service
	board    board
	payments *payments.Service
	safety   *safety.Service
	rail     payments.Rail // nil: none
	relay    *outbox.Relay
	webhooks *webhook.Service
	topics   *topics.Service
	blocks   *safety.Blocks
	calls    *signaling.Service
	identity *identity.Service
	cards    *identity.Cards
	turn     *turn.Server // nil: off
	sfu      *media.SFU   // nil: off
	room     *rooms
	rooms    *roomEvents
	sessions *sessions
	nodes    cluster.Registry
	meter    cluster.Meter
	limits   *limits
	devices  *auth.Devices
	door     *door
	table    *api.Table
	node     *Node
	waiting  *backlog
}

// schemas are the migrations of all features, by owner.
var schemas = []struct {
	owner string
	files fs.FS
}{
	{"auth", auth.Schema()},
	{"identity", identity.Schema()},
	{"chat", chat.Schema()},
	{"ledger", ledger.Schema()},
	{"outbox", outbox.Schema()},
	{"payments", payments.Schema()},
	{"safety", safety.Schema()},
	{"signaling", signaling.Schema()},
	{"webhook", webhook.Schema()},
}

// build opens the database and makes every part; nothing runs yet.
func build(ctx context.Context, n *Node) (_ *parts, err error) {
	p := &parts{log: n.log, registry: obs.NewRegistry(), node: n, started: n.clock.Now()}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.db, err = openDatabase(ctx, sqldb.Config{URL: n.opts.Config.Database.URL, Metrics: p.registry}); err != nil {
		return nil, err
	}
	for _, step := range []func(*Node) error{p.buildCluster, p.buildSockets, p.buildTopics, p.buildAuth, p.buildMoney, p.buildMedia, p.buildCalls, p.buildIdentity, p.buildTable} {
		if err := step(n); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func openDatabase(ctx context.Context, cfg sqldb.Config) (*sqldb.DB, error) {
	db, err := sqldb.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	for _, s := range schemas {
		if err := db.Migrate(ctx, s.owner, schemaOf(s.owner, s.files)); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return db, nil
}

func (p *parts) buildSockets(n *Node) error {
	p.door = &door{}
	p.drainer, p.tails, p.name = newDrainer(p), newTails(p), nameOf(n.listener.Addr())
	p.sessions = &sessions{log: n.log}
	p.streams = p.newStreams(n)
	cfg := n.opts.Config
	p.hub = hub.New(hub.Config{
		Origins: cfg.HTTP.Origins, BaseURL: n.baseURL, Heartbeat: cfg.Hub.Heartbeat, Rate: float64(cfg.Hub.Rate), Burst: cfg.Hub.Burst,
		Compression: cfg.Hub.Compress, MaxSockets: cfg.Hub.MaxSockets, MaxPerAddr: cfg.Hub.MaxPerAddr, MaxPerUser: cfg.Hub.MaxPerUser,
		Streams: p.streams, MayJoin: p.mayJoin,
		Observers: []hub.Observer{p.sessions}, SignedOut: p.signedOut, Grace: p.sessions, Node: p.amongOthers(), StreamSecret: []byte(n.opts.Config.Auth.Secret), OnTold: p.told, Clock: n.clock, Metrics: p.registry, Log: n.log,
	}, p.door, p.broker)
	p.sessions.hub = p.hub
	return nil
}

func (p *parts) buildAuth(n *Node) (err error) {
	cfg := n.opts.Config.Auth
	issuers, err := issuersOf(cfg)
	if err != nil {
		return err
	}
	p.verifier, err = auth.New(p.db, n.clock, auth.Config{
		Secret: []byte(cfg.Secret), Audience: cfg.Audience, Issuers: issuers, ServerKeys: cfg.ServerKeys,
		OnRevoke: p.revoked, Log: n.log, Metrics: p.registry,
	})
	if err != nil {
		return err
	}
	p.devices = auth.NewDevices(p.verifier)
	p.sessions.noted = p.devices
	p.nodes = p.newRegistry(n)
	p.limits, err = p.newLimits(n)
	return err
}

// issuersOf reads auth.jwks: each "issuer=URL", with an optional ",alg=" on the issuer ("issuer;RS256=URL").
func issuersOf(cfg config.Auth) ([]auth.Issuer, error) {
	issuers := make([]auth.Issuer, 0, len(cfg.JWKS))
	for _, entry := range cfg.JWKS {
		name, url, ok := strings.Cut(entry, "=")
		if !ok {
			return nil, fmt.Errorf("auth.jwks: %q is not issuer=URL", entry)
		}
		name, alg, ok := strings.Cut(name, ";")
		if !ok {
			alg = "ES256"
		}
		issuers = append(issuers, auth.Issuer{Name: name, Alg: alg, JWKS: url, Audience: cfg.Audience})
	}
	return issuers, nil
}

// signedOut tells the hub of withdrawn tokens (hub.Config.SignedOut).
func (p *parts) signedOut(user wire.UserID, device wire.DeviceID, issued time.Time) bool {
	return p.verifier.SignedOut(user, device, issued)
}

// revoked signs the sockets out that a revocation covers.
func (p *parts) revoked(r auth.Revocation) {
	err := p.hub.Revoke(context.Background(), hub.Revocation{User: r.User, Device: r.Device, Token: r.TokenID, Before: r.Since})
	if err != nil {
		p.log.Warn("sockets not signed out", "err", err)
	}
}

// buildMoney makes users, conversations and payments, and the relay between them.
func (p *parts) buildMoney(n *Node) (err error) {
	related := &relations{}
	users := identity.NewDirectory(p.db, n.clock, identity.DirectoryConfig{Relations: related})
	p.webhooks = webhook.New(webhook.Config{Source: n.baseURL, AllowPrivate: n.opts.Config.Webhooks.AllowPrivate},
		webhook.Deps{DB: p.db, Clock: n.clock, Log: n.log, Metrics: p.registry})
	told := &hooks{p.webhooks}
	p.blocks = safety.NewBlocks(p.db, n.clock)
	p.chat = chat.New(chat.Config{}, chat.Deps{DB: p.db, Clock: n.clock, Publisher: p.hub, Names: users, Blocks: chatBlocks{p.blocks}, Journal: told.entry, Journals: told.takes, Log: n.log, Metrics: p.registry})
	p.relay = outbox.NewRelay(p.db, n.clock, outbox.Config{Log: n.log, Metrics: p.registry})
	p.relay.InTx("conversations", cards{p.chat}.deliver)
	p.relay.InTx("webhooks", told.deliver)
	cfg := n.opts.Config.Payments
	if p.rail, err = newRail(n.opts.Config, n.clock); err != nil {
		return err
	}
	gate, err := p.buildSafety(n, users, related)
	if err != nil {
		return err
	}
	rules, rates, err := moneyRules(cfg)
	if err != nil {
		return err
	}
	rules.Asking, rules.LinkURL = askLimits(cfg), n.baseURL+"/l/"
	p.payments, err = payments.New(
		rules,
		payments.Deps{
			DB: p.db, Clock: n.clock, Digester: digest, Names: people{users, n.clock}, Rooms: paymentRooms{p.chat}, Relations: payRelations{p.chat, p.blocks}, Gate: gate,
			Rates: rates, Rail: p.rail, Sensitive: chat.HasCardNumber, Wake: p.relay.Wake, Log: n.log, Metrics: p.registry,
		})
	related.chat, related.payments, gate.counts.payments = p.chat, p.payments, p.payments
	p.identity = &identity.Service{Directory: users}
	p.board = p.newBoard(presence.Deps{
		Clock: n.clock, Publisher: p.hub, Peers: p.chat, Seen: p.chat, Log: n.log, Metrics: p.registry,
	})
	return err
}

func (p *parts) buildMedia(n *Node) (err error) {
	p.rooms = newRoomEvents(p.registry, n.log)
	if cfg := n.opts.Config.Media; cfg.Enabled {
		p.sfu, err = media.New(media.Config{Addr: cfg.UDP, Announce: cfg.Announce},
			media.Deps{Observer: p.rooms, Clock: n.clock, Logger: n.log, Metrics: p.registry})
		if err != nil {
			return err
		}
	}
	if n.opts.Config.TURN.Enabled {
		cfg, err := turnConfig(n)
		if err != nil {
			return err
		}
		cfg.CallLive = p.callLive
		if p.sfu != nil {
			for _, at := range p.sfu.Addrs() {
				cfg.SelfPorts = append(cfg.SelfPorts, at.Port())
			}
		}
		p.turn, err = turn.New(cfg, p.registry, n.log)
		return err
	}
	return nil
}

// callLive tells the relay whether a call goes on. While that cannot be told it does.
func (p *parts) callLive(ctx context.Context, call string) bool {
	c, err := p.calls.Get(ctx, wire.Caller{Role: wire.RoleServer}, wire.CallID(call))
	if errors.Is(err, signaling.ErrUnknown) {
		return false
	}
	return err != nil || c.State != signaling.Ended
}

// turnConfig is the relay's configuration; a TLS address without a certificate
// gets a self-signed one, which browsers refuse unless told otherwise.
func turnConfig(n *Node) (turn.Config, error) {
	cfg := n.opts.Config.TURN
	c := turn.Config{
		UDPAddr: orOff(cfg.UDP), TCPAddr: orOff(cfg.TCP), TLSAddr: orOff(cfg.TLS), CertFile: cfg.CertFile, KeyFile: cfg.KeyFile,
		SelfSigned: cfg.TLS != "" && cfg.CertFile == "", Host: cfg.Host, Secret: cfg.Secret,
		RelayPorts: [2]uint16{uint16(cfg.PortMin), uint16(cfg.PortMax)}, Clock: n.clock, //nolint:gosec // checked below
	}
	if cfg.PortMin < 1 || cfg.PortMax > 65535 || cfg.PortMin > cfg.PortMax {
		return c, fmt.Errorf("turn.port_min %d and turn.port_max %d: want a range within 1 to 65535", cfg.PortMin, cfg.PortMax)
	}
	if c.Host == "" {
		c.Host = hostOf(n.baseURL)
	}
	var err error
	if cfg.RelayIP != "" {
		if c.RelayIP, err = netip.ParseAddr(cfg.RelayIP); err != nil {
			return c, fmt.Errorf("turn.relay_ip: %w", err)
		}
	}
	for _, text := range cfg.AllowPeer {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return c, fmt.Errorf("turn.allow_peers: %w", err)
		}
		c.AllowPeers = append(c.AllowPeers, prefix)
	}
	return c, nil
}

func orOff(addr string) string {
	if addr == "" {
		return turn.Off
	}
	return addr
}

func (p *parts) buildCalls(n *Node) error {
	deps := signaling.Deps{
		DB: p.db, Publisher: p.hub, Log: p.chat, Relations: callRelations{p.chat, p.payments, p.blocks},
		Rooms: callRooms{p.chat}, Payments: callPayments{p.payments},
		Presence: inCall{p.board, n.log}, Clock: n.clock, Logger: n.log, Metrics: p.registry,
	}
	p.cards = identity.NewCards(p.db, n.clock, p.identity.Directory, cardFacts{p.payments}, identity.CardConfig{Issuer: n.baseURL})
	deps.Cards = callCards{p.cards}
	if p.turn != nil {
		deps.ICE = iceServers{p.turn}
	}
	room := &rooms{
		sfu: p.sfu, turn: p.turn, events: p.rooms, node: p.nodeID, tell: p.hub.TellNodes, tellNode: p.hub.TellNode,
		hosts: &hosts{self: p.nodeID, able: p.mayHost, alone: p.redis == nil, nodes: p.nodes.Nodes}, asks: newAsks(p.registry),
	}
	p.room, p.rooms.node = room, p.nodeID
	deps.SFU = room
	if p.sfu != nil {
		var sounds fs.FS
		if dir := n.opts.Config.Media.Prompts; dir != "" {
			sounds = os.DirFS(dir)
		}
		var err error
		if room.prompts, err = opus.LoadLibrary(sounds); err != nil {
			return err
		}
	}
	p.calls = signaling.New(deps, signaling.Config{})
	p.rooms.calls, p.sessions.calls, p.sessions.board = p.calls, p.calls, p.board
	return nil
}

func (p *parts) buildIdentity(n *Node) (err error) {
	cfg := n.opts.Config.Passkeys
	if cfg.RPID == "" {
		cfg.RPID = hostOf(n.baseURL)
	}
	if len(cfg.Origins) == 0 {
		cfg.Origins = []string{n.baseURL}
	}
	users := p.identity.Directory
	p.identity.Passkeys, err = identity.NewPasskeys(p.db, n.clock, users, identity.PasskeyConfig{RPID: cfg.RPID, RPName: cfg.RPName, Origins: cfg.Origins})
	if err != nil {
		return err
	}
	p.identity.Evidence = identity.NewEvidence(p.db, n.clock, &records{db: p.db, payments: p.payments, calls: p.calls})
	p.identity.Confirmations, err = identity.NewConfirmations(identity.ConfirmDeps{
		DB: p.db, Clock: n.clock, Passkeys: p.identity.Passkeys, Evidence: p.identity.Evidence,
		Payments: confirmPayments{p.payments}, Calls: confirmCalls{p.calls}, Publisher: p.hub,
	}, identity.ConfirmConfig{For: n.opts.Config.Payments.ConfirmTime, Log: n.log, Metrics: p.registry})
	return err
}

func (p *parts) buildTable(n *Node) (err error) {
	var movable *clock.Shifted
	if n.opts.Dev {
		movable, _ = n.clock.(*clock.Shifted) // nil when it is another
	}
	p.table, err = newTable(api.Config{
		BaseURL: n.baseURL, Version: Version, Log: n.log, OnProblem: p.remember, Metrics: p.registry, Problems: hub.Problems(), Limit: p.limits.allow,
	}, api.Features{Chat: p.chat, Presence: p.board, Calls: p.calls, Payments: p.payments, Safety: p.safety, Blocks: p.blocks, Policy: policyOf, Identity: p.identity, Webhooks: p.webhooks, Topics: p.topics, Operator: p, Nodes: nodeDoor{p.nodes, p}, Devices: devices{p.devices, p.verifier}, Clock: movable})
	p.waiting = p.newBacklog()
	*p.door = door{verifier: p.verifier, users: p.identity.Directory, chat: p.chat, table: p.table, limits: p.limits}
	return err
}

func newTable(cfg api.Config, f api.Features) (*api.Table, error) {
	return api.New(cfg, f.Operations(), api.Rules())
}

// OpenAPI is the document of this binary's operations, without a node.
func OpenAPI() ([]byte, error) {
	table, err := newTable(api.Config{Version: "1"}, api.Features{Identity: &identity.Service{}})
	if err != nil {
		return nil, err
	}
	return table.OpenAPIJSON()
}

// remember keeps a problem for the console; ordinary refusals of clients count too.
func (p *parts) remember(operation string, problem *wire.Problem) {
	p.recent.Add(obs.Problem{
		Time: p.node.clock.Now(), Code: problem.Code, Status: problem.Status, Operation: operation, RequestID: problem.RequestID,
	})
}

// features runs what sweeps and relays.
func (p *parts) features(ctx context.Context) error {
	var g errgroup.Group
	for _, run := range []func(context.Context) error{
		p.verifier.Run, p.relay.Run, p.payments.Run, p.payments.RunOrders, p.payments.RunTransfers, p.payments.Books().Run, p.calls.Run, p.board.Run, p.nodes.Run, p.drainer.Run, p.tails.Run, p.devices.Run, p.sessions.Run, p.rooms.Run, p.webhooks.Run,
		p.reloadRules, p.waiting.Run, p.topics.Run,
		func(ctx context.Context) error { return p.identity.Run(ctx, p.node.clock, p.log) },
	} {
		g.Go(func() error { return run(ctx) })
	}
	return g.Wait()
}

// media runs the SFU and the relay, where they are on.
func (n *Node) media(ctx context.Context) error {
	var g errgroup.Group
	if n.parts.sfu != nil {
		g.Go(func() error { return n.parts.sfu.Run(ctx) })
	}
	if n.parts.turn != nil {
		g.Go(func() error { return n.parts.turn.Run(ctx) })
	}
	g.Go(func() error { <-ctx.Done(); return nil })
	return g.Wait()
}

// close releases what build opened, after or without Run.
func (p *parts) close() error {
	var errs []error
	if p.redis != nil {
		errs = append(errs, p.redis.Close())
	}
	if p.db != nil {
		errs = append(errs, p.db.Close())
	}
	return errors.Join(errs...)
}

// handler is everything the node answers over HTTP, and sockets the part of it that
// answers requests for a socket.
func (p *parts) handler(cfg config.Config) (all, sockets http.Handler, err error) {
	trusted, err := parseProxies(cfg.HTTP.Proxies)
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	p.table.Mount(mux, p.door)
	if err := p.table.MountDocs(mux); err != nil {
		return nil, nil, err
	}
	mux.Handle("GET /v1/socket", p.hub)
	mux.Handle("GET /v1/users/{user}/tail", p.tails)
	mux.Handle("/v1/events", p.hub.Streams())
	mux.Handle("/v1/events/", p.hub.Streams())
	p.mountRail(mux, cfg.Stripe)
	mux.Handle("GET /.well-known/jwks.json", p.cards)
	mux.HandleFunc("GET /v1/words/en.json", serveWords)
	mux.Handle("GET /metrics", obs.MetricsHandler(p.registry))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }) // the prober may have gone
	mux.HandleFunc("GET /readyz", p.ready)
	mux.Handle("/debug/", p.debugHandler())
	pages := web.Handler()
	for _, path := range []string{"/demo/", "/console/", "/sdk/"} {
		mux.Handle("GET "+path, pages)
	}
	mux.Handle("GET /l/{link}", openLink(cfg.Payments.LinkURL))
	mux.Handle("GET /{$}", http.RedirectHandler("/docs", http.StatusFound))
	around := func(h http.Handler) http.Handler { return withClientAddr(withOrigins(h, cfg.HTTP.Origins), trusted) }
	return around(mux), around(p.hub), nil
}
