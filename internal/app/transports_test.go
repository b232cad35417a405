package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"parley/client"
	"parley/wire"
)

// A payment's whole story, calls included, between a person whose network
// blocks WebSocket and one whose app speaks CBOR.
func TestTransports_StoryOfAPaymentOverSSEAndCBOR(t *testing.T) {
	talkConfirmAndPay(t, client.SSE, client.CBOR)
}

// Three people in one conversation, each on another transport, see the same
// log; each comes back and gets what was missed, once and in order.
func TestTransports_ChatOverCBORAndSSEAndJSON(t *testing.T) {
	n := start(t, t.TempDir())
	people := []*person{n.joinVia(client.CBOR, "buyer", "b1"), n.joinVia(client.SSE, "seller", "s1"), n.joinVia(client.JSON, "buyer", "b2")}
	conv := directWith(people[1], "buyer")
	said := 0
	say := func(p *person) {
		said++
		p.do("messages.send", map[string]any{"conversation": conv, "client_id": fmt.Sprint("m", said), "text": fmt.Sprintf("Nr. %d: grüß dich, 価格は 12.50 € \n\"ok\"?", said)})
	}
	for range 5 {
		for _, p := range people {
			say(p)
		}
	}
	for i, p := range people {
		for seq := 1; seq <= said; seq++ {
			d := p.awaitType("message.created")
			if want := fmt.Sprintf("Nr. %d: grüß dich, 価格は 12.50 € \n\"ok\"?", seq); d["text"] != want {
				t.Fatalf("person %d heard %q, want %q", i, d["text"], want)
			}
		}
	}
	have := int64(said)
	for i, p := range people {
		p.conn.Abort()
		say(people[(i+1)%len(people)])
		p.connect(map[wire.ConversationID]int64{wire.ConversationID(conv): have})
		ev := p.awaitSeq(have + 1)
		if !strings.HasPrefix(ev["text"].(string), fmt.Sprintf("Nr. %d:", said)) {
			t.Errorf("person %d came back to %q", i, ev["text"])
		}
		have++
	}
}

// awaitSeq waits for the entry of that number.
func (p *person) awaitSeq(seq int64) map[string]any {
	p.t.Helper()
	return p.await(fmt.Sprint("entry ", seq), func(ev wire.Event, _ map[string]any) bool { return ev.Seq == seq })
}

// A drained node tells a stream what it tells a socket.
func TestTransports_DrainAndReplacement(t *testing.T) {
	for name, via := range map[string]client.Transport{"cbor": client.CBOR, "sse": client.SSE} {
		t.Run(name, func(t *testing.T) {
			n := start(t, t.TempDir())
			first := n.joinVia(via, "buyer", "b1")
			second := n.join("buyer", "b1")
			<-first.conn.Done()
			if code := first.conn.CloseCode(); code != wire.CloseReplaced {
				t.Errorf("replaced: %d (%v)", code, first.conn.Err())
			}
			third := n.joinVia(via, "seller", "s1")
			n.stop()
			<-third.conn.Done()
			if code := third.conn.CloseCode(); code != wire.CloseDrain {
				t.Errorf("drained: %d (%v)", code, third.conn.Err())
			}
			<-second.conn.Done()
		})
	}
}

// Pages of other origins may use streams as they may use REST.
func TestTransports_StreamsFollowTheOriginsOfREST(t *testing.T) {
	n := start(t, t.TempDir(), "http.origins=https://shop.example")
	for origin, allowed := range map[string]bool{"https://shop.example": true, "https://evil.example": false} {
		for _, method := range []string{http.MethodOptions, http.MethodPost} {
			req, err := http.NewRequestWithContext(context.Background(), method, n.info.URL+"/v1/events/open", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Origin", origin)
			req.Header.Set("Access-Control-Request-Method", http.MethodPost)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if got := res.Header.Get("Access-Control-Allow-Origin"); (got == origin) != allowed {
				t.Errorf("%s %s: allows %q (%s)", origin, method, got, body)
			}
			if method == http.MethodPost && (res.StatusCode == http.StatusOK) != allowed {
				t.Errorf("%s: %d %s", origin, res.StatusCode, body)
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
