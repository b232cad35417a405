package hub_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"parley/hub"
	"parley/wire"
)

// A client that does not read is closed with 4008 once too much waits for it;
// others are not held up, and it resumes without a loss.
func TestSlow_TooManyBytes(t *testing.T) {
	w := newWorld()
	w.conversation(conv, "ann", "ben")
	n := startNode(t, w, func(c *hub.Config) { c.QueueBytes = 256 << 10 })
	slow := n.dialWith(&websocket.DialOptions{Subprotocols: []string{hub.Subprotocol}, HTTPClient: smallWindow(t)})
	slow.open("ann", "a", nil)
	fast, _ := n.open("ben", "b", nil)
	slow.must("echo", nil, nil) // both are listed as open
	fast.must("echo", nil, nil)
	text := strings.Repeat("x", 50_000)
	count := int64(0)
	for n.counter("parley_hub_closes_total", "reason", "slow_bytes") == 0 && len(n.Sessions()) == 2 {
		count++
		w.write(n, conv, text)
		if ev := fast.event(); ev.Seq != count {
			t.Fatalf("the fast one got %d, want %d", ev.Seq, count)
		}
		if count > 1000 {
			t.Fatal("never closed")
		}
	}
	last := int64(0)
	code := 0
	for code == 0 {
		if _, err := slow.next(); err != nil {
			code, _ = slow.closeOf(err)
		}
		for _, ev := range slow.events {
			if last++; ev.Seq != last {
				t.Fatalf("entry %d, want %d", ev.Seq, last)
			}
		}
		slow.events = nil
	}
	if code != wire.CloseSlow {
		t.Fatalf("closed with %d", code)
	}
	for range 120 { // more than the queue and the kernel hold: reading the log waits for room
		w.write(nil, conv, text)
		count++
	}
	again := n.dialWith(&websocket.DialOptions{Subprotocols: []string{hub.Subprotocol}, HTTPClient: smallWindow(t)})
	o := again.open("ann", "a", map[wire.ConversationID]int64{conv: last})
	if _, from, gap := o.head(conv); from != last+1 || gap {
		t.Fatalf("resumes from %d, gap %v; had %d", from, gap, last)
	}
	for want := last + 1; want <= count; want++ {
		if ev := again.event(); ev.Seq != want {
			t.Fatalf("entry %d, want %d", ev.Seq, want)
		}
	}
	if got := n.counter("parley_hub_closes_total", "reason", "slow_bytes"); got != 1 {
		t.Errorf("%v slow consumers", got)
	}
	eventually(t, "nothing is queued", func() bool { return n.counter("parley_hub_queued_bytes") == 0 })
}

// smallWindow dials connections whose kernel buffers soon fill.
func smallWindow(t *testing.T) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, addr)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(128 << 10)
		}
		return c, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestSlow_TooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startPipeNode(t, newWorld())
		c, _ := n.open("ann", "a", nil)
		n.Publish(t.Context(), wire.Event{Type: "first", Data: []byte("{}")}, wire.To{User: "ann"})
		<-time.After(5 * time.Second)
		n.Publish(t.Context(), wire.Event{Type: "second", Data: []byte("{}")}, wire.To{User: "ann"})
		<-time.After(6 * time.Second)
		if ev := c.event(); ev.Type != "first" { // was on its way already: frames do not tear
			t.Errorf("got %s", ev.Type)
		}
		wantClose(t, c, wire.CloseSlow)
		if len(c.events) != 0 {
			t.Errorf("then %+v", c.events)
		}
		synctest.Wait()
		if got := n.counter("parley_hub_closes_total", "reason", "slow_age"); got != 1 {
			t.Errorf("counted %v", got)
		}
	})
}

// A client that reads in time is no slow consumer, however long it takes over all.
func TestSlow_ReadingInTimeIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startPipeNode(t, newWorld())
		c, _ := n.open("ann", "a", nil)
		for range 20 {
			n.Publish(t.Context(), wire.Event{Type: "x", Data: []byte("{}")}, wire.To{User: "ann"})
			<-time.After(4 * time.Second)
			c.event()
			c.send(`{"jsonrpc":"2.0","method":"heartbeat"}`)
		}
		c.must("echo", nil, nil)
	})
}

// When the whole node has too much queued, whoever has more than its share goes first.
func TestSlow_NodeHasTooMuchQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startPipeNode(t, newWorld(), func(c *hub.Config) { c.TotalQueueBytes = 100 << 10 })
		heavy, _ := n.open("ann", "a", nil)
		light, _ := n.open("ben", "b", nil)
		big := []byte(`"` + strings.Repeat("x", 40_000) + `"`)
		for range 4 {
			n.Publish(t.Context(), wire.Event{Type: "big", Data: big}, wire.To{User: "ann"})
			synctest.Wait()
		}
		n.Publish(t.Context(), wire.Event{Type: "small", Data: []byte("{}")}, wire.To{User: "ben"})
		synctest.Wait()
		wantClose(t, heavy, wire.CloseSlow)
		if ev := light.event(); ev.Type != "small" {
			t.Errorf("got %s", ev.Type)
		}
		light.must("echo", nil, nil)
		synctest.Wait()
		if got := n.counter("parley_hub_closes_total", "reason", "slow_total"); got != 1 {
			t.Errorf("counted %v", got)
		}
	})
}

// A client that is gone without a word, and does not even read the close frame, is cut.
func TestSlow_CloseFrameIsNotWaitedForForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startPipeNode(t, newWorld())
		n.open("ann", "a", nil)
		n.Publish(t.Context(), wire.Event{Type: "x", Data: []byte("{}")}, wire.To{User: "ann"})
		<-time.After(16 * time.Second)
		synctest.Wait()
		if got := n.counter("parley_hub_sockets"); got != 0 {
			t.Errorf("%v sockets", got)
		}
	})
}
