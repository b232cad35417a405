package hub_test

import (
	"fmt"
	"net"
	"runtime"
	"testing"

	"parley/hub"
)

// rawOpen opens a session on a bare connection, which needs no goroutine.
func (n *node) rawOpen(user string) net.Conn {
	n.t.Helper()
	conn := n.rawSocketWith(maskedFrame(0x81, fmt.Sprintf(
		`{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"token":%q,"device":"dev_a"}}`, user)))
	readHandshake(n.t, conn)
	if _, payload := readFrame(n.t, conn); !jsonHas(payload, `"result"`) {
		n.t.Fatalf("not opened: %s", payload)
	}
	return conn
}

// A socket that says nothing has no goroutine, whether its first message came
// with the handshake or after it.
func TestPoller_IdleSocketsHaveNoGoroutine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("sockets are read by goroutines here")
		return
	}
	n := startNode(t, newWorld(), func(c *hub.Config) { c.MaxPerAddr = -1 })
	n.rawOpen("first") // pollers start with it
	before := runtime.NumGoroutine()
	const count = 300
	conns := make([]net.Conn, count)
	for i := range conns {
		conns[i] = n.rawOpen(fmt.Sprint("user", i))
	}
	// Workers that wait to be used again are no socket's own.
	eventually(t, "goroutines are few", func() bool { return runtime.NumGoroutine() < before+count/2 })
	for i, conn := range conns {
		if _, err := conn.Write(maskedFrame(0x81, `{"jsonrpc":"2.0","id":2,"method":"echo","params":{"a":1}}`)); err != nil {
			t.Fatal(err)
		}
		if _, payload := readFrame(t, conn); !jsonHas(payload, `{"a":1}`) {
			t.Fatalf("socket %d: %s", i, payload)
		}
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	eventually(t, "they are gone", func() bool { return n.counter("parley_hub_sockets") == 1 })
}

// What a client sends in one packet is answered in one frame.
func TestPoller_AnswersToOnePacketShareAFrame(t *testing.T) {
	n := startNode(t, newWorld())
	conn := n.rawOpen("ann")
	var packet []byte
	for range 3 {
		packet = append(packet, maskedFrame(0x81, `nonsense`)...)
	}
	if _, err := conn.Write(packet); err != nil {
		t.Fatal(err)
	}
	if op, payload := readFrame(t, conn); op != 0x81 || payload[0] != '[' {
		t.Errorf("frame %x %s", op, payload)
	}
}
