//go:build linux

package rawsock_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/hub/rawsock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// listen makes a listener that is taken over.
func listen(t *testing.T, addr string) (*rawsock.Listener, string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	raw, ok := rawsock.Over(l)
	if !ok {
		t.Fatal("not taken over")
	}
	t.Cleanup(func() { _ = raw.Close() })
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener that was taken over says %v", err)
	}
	return raw, l.Addr().String()
}

// pair makes a connection and its client.
func pair(t *testing.T, l *rawsock.Listener, addr string) (*rawsock.Conn, net.Conn) {
	t.Helper()
	client, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	_ = client.SetDeadline(time.Now().Add(patience))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, client
}

// eventually tries what never waits until it has something to say.
func eventually(t *testing.T, try func() (int, error)) (int, error) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if n, err := try(); !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
	t.Fatal("waited in vain")
	return 0, nil
}

func TestConn_ReadsWritesAndNeverWaits(t *testing.T) {
	for _, host := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, addr := listen(t, host)
		c, client := pair(t, l, addr)
		if c.RemoteAddr().String() != client.LocalAddr().String() || c.LocalAddr().String() != client.RemoteAddr().String() {
			t.Errorf("is %s from %s, the client is %s at %s", c.LocalAddr(), c.RemoteAddr(), client.LocalAddr(), client.RemoteAddr())
		}
		buf := make([]byte, 100)
		for name, try := range map[string]func([]byte) (int, error){"read": c.Read, "peek": c.Peek} {
			if n, err := try(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s of nothing: %d %v", name, n, err)
			}
		}
		_, _ = client.Write([]byte("hello"))
		for range 2 {
			if n, err := eventually(t, func() (int, error) { return c.Peek(buf) }); err != nil || string(buf[:n]) != "hello" {
				t.Errorf("peeked at %q, %v", buf[:n], err)
			}
		}
		if n, err := c.Read(buf); err != nil || string(buf[:n]) != "hello" {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		big := bytes.Repeat([]byte("x"), 64<<20) // more than both sides' buffers
		n, err := c.Write(big)
		if n <= 0 || n >= len(big) || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d of %d, %v", n, len(big), err)
		}
		_ = c.Close()
		if got, err := io.Copy(io.Discard, client); err != nil || got != int64(n) {
			t.Errorf("the client got %d, %v", got, err)
		}
	}
}

