package app_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/client"
)

// Ten thousand connections that ask nothing, half of them with a request that
// comes a byte at a time, are held to what is configured; two people chat on.
func TestHostile_HalfOpenConnections(t *testing.T) {
	const attackers, room = 10_000, 300
	n := start(t, t.TempDir(), fmt.Sprint("http.max_waiting=", room), "hub.rate=100000", "hub.burst=100000", "limits.rules=")
	buyer, seller := n.joinVia(client.SSE, "buyer", "b1"), n.join("seller", "s1")
	conv := directWith(seller, "buyer")
	stop := make(chan struct{})
	var took []time.Duration
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := int64(1); ; i++ {
			started := time.Now()
			seller.do("messages.send", map[string]any{"conversation": conv, "client_id": fmt.Sprint("m", i), "text": "hello"})
			buyer.awaitSeq(i)
			took = append(took, time.Since(started))
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	conns := halfOpen(t, strings.TrimPrefix(n.info.URL, "http://localhost"), attackers)
	// One byte more for each: whoever was closed is told so by now.
	for i, c := range conns {
		if i%2 == 0 {
			_, _ = c.Write([]byte("x"))
		}
	}
	waiting, evicted := n.metric("parley_http_waiting"), n.metric(`parley_http_unasked_total{reason="evicted"}`)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	close(stop)
	wg.Wait()
	slices.Sort(took)
	t.Logf("%d half-open: %v wait, %v were closed; both ends and the node use %d MiB; %d messages beside, p99 %v",
		attackers, waiting, evicted, (m.HeapInuse+m.StackInuse)>>20, len(took), took[len(took)*99/100])
	if waiting > room || evicted < attackers-room-10 {
		t.Errorf("%v wait, %v were closed", waiting, evicted)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	again := n.join("seller", "s3")
	again.do("entries.list", map[string]any{"conversation": conv, "after": 0, "limit": 1})
}

// halfOpen connects and sends nothing, or the beginning of a handshake.
func halfOpen(t *testing.T, port string, count int) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, 0, count)
	for i := range count {
		d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%200))}}
		c, err := d.DialContext(context.Background(), "tcp", "127.0.0.1"+port)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		if i%2 == 0 {
			_, _ = c.Write([]byte("GET /v1/socket HTTP/1.1\r\nHost: ")) // may be closed already
		}
		conns = append(conns, c)
	}
	return conns
}

// metric reads one sample of the node's metrics.
func (n *node) metric(name string) float64 {
	n.t.Helper()
	res, err := http.Get(n.info.URL + "/metrics")
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	defer http.DefaultClient.CloseIdleConnections()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			f, err := strconv.ParseFloat(value, 64)
			if err != nil {
				n.t.Fatal(err)
			}
			return f
		}
	}
	n.t.Fatalf("no metric %s", name)
	return 0
}

// A connection that never asks is counted when the server gives up on it, and
// one that has asked makes no room at another's cost.
func TestHostile_WhoHasAskedIsNotEvicted(t *testing.T) {
	n := start(t, t.TempDir(), "http.max_waiting=1")
	c, err := net.Dial("tcp", strings.TrimPrefix(n.info.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ask := func() {
		t.Helper()
		if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	ask()
	for _, idle := range halfOpen(t, n.info.URL[strings.LastIndex(n.info.URL, ":"):], 5) {
		defer func() { _ = idle.Close() }()
	}
	ask()
	p := n.join("buyer", "b1")
	for range 3 {
		if _, err := p.try("conversations.list", map[string]any{}); err != nil {
			t.Error(err)
		}
	}
}
