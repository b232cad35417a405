//go:build linux

package hub

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"parley/hub/rawsock"
)

// watchedLine is a line that a running poller watches, and its client.
func watchedLine(t *testing.T) (*line, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	raw, ok := rawsock.Over(l)
	if !ok {
		t.Fatal("not taken over")
	}
	defer func() { _ = raw.Close() }()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := raw.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { p.run(context.Background()) })
	t.Cleanup(func() { _ = client.Close(); _ = c.Close(); _ = p.close(); running.Wait() })
	ln := &line{Conn: c, poller: p}
	s := &session{link: ln, hub: New(Config{}, nil, nil), pollers: &pollers{gone: departures{wake: make(chan struct{}, 1)}}}
	s.reader.Store(readByPoller)
	if err := p.add(s, ln); err != nil {
		t.Fatal(err)
	}
	return ln, client
}

// fill writes until the socket takes no more; what it has taken moves on to the
// client's side for a while.
func fill(t *testing.T, l *line) (n int64) {
	t.Helper()
	for idle := 0; idle < 20; idle++ {
		m, err := l.tryWrite(make([]byte, 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		if n += int64(m); m > 0 {
			idle = 0
		}
		time.Sleep(2 * time.Millisecond)
	}
	return n
}

// awaitWaiting waits until somebody waits to write.
func awaitWaiting(l *line) {
	for l.room.Load() == nil {
		time.Sleep(time.Millisecond)
	}
}

func TestLine_WaitsForRoom(t *testing.T) {
	l, client := watchedLine(t)
	full := fill(t, l)
	const more = 16 << 20
	wrote := make(chan error, 1)
	go func() {
		n, err := l.writeBy(make([]byte, more), time.Now().Add(time.Minute))
		if n != more {
			err = errors.Join(err, io.ErrShortWrite)
		}
		wrote <- err
	}()
	awaitWaiting(l)
	if n, err := io.CopyN(io.Discard, client, full+more); err != nil {
		t.Fatalf("read %d of %d: %v", n, full+more, err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

func TestLine_TheDeadlineEndsTheWait(t *testing.T) {
	l, client := watchedLine(t)
	full := fill(t, l)
	for range 2 { // and it can be tried again
		if n, err := l.writeBy([]byte("x"), time.Now().Add(10*time.Millisecond)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v", n, err)
		}
	}
	if _, err := io.CopyN(io.Discard, client, full); err != nil {
		t.Fatal(err)
	}
	if n, err := l.writeBy([]byte("y"), time.Now().Add(time.Minute)); n != 1 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	b := make([]byte, 1)
	if _, err := io.ReadFull(client, b); err != nil || b[0] != 'y' {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestLine_CuttingEndsTheWait(t *testing.T) {
	l, _ := watchedLine(t)
	fill(t, l)
	wrote := make(chan error, 1)
	go func() {
		_, err := l.writeBy([]byte("x"), time.Now().Add(time.Hour))
		wrote <- err
	}()
	awaitWaiting(l)
	l.cut()
	if err := <-wrote; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
