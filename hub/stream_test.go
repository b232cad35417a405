package hub_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"parley/hub"
	"parley/wire"
)

// openedStream posts session.open for ann and does not read the stream yet.
func openedStream(n *node) *sseLine {
	n.t.Helper()
	l := n.dialVia("sse").ws.(*sseLine)
	l.posted = true
	body := `{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"token":"ann","device":"dev_a"}}`
	if status, err := l.post(n.t.Context(), "/v1/events/open", "", []byte(body), &l.opened); err != nil || status != http.StatusOK {
		n.t.Fatalf("open: %d, %v", status, err)
	}
	return l
}

func (l *sseLine) get(t *testing.T, ticket string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.n.url+"/v1/events?ticket="+ticket, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := l.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusOK {
		return res.StatusCode, ""
	}
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

// The ticket may end up in a proxy's log: it is good once, and never for posts.
func TestStream_TicketsAndKeysAreNotInterchangeable(t *testing.T) {
	n := startNode(t, newWorld())
	l := openedStream(n)
	o := l.opened
	echo := []byte(`{"jsonrpc":"2.0","id":2,"method":"echo"}`)
	secret := o.Ticket[strings.Index(o.Ticket, ".")+1:]
	for _, key := range []string{"", "x", secret, o.Ticket} {
		if status, _ := l.post(t.Context(), "/v1/events/"+o.Session, key, echo, nil); status != http.StatusNotFound {
			t.Errorf("post with key %q: %d", key, status)
		}
	}
	for _, ticket := range []string{"", "x", o.Session, o.Session + ".", o.Session + "." + o.Key, "ses_other." + secret} {
		if status, body := l.get(t, ticket); status != http.StatusNotFound || !strings.Contains(body, "stream_unknown") {
			t.Errorf("get with ticket %q: %d %s", ticket, status, body)
		}
	}
	if err := l.listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, _ := l.get(t, o.Ticket); status != http.StatusNotFound {
		t.Errorf("the ticket again: %d", status)
	}
	if status, _ := l.post(t.Context(), "/v1/events/"+o.Session, o.Key, echo, nil); status != http.StatusAccepted {
		t.Errorf("post: %d", status)
	}
}

// Nobody reads the stream: the session is never opened, and its first message is forgotten.
func TestStream_NeverReadIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		n := startPipeNode(t, w)
		l := openedStream(n)
		<-time.After(4 * time.Second)
		if n.counter("parley_hub_unopened") != 1 {
			t.Error("gone too early")
		}
		<-time.After(8 * time.Second)
		synctest.Wait()
		if got := n.counter("parley_hub_closes_total", "reason", "open_timeout"); got != 1 || n.counter("parley_hub_sockets") != 0 || w.asked.Load() != 0 {
			t.Errorf("%v closed, %v sockets, asked %d times", got, n.counter("parley_hub_sockets"), w.asked.Load())
		}
		if status, _ := l.get(t, l.opened.Ticket); status != http.StatusNotFound {
			t.Errorf("stream: %d", status)
		}
	})
}

// A client that only listens is gone after two and a half heartbeats, one that answers them stays.
func TestStream_HeartbeatsKeepItOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startPipeNode(t, newWorld())
		c := n.dialVia("sse")
		c.ctx = context.Background()
		c.open("ann", "a", nil)
		for range 5 {
			c.beat()
			c.send(`{"jsonrpc":"2.0","method":"heartbeat"}`)
		}
		c.must("echo", nil, nil)
		if code, reason := c.closed(); code != 1001 || reason != "no heartbeat" {
			t.Errorf("closed with %d %q", code, reason)
		}
	})
}

// A post whose body never comes holds nothing but its own connection, for a while.
func TestStream_SlowBodyIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startPipeNode(t, newWorld())
		slow, drip := io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.url+"/v1/events/open", slow)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = drip.Write([]byte(`{"jsonrpc":`)) }()
		res, err := n.client.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode != http.StatusBadRequest {
				t.Errorf("answered %d", res.StatusCode)
			}
		}
		_ = drip.Close()
		if n.counter("parley_hub_sockets") != 0 || n.counter("parley_hub_unopened") != 0 {
			t.Error("a session was made for it")
		}
	})
}

func TestStream_OversizeEndsTheSession(t *testing.T) {
	n := startNode(t, newWorld())
	l := openedStream(n)
	if err := l.listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, ws: l, ctx: t.Context()}
	c.await("1")
	if status, _ := l.post(t.Context(), "/v1/events/"+l.opened.Session, l.opened.Key, make([]byte, 100<<10), nil); status != http.StatusRequestEntityTooLarge {
		t.Errorf("post: %d", status)
	}
	wantClose(t, c, 1009)
}

