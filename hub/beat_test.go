package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/hub"
	"parley/wire"
)

func TestHeartbeat_ComesRegularlyAndSilenceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startPipeNode(t, newWorld())
		c, _ := n.open("ann", "a", nil)
		c.beat()
		last := time.Now()
		for range 3 {
			c.send(`{"jsonrpc":"2.0","method":"heartbeat"}`)
			c.beat()
			if took := time.Since(last); took < 24*time.Second || took > 26*time.Second {
				t.Errorf("next heartbeat after %v", took)
			}
			last = time.Now()
		}
		wantClose(t, c, 1001) // it has said nothing since the last but one
		if took := time.Since(last); took < 36*time.Second || took > 39*time.Second {
			t.Errorf("closed after %v", took)
		}
		synctest.Wait()
		if got := n.counter("parley_hub_closes_total", "reason", "silent"); got != 1 {
			t.Errorf("counted %v", got)
		}
	})
}

func TestHeartbeat_CarriesTheHeadsThatMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.conversation(conv, "ann")
		w.conversation("conv_still", "ann")
		n := startPipeNode(t, w)
		c, _ := n.open("ann", "a", nil)
		if heads := c.beat(); len(heads) != 0 {
			t.Errorf("heads %v", heads)
		}
		c.send(`{"jsonrpc":"2.0","method":"heartbeat"}`)
		w.write(n, conv, "x")
		w.write(n, conv, "y")
		c.event()
		c.event()
		if heads := c.beat(); len(heads) != 1 || heads[conv] != 2 {
			t.Errorf("heads %v", heads)
		}
		c.send(`{"jsonrpc":"2.0","method":"heartbeat"}`)
		if heads := c.beat(); len(heads) != 0 {
			t.Errorf("again %v", heads)
		}
	})
}

// The last publication was lost and nothing follows: the next heartbeat says so and the entry comes.
func TestHeartbeat_FindsTheLastLostPublication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.conversation(conv, "ann")
		n := startPipeNode(t, w)
		c, _ := n.open("ann", "a", nil)
		w.write(nil, conv, "lost")
		w.conversation("conv_new", "ann")
		w.write(nil, "conv_new", "lost too")
		heads := c.beat()
		if heads[conv] != 1 && heads["conv_new"] != 1 {
			t.Errorf("heads %v", heads)
		}
		if ev := c.event(); ev.Conversation != conv || ev.Seq != 1 {
			t.Errorf("got %+v", ev)
		}
	})
}

// The log cannot be read: the session lives, and is brought up to date once it can.
func TestHeartbeat_TriesAgainWhenTheLogWasAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.conversation(conv, "ann")
		n := startPipeNode(t, w)
		c, _ := n.open("ann", "a", nil)
		w.mu.Lock()
		w.entriesErr = errors.New("database away")
		w.mu.Unlock()
		w.write(nil, conv, "lost")
		w.write(n, conv, "makes a hole")
		c.beat()
		c.send(`{"jsonrpc":"2.0","method":"heartbeat"}`)
		w.mu.Lock()
		w.entriesErr = nil
		w.mu.Unlock()
		c.beat()
		if a, b := c.event(), c.event(); a.Seq != 1 || b.Seq != 2 {
			t.Errorf("got %d %d", a.Seq, b.Seq)
		}
		if got := n.counter("parley_hub_drops_total", "reason", "log_error"); got < 1 {
			t.Errorf("counted %v", got)
		}
	})
}

type graceFor struct {
	extra  time.Duration
	method string
}

func (g graceFor) Extra(wire.Caller) time.Duration { return g.extra }
func (g graceFor) Allows(method string) bool       { return method == g.method }

func expiring(c *client) time.Time {
	c.t.Helper()
	ev := c.event()
	var data struct{ Expires time.Time }
	if err := json.Unmarshal(ev.Data, &data); err != nil || ev.Type != "session.expiring" || ev.Seq != 0 {
		c.t.Fatalf("got %+v: %v", ev, err)
	}
	return data.Expires
}

func TestExpiry_IsAnnouncedThenCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		expires := time.Now().Add(90 * time.Second)
		w.tokens["short"] = hub.Identity{User: "ann", Expires: expires}
		n := startPipeNode(t, w)
		c := n.dial()
		c.open("short", "a", nil)
		start := time.Now()
		done := keepAlive(c)
		defer done()
		if got := expiring(c); !got.Equal(expires) {
			t.Errorf("expires %v, want %v", got, expires)
		}
		if took := time.Since(start); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("announced after %v", took)
		}
		wantClose(t, c, wire.CloseTokenExpired)
		if len(c.events) != 0 {
			t.Errorf("announced again: %+v", c.events)
		}
		if took := time.Since(start); took < 90*time.Second || took > 91*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
}

// keepAlive answers heartbeats until the returned function is called.
func keepAlive(c *client) (stop func()) {
	ctx, cancel := context.WithCancel(c.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(20 * time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				_ = c.ws.Write(ctx, 1, []byte(`{"jsonrpc":"2.0","method":"heartbeat"}`))
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

func TestExpiry_RefreshKeepsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.tokens["short"] = hub.Identity{User: "ann", Expires: time.Now().Add(90 * time.Second)}
		later := time.Now().Add(10 * time.Minute).UTC()
		w.tokens["long"] = hub.Identity{User: "ann", Expires: later}
		w.tokens["bens"] = hub.Identity{User: "ben"}
		w.tokens["elsewhere"] = hub.Identity{User: "ann", Device: "dev_b"}
		n := startPipeNode(t, w)
		c := n.dial()
		c.open("short", "a", nil)
		done := keepAlive(c)
		defer done()
		for token, code := range map[string]string{"bad": "unauthenticated", "bens": "token_mismatch", "elsewhere": "unauthenticated"} {
			wantCode(t, c.call("session.refresh", map[string]string{"token": token}), wire.CodeProblem, code)
		}
		wantCode(t, c.call("session.refresh", map[string]int{"token": 1}), wire.CodeInvalidParams, "invalid_params")
		expiring(c)
		var r struct{ Expires time.Time }
		c.must("session.refresh", map[string]string{"token": "long"}, &r)
		if !r.Expires.Equal(later) {
			t.Errorf("expires %v", r.Expires)
		}
		if got := expiring(c); !got.Equal(later) { // nothing happened at the old time
			t.Errorf("announced %v", got)
		}
		wantClose(t, c, wire.CloseTokenExpired)
		if time.Now().Before(later) {
			t.Error("closed too early")
		}
	})
}

func TestExpiry_GraceAllowsSomeMethodsForSomeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		expires := time.Now().Add(10 * time.Second)
		w.tokens["short"] = hub.Identity{User: "ann", Expires: expires}
		w.ops["calls.signal"] = w.ops["echo"]
		n := startPipeNode(t, w, func(c *hub.Config) { c.Grace = graceFor{time.Minute, "calls.signal"} })
		c := n.dial()
		c.open("short", "a", nil)
		done := keepAlive(c)
		defer done()
		expiring(c)
		c.must("echo", nil, nil)
		<-time.After(11 * time.Second)
		c.must("calls.signal", nil, nil)
		wantCode(t, c.call("echo", nil), wire.CodeProblem, "token_expired")
		wantClose(t, c, wire.CloseTokenExpired)
		if took := time.Since(expires); took < time.Minute || took > 61*time.Second {
			t.Errorf("closed %v after the token", took)
		}
	})
}
