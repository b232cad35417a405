package hub_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/hub"
	"parley/hub/broker"
	"parley/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; nothing waits for it when all is well.
const patience = 20 * time.Second

// world is a backend whose logs, members and tokens live in memory.
type world struct {
	mu      sync.Mutex
	logs    map[wire.ConversationID][]wire.Event
	members map[wire.ConversationID][]wire.UserID
	tokens  map[string]hub.Identity
	errs    map[string]error // by token: what Authenticate answers
	ops     map[string]func(ctx context.Context, c wire.Caller, params json.RawMessage) (json.RawMessage, *wire.Problem)
	// These run once: in Authenticate, and in Heads before and after the logs are looked at.
	authHook, headsHook, headsDone func()
	headsGate                      chan struct{} // if set, Heads waits until it is closed
	headReads                      []int         // for how many people each call of Heads was
	// These, set before the hub runs, see each call of Heads and Entries.
	onHeads   func([]wire.UserID)
	onEntries func()
	// These are what Entries and Heads answer.
	entriesErr, headsErr error
	reads, asked         atomic.Int64 // calls of Entries and Heads
	// deny may refuse a token, which is a good one or not.
	deny func(addr netip.Addr, good bool) error
}

func newWorld() *world {
	w := &world{
		logs: map[wire.ConversationID][]wire.Event{}, members: map[wire.ConversationID][]wire.UserID{},
		tokens: map[string]hub.Identity{}, errs: map[string]error{},
	}
	w.ops = map[string]func(context.Context, wire.Caller, json.RawMessage) (json.RawMessage, *wire.Problem){
		"echo": func(_ context.Context, _ wire.Caller, p json.RawMessage) (json.RawMessage, *wire.Problem) {
			return p, nil
		},
	}
	return w
}

// Authenticate takes "user" and "user/anything" as tokens of user, besides those set.
func (w *world) Authenticate(_ context.Context, token string, addr netip.Addr) (hub.Identity, error) {
	once(&w.authHook)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deny != nil {
		if err := w.deny(addr, !strings.HasPrefix(token, "bad")); err != nil {
			return hub.Identity{}, err
		}
	}
	if err := w.errs[token]; err != nil {
		return hub.Identity{}, err
	}
	if id, ok := w.tokens[token]; ok {
		return id, nil
	}
	if strings.HasPrefix(token, "bad") {
		return hub.Identity{}, &wire.Problem{Status: 401, Code: "unauthenticated", Title: "Not authenticated"}
	}
	user, _, _ := strings.Cut(token, "/")
	return hub.Identity{User: wire.UserID(user), TokenID: token}, nil
}

func (w *world) Call(ctx context.Context, c wire.Caller, method string, params json.RawMessage) (json.RawMessage, *wire.Problem) {
	w.mu.Lock()
	op := w.ops[method]
	w.mu.Unlock()
	if op == nil {
		return nil, &wire.Problem{Status: 404, Code: "operation_unknown", Title: "Unknown operation"}
	}
	return op(ctx, c, params)
}

