package hub_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"parley/hub"
	"parley/wire"
)

// What holds for a session holds over each transport.

func TestVia_RequestsAnswersAndEventsInOrder(t *testing.T) {
	overEach(t, func(t *testing.T, via string) {
		w := newWorld()
		w.conversation(conv, "ann", "ben")
		n := startNode(t, w)
		c := n.dialVia(via)
		if o := c.open("ann", "a", nil); o.User != "ann" || o.Device != "dev_a" || o.HeartbeatS != 25 {
			t.Fatalf("opened %+v", o)
		}
		var echoed map[string]any
		c.must("echo", map[string]any{"text": "Grüße \n \"quoted\" <b>&", "n": int64(1) << 53, "f": 0.25, "none": nil, "list": []int{1, 2}}, &echoed)
		if got := fmt.Sprint(echoed); got != "map[f:0.25 list:[1 2] n:9.007199254740992e+15 none:<nil> text:Grüße \n \"quoted\" <b>&]" {
			t.Errorf("echoed %s", got)
		}
		for i := range int64(200) {
			w.write(n, conv, fmt.Sprint("text ", i))
		}
		for i := range int64(200) {
			if ev := c.event(); ev.Seq != i+1 || string(ev.Data) != fmt.Sprintf(`{"text":"text %d"}`, i) {
				t.Fatalf("got %d %s, want %d", ev.Seq, ev.Data, i+1)
			}
		}
		wantCode(t, c.call("nothing.known", nil), wire.CodeUnknownMethod, "operation_unknown")
	})
}

// An integer that a double does not hold arrives as it was.
func TestVia_LargeIntegersStayExact(t *testing.T) {
	overEach(t, func(t *testing.T, via string) {
		n := startNode(t, newWorld())
		c := n.dialVia(via)
		c.open("ann", "a", nil)
		m := c.call("echo", map[string]any{"amount": int64(9007199254740993), "least": int64(-9223372036854775808)})
		if got := string(m.Result); got != `{"amount":9007199254740993,"least":-9223372036854775808}` {
			t.Errorf("echoed %s", got)
		}
	})
}

func TestVia_BatchesAndWhatIsNoRequest(t *testing.T) {
	overEach(t, func(t *testing.T, via string) {
		n := startNode(t, newWorld())
		c := n.dialVia(via)
		c.open("ann", "a", nil)
		c.send(`[{"jsonrpc":"2.0","id":"x","method":"echo","params":{"a":1}},{"jsonrpc":"2.0","method":"echo"},{"jsonrpc":"1.0","id":7,"method":"echo"}]`)
		if m := c.await(`"x"`); string(m.Result) != `{"a":1}` {
			t.Errorf("answer %s", m.Result)
		}
		wantCode(t, c.await("7"), wire.CodeInvalidRequest, "")
		c.send(`{"jsonrpc":`)
		if strings.HasPrefix(via, "cbor") {
			wantClose(t, c, 1003) // the line sends text that is no JSON as it is
			return
		}
		wantCode(t, c.await("null"), wire.CodeParse, "")
		c.must("echo", nil, nil)
	})
}

func TestVia_ResumesWhatItMissed(t *testing.T) {
	overEach(t, func(t *testing.T, via string) {
		w := newWorld()
		w.conversation(conv, "ann", "ben")
		n := startNode(t, w)
		c := n.dialVia(via)
		c.open("ann", "a", nil)
		w.write(n, conv, "one")
		c.event()
		_ = c.ws.CloseNow()
		eventually(t, "the session is gone", func() bool { return n.counter("parley_hub_sockets") == 0 })
		for range 300 {
			w.write(n, conv, strings.Repeat("more ", 100))
		}
		again := n.dialVia(via)
		o := again.open("ann", "a", map[wire.ConversationID]int64{conv: 1})
		if head, from, gap := o.head(conv); head != 301 || from != 2 || gap {
			t.Fatalf("head %d, from %d, gap %v", head, from, gap)
		}
		for want := int64(2); want <= 301; want++ {
			if ev := again.event(); ev.Seq != want {
				t.Fatalf("entry %d, want %d", ev.Seq, want)
			}
		}
	})
}

