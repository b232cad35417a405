package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"parley/internal/app"
	"parley/internal/redisdb/redistest"
)

// tail asks a node for a user's messages and returns the next line that match accepts.
func (n *node) tail(t *testing.T, key, user, query string) (status int, next func(match func(app.TailLine) bool) app.TailLine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.info.URL+"/v1/users/"+user+"/tail"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	tr := &http.Transport{}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = resp.Body.Close() // only read
		tr.CloseIdleConnections()
	})
	lines := bufio.NewScanner(resp.Body)
	return resp.StatusCode, func(match func(app.TailLine) bool) app.TailLine {
		t.Helper()
		for lines.Scan() {
			var l app.TailLine
			if len(lines.Bytes()) == 0 {
				continue
			}
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				t.Fatalf("%s: %v", lines.Text(), err)
			}
			if match(l) {
				return l
			}
		}
		t.Fatalf("the line never came: %v", lines.Err())
		return app.TailLine{}
	}
}

func what(way, what string) func(app.TailLine) bool {
	return func(l app.TailLine) bool { return l.Way == way && l.What == what }
}

// What a person says and hears on one node is seen over another, without what
// it says unless that is asked for, and never with a token.
func TestTail_ShowsAUserOverAnotherNode(t *testing.T) {
	twoNodes(t, func(t *testing.T, a, b *node, _ *redistest.Server) {
		buyer, seller := a.join("buyer", "b1"), b.join("seller", "s1")
		conv := directWith(buyer, "seller")
		_, shy := b.tail(t, b.info.Keys.Secret, "buyer", "")
		_, curious := b.tail(t, b.info.Keys.Secret, "buyer", "?bodies=true")
		// A look reaches the other node over the bus: something is said until it is seen.
		done, talked := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(talked)
			for {
				select {
				case <-done:
					return
				default:
					seller.say(conv, "the seller's words")
					buyer.say(conv, "the buyer's words")
					buyer.do("session.refresh", map[string]any{"token": a.token("buyer")})
				}
			}
		}()
		defer func() { close(done); <-talked }()
		for _, want := range []func(app.TailLine) bool{what("in", "messages.send"), what("out", "reply"), what("out", "message.created")} {
			l := shy(want)
			if l.Body != nil || l.Bytes < 10 || l.Device != "dev_b1" || l.Node == "" || l.Way == "out" && l.What == "message.created" && (l.Conversation != conv || l.Seq == 0) {
				t.Errorf("the line %+v", l)
			}
		}
		if l := curious(what("in", "messages.send")); !strings.Contains(string(l.Body), "the buyer's words") {
			t.Errorf("the body %s", l.Body)
		}
		if l := curious(what("in", "session.refresh")); strings.Contains(string(l.Body), a.token("buyer")) || !strings.Contains(string(l.Body), "(hidden)") {
			t.Errorf("the body %s", l.Body)
		}
	})
}

func TestTail_IsForOperatorsOnly(t *testing.T) {
	n := start(t, t.TempDir())
	for _, key := range []string{"", "nonsense", n.token("buyer")} {
		if status, _ := n.tail(t, key, "buyer", ""); status != http.StatusForbidden {
			t.Errorf("%.12s: %d", key, status)
		}
	}
}