// Proxies must neither keep nor change nor hold back a stream.
func TestStream_HeadersForProxies(t *testing.T) {
	n := startNode(t, newWorld())
	l := openedStream(n)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, n.url+"/v1/events?ticket="+l.opened.Ticket, nil)
	res, err := l.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	for name, want := range map[string]string{"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no", "Content-Type": "text/event-stream"} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	padding := make([]byte, 2048)
	if _, err := io.ReadFull(res.Body, padding); err != nil || padding[0] != ':' || strings.TrimSpace(string(padding[1:])) != "" {
		t.Errorf("begins with %.20q (%v)", padding, err)
	}
}

// Over HTTP/2 the stream and the posts share one connection.
func TestStream_OverHTTP2(t *testing.T) {
	n := startNode(t, newWorld())
	server := &http.Server{Handler: n.handler(), Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	listener := pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	transport := &http.Transport{DialContext: listener.dial, Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(func() { _ = server.Close(); <-served; transport.CloseIdleConnections() })
	h2 := &node{Hub: n.Hub, t: t, url: "http://hub.test", client: &http.Client{Transport: transport}}
	c := h2.dialVia("sse")
	c.open("ann", "a", nil)
	c.must("echo", map[string]int{"a": 1}, nil)
	n.Publish(t.Context(), wire.Event{Type: "x", Data: []byte(`{}`)}, wire.To{User: "ann"})
	if ev := c.event(); ev.Type != "x" {
		t.Errorf("got %+v", ev)
	}
	h2.dialVia("sse").open("ann", "a", nil)
	wantClose(t, c, wire.CloseReplaced)
	eventually(t, "one is left", func() bool { return n.counter("parley_hub_sockets") == 1 })
}

// Compression is agreed on only where it is turned on.
func TestAccept_CompressionIsOffByDefault(t *testing.T) {
	n := startNode(t, newWorld(), func(c *hub.Config) { c.Compression = false })
	resp, err := upgrade(n.url, map[string]string{"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if got := resp.Header.Get("Sec-WebSocket-Extensions"); resp.StatusCode != http.StatusSwitchingProtocols || got != "" {
		t.Errorf("%d, extensions %q", resp.StatusCode, got)
	}
	c := n.dialWith(&websocket.DialOptions{Subprotocols: []string{hub.Subprotocol}, CompressionMode: websocket.CompressionContextTakeover})
	c.open("ann", "a", nil)
	c.must("echo", map[string]string{"text": strings.Repeat("long enough to be compressed ", 100)}, nil)
}

// Who has the key of a stream that nobody holds any longer waits three seconds
// for an answer, and not more than 256 at once.
func TestStream_AskingOtherNodesIsBounded(t *testing.T) {
	const most = 256
	synctest.Test(t, func(t *testing.T) {
		n := startPipeNode(t, newWorld(), func(c *hub.Config) { c.Node = "node_1" })
		l := openedStream(n)
		if err := l.listen(t.Context()); err != nil {
			t.Fatal(err)
		}
		c := &client{t: t, ws: l, ctx: t.Context()}
		c.await("1")
		if status, _ := l.post(t.Context(), "/v1/events/"+l.opened.Session, l.opened.Key, make([]byte, 100<<10), nil); status != http.StatusRequestEntityTooLarge {
			t.Fatalf("post: %d", status)
		}
		wantClose(t, c, 1009)
		<-time.After(10 * time.Second) // it is gone
		began := time.Now()
		var waited, refused atomic.Int64
		var all sync.WaitGroup
		for range most + 10 {
			all.Go(func() {
				status, _ := l.post(t.Context(), "/v1/events/"+l.opened.Session, l.opened.Key, []byte(`{}`), nil)
				switch took := time.Since(began); {
				case status != http.StatusNotFound:
					t.Errorf("answered %d", status)
				case took == 0:
					refused.Add(1)
				case took == 3*time.Second:
					waited.Add(1)
				default:
					t.Errorf("answered after %v", took)
				}
			})
		}
		all.Wait()
		if waited.Load() != most || refused.Load() != 10 {
			t.Errorf("%d waited, %d were refused at once", waited.Load(), refused.Load())
		}
		if silent, many := n.counter("parley_hub_stream_hops_total", "result", "silent"), n.counter("parley_hub_stream_hops_total", "result", "too_many"); silent != most || many != 10 {
			t.Errorf("counted %v and %v", silent, many)
		}
	})
}
