package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/hub"
	"parley/wire"
)

func upgrade(url string, header map[string]string) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Protocol": {hub.Subprotocol},
	}
	for k, v := range header {
		if v == "" {
			req.Header.Del(k)
		} else {
			req.Header.Set(k, v)
		}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return client.Do(req)
}

func TestAccept_HandshakesThatAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		header map[string]string
		option option
		status int
		code   string
	}{
		"plain request":        {header: map[string]string{"Upgrade": ""}, status: 426, code: "websocket_required"},
		"no subprotocol":       {header: map[string]string{"Sec-Websocket-Protocol": ""}, status: 400, code: "subprotocol_required"},
		"other subprotocol":    {header: map[string]string{"Sec-Websocket-Protocol": "parley.v0, chat"}, status: 400, code: "subprotocol_required"},
		"foreign page":         {header: map[string]string{"Origin": "https://evil.example"}, status: 403, code: "origin_not_authorized"},
		"page of no host":      {header: map[string]string{"Origin": "null"}, status: 403, code: "origin_not_authorized"},
		"other scheme":         {header: map[string]string{"Origin": "http://shop.example"}, option: func(c *hub.Config) { c.Origins = []string{"https://shop.example"} }, status: 403, code: "origin_not_authorized"},
		"address has too many": {option: func(c *hub.Config) { c.MaxPerAddr = 1 }, status: 429, code: "too_many_connections"},
		"too many unopened":    {option: func(c *hub.Config) { c.MaxUnopened = 1 }, status: 503, code: "node_busy"},
		"node is full":         {option: func(c *hub.Config) { c.MaxSockets = 1 }, status: 503, code: "node_busy"},
	} {
		t.Run(name, func(t *testing.T) {
			var options []option
			if tt.option != nil {
				options = append(options, tt.option)
			}
			n := startNode(t, newWorld(), options...)
			n.dial() // takes the only place where there is one
			resp, err := upgrade(n.url, tt.header)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			var p wire.Problem
			if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status || p.Code != tt.code || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d %s %q, want %d %s", resp.StatusCode, p.Code, resp.Header.Get("Content-Type"), tt.status, tt.code)
			}
			if got := n.counter("parley_hub_refused_total", "code", tt.code); got != 1 {
				t.Errorf("counted %v refusals", got)
			}
		})
	}
}

func TestAccept_OriginsThatAreAllowed(t *testing.T) {
	n := startNode(t, newWorld(), func(c *hub.Config) { c.Origins = []string{"*.shop.example", "https://pay.example:8443"} })
	for _, origin := range []string{"", n.url, "https://www.shop.example", "https://WWW.Shop.Example", "https://pay.example:8443"} {
		resp, err := upgrade(n.url, map[string]string{"Origin": origin})
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-Websocket-Protocol") != hub.Subprotocol {
			t.Errorf("origin %q: %s", origin, resp.Status)
		}
	}
}

func TestAccept_PlacesAreGivenBack(t *testing.T) {
	n := startNode(t, newWorld(), func(c *hub.Config) { c.MaxPerAddr, c.MaxSockets, c.MaxUnopened = 1, 1, 1 })
	for range 5 {
		c := n.dial()
		_ = c.ws.Close(websocket.StatusNormalClosure, "")
		eventually(t, "the socket is gone", func() bool { return n.counter("parley_hub_sockets") == 0 })
	}
	c, _ := n.open("ann", "a", nil)
	eventually(t, "it counts as opened", func() bool { return n.counter("parley_hub_unopened") == 0 })
	_ = c.ws.CloseNow()
	eventually(t, "the socket is gone", func() bool { return n.counter("parley_hub_sockets") == 0 })
	if got := n.counter("parley_hub_unopened"); got != 0 {
		t.Errorf("%v unopened", got)
	}
}

// What comes in the same packet as the handshake is not lost with net/http's buffer.
func TestAccept_FrameRightBehindTheHandshake(t *testing.T) {
	n := startNode(t, newWorld())
	conn := n.rawSocketWith(maskedFrame(0x81, `{"jsonrpc":"2.0","id":1,"method":"nope"}`))
	readHandshake(t, conn)
	if _, payload := readFrame(t, conn); !jsonHas(payload, "session_not_open") {
		t.Errorf("got %s", payload)
	}
}