func (w *world) Heads(_ context.Context, users []wire.UserID) (map[wire.UserID][]hub.Head, error) {
	w.asked.Add(1)
	if w.onHeads != nil {
		w.onHeads(users)
	}
	once(&w.headsHook)
	defer once(&w.headsDone)
	if w.headsGate != nil {
		<-w.headsGate
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.headsErr != nil {
		return nil, w.headsErr
	}
	w.headReads = append(w.headReads, len(users))
	heads := make(map[wire.UserID][]hub.Head)
	for conv, members := range w.members {
		for _, u := range users {
			if slices.Contains(members, u) {
				heads[u] = append(heads[u], hub.Head{Conversation: conv, Seq: int64(len(w.logs[conv]))})
			}
		}
	}
	return heads, nil
}

func (w *world) Entries(_ context.Context, u wire.UserID, conv wire.ConversationID, after int64, limit int) ([]wire.Event, error) {
	w.reads.Add(1)
	if w.onEntries != nil {
		w.onEntries()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.entriesErr != nil {
		return nil, w.entriesErr
	}
	if !slices.Contains(w.members[conv], u) {
		return nil, &wire.Problem{Status: 403, Code: "forbidden"}
	}
	log := w.logs[conv]
	return slices.Clone(log[min(int(after), len(log)):min(int(after)+limit, len(log))]), nil
}

// once runs and forgets a hook.
func once(hook *func()) {
	if f := *hook; f != nil {
		*hook = nil
		f()
	}
}

// conversation makes a conversation.
func (w *world) conversation(conv wire.ConversationID, members ...wire.UserID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.members[conv] = members
}

// write appends an entry to conv and publishes it to the members, as a commit
// would: in the order of the numbers.
func (w *world) write(p wire.Publisher, conv wire.ConversationID, text string) wire.Event {
	return w.writeBut(p, conv, text, "")
}

// writeBut leaves the session out that has the entry in its answer.
func (w *world) writeBut(p wire.Publisher, conv wire.ConversationID, text string, but wire.SessionID) wire.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	data, _ := json.Marshal(map[string]string{"text": text})
	ev := wire.Event{Type: "message.created", Conversation: conv, Seq: int64(len(w.logs[conv]) + 1), Time: time.Now().UTC(), Data: data}
	w.logs[conv] = append(w.logs[conv], ev)
	if p != nil {
		var to []wire.To
		for _, u := range w.members[conv] {
			to = append(to, wire.To{User: u, NotSession: but})
		}
		p.Publish(context.Background(), ev, to...)
	}
	return ev
}

// node is a hub that serves on 127.0.0.1.
type node struct {
	*hub.Hub
	t      testing.TB
	world  *world
	url    string
	reg    *prometheus.Registry
	client *http.Client // dials; nil for the default
	cancel context.CancelFunc
	ended  chan error
}

type option func(*hub.Config)

func startNode(t testing.TB, w *world, options ...option) *node {
	t.Helper()
	return startNodeOn(t, w, broker.NewMemory(broker.MemoryConfig{}), options...)
}

func startNodeOn(t testing.TB, w *world, bus broker.Broker, options ...option) *node {
	t.Helper()
	n := runHub(t, w, bus, options...)
	server := httptest.NewServer(n.handler())
	n.url = server.URL
	t.Cleanup(func() { n.stop(); server.Close() })
	return n
}

// handler answers sockets everywhere and streams where they are.
func (n *node) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", n.Hub)
	mux.Handle("/v1/events", n.Streams())
	mux.Handle("/v1/events/", n.Streams())
	return mux
}

// startPipeNode serves over pipes in memory, for bubbles whose time is not the machine's.
func startPipeNode(t testing.TB, w *world, options ...option) *node {
	t.Helper()
	return startPipeNodeOn(t, w, broker.NewMemory(broker.MemoryConfig{}), options...)
}

func startPipeNodeOn(t testing.TB, w *world, bus broker.Broker, options ...option) *node {
	t.Helper()
	n := runHub(t, w, bus, options...)
	listener := pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: n.handler()}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	transport := &http.Transport{DialContext: listener.dial}
	n.client = &http.Client{Transport: transport}
	n.url = "http://hub.test"
	t.Cleanup(func() {
		n.stop()
		_ = server.Close()
		<-served
		transport.CloseIdleConnections()
	})
	return n
}

// pipeListener is a net.Listener whose connections are pipes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	mine, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return mine, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error { close(l.closed); return nil }

func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func runHub(t testing.TB, w *world, bus broker.Broker, options ...option) *node {
	t.Helper()
	n := &node{t: t, world: w, reg: prometheus.NewRegistry(), ended: make(chan error, 1)}
	cfg := hub.Config{Metrics: n.reg, Rate: 1e6, Burst: 1e6, Compression: true} // only who offers it gets it
	for _, o := range options {
		o(&cfg)
	}
	n.Hub = hub.New(cfg, w, bus)
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	go func() { n.ended <- n.Run(ctx) }()
	return n
}

// stop ends Run; a second call does nothing.
func (n *node) stop() {
	n.cancel()
	if err := <-n.ended; err != nil {
		n.t.Errorf("Run: %v", err)
	}
	n.ended <- nil
}

// counter reads a counter or gauge; labels are name, value pairs.
func (n *node) counter(name string, labels ...string) float64 {
	n.t.Helper()
	families, err := n.reg.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	metric:
		for _, m := range f.GetMetric() {
			for i := 0; i < len(labels); i += 2 {
				if !slices.ContainsFunc(m.GetLabel(), func(l *labelPair) bool { return l.GetName() == labels[i] && l.GetValue() == labels[i+1] }) {
					continue metric
				}
			}
			if c := m.GetCounter(); c != nil {
				return c.GetValue()
			}
			return m.GetGauge().GetValue()
		}
	}
	n.t.Fatalf("no metric %s %v", name, labels)
	return 0
}

// eventually waits until ok, looking every few milliseconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		case <-tick.C:
		}
	}
}
