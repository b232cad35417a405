package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/hub"
	"parley/hub/broker"
	"parley/wire"
)

func TestOpen_MustComeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startPipeNode(t, newWorld())
		c := n.dial()
		start := time.Now()
		c.start("echo", nil) // is refused and does not count as opening
		wantClose(t, c, 1008)
		if took := time.Since(start); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
}

func TestOpen_RefusedTokensSayWhatToDo(t *testing.T) {
	w := newWorld()
	problem := func(status int, code string) error {
		return &wire.Problem{Status: status, Code: code, Title: code}
	}
	w.errs["expired"] = problem(401, "token_expired")
	w.errs["revoked"] = fmt.Errorf("checking: %w", problem(401, "token_revoked"))
	w.errs["down"] = errors.New("keys cannot be fetched")
	w.tokens["late"] = hub.Identity{User: "ann", Expires: time.Now().Add(-time.Second)}
	w.tokens["other"] = hub.Identity{User: "ann", Device: "dev_other"}
	w.tokens["server"] = hub.Identity{Role: wire.RoleServer}
	n := startNode(t, w)
	for token, want := range map[string]struct {
		code    string
		closing int
	}{
		"bad":     {"unauthenticated", 4001},
		"other":   {"unauthenticated", 4001},
		"server":  {"user_required", 4001},
		"expired": {"token_expired", 4002},
		"late":    {"token_expired", 4002},
		"revoked": {"token_revoked", 4003},
		"down":    {"node_busy", 1013},
	} {
		t.Run(token, func(t *testing.T) {
			c := n.dial()
			c.t = t
			m := c.call("session.open", map[string]any{"token": token, "device": "dev_a"})
			wantCode(t, m, wire.CodeProblem, want.code)
			reason := wantClose(t, c, want.closing)
			if want.closing == 1013 && !strings.HasPrefix(reason, "retry_ms=") {
				t.Errorf("reason %q", reason)
			}
		})
	}
}

func TestOpen_WrongParametersLeaveTheSocketOpen(t *testing.T) {
	n := startNode(t, newWorld())
	c := n.dial()
	many := map[string]int{}
	for i := range 2001 {
		many[fmt.Sprint("conv_", i)] = 1
	}
	for _, params := range []any{
		map[string]any{"device": "dev_a"},
		map[string]any{"token": "ann", "device": "phone"},
		map[string]any{"token": "ann", "device": "dev_"},
		map[string]any{"token": strings.Repeat("x", 9000), "device": "dev_a"},
		map[string]any{"token": "ann", "device": "dev_a", "name": strings.Repeat("x", 101)},
		map[string]any{"token": "ann", "device": "dev_a", "resume": "all"},
		map[string]any{"token": "ann", "device": "dev_a", "resume": many},
		map[string]any{"token": "ann", "device": "dev_a", "surprise": 1},
		[]string{"ann", "dev_a"},
	} {
		wantCode(t, c.call("session.open", params), wire.CodeInvalidParams, "invalid_params")
	}
	c.send(`{"jsonrpc":"2.0","id":"x","method":"session.open"}`)
	wantCode(t, c.await(`"x"`), wire.CodeInvalidParams, "invalid_params")
	c.open("ann", "a", nil)
}

func TestOpen_StandsAloneAndComesOnce(t *testing.T) {
	n := startNode(t, newWorld())
	c := n.dial()
	wantCode(t, c.call("echo", nil), wire.CodeProblem, "session_not_open")
	wantCode(t, c.call("session.refresh", map[string]string{"token": "ann"}), wire.CodeProblem, "session_not_open")
	c.send(`[{"jsonrpc":"2.0","id":9,"method":"session.open","params":{"token":"ann","device":"dev_a"}}]`)
	if got := c.receive(); !strings.Contains(got, "session_open_alone") || got[0] != '[' {
		t.Errorf("batch: %s", got)
	}
	c.send(`{"jsonrpc":"2.0","method":"session.open","params":{"token":"ann","device":"dev_a"}}`) // a notification opens nothing
	wantCode(t, c.call("echo", nil), wire.CodeProblem, "session_not_open")
	c.open("ann", "a", nil)
	wantCode(t, c.call("session.open", map[string]any{"token": "ann", "device": "dev_a"}), wire.CodeProblem, "session_already_open")
	c.must("echo", nil, nil)
}

func TestOpen_SameDeviceReplacesItsOlderSession(t *testing.T) {
	n := startNode(t, newWorld())
	first, o1 := n.open("ann", "a", nil)
	other, _ := n.open("ann", "b", nil)
	stranger, _ := n.open("ben", "a", nil)
	second, o2 := n.open("ann", "a", nil)
	wantClose(t, first, wire.CloseReplaced)
	if o1.Session == o2.Session {
		t.Errorf("the same session %s", o1.Session)
	}
	for _, c := range []*client{other, stranger, second} {
		c.must("echo", nil, nil)
	}
	if got := len(n.Sessions()); got != 3 {
		t.Errorf("%d sessions", got)
	}
}

// pair is a bus over two nodes: what is published on one is published on both.
type pair struct {
	broker.Broker
	both []broker.Broker
}

func (p pair) Publish(m *broker.Message) error {
	var errs []error
	for _, b := range p.both {
		errs = append(errs, b.Publish(m))
	}
	return errors.Join(errs...)
}

func startTwoNodes(t *testing.T, w *world) (one, two *node) {
	t.Helper()
	both := []broker.Broker{broker.NewMemory(broker.MemoryConfig{}), broker.NewMemory(broker.MemoryConfig{})}
	return startNodeOn(t, w, pair{both[0], both}), startNodeOn(t, w, pair{both[1], both})
}

