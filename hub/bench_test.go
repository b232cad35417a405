package hub_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"parley/hub"
	"parley/wire"
	"parley/wire/jsoncbor"
)

// drainingSocket opens a session over a bare connection and counts the bytes
// that come after, without allocating.
func drainingSocket(n *node, subprotocol, user string, received *atomic.Int64) {
	open := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"token":%q,"device":"dev_a"}}`, user)
	frame := maskedFrame(0x81, open)
	if subprotocol == hub.SubprotocolCBOR {
		body, err := jsoncbor.FromJSON([]byte(open))
		if err != nil {
			n.t.Fatal(err)
		}
		frame = maskedFrame(0x82, string(body))
	}
	conn := n.rawSocketVia(subprotocol, "", frame)
	_ = conn.SetDeadline(noDeadline)
	readHandshake(n.t, conn)
	readFrame(n.t, conn)
	go func() {
		buf := make([]byte, 16<<10)
		for {
			k, err := conn.Read(buf)
			received.Add(int64(k))
			if err == io.EOF || err != nil {
				return
			}
		}
	}()
}

// BenchmarkFanout publishes 256-byte signals to many sockets: b.N events, inflight at a time.
// ns and allocations are reported per delivery; the reading side runs in the same process.
func BenchmarkFanout(b *testing.B) {
	for _, subs := range []int{100, 1000} {
		for _, inflight := range []int{1, 16} {
			for name, sub := range map[string]string{"json": hub.Subprotocol, "cbor": hub.SubprotocolCBOR} {
				b.Run(fmt.Sprintf("subs=%d/inflight=%d/%s", subs, inflight, name), func(b *testing.B) { benchFanout(b, sub, subs, inflight) })
			}
		}
	}
}

func benchFanout(b *testing.B, subprotocol string, subs, inflight int) {
	n := startNode(b, newWorld(), func(c *hub.Config) { c.MaxPerAddr = -1 })
	var received atomic.Int64
	to := make([]wire.To, subs)
	for i := range to {
		user := fmt.Sprint("user", i)
		to[i] = wire.To{User: wire.UserID(user)}
		drainingSocket(n, subprotocol, user, &received)
	}
	eventually(b, "all are open", func() bool { return len(n.Sessions()) == subs })
	ev := wire.Event{Type: "typing", Conversation: conv, Data: []byte(`{"pad":"` + strings.Repeat("x", 130) + `"}`)}
	n.Publish(context.Background(), ev, to...)
	var size int64
	eventually(b, "the first came", func() bool {
		size = received.Load() / int64(subs)
		return size > 0 && received.Load()%int64(subs) == 0 && size > 200
	})
	wait := func(total int64) {
		for received.Load() < total*size*int64(subs) {
			yieldThread()
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	done := int64(1)
	for b.Loop() {
		for range inflight {
			n.Publish(context.Background(), ev, to...)
		}
		done += int64(inflight)
		wait(done)
	}
	deliveries := float64(b.N * inflight * subs)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/deliveries, "ns/delivery")
	b.ReportMetric(float64(size), "bytes/delivery")
}