func TestAccept_ClientThatNeverFinishesAMessage(t *testing.T) {
	n := startNode(t, newWorld(), func(c *hub.Config) { c.MaxFrame = 1000 })
	conn := n.rawSocketWith(nil)
	readHandshake(t, conn)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = conn.Write(maskedFrame(0x01, "["))
		empty := maskedFrame(0x00, "")
		for range 10_000 {
			if _, err := conn.Write(empty); err != nil {
				return
			}
		}
	}()
	op, payload := readFrame(t, conn)
	if op != 0x88 || closeCode(payload) != 1002 {
		t.Errorf("frame %x %q", op, payload)
	}
	_ = conn.Close()
	<-done
	eventually(t, "it counts", func() bool { return n.counter("parley_hub_closes_total", "reason", "protocol") == 1 })
}

// A client that breaks the protocol still gets to read why, though it goes on sending.
func TestAccept_BrokenFramesAreAnsweredWithAClose(t *testing.T) {
	oversize := maskedFrame(0x81, string(make([]byte, 200_000)))
	for name, tt := range map[string]struct {
		bytes  []byte
		code   int
		reason string
	}{
		"unmasked":           {[]byte{0x81, 2, '{', '}'}, 1002, "protocol"},
		"reserved bit":       {maskedFrame(0xC1, "{}"), 1002, "protocol"},
		"unknown opcode":     {maskedFrame(0x83, "{}"), 1002, "protocol"},
		"stray continuation": {maskedFrame(0x80, "{}"), 1002, "protocol"},
		"long ping":          {maskedFrame(0x89, string(make([]byte, 126))), 1002, "protocol"},
		"binary":             {maskedFrame(0x82, "{}"), 1003, "not_text"},
		"not UTF-8":          {maskedFrame(0x81, "\"\xff\""), 1007, "not_text"},
		"oversize":           {oversize, 1009, "oversize"},
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, newWorld())
			conn := n.rawSocketWith(nil)
			readHandshake(t, conn)
			// All of it is written before anything is read: had the server hung
			// up meanwhile, its close frame would be gone.
			if _, err := conn.Write(append(tt.bytes, make([]byte, 8<<20)...)); err != nil {
				t.Fatal(err)
			}
			op, payload := readFrame(t, conn)
			if op != 0x88 || closeCode(payload) != tt.code {
				t.Errorf("frame %x %q, want close %d", op, payload, tt.code)
			}
			_ = conn.(*net.TCPConn).CloseWrite()
			eventually(t, "it counts", func() bool { return n.counter("parley_hub_closes_total", "reason", tt.reason) == 1 })
		})
	}
}

// A client that does not answer the close frame is cut.
func TestAccept_UnansweredCloseIsCut(t *testing.T) {
	n := startNode(t, newWorld(), func(c *hub.Config) { c.CloseTimeout, c.OpenTimeout = 50*time.Millisecond, time.Hour })
	conn := n.rawSocketWith(maskedFrame(0x82, "binary"))
	readHandshake(t, conn)
	if op, payload := readFrame(t, conn); op != 0x88 || closeCode(payload) != 1003 {
		t.Errorf("frame %x %q", op, payload)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("then %v", err)
	}
}

// Pongs come from the library and events from the hub: their frames must not tear each other.
func TestAccept_PongsAndEventsShareTheSocketWhole(t *testing.T) {
	n := startNode(t, newWorld())
	conn := n.rawSocketWith(maskedFrame(0x81, `{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"token":"ann","device":"dev_a"}}`))
	readHandshake(t, conn)
	readFrame(t, conn)
	const count = 300
	ping := strings.Repeat("p", 125)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range count {
			if _, err := conn.Write(maskedFrame(0x89, ping)); err != nil {
				return
			}
			n.Publish(context.Background(), wire.Event{Type: "x", Data: []byte(`{"a":1}`)}, wire.To{User: "ann"})
		}
	}()
	for pongs, events := 0, 0; pongs < count || events < count; {
		switch op, payload := readFrame(t, conn); {
		case op == 0x8A && string(payload) == ping:
			pongs++
		case op == 0x81 && json.Valid(payload):
			events += strings.Count(string(payload), `"method":"event"`)
		default:
			t.Fatalf("frame %x %q", op, payload)
		}
	}
	<-sent
}
