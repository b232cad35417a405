package hub_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"parley/hub"
)

// rawSocketWith makes a handshake by hand, followed in the same packet by more,
// for what a well-behaved client cannot do.
func (n *node) rawSocketWith(more []byte) net.Conn {
	n.t.Helper()
	return n.rawSocketVia(hub.Subprotocol, "", more)
}

// rawSocketVia does the same for a subprotocol and with one more header.
func (n *node) rawSocketVia(subprotocol, header string, more []byte) net.Conn {
	n.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	request := "GET / HTTP/1.1\r\nHost: hub.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " + subprotocol + "\r\n" + header + "\r\n"
	if _, err := conn.Write(append([]byte(request), more...)); err != nil {
		n.t.Fatal(err)
	}
	return conn
}

// readHandshake reads the answer to the handshake and nothing after it.
func readHandshake(t testing.TB, conn net.Conn) {
	t.Helper()
	var head []byte
	for !strings.HasSuffix(string(head), "\r\n\r\n") {
		var b [1]byte
		if _, err := io.ReadFull(conn, b[:]); err != nil {
			t.Fatalf("handshake: %v after %q", err, head)
		}
		head = append(head, b[0])
	}
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(head))), nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake %q: %v", head, err)
	}
	_ = resp.Body.Close()
}

// readFrame reads one frame of a server.
func readFrame(t testing.TB, conn net.Conn) (first byte, payload []byte) {
	t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		t.Fatalf("frame: %v", err)
	}
	n := int(head[1])
	switch n {
	case 126:
		var b [2]byte
		_, _ = io.ReadFull(conn, b[:])
		n = int(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, _ = io.ReadFull(conn, b[:])
		n = int(binary.BigEndian.Uint64(b[:]))
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(conn, payload); err != nil {
		t.Fatalf("frame of %d bytes: %v", n, err)
	}
	return head[0], payload
}

// maskedFrame makes a frame of a client, masked with zeros.
func maskedFrame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

func closeCode(payload []byte) int {
	if len(payload) < 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16(payload))
}

func jsonHas(payload []byte, word string) bool { return strings.Contains(string(payload), word) }

var noDeadline time.Time

// yieldThread lets others run while a benchmark waits for bytes to arrive.
func yieldThread() { runtime.Gosched() }
