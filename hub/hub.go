package hub

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"parley/hub/broker"
	"parley/wire"
)

// The WebSocket subprotocols, of which a client must offer one: JSON in text
// frames, and the same messages as CBOR (RFC 8949) in binary frames. The first
// on the client's list is spoken.
const (
	Subprotocol     = "parley.v1"
	SubprotocolCBOR = "parley.v1.cbor"
)

// Hub holds this node's sockets. It is an http.Handler that accepts them, a
// wire.Publisher that reaches them, and works while Run does. All its methods
// may be called from many goroutines.
type Hub struct {
	cfg     Config
	backend Backend
	bus     broker.Broker
	metrics *metrics
	epoch   time.Time // uptime counts from here

	roster      *roster
	wheel       *wheel
	places      places
	opening     turnstile
	budget      budget
	shared      shared
	audiences   *audiences
	readers     *readers
	revocations revocations
	checks      chan []*session // sessions whose heads are to be compared
	headsAsks   chan headsAsk
	owing       owing
	lost        chan struct{} // asks for all of them
	reading     turnstile     // of those that read the log
	stamp       atomic.Int64
	losses      atomic.Int64 // how often the bus may have lost something
	sockets     atomic.Int64
	pollers     atomic.Pointer[pollers] // nil before Run, as is crew
	crew        atomic.Pointer[crew]
	unopened    atomic.Int64
	asking      atomic.Int64 // sessions whose session.open is under way
	taps        atomic.Pointer[taps]
	streams     sync.Map // of sessions without a WebSocket, by id
	hops        *hops

	streamSecret []byte

	mu       sync.Mutex
	closed   bool                  // takes no sockets, for good once Run ends
	empty    chan struct{}         // closed when the last socket has gone; nil when nobody waits
	live     map[*session]struct{} // every socket, opened or not
	sessions sync.WaitGroup        // counts them; grows only while not closed
}

// New makes a hub. It accepts sockets at once, but serves them only while Run runs.
func New(cfg Config, backend Backend, bus broker.Broker) *Hub {
	cfg = cfg.withDefaults()
	h := &Hub{
		cfg: cfg, backend: backend, bus: bus, epoch: time.Now(),
		roster:    newRoster(),
		wheel:     newWheel(),
		places:    newPlaces(cfg.MaxPerAddr),
		opening:   make(turnstile, maxOpeners),
		audiences: newAudiences(), readers: newReaders(),
		checks: make(chan []*session, 1), headsAsks: make(chan headsAsk, headsAtOnce),
		lost: make(chan struct{}, 1), reading: make(turnstile, logReaders),
		live:  make(map[*session]struct{}),
		owing: owing{wake: make(chan struct{}, 1)},
		hops:  newHops(), streamSecret: streamSecretOf(cfg),
	}
	h.budget.max = cfg.TotalQueueBytes
	h.metrics = newMetrics(h)
	return h
}

// Run delivers, beats and times out until ctx ends; then it closes what sockets
// are left with 1001, cancels the requests under way and returns when all
// goroutines have ended. Call Drain before, to let requests finish and to send
// clients elsewhere politely.
func (h *Hub) Run(ctx context.Context) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ps, stopReading := newPollers(requests, h.cfg.CallTimeout, h.cfg.Log)
	h.pollers.Store(ps)
	workers := newCrew(requests)
	h.crew.Store(workers)
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return h.bus.Run(running, &receiver{Hub: h}) })
	g.Go(func() error { return h.hearNodes(running) })
	g.Go(func() error { h.sweep(running); return nil })
	g.Go(func() error { h.checkHeads(running); return nil })
	g.Go(func() error { h.flushOwing(running); return nil })
	g.Go(func() error { h.readHeads(running); return nil })
	g.Go(func() error { h.compareLost(running); return nil })
	for range streamReaders {
		g.Go(func() error { h.readStreams(running); return nil })
	}
	err := g.Wait()
	h.stop(cancel)
	workers.all.Wait()
	return errors.Join(err, stopReading())
}

// hearNodes subscribes to what is meant for every node, and for this one.
func (h *Hub) hearNodes(ctx context.Context) error {
	topics := []string{topicNodes}
	if h.cfg.Node != "" {
		topics = append(topics, topicOf(h.cfg.Node))
	}
	for _, topic := range topics {
		if err := h.bus.Subscribe(ctx, topic); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// stop closes every socket, cancels what requests are under way and waits until
// the sessions have ended.
func (h *Hub) stop(cancel context.CancelFunc) {
	for _, s := range h.shut() {
		s.end(endStop)
		s.cut()
		s.mu.Lock()
		if s.cancel != nil {
			s.cancel()
		}
		s.mu.Unlock()
	}
	cancel()
	h.sessions.Wait()
}

// shut takes no sockets from now on and returns those that are here.
func (h *Hub) shut() []*session {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	list := make([]*session, 0, len(h.live))
	for s := range h.live {
		list = append(list, s)
	}
	return list
}

// admit counts a new socket, or reports that the hub takes none.
func (h *Hub) admit(s *session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.live[s] = struct{}{}
	h.sessions.Add(1)
	return true
}

// dismiss forgets a socket.
func (h *Hub) dismiss(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.live, s)
	h.tellEmptyLocked()
	h.sessions.Done()
}

// uptime is the time since New, on the machine's monotonic clock: timeouts must
// not follow a clock that someone moves.
func (h *Hub) uptime() time.Duration { return time.Since(h.epoch) }

// expired reports whether a token that expires then has expired.
func (h *Hub) expired(then time.Time) bool {
	return !then.IsZero() && !h.cfg.Clock.Now().Before(then)
}

// nextStamp returns microseconds of the machine's time, greater than ever before.
func (h *Hub) nextStamp() int64 {
	for {
		last := h.stamp.Load()
		next := max(last+1, time.Now().UnixMicro())
		if h.stamp.CompareAndSwap(last, next) {
			return next
		}
	}
}

// turnstile lets a bounded number in at once.
type turnstile chan struct{}

// enter waits up to patience for a place.
func (t turnstile) enter(ctx context.Context, patience time.Duration) bool {
	select {
	case t <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case t <- struct{}{}:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}

func (t turnstile) leave() { <-t }

// Info describes an open session, for operators.
type Info struct {
	Session     wire.SessionID
	User        wire.UserID
	Device      wire.DeviceID
	Name        string // the client's own description
	Addr        string
	Opened      time.Time
	Expires     time.Time     // of its token; zero for never
	Silent      time.Duration // since the client was last heard of
	QueuedBytes int           // not yet taken by its socket
}

// Sessions lists the open sessions of this node in no order.
func (h *Hub) Sessions() []Info {
	all := h.roster.all()
	list := make([]Info, 0, len(all))
	now := h.uptime()
	for _, s := range all {
		s.mu.Lock()
		if s.stage == stageOpen {
			list = append(list, Info{
				Session: s.id, User: s.caller.User, Device: s.caller.Device, Name: s.name, Addr: s.addr.String(),
				Opened: s.opened, Expires: s.token.expires, QueuedBytes: s.out.bytes,
				Silent: now - time.Duration(s.seen.Load()),
			})
		}
		s.mu.Unlock()
	}
	return list
}
