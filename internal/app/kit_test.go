package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/client"
	"parley/identity/authenticatortest"
	"parley/internal/app"
	"parley/internal/clock"
	"parley/internal/config"
	"parley/internal/crash"
	"parley/internal/sqldb"
	"parley/wire"
)

func TestMain(m *testing.M) {
	crash.Main(crash.Roles{"node": runChild})
	goleak.VerifyTestMain(m)
}

// patience bounds every wait of a test; what it waits for takes milliseconds.
const patience = 20 * time.Second

// node is a running dev node.
type node struct {
	t     *testing.T
	info  app.Info
	clock *clock.Shifted
	stop  func()
}

// start runs a dev node in dir until the test ends or stop is called.
func start(t *testing.T, dir string, sets ...string) *node {
	t.Helper()
	cfg, err := config.Load("", nil, append(append(app.DevSettings(dir, 0), "hub.drain_time=1s"), sets...))
	if err != nil {
		t.Fatal(err)
	}
	clk := &clock.Shifted{}
	n, err := app.New(t.Context(), app.Options{Config: cfg, Dev: true, Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan app.Info, 1), make(chan error, 1)
	go func() { ended <- n.Run(ctx, func(i app.Info) error { ready <- i; return nil }) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("node ended: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	select {
	case i := <-ready:
		return &node{t: t, info: i, clock: clk, stop: stop}
	case err := <-ended:
		once.Do(cancel)
		t.Fatalf("node did not start: %v", err)
		return nil
	}
}

// server calls REST with the server key, for actFor if given.
func (n *node) server(actFor wire.UserID) *client.REST {
	return &client.REST{URL: n.info.URL, Token: n.info.Keys.Secret, ActFor: actFor}
}

func (n *node) token(user string) string {
	for _, u := range n.info.Users {
		if u.ID == user {
			return u.Token
		}
	}
	n.t.Fatalf("no demo user %s", user)
	return ""
}

// person is one user's device with a socket and a passkey.
type person struct {
	t      *testing.T
	n      *node
	user   string
	device wire.DeviceID
	via    client.Transport
	conn   *client.Conn
	key    *authenticatortest.Authenticator

	mu     sync.Mutex
	events []wire.Event
	news   chan struct{} // closed and replaced at each event
	call   *client.DirectCall
	taken  int // events already awaited
}

// join opens a socket for user.
func (n *node) join(user, device string) *person {
	n.t.Helper()
	return n.joinVia(client.JSON, user, device)
}

// joinVia opens a session for user over a transport.
func (n *node) joinVia(via client.Transport, user, device string) *person {
	n.t.Helper()
	p := &person{t: n.t, n: n, user: user, via: via, device: wire.DeviceID("dev_" + device), news: make(chan struct{}), key: &authenticatortest.Authenticator{}}
	p.connect(nil)
	n.t.Cleanup(func() { p.conn.Close() })
	return p
}

func (p *person) connect(resume map[wire.ConversationID]int64) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := client.Dial(ctx, client.Options{SocketURL: p.n.info.SocketURL, Transport: p.via, Token: p.n.token(p.user), Device: p.device, Resume: resume, OnEvent: p.take})
	if err != nil {
		p.t.Fatalf("%s connects: %v", p.user, err)
	}
	p.conn = conn
}

func (p *person) take(ev wire.Event) {
	p.mu.Lock()
	p.events = append(p.events, ev)
	close(p.news)
	p.news = make(chan struct{})
	if p.call != nil {
		p.call.Handle(ev)
	}
	p.mu.Unlock()
}

// setCall makes the call hear events, those before it included.
func (p *person) setCall(c *client.DirectCall) {
	p.mu.Lock()
	p.call = c
	for _, ev := range p.events { // under the lock, so that no later event overtakes
		c.Handle(ev)
	}
	p.mu.Unlock()
	p.t.Cleanup(c.Close)
}

// await returns the first event not awaited before that match accepts; those before it are passed over.
func (p *person) await(what string, match func(ev wire.Event, data map[string]any) bool) map[string]any {
	p.t.Helper()
	timeout := time.After(patience)
	looked := 0
	for {
		p.mu.Lock()
		for i := max(p.taken, looked); i < len(p.events); i++ {
			var data map[string]any
			if err := json.Unmarshal(p.events[i].Data, &data); err != nil {
				p.t.Fatalf("event data: %v", err)
			}
			if match(p.events[i], data) {
				p.taken = i + 1
				p.mu.Unlock()
				return data
			}
		}
		news := p.news
		seen := len(p.events)
		looked = seen
		p.mu.Unlock()
		select {
		case <-news:
		case <-timeout:
			p.mu.Lock()
			var types []string
			for _, ev := range p.events[min(p.taken, seen):] {
				types = append(types, fmt.Sprintf("%s %s", ev.Type, ev.Data))
			}
			p.mu.Unlock()
			p.t.Fatalf("%s waited for %s; since the last awaited came %v", p.user, what, types)
		}
	}
}

// awaitPayment waits until a card says that the payment changed so.
func (p *person) awaitPayment(change string) map[string]any {
	p.t.Helper()
	data := p.await("payment "+change, func(ev wire.Event, d map[string]any) bool {
		return ev.Type == "payment.updated" && d["change"] == change
	})
	return data["payment"].(map[string]any)
}

// seen returns the events of a type so far.
func (p *person) seen(kind string) []wire.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.events), func(ev wire.Event) bool { return ev.Type != kind })
}

