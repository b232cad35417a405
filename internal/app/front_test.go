package app_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// raw sends text to the node, in so many pieces, and reads the answer.
func (n *node) raw(text string, pieces int) (*http.Response, *bufio.Reader) {
	n.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(n.info.URL, "http://"))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	for i := range pieces {
		if _, err := io.WriteString(c, text[len(text)*i/pieces:len(text)*(i+1)/pieces]); err != nil {
			n.t.Fatal(err)
		}
	}
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = res.Body.Close() })
	return res, in
}

const (
	upgrade   = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: parley.v1\r\n"
	handshake = "GET /v1/socket HTTP/1.1\r\nHost: localhost\r\n" + upgrade + "\r\n"
)

// Whatever asks for a socket, at once or bit by bit, is answered by the front or
// by net/http as HTTP says.
func TestFront_AnswersHandshakes(t *testing.T) {
	n := start(t, t.TempDir())
	for name, tt := range map[string]struct {
		text   string
		status int
	}{
		"a handshake":             {handshake, http.StatusSwitchingProtocols},
		"with a query":            {strings.Replace(handshake, "socket", "socket?x=1", 1), http.StatusSwitchingProtocols},
		"no WebSocket":            {"GET /v1/socket HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusUpgradeRequired},
		"no subprotocol":          {strings.Replace(handshake, "parley.v1", "other", 1), http.StatusBadRequest},
		"a foreign origin":        {strings.Replace(handshake, "Host:", "Origin: https://evil.example\r\nHost:", 1), http.StatusForbidden},
		"no host":                 {"GET /v1/socket HTTP/1.1\r\n" + upgrade + "\r\n", http.StatusBadRequest},
		"not HTTP":                {"GET /v1/socket\r\n\r\n", http.StatusBadRequest},
		"a header without end":    {"GET /v1/socket HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 20<<10), http.StatusRequestHeaderFieldsTooLarge},
		"another path":            {"GET /v1/sockets HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusNotFound},
		"another method":          {"POST /v1/socket HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", http.StatusNotFound},
		"a short request":         {"GET /l/x HTTP/1.0\r\n\r\n", http.StatusFound},
		"what net/http would say": {"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusOK},
	} {
		for _, pieces := range []int{1, 7} {
			t.Run(fmt.Sprint(name, " in ", pieces), func(t *testing.T) {
				if res, _ := n.raw(tt.text, pieces); res.StatusCode != tt.status {
					t.Errorf("%s, want %d", res.Status, tt.status)
				}
			})
		}
	}
}

// What a client sends behind its handshake, in the same packet, is heard.
func TestFront_KeepsWhatFollowsTheHandshake(t *testing.T) {
	n := start(t, t.TempDir())
	open := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"token":%q,"device":"dev_a"}}`, n.token("buyer"))
	frame := append([]byte{0x81, 0x80 | 126, byte(len(open) >> 8), byte(len(open)), 0, 0, 0, 0}, open...)
	for _, pieces := range []int{1, 3} {
		_, in := n.raw(handshake+string(frame), pieces)
		head := make([]byte, 4)
		if _, err := io.ReadFull(in, head); err != nil {
			t.Fatal(err)
		}
		body := make([]byte, 30)
		if _, err := io.ReadFull(in, body); err != nil || !strings.HasPrefix(string(body), `{"jsonrpc":"2.0","id":1,"resu`) {
			t.Errorf("in %d: %q (%v)", pieces, body, err)
		}
	}
}

// Who is refused while still sending gets the answer nevertheless.
func TestFront_HearsOutWhoIsRefused(t *testing.T) {
	n := start(t, t.TempDir())
	c, err := net.Dial("tcp", strings.TrimPrefix(n.info.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "GET /v1/socket HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 20<<10)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	if _, err := in.Peek(1); err != nil { // it is refused
		t.Fatal(err)
	}
	for range 3 {
		if _, err := io.WriteString(c, "and more"); err != nil {
			t.Fatalf("cut off: %v", err)
		}
		time.Sleep(10 * time.Millisecond) // for a reset to arrive, if there is one
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Fatalf("answered with %v, %v", res, err)
	}
	_ = res.Body.Close()
}
