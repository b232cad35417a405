package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"parley/hub"
	"parley/hub/broker"
	"parley/wire"
)

func TestDrain_AnswersWhatIsUnderWayThenSendsElsewhere(t *testing.T) {
	w := newWorld()
	started, release := make(chan struct{}), make(chan struct{})
	w.ops["slow"] = func(context.Context, wire.Caller, json.RawMessage) (json.RawMessage, *wire.Problem) {
		close(started)
		<-release
		return []byte(`"done"`), nil
	}
	n := startNode(t, w)
	busy, _ := n.open("ann", "a", nil)
	id := busy.start("slow", nil)
	<-started
	busy.start("echo", []int{1}) // waits behind it
	unopened := n.dial()
	var clients []*client
	for i := range 20 {
		c, _ := n.open(fmt.Sprint("user", i), "a", nil)
		clients = append(clients, c)
	}
	drained := make(chan error)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	go func() { drained <- n.Drain(ctx) }()
	delays := map[string]bool{}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, c := range append(clients, unopened) {
		wg.Go(func() {
			code, reason := c.closed()
			var ms int
			if _, err := fmt.Sscanf(reason, "retry_ms=%d", &ms); code != wire.CloseDrain || err != nil || ms < 0 || ms > 5000 {
				t.Errorf("closed with %d %q", code, reason)
			}
			mu.Lock()
			delays[reason] = true
			mu.Unlock()
		})
	}
	wg.Wait()
	if len(delays) < 10 {
		t.Errorf("%d different delays", len(delays))
	}
	resp, err := upgrade(n.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("new sockets get %s", resp.Status)
	}
	close(release)
	if m := busy.await(id); string(m.Result) != `"done"` {
		t.Errorf("under way: %+v", m)
	}
	if m := busy.await("3"); string(m.Result) != "[1]" {
		t.Errorf("behind it: %+v", m)
	}
	wantClose(t, busy, wire.CloseDrain)
	if err := <-drained; err != nil {
		t.Errorf("Drain: %v", err)
	}
}

func TestDrain_EndsWithItsContext(t *testing.T) {
	w := newWorld()
	started := make(chan struct{})
	w.ops["stuck"] = func(ctx context.Context, _ wire.Caller, _ json.RawMessage) (json.RawMessage, *wire.Problem) {
		close(started)
		<-ctx.Done() // until Run ends
		return nil, nil
	}
	n := startNode(t, w)
	c, _ := n.open("ann", "a", nil)
	c.start("stuck", nil)
	<-started
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := n.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain: %v", err)
	}
	n.stop()
	wantClose(t, c, 1001)
}

func TestRevoke_ClosesWhatItCovers(t *testing.T) {
	w := newWorld()
	now := time.Now()
	for token, id := range map[string]hub.Identity{
		"ann-old":    {User: "ann", TokenID: "t1", Issued: now.Add(-time.Hour)},
		"ann-new":    {User: "ann", TokenID: "t2", Issued: now},
		"ben-phone":  {User: "ben", TokenID: "t3", Issued: now.Add(-time.Hour)},
		"ann-tablet": {User: "ann", TokenID: "t4", Issued: now.Add(-time.Hour)},
	} {
		w.tokens[token] = id
	}
	devices := map[string]string{"ann-old": "a", "ann-new": "b", "ben-phone": "a", "ann-tablet": "c"}
	for name, tt := range map[string]struct {
		r    hub.Revocation
		gone []string
	}{
		"nothing":        {hub.Revocation{}, nil},
		"only a time":    {hub.Revocation{Before: now.Add(time.Hour)}, nil},
		"user":           {hub.Revocation{User: "ann"}, []string{"ann-old", "ann-new", "ann-tablet"}},
		"user's old":     {hub.Revocation{User: "ann", Before: now.Add(-time.Minute)}, []string{"ann-old", "ann-tablet"}},
		"user's device":  {hub.Revocation{User: "ann", Device: "dev_a"}, []string{"ann-old"}},
		"token":          {hub.Revocation{Token: "t3"}, []string{"ben-phone"}},
		"another's":      {hub.Revocation{User: "ben", Token: "t1"}, nil},
		"device of both": {hub.Revocation{Device: "dev_a"}, []string{"ann-old", "ben-phone"}},
	} {
		t.Run(name, func(t *testing.T) {
			one, two := startTwoNodes(t, w)
			open := map[string]*client{}
			i := 0
			for token, device := range devices {
				c := []*node{one, two}[i%2].dial()
				c.open(token, device, nil)
				open[token] = c
				i++
			}
			if err := one.Revoke(t.Context(), tt.r); err != nil {
				t.Fatal(err)
			}
			for _, token := range tt.gone {
				wantClose(t, open[token], wire.CloseRevoked)
				delete(open, token)
			}
			for token, c := range open {
				if m := c.call("echo", nil); m.Error != nil {
					t.Errorf("%s: %+v", token, m.Error)
				}
			}
		})
	}
}

// mute is a bus that carries nothing.
type mute struct{ broker.Broker }

func (mute) Publish(*broker.Message) error { return nil }

// A token revoked after it was checked and before its session is reachable does not slip in.
func TestRevoke_WhileASessionOpens(t *testing.T) {
	w := newWorld()
	n := startNodeOn(t, w, mute{broker.NewMemory(broker.MemoryConfig{})})
	w.authHook = func() {
		if err := n.Revoke(context.Background(), hub.Revocation{User: "ann"}); err != nil {
			t.Error(err)
		}
	}
	c := n.dial()
	wantCode(t, c.call("session.open", map[string]any{"token": "ann", "device": "dev_a"}), wire.CodeProblem, "token_revoked")
	wantClose(t, c, wire.CloseRevoked)
	w.mu.Lock()
	w.tokens["fresh"] = hub.Identity{User: "ann", Issued: time.Now()}
	w.mu.Unlock()
	again, _ := n.open("fresh", "a", nil)
	w.authHook = func() {
		if err := n.Revoke(context.Background(), hub.Revocation{User: "ann", Token: "t9"}); err != nil {
			t.Error(err)
		}
	}
	w.mu.Lock()
	w.tokens["ninth"] = hub.Identity{User: "ann", TokenID: "t9"}
	w.mu.Unlock()
	wantCode(t, again.call("session.refresh", map[string]string{"token": "ninth"}), wire.CodeProblem, "token_revoked")
	wantClose(t, again, wire.CloseRevoked)
}

// A drain that is undone before its end leaves the sockets it has not come to,
// and the node takes new ones; it can drain again.
func TestReopen_UndoesADrainThatGoesOn(t *testing.T) {
	n := startNode(t, newWorld())
	first, _ := n.open("ann", "a", nil)
	second, _ := n.open("bob", "a", nil)
	ctx, undo := context.WithTimeout(context.Background(), time.Hour)
	drained := make(chan error)
	go func() { drained <- n.Drain(ctx) }()
	gone := make(chan *client, 2)
	for _, c := range []*client{first, second} {
		go func() {
			c.closed()
			gone <- c
		}()
	}
	closed := <-gone // the other one's turn comes in half an hour
	undo()
	if err := <-drained; !errors.Is(err, context.Canceled) {
		t.Errorf("Drain: %v", err)
	}
	n.Reopen()
	again, _ := n.open("ann", "b", nil)
	if again.call("echo", []int{1}); closed == nil {
		t.Error("nobody was closed")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	go func() { drained <- n.Drain(ctx) }()
	again.closed()
	<-gone
	if err := <-drained; err != nil {
		t.Errorf("the second drain: %v", err)
	}
}
