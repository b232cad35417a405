package app

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// While it is crowded inside nobody is let in, who comes waits with the kernel,
// and whoever has waited is answered afterwards.
func TestFront_PausesWhileItIsCrowded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const asks = 3 // so often it is crowded
	asked, go2 := make(chan struct{}), make(chan struct{})
	var n, answered atomic.Int64
	crowded := func() bool {
		if n.Add(1) > asks {
			return false
		}
		asked <- struct{}{}
		<-go2
		return true
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answered.Add(1)
		w.WriteHeader(http.StatusTeapot)
	})
	waiting := newLobby(-1, prometheus.NewRegistry())
	f := newFront(l, handler, waiting, crowded, slog.New(slog.DiscardHandler))
	ended := make(chan struct{})
	go func() { defer close(ended); f.run() }()

	select {
	case <-asked:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody asks whether it is crowded")
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("GET /v1/socket HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	for i := range asks {
		if answered.Load() != 0 || waiting.size() != 0 {
			t.Error("let in while it was crowded")
		}
		go2 <- struct{}{}
		if i < asks-1 {
			<-asked
		}
	}
	var answer [12]byte
	if _, err := c.Read(answer[:]); err != nil || string(answer[:]) != "HTTP/1.1 418" {
		t.Errorf("answered with %q, %v", answer, err)
	}
	if got := testutil.ToFloat64(waiting.paused); got != 1 {
		t.Errorf("%v pauses", got)
	}
	_ = f.Close()
	<-ended
}

// Who has sent a part of a handshake is waited for elsewhere: others are let in.
func TestFront_APartOfAHandshakeHoldsUpNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	f := newFront(l, handler, newLobby(-1, prometheus.NewRegistry()), func() bool { return false }, slog.New(slog.DiscardHandler))
	ended := make(chan struct{})
	go func() { defer close(ended); f.run() }()
	const request = "GET /v1/socket HTTP/1.1\r\nHost: x\r\n\r\n"
	ask := func(text string) net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			_, err = c.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	answered := func(c net.Conn) {
		var answer [12]byte
		if _, err := c.Read(answer[:]); err != nil || string(answer[:]) != "HTTP/1.1 418" {
			t.Errorf("answered with %q, %v", answer, err)
		}
	}
	var slow []net.Conn
	for range runtime.GOMAXPROCS(0) + 1 { // more than accept
		slow = append(slow, ask(request[:30]))
	}
	answered(ask(request))
	for _, c := range slow {
		if _, err := c.Write([]byte(request[30:])); err != nil {
			t.Fatal(err)
		}
		answered(c)
	}
	_ = f.Close()
	<-ended
}

// Who says nothing waits without a goroutine, is answered when it speaks after
// all, and is closed when its time is over.
func TestFront_WaitsForWhoSaysNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	waiting := newLobby(-1, prometheus.NewRegistry())
	f := newFront(l, handler, waiting, func() bool { return false }, slog.New(slog.DiscardHandler))
	ended := make(chan struct{})
	go func() { defer close(ended); f.run() }()
	defer func() { _ = f.Close(); <-ended }()
	await := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("waited in vain until ", what)
			}
		}
	}
	before := runtime.NumGoroutine()
	var clients []net.Conn
	for range 40 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		clients = append(clients, c)
	}
	await("all wait", func() bool { return waiting.size() == len(clients) })
	if n := runtime.NumGoroutine() - before; n >= len(clients) {
		t.Errorf("%d goroutines more", n)
	}
	if _, err := clients[0].Write([]byte("GET /v1/socket HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	var answer [12]byte
	if _, err := clients[0].Read(answer[:]); err != nil || string(answer[:]) != "HTTP/1.1 418" {
		t.Errorf("answered with %q, %v", answer, err)
	}
	_ = clients[1].Close()
	await("the one that left is gone", func() bool { return waiting.size() == len(clients)-2 && testutil.ToFloat64(waiting.silent) == 1 })
	waiting.expire(time.Now().Add(headerTimeout - time.Second))
	if waiting.size() != len(clients)-2 {
		t.Error("closed before its time")
	}
	waiting.expire(time.Now().Add(headerTimeout + time.Second))
	for _, c := range clients[2:] {
		if _, err := c.Read(answer[:]); !errors.Is(err, io.EOF) {
			t.Errorf("who said nothing reads %v", err)
		}
	}
	if n := testutil.ToFloat64(waiting.silent); waiting.size() != 0 || n != float64(len(clients)-1) {
		t.Errorf("%d wait, %v were silent", waiting.size(), n)
	}
}
