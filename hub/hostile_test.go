package hub_test

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/hub"
	"parley/wire"
)

// talker is somebody who behaves: what is written to the log is heard.
// How long that takes is told, and that nothing is missing is held.
type talker struct {
	reader *client
	took   []time.Duration
}

func newTalker(n *node, w *world, name string) *talker {
	w.conversation(wire.ConversationID("conv_"+name), wire.UserID(name))
	p := &talker{}
	p.reader, _ = n.open(name, "d", nil)
	return p
}

// chat writes and hears until stop, at least once.
func (p *talker) chat(n *node, w *world, name string, stop <-chan struct{}) {
	for seq := int64(1); ; seq++ {
		started := time.Now()
		w.write(n, wire.ConversationID("conv_"+name), "hello")
		if ev := p.reader.event(); ev.Seq != seq {
			p.reader.t.Errorf("%s heard %d, want %d", name, ev.Seq, seq)
			return
		}
		p.took = append(p.took, time.Since(started))
		select {
		case <-stop:
			return
		default:
		}
	}
}

func (p *talker) p99() time.Duration {
	slices.Sort(p.took)
	return p.took[len(p.took)*99/100]
}

// beside runs an attack while somebody talks, and tells what they noticed.
func beside(t *testing.T, n *node, w *world, attack func()) {
	t.Helper()
	healthy := newTalker(n, w, "zoe")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { healthy.chat(n, w, "zoe", stop) })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	attack()
	runtime.ReadMemStats(&after)
	close(stop)
	wg.Wait()
	t.Logf("a healthy pair: %d messages, p99 %v; memory in use grew by %d KiB",
		len(healthy.took), healthy.p99(), (int64(after.HeapInuse+after.StackInuse)-int64(before.HeapInuse+before.StackInuse))/1024)
	healthy.reader.must("echo", nil, nil)
}

const attackers = 50

// Where compression was agreed on, a message that grows when it is read is cut
// at the largest message there may be; others talk on.
func TestHostile_CompressionBombs(t *testing.T) {
	var bomb bytes.Buffer
	w, err := flate.NewWriter(&bomb, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 64<<20)); err != nil { // some 64 KiB on the wire
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	fits := bomb.String()[:60<<10]
	for name, tt := range map[string]struct {
		send []byte
		code int
	}{
		"in one frame": {maskedFrame(0xC1, fits), 1009},
		"in fragments": {append(maskedFrame(0x41, fits[:100]), maskedFrame(0x80, fits[100:])...), 1009},
		"one of many":  {slices.Repeat(maskedFrame(0xC1, fits[:1000]), 60), 1009},
		"broken":       {maskedFrame(0xC1, "\xff\xff\xff\xff"), 1002},
	} {
		t.Run(name, func(t *testing.T) {
			world := newWorld()
			n := startNode(t, world)
			beside(t, n, world, func() {
				var wg sync.WaitGroup
				for range attackers {
					conn := n.rawSocketVia(hub.Subprotocol, "Sec-WebSocket-Extensions: permessage-deflate\r\n", nil)
					readHandshake(t, conn)
					wg.Go(func() { _, _ = conn.Write(tt.send) }) // fails once it is cut
					wg.Go(func() {
						if op, payload := readFrame(t, conn); op != 0x88 || closeCode(payload) != tt.code {
							t.Errorf("got %x %q, want a close with %d", op, payload, tt.code)
						}
						_ = conn.Close()
					})
				}
				wg.Wait()
			})
			eventually(t, "they are gone", func() bool { return n.counter("parley_hub_sockets") == 1 })
		})
	}
}