func TestConn_TellsTheEnd(t *testing.T) {
	l, addr := listen(t, "127.0.0.1:0")
	c, client := pair(t, l, addr)
	_ = client.Close()
	if _, err := eventually(t, func() (int, error) { return c.Peek(make([]byte, 1)) }); !errors.Is(err, io.EOF) {
		t.Errorf("peeked: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	_, peeked := c.Peek(make([]byte, 1))
	_, read := c.Read(make([]byte, 1))
	_, wrote := c.Write([]byte("x"))
	_, detached := c.Detach()
	for _, err := range []error{c.Close(), peeked, read, wrote, detached, c.Control(func(int) error { t.Error("ran"); return nil })} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	_ = l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after Close: %v", err)
	}
}

// What is accepted sends small messages at once, as package net's connections do.
func TestListener_HandsDownNoDelay(t *testing.T) {
	l, addr := listen(t, "127.0.0.1:0")
	c, _ := pair(t, l, addr)
	err := c.Control(func(fd int) error {
		v, err := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY)
		if v == 0 {
			t.Error("it waits for more")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestListener_CloseEndsTheWait(t *testing.T) {
	l, _ := listen(t, "127.0.0.1:0")
	ended := make(chan error, 1)
	go func() { _, err := l.Accept(); ended <- err }()
	time.Sleep(10 * time.Millisecond) // most likely it waits by now
	_ = l.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// A connection changes hands both ways, with what has come and not been read.
func TestConn_ChangesHands(t *testing.T) {
	l, addr := listen(t, "127.0.0.1:0")
	c, client := pair(t, l, addr)
	_, _ = client.Write([]byte("one"))
	nc, err := c.Detach()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(patience))
	buf := make([]byte, 10)
	if n, err := nc.Read(buf); err != nil || string(buf[:n]) != "one" {
		t.Fatalf("read %q, %v", buf[:n], err)
	}
	back, ok := rawsock.Take(nc)
	if !ok {
		t.Fatal("not taken")
	}
	defer func() { _ = back.Close() }()
	if _, err := nc.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("who gave it away writes: %v", err)
	}
	if back.RemoteAddr().String() != client.LocalAddr().String() {
		t.Errorf("from %s, is %s", back.RemoteAddr(), client.LocalAddr())
	}
	_, _ = client.Write([]byte("two"))
	if n, err := eventually(t, func() (int, error) { return back.Read(buf) }); err != nil || string(buf[:n]) != "two" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if _, err := back.Write([]byte("three")); err != nil {
		t.Error(err)
	}
	if n, err := client.Read(buf); err != nil || string(buf[:n]) != "three" {
		t.Errorf("the client read %q, %v", buf[:n], err)
	}
	near, far := net.Pipe()
	defer func() { _, _ = near.Close(), far.Close() }()
	if _, ok := rawsock.Take(near); ok {
		t.Error("a pipe was taken")
	}
}

// However closing and writing fall together, nobody writes to the connection
// that has the same descriptor next.
func TestConn_NobodyMeetsAnothersDescriptor(t *testing.T) {
	l, addr := listen(t, "127.0.0.1:0")
	var all sync.WaitGroup
	for round := range 100 {
		c, client := pair(t, l, addr)
		own := byte(round)
		for range 3 {
			all.Go(func() {
				for {
					if _, err := c.Write([]byte{own}); errors.Is(err, net.ErrClosed) {
						return
					}
				}
			})
		}
		all.Go(func() {
			got, _ := io.ReadAll(io.LimitReader(client, 10<<10))
			_ = c.Close()
			rest, _ := io.ReadAll(client)
			for _, b := range append(got, rest...) {
				if b != own {
					t.Errorf("connection %d got a byte of %d", own, b)
					return
				}
			}
		})
		if round%8 == 0 {
			all.Wait()
		}
	}
	all.Wait()
}

// A watcher calls once, for bytes or the end, and not for who was closed here.
func TestWatcher_TellsOfTheFirstBytes(t *testing.T) {
	w, err := rawsock.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(w.Run)
	defer func() { _ = w.Close(); running.Wait() }()
	l, addr := listen(t, "127.0.0.1:0")
	told := make(chan string, 100)
	watch := func(name string) (*rawsock.Conn, net.Conn) {
		c, client := pair(t, l, addr)
		if err := w.Add(c, func() { told <- name }); err != nil {
			t.Fatal(err)
		}
		return c, client
	}
	next := func() string {
		select {
		case name := <-told:
			return name
		case <-time.After(patience):
			return "nobody"
		}
	}
	gone, _ := watch("closed here")
	_ = gone.Close()
	w.Forget(gone)
	if err := w.Add(gone, func() {}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("added what is closed: %v", err)
	}
	speaks, speaker := watch("speaks")
	_, leaver := watch("leaves")
	_, _ = speaker.Write([]byte("x"))
	if got := next(); got != "speaks" {
		t.Errorf("told of %s", got)
	}
	_, _ = speaker.Write([]byte("y")) // nobody asked for more
	_ = leaver.Close()
	if got := next(); got != "leaves" {
		t.Errorf("told of %s", got)
	}
	if err := w.Add(speaks, func() { told <- "again" }); err != nil {
		t.Fatal(err)
	}
	if got := next(); got != "again" || len(told) != 0 {
		t.Errorf("told of %s and %d more", got, len(told))
	}
	if n, err := speaks.Read(make([]byte, 10)); n != 2 || err != nil {
		t.Errorf("%d bytes were left, %v", n, err)
	}
}

func ExampleConn() {
	plain, _ := net.Listen("tcp", "127.0.0.1:0")
	l, ok := rawsock.Over(plain)
	if !ok {
		return
	}
	defer func() { _ = l.Close() }()
	client, _ := net.Dial("tcp", plain.Addr().String())
	defer func() { _ = client.Close() }()
	c, _ := l.Accept()
	defer func() { _ = c.Close() }()
	_, err := c.Read(make([]byte, 1)) // an epoll of one's own says when there is something
	fmt.Println(err)
	// Output: i/o timeout
}