func TestOpen_ReplacesOnOtherNodesToo(t *testing.T) {
	w := newWorld()
	one, two := startTwoNodes(t, w)
	first, _ := one.open("ann", "a", nil)
	second, _ := two.open("ann", "a", nil)
	wantClose(t, first, wire.CloseReplaced)
	second.must("echo", nil, nil)
	third, _ := one.open("ann", "a", nil)
	wantClose(t, second, wire.CloseReplaced)
	third.must("echo", nil, nil)
}

// A replacement that comes late over the bus does not end a session that is newer than it.
func TestOpen_LateReplacementSparesTheNewer(t *testing.T) {
	bus := broker.NewMemory(broker.MemoryConfig{})
	n := startNodeOn(t, newWorld(), bus)
	c, _ := n.open("ann", "a", nil)
	c.must("echo", nil, nil)
	replacement := func(stamp time.Time) {
		const kindReplace = 1
		to := []broker.Target{{Topic: "ann", Device: "dev_a", NotSession: "ses_other"}}
		if err := bus.Publish(&broker.Message{Kind: kindReplace, Seq: stamp.UnixMicro(), To: to}); err != nil {
			t.Fatal(err)
		}
	}
	replacement(time.Now().Add(-time.Minute))
	n.Publish(t.Context(), wire.Event{Type: "after it", Data: []byte("{}")}, wire.To{User: "ann"})
	c.event()
	c.must("echo", nil, nil)
	replacement(time.Now().Add(time.Minute))
	wantClose(t, c, wire.CloseReplaced)
}

// Many sockets of one device at once, on two nodes: one survives.
func TestOpen_OneSurvivesARaceOfOneDevice(t *testing.T) {
	w := newWorld()
	one, two := startTwoNodes(t, w)
	var wg sync.WaitGroup
	for i := range 20 {
		n := []*node{one, two}[i%2]
		c := n.dial()
		wg.Go(func() {
			c.start("session.open", map[string]any{"token": "ann", "device": "dev_a"})
			for {
				if _, err := c.next(); err != nil {
					return
				}
			}
		})
	}
	eventually(t, "one is left", func() bool {
		return one.counter("parley_hub_sockets")+two.counter("parley_hub_sockets") == 1 && len(one.Sessions())+len(two.Sessions()) == 1
	})
	one.stop()
	two.stop()
	wg.Wait()
}

func TestOpen_LimitPerUser(t *testing.T) {
	n := startNode(t, newWorld(), func(c *hub.Config) { c.MaxPerUser = 2 })
	n.open("ann", "a", nil)
	b, _ := n.open("ann", "b", nil)
	c := n.dial()
	wantCode(t, c.call("session.open", map[string]any{"token": "ann", "device": "dev_c"}), wire.CodeProblem, "too_many_sessions")
	wantClose(t, c, 1013)
	n.open("ben", "a", nil)
	n.open("ann", "b", nil) // takes its own older session's place
	wantClose(t, b, wire.CloseReplaced)
}

// seen is an Observer that remembers.
type seen struct {
	mu    sync.Mutex
	lines []string
}

func (s *seen) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func (s *seen) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, " ")
}

func (s *seen) SessionOpened(_ context.Context, c wire.Caller) { s.note("+" + string(c.User)) }
func (s *seen) SessionClosed(_ context.Context, c wire.Caller, reason string) {
	s.note("-" + string(c.User) + ":" + reason)
}

func TestOpen_ObserversHearOfEachOpenedSessionOnce(t *testing.T) {
	var s seen
	n := startNode(t, newWorld(), func(c *hub.Config) { c.Observers = []hub.Observer{&s} })
	refused := n.dial()
	refused.call("session.open", map[string]any{"token": "bad", "device": "dev_a"})
	wantClose(t, refused, wire.CloseTokenRefused)
	_ = n.dial().ws.CloseNow()
	ann, _ := n.open("ann", "a", nil)
	eventually(t, "ann is seen", func() bool { return s.all() == "+ann" })
	_ = ann.ws.CloseNow()
	eventually(t, "ann is gone", func() bool { return s.all() == "+ann -ann:client" })
	n.open("ben", "a", nil)
	eventually(t, "ben is seen", func() bool { return s.all() == "+ann -ann:client +ben" })
	n.stop()
	if got := s.all(); got != "+ann -ann:client +ben -ben:stop" {
		t.Errorf("observed %s", got)
	}
}

func TestOpen_CallerIsWhoTheTokenSays(t *testing.T) {
	w := newWorld()
	w.tokens["tok"] = hub.Identity{User: "ann", Device: "dev_a", Scopes: []string{"messages"}, Role: wire.RoleUser}
	callers := make(chan wire.Caller, 2)
	w.ops["who"] = func(_ context.Context, c wire.Caller, _ json.RawMessage) (json.RawMessage, *wire.Problem) {
		callers <- c
		return nil, nil
	}
	n := startNode(t, w)
	c := n.dial()
	o := c.open("tok", "a", nil)
	c.send(`{"jsonrpc":"2.0","id":5,"method":"who","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}`)
	if m := c.await("5"); string(m.Result) != "null" {
		t.Errorf("result %s", m.Result)
	}
	got := <-callers
	if got.User != "ann" || got.Device != "dev_a" || got.Session != o.Session || got.Role != wire.RoleUser || !got.Addr.IsLoopback() ||
		len(got.Scopes) != 1 || wire.CheckID(wire.PrefixRequest, got.RequestID) != nil || !strings.HasPrefix(got.TraceParent, "00-4bf9") {
		t.Errorf("caller %+v", got)
	}
	c.must("who", nil, nil)
	if again := <-callers; again.RequestID == got.RequestID || again.TraceParent != "" {
		t.Errorf("second request %+v", again)
	}
}