// Each attacker is cut with a code that says why, while others talk on.
func TestHostile_FramesAreCutAndOthersTalkOn(t *testing.T) {
	bomb := "\xec\xc1\x01\x00\x00\x00\x80\x90\xfe\xaf\xee\x08" + strings.Repeat("\x00", 200) // deflated zeros
	flood := maskedFrame(0x81, `{"jsonrpc":"2.0","id":1,"method":"echo"}`)
	for name, tt := range map[string]struct {
		send []byte
		code int
	}{
		"compression not agreed on":   {maskedFrame(0xC1, bomb), 1002},
		"compressed continuation":     {append(maskedFrame(0x01, "{"), maskedFrame(0xC0, bomb)...), 1002},
		"fragmented ping":             {maskedFrame(0x09, "x"), 1002},
		"fragmented close":            {maskedFrame(0x08, "\x03\xe8"), 1002},
		"oversize in one frame":       {maskedFrame(0x81, strings.Repeat("x", 100<<10)), 1009},
		"oversize in fragments":       {append(maskedFrame(0x01, strings.Repeat("x", 60<<10)), maskedFrame(0x80, strings.Repeat("x", 60<<10))...), 1009},
		"a length of eight exabytes":  {[]byte{0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}, 1009},
		"fragments without an end":    {append(maskedFrame(0x01, "["), slices.Repeat(maskedFrame(0x00, ""), 40_000)...), 1002},
		"flood":                       {slices.Repeat(flood, 400), wire.CloseRate},
		"flood of a deep nesting":     {slices.Repeat(maskedFrame(0x81, strings.Repeat("[", 5_000)), 200), wire.CloseRate},
		"flood of unknown operations": {slices.Repeat(maskedFrame(0x81, `[`+strings.Repeat(`{"jsonrpc":"2.0","id":1,"method":"no"},`, 49)+`1]`), 300), wire.CloseRate},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			n := startNode(t, w, func(c *hub.Config) { c.Rate, c.Burst, c.RateWarnings, c.OpenTimeout = 1, 20, 10, time.Minute })
			beside(t, n, w, func() {
				var wg sync.WaitGroup
				for range attackers {
					conn := n.rawSocketWith(nil)
					readHandshake(t, conn)
					wg.Go(func() { _, _ = conn.Write(tt.send) }) // fails once it is cut
					wg.Go(func() {
						for {
							op, payload := readFrame(t, conn)
							if op != 0x88 {
								continue
							}
							if got := closeCode(payload); got != tt.code {
								t.Errorf("closed with %d %q, want %d", got, payload, tt.code)
							}
							_ = conn.Close()
							return
						}
					})
				}
				wg.Wait()
			})
			eventually(t, "they are gone", func() bool {
				return n.counter("parley_hub_sockets") == 1 && n.counter("parley_hub_queued_bytes") == 0
			})
		})
	}
}

// Whoever writes a byte at a time is served as everybody is, and whoever stops
// in the middle is cut when the time to open is over.
func TestHostile_SlowWritersAndHalfOpenSessions(t *testing.T) {
	w := newWorld()
	n := startNode(t, w, func(c *hub.Config) { c.OpenTimeout, c.CloseTimeout = 2*time.Second, 100*time.Millisecond })
	beside(t, n, w, func() {
		var wg sync.WaitGroup
		for i := range attackers {
			conn := n.rawSocketWith(nil)
			readHandshake(t, conn)
			frame := maskedFrame(0x81, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"token":"eve%d","device":"dev_a"}}`, i))
			if i%2 == 0 {
				frame = frame[:len(frame)/2]
			}
			wg.Go(func() {
				for _, b := range frame {
					if _, err := conn.Write([]byte{b}); err != nil {
						t.Error(err)
					}
					runtime.Gosched()
				}
				op, payload := readFrame(t, conn)
				if i%2 == 0 && (op != 0x88 || closeCode(payload) != 1008) || i%2 == 1 && !jsonHas(payload, `"user":"eve`) {
					t.Errorf("client %d got %x %q", i, op, payload)
				}
				_ = conn.Close()
			})
		}
		wg.Wait()
	})
}

// Those who do not read are closed once their share is queued; what they cost is bounded.
func TestHostile_SlowReaders(t *testing.T) {
	w := newWorld()
	n := startNode(t, w, func(c *hub.Config) { c.QueueBytes, c.CloseTimeout, c.MaxPerUser = 128<<10, 100*time.Millisecond, -1 })
	for i := range attackers {
		n.dialWith(&websocket.DialOptions{Subprotocols: []string{hub.Subprotocol}, HTTPClient: smallWindow(t)}).open("eve", fmt.Sprint(i), nil)
	}
	beside(t, n, w, func() {
		big := []byte(`"` + strings.Repeat("x", 60<<10) + `"`)
		most := 0.0
		for n.counter("parley_hub_closes_total", "reason", "slow_bytes") < attackers {
			n.Publish(context.Background(), wire.Event{Type: "big", Data: big}, wire.To{User: "eve"})
			most = max(most, n.counter("parley_hub_queued_bytes"))
		}
		if limit := float64(attackers * (128 + 64) << 10); most > limit {
			t.Errorf("%v bytes were queued, over %v", most, limit)
		}
	})
	eventually(t, "they are gone", func() bool { return n.counter("parley_hub_sockets") == 1 })
}