func TestVia_EndsSayWhatToDo(t *testing.T) {
	for name, tt := range map[string]struct {
		code int
		end  func(t *testing.T, n *node, c *client)
	}{
		"replaced": {wire.CloseReplaced, func(_ *testing.T, n *node, _ *client) { n.open("ann", "a", nil) }},
		"revoked": {wire.CloseRevoked, func(t *testing.T, n *node, _ *client) {
			if err := n.Revoke(t.Context(), hub.Revocation{User: "ann", Before: time.Now().Add(time.Hour)}); err != nil {
				t.Error(err)
			}
		}},
		"drain": {wire.CloseDrain, func(t *testing.T, n *node, _ *client) {
			go func() { _ = n.Drain(t.Context()) }()
		}},
		"rate": {wire.CloseRate, func(_ *testing.T, _ *node, c *client) {
			for range 60 {
				if c.ws.Write(c.ctx, 1, []byte(`{"jsonrpc":"2.0","method":"echo"}`)) != nil {
					return
				}
			}
		}},
		"oversize": {1009, func(_ *testing.T, _ *node, c *client) {
			_ = c.ws.Write(c.ctx, 1, []byte(`{"jsonrpc":"2.0","method":"echo","params":{"a":"`+strings.Repeat("x", 100<<10)+`"}}`))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			overEach(t, func(t *testing.T, via string) {
				n := startNode(t, newWorld(), func(c *hub.Config) {
					if name == "rate" {
						c.Rate, c.Burst, c.RateWarnings = 0.001, 5, 5
					}
				})
				c := n.dialVia(via)
				c.open("ann", "a", nil)
				tt.end(t, n, c)
				reason := wantClose(t, c, tt.code)
				if name == "drain" && !strings.HasPrefix(reason, "retry_ms=") {
					t.Errorf("reason %q", reason)
				}
				_ = c.ws.CloseNow()
				if name == "replaced" {
					return
				}
				eventually(t, "nothing is left", func() bool {
					return n.counter("parley_hub_sockets") == 0 && n.counter("parley_hub_unopened") == 0 && n.counter("parley_hub_queued_bytes") == 0
				})
			})
		})
	}
}

func TestVia_ARefusedTokenIsAnsweredAndClosed(t *testing.T) {
	overEach(t, func(t *testing.T, via string) {
		n := startNode(t, newWorld())
		c := n.dialVia(via)
		wantCode(t, c.call("session.open", map[string]any{"token": "bad", "device": "dev_a"}), wire.CodeProblem, "unauthenticated")
		wantClose(t, c, wire.CloseTokenRefused)
	})
}

// noise makes n letters that compression makes little of.
func noise(n int) string {
	letters := make([]byte, n)
	for i := range letters {
		letters[i] = byte('A' + rand.IntN(26))
	}
	return string(letters)
}

// A client that reads too slowly is closed and resumes without a loss; another is not held up.
func TestVia_SlowConsumer(t *testing.T) {
	overEach(t, func(t *testing.T, via string) {
		w := newWorld()
		w.conversation(conv, "ann", "ben")
		n := startNode(t, w, func(c *hub.Config) { c.QueueBytes = 256 << 10 })
		slow := n.dialVia(via)
		slow.open("ann", "a", nil)
		fast := n.dialVia(via)
		fast.open("ben", "b", nil)
		slow.must("echo", nil, nil)
		fast.must("echo", nil, nil)
		text := noise(50_000)
		count := int64(0)
		for ; n.counter("parley_hub_closes_total", "reason", "slow_bytes") == 0 && len(n.Sessions()) == 2 && count < 2000; count++ {
			w.write(n, conv, text)
			if ev := fast.event(); ev.Seq != count+1 {
				t.Fatalf("the fast one got %d, want %d", ev.Seq, count+1)
			}
		}
		last := int64(0)
		for {
			_, err := slow.next()
			for _, ev := range slow.events {
				if last++; ev.Seq != last {
					t.Fatalf("entry %d, want %d", ev.Seq, last)
				}
			}
			slow.events = nil
			if err == nil {
				continue
			}
			if code, _ := slow.closeOf(err); code != wire.CloseSlow {
				t.Fatalf("closed with %d", code)
			}
			break
		}
		again := n.dialVia(via)
		o := again.open("ann", "a", map[wire.ConversationID]int64{conv: last})
		if _, from, gap := o.head(conv); from != last+1 || gap {
			t.Fatalf("resumes from %d, gap %v; had %d", from, gap, last)
		}
		for want := last + 1; want <= count; want++ {
			if ev := again.event(); ev.Seq != want {
				t.Fatalf("entry %d, want %d", ev.Seq, want)
			}
		}
	})
}