func (p *person) awaitType(kind string) map[string]any {
	p.t.Helper()
	return p.await(kind, func(ev wire.Event, _ map[string]any) bool { return ev.Type == kind })
}

// do calls an operation and returns its result.
func (p *person) do(method string, params map[string]any) map[string]any {
	p.t.Helper()
	result, err := p.try(method, params)
	if err != nil {
		p.t.Fatalf("%s: %s %v: %v", p.user, method, params, err)
	}
	return result
}

// try calls an operation; the error is a *wire.Problem when the server refused.
func (p *person) try(method string, params map[string]any) (result map[string]any, err error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = p.conn.Call(ctx, method, params, &result)
	return result, err
}

// refused calls an operation that must fail with code.
func (p *person) refused(code, method string, params map[string]any) {
	p.t.Helper()
	result, err := p.try(method, params)
	wantCode(p.t, err, code)
	if err == nil {
		p.t.Logf("%s answered %v", method, result)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	p, ok := err.(*wire.Problem) //nolint:errorlint // the client returns it bare
	if !ok || p.Code != code {
		t.Fatalf("got %v, want problem %s", err, code)
	}
}

// register makes a passkey on this device.
func (p *person) register() {
	p.t.Helper()
	begun := p.do("passkeys.register_begin", map[string]any{})
	credential, err := p.key.Register(raw(p.t, begun["options"]), p.n.info.URL)
	if err != nil {
		p.t.Fatal(err)
	}
	p.do("passkeys.register_finish", map[string]any{"session": begun["session"], "credential": credential})
}

// confirmation prepares the parameters of confirmations.submit.
func (p *person) confirmation(payment string, version any) map[string]any {
	p.t.Helper()
	opened := p.do("confirmations.open", map[string]any{"payment": payment, "version": version})
	assertion, err := p.key.Assert(raw(p.t, opened["options"]), p.n.info.URL)
	if err != nil {
		p.t.Fatal(err)
	}
	return map[string]any{
		"payment": payment, "version": version, "transcript": opened["transcript"], "sas": "match",
		"nonce": opened["nonce"], "assertion": assertion, "idempotency_key": "confirm-" + p.user + "-" + fmt.Sprint(version),
	}
}

func raw(t *testing.T, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// silence is an Opus frame of 20 ms (RFC 6716: CELT, fullband, one frame, empty).
var silence = []byte{0xf8, 0xff, 0xfe}

// talk starts a call about payment between two people, proves the keys and
// keeps both talking until the test ends.
func talk(caller, callee *person, params map[string]any, opts client.DirectOptions) {
	t := caller.t
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := client.StartCall(ctx, caller.conn, params, opts)
	if err != nil {
		t.Fatalf("calls.start: %v", err)
	}
	caller.setCall(out)
	callee.await("call.offered", func(ev wire.Event, d map[string]any) bool {
		return ev.Type == "call.offered" && d["call"].(map[string]any)["id"] == string(out.ID())
	})
	in, err := client.AnswerCall(ctx, callee.conn, out.ID(), opts)
	if err != nil {
		t.Fatalf("calls.answer: %v", err)
	}
	callee.setCall(in)
	speaking, hush := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { hush(); wg.Wait() })
	for _, c := range []*client.DirectCall{out, in} {
		if err := c.WaitConnected(ctx); err != nil {
			t.Fatalf("connect: %v", err)
		}
		wg.Go(func() { speak(speaking, c) })
	}
	for _, c := range []*client.DirectCall{out, in} {
		if _, err := c.WaitProved(ctx); err != nil {
			t.Fatalf("prove keys: %v", err)
		}
	}
}

// speak sends a frame every 20 ms.
func speak(ctx context.Context, c *client.DirectCall) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = c.Say(silence) // the call may be ending
		case <-ctx.Done():
			return
		}
	}
}

// matchWords tells the server on both sides that the words agree.
func matchWords(people ...*person) {
	for _, p := range people {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if err := p.call.Verify(ctx, "match"); err != nil {
			p.t.Fatalf("%s verifies: %v", p.user, err)
		}
		cancel()
	}
}

// lockDatabase keeps the node's database from being written until release is called.
func lockDatabase(t *testing.T, dir string) (release func()) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: dir + "/parley.db"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	running := make(chan error, 1)
	go func() { running <- db.Run(ctx) }()
	locked, unlock, unlocked := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		unlocked <- db.Update(ctx, func(tx *sqldb.Tx) error {
			close(locked)
			<-unlock
			return nil
		})
	}()
	<-locked
	var once sync.Once
	release = func() {
		once.Do(func() {
			close(unlock)
			if err := <-unlocked; err != nil {
				t.Error(err)
			}
			cancel()
			if err := <-running; err != nil {
				t.Error(err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(release)
	return release
}