// An address that tries tokens is slowed; what it is told says for how long.
func TestHostile_TokenFlood(t *testing.T) {
	w := newWorld()
	eve := netip.MustParseAddr("203.0.113.9")
	n := startNode(t, w, func(c *hub.Config) {
		c.ClientAddr = func(r *http.Request) netip.Addr {
			if r.Header.Get("X-Test") == "eve" {
				return eve
			}
			return netip.MustParseAddr("198.51.100.1")
		}
	})
	refused := 0
	n.world.deny = func(addr netip.Addr, good bool) error { // as the node's limit of refused tokens does
		if addr != eve || good {
			return nil
		}
		if refused++; refused > 10 {
			return &wire.Problem{Status: http.StatusTooManyRequests, Code: "rate_limited", RetryAfter: 60}
		}
		return nil
	}
	beside(t, n, w, func() {
		codes := map[int]int{}
		for range 40 {
			c := n.dialWith(&websocket.DialOptions{Subprotocols: []string{hub.Subprotocol}, HTTPHeader: http.Header{"X-Test": {"eve"}}})
			c.start("session.open", map[string]any{"token": "bad", "device": "dev_a"})
			code, _ := c.closed()
			codes[code]++
		}
		if codes[wire.CloseTokenRefused] != 10 || codes[wire.CloseRate] != 30 {
			t.Errorf("closed with %v", codes)
		}
	})
	n.open("ann", "a", nil) // from elsewhere
}

// Hostile CBOR ends as hostile JSON does: an answer where it can be one, a close where not.
func TestHostile_CBOR(t *testing.T) {
	for name, tt := range map[string]struct {
		hex  string
		code int // 0: answered with a parse error, and the session goes on
	}{
		"not CBOR": {hex: "1c"}, "a map beyond the end": {hex: "bb7fffffffffffffff"}, "nested too deep": {hex: strings.Repeat("81", 70_000) + "00"},
		"indefinite": {hex: "bf61619f01ffff"}, "a key twice": {hex: "a2616101616102"}, "a tag": {hex: "c11a514b67b0"}, "bytes": {hex: "a1616141ff"},
		"text inside of no UTF-8": {hex: "a1616161ff"},
		"too large as JSON":       {hex: "a1616179" + "9c40" + strings.Repeat("01", 40_000), code: 1009},
		"oversize":                {hex: "a16161" + "7a00019000" + strings.Repeat("61", 0x19000), code: 1009},
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, newWorld())
			c := n.dialVia("cbor")
			c.open("ann", "a", nil)
			raw, err := hex.DecodeString(tt.hex)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.ws.(cborLine).Conn.Write(c.ctx, websocket.MessageBinary, raw); err != nil {
				t.Fatal(err)
			}
			if tt.code != 0 {
				wantClose(t, c, tt.code)
				return
			}
			wantCode(t, c.await("null"), wire.CodeParse, "")
			c.must("echo", nil, nil)
		})
	}
}

// A crowd that opens streams and never reads them is bounded as sockets are.
func TestHostile_StreamsThatNobodyReads(t *testing.T) {
	w := newWorld()
	n := startNode(t, w, func(c *hub.Config) {
		c.OpenTimeout, c.CloseTimeout, c.MaxUnopened = 500*time.Millisecond, 100*time.Millisecond, 20
	})
	l := n.dialVia("sse").ws.(*sseLine)
	beside(t, n, w, func() {
		statuses := map[int]int{}
		for range 200 {
			res, err := l.http.Post(n.url+"/v1/events/open", "application/json", strings.NewReader(`{"jsonrpc":"2.0","method":"heartbeat"}`))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			statuses[res.StatusCode]++
		}
		if statuses[200] < 20 || statuses[503] == 0 {
			t.Errorf("answered %v", statuses)
		}
		eventually(t, "they are cut", func() bool { return n.counter("parley_hub_unopened") == 0 })
	})
}
