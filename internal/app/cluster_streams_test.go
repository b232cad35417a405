package app_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"parley/client"
	"parley/internal/redisdb/redistest"
)

// carousel is a proxy that gives each request to the next node.
func carousel(t *testing.T, nodes ...*node) (at string) {
	t.Helper()
	var proxies []http.Handler
	for _, n := range nodes {
		to, err := url.Parse(n.info.URL)
		if err != nil {
			t.Fatal(err)
		}
		p := httputil.NewSingleHostReverseProxy(to)
		p.FlushInterval = -1
		proxies = append(proxies, p)
	}
	var turn atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxies[int(turn.Add(1))%len(proxies)].ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Behind a proxy that knows nothing of streams, each request of a stream is on
// the next node, and the session is whole.
func TestNodes_AStreamsRequestsMayReachAny(t *testing.T) {
	twoNodes(t, func(t *testing.T, a, b *node, _ *redistest.Server) {
		b.awaitNodes(a.info.URL, b.info.URL)
		door := *a
		door.info.SocketURL = "ws" + strings.TrimPrefix(carousel(t, a, b), "http") + "/v1/socket"
		buyer, seller := door.joinVia(client.SSE, "buyer", "b1"), door.joinVia(client.SSE, "seller", "s1")
		conv := directWith(buyer, "seller")
		for i := range 10 {
			buyer.say(conv, fmt.Sprintf("Number %d.", i))
			seller.awaitText(fmt.Sprintf("Number %d.", i))
			seller.say(conv, fmt.Sprintf("Seen %d.", i))
			buyer.awaitText(fmt.Sprintf("Seen %d.", i))
		}
		buyer.hasLog(conv)
		seller.hasLog(conv)
		if hops := a.hops("ok") + b.hops("ok"); hops < 10 {
			t.Errorf("only %v requests were passed on", hops)
		}
		if lost := a.hops("silent") + b.hops("silent") + a.hops("refused") + b.hops("refused"); lost > 0 {
			t.Errorf("%v requests were lost", lost)
		}
	})
}

// hops reads how many requests of streams the node passed on.
func (n *node) hops(result string) (count float64) {
	_, shown := n.request("GET", "/metrics", "", "")
	for line := range strings.Lines(string(shown)) {
		if value, ok := strings.CutPrefix(line, `parley_hub_stream_hops_total{result="`+result+`"} `); ok {
			_, _ = fmt.Sscan(value, &count) // 0 if it is none
		}
	}
	return count
}

// request makes one of a stream's requests at n.
func (n *node) request(method, path, key, body string) (status int, answer []byte) {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.t.Context(), method, n.info.URL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		n.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if answer, err = io.ReadAll(res.Body); err != nil {
		n.t.Fatal(err)
	}
	return res.StatusCode, answer
}

// A node asks no other before the ticket or key is right, and whoever has used
// a ticket has used it everywhere.
func TestNodes_AStreamsSecretsHoldOnAllOfThem(t *testing.T) {
	twoNodes(t, func(t *testing.T, a, b *node, _ *redistest.Server) {
		b.awaitNodes(a.info.URL, b.info.URL)
		open := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"token":%q,"device":"dev_x"}}`, a.token("buyer"))
		status, answer := a.request("POST", "/v1/events/open", "", open)
		var opened struct{ Session, Ticket, Key string }
		if err := json.Unmarshal(answer, &opened); err != nil || status != http.StatusOK {
			t.Fatalf("open: %d %s", status, answer)
		}
		ping := `{"jsonrpc":"2.0","id":2,"method":"devices.list","params":{}}`
		for _, key := range []string{"", "x", opened.Ticket} {
			if status, _ := b.request("POST", "/v1/events/"+opened.Session, key, ping); status != http.StatusNotFound {
				t.Errorf("a post with the key %q: %d", key, status)
			}
		}
		for _, ticket := range []string{opened.Session + ".x", opened.Session + "." + opened.Key, "ses_other" + opened.Ticket[strings.Index(opened.Ticket, "."):]} {
			if status, _ := b.request("GET", "/v1/events?ticket="+ticket, "", ""); status != http.StatusNotFound {
				t.Errorf("a stream with the ticket %q: %d", ticket, status)
			}
		}
		if asked := b.hops("ok") + b.hops("refused") + b.hops("silent"); asked != 0 {
			t.Errorf("%v of them were passed on", asked)
		}
		res, err := http.Get(b.info.URL + "/v1/events?ticket=" + opened.Ticket) //nolint:bodyclose // closed below
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("the stream on the other node: %v, %v", res, err)
		}
		defer func() { _ = res.Body.Close() }()
		for _, n := range []*node{a, b} {
			if status, _ := n.request("GET", "/v1/events?ticket="+opened.Ticket, "", ""); status != http.StatusNotFound {
				t.Errorf("the ticket again: %d", status)
			}
		}
		if status, _ := a.request("POST", "/v1/events/"+opened.Session, opened.Key, ping); status != http.StatusAccepted {
			t.Errorf("a post to the first node: %d", status)
		}
		lines := bufio.NewScanner(res.Body)
		until := func(what string) {
			t.Helper()
			for lines.Scan() {
				if strings.Contains(lines.Text(), what) {
					return
				}
			}
			t.Fatalf("the stream ended before %s: %v", what, lines.Err())
		}
		until(`"session":"` + opened.Session)
		until(`"id":2`)
		if status, _ := a.request("POST", "/v1/events/"+opened.Session, opened.Key, strings.Repeat(" ", 100<<10)); status != http.StatusRequestEntityTooLarge {
			t.Errorf("a large post: %d", status)
		}
		until(`"code":1009`)
		if status, answer := a.request("POST", "/v1/events/"+opened.Session, opened.Key, ping); status != http.StatusNotFound || !strings.Contains(string(answer), "stream_unknown") {
			t.Errorf("a post after the end: %d %s", status, answer)
		}
	})
}
