package hub

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"parley/hub/rawsock"
)

// link is the network side of a session: a WebSocket's connection, or a stream
// of server-sent events.
type link interface {
	// Read waits for bytes from the client, or for the end. A poller reads otherwise.
	Read(b []byte) (int, error)
	// writeBy waits until b is taken, or for the deadline, after which it can be
	// tried again if the error is os.ErrDeadlineExceeded. One at a time may write.
	writeBy(b []byte, deadline time.Time) (int, error)
	// tryWrite writes what is taken at once, which may be nothing.
	tryWrite(b []byte) (int, error)
	// cut ends the link without a farewell and never blocks.
	cut()
}

// socket is the link of a WebSocket whose connection no poller can read: TLS, a
// pipe, or a system without epoll.
type socket struct{ net.Conn }

// writeBy implements link.
func (l socket) writeBy(b []byte, deadline time.Time) (int, error) {
	if err := l.SetWriteDeadline(deadline); err != nil {
		return 0, err
	}
	return l.Write(b)
}

// tryWrite implements link: writing may wait.
func (l socket) tryWrite([]byte) (int, error) { return 0, nil }

// cut implements link: a TLS connection is cut below its closing alert.
func (l socket) cut() {
	if t, ok := l.Conn.(interface{ NetConn() net.Conn }); ok {
		_ = t.NetConn().Close()
	}
	_ = l.Conn.Close()
}

// line is the link of a WebSocket that a poller reads, and watches for whoever
// waits to write.
type line struct {
	*rawsock.Conn
	poller *poller
	room   atomic.Pointer[chan struct{}] // of who waits to write
}

// tryWrite implements link.
func (l *line) tryWrite(b []byte) (int, error) {
	n, err := l.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n, err
}

// writeBy implements link.
func (l *line) writeBy(b []byte, deadline time.Time) (n int, err error) {
	var timer *time.Timer
	for {
		m, err := l.Write(b[n:])
		n += m
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if timer == nil {
			timer = time.NewTimer(time.Until(deadline))
			defer timer.Stop()
		}
		room := make(chan struct{}, 1)
		l.room.Store(&room)
		if err := l.poller.watch(l, true); err != nil {
			return n, err
		}
		select {
		case <-room: // or it was cut, which the next write finds
		case <-timer.C:
			return n, errors.Join(os.ErrDeadlineExceeded, l.poller.watch(l, false))
		}
	}
}

// hasRoom wakes who waits to write.
func (l *line) hasRoom() {
	if room := l.room.Swap(nil); room != nil {
		*room <- struct{}{}
	}
}

// cut implements link.
func (l *line) cut() {
	_ = l.Close()
	l.hasRoom()
}

// linkOf makes the link of a connection. A poller will read it if there are any
// and it is a plain TCP connection.
func (h *Hub) linkOf(c net.Conn) (link, error) {
	switch c.(type) {
	case *rawsock.Conn, *net.TCPConn:
	default:
		return socket{c}, nil
	}
	ps := h.pollers.Load()
	raw, ok := c.(*rawsock.Conn)
	if ps == nil || !ps.ready() {
		if !ok {
			return socket{c}, nil
		}
		detached, err := raw.Detach()
		return socket{detached}, err
	}
	if !ok {
		if raw, ok = rawsock.Take(c); !ok {
			return socket{c}, nil
		}
	}
	return &line{Conn: raw, poller: ps.next()}, nil
}

// hijack takes the connection over from net/http and lets go of its buffers;
// early is what came behind the handshake.
func hijack(w http.ResponseWriter) (c net.Conn, early []byte, err error) {
	var rw *bufio.ReadWriter
	c, rw, err = http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if n := rw.Reader.Buffered(); n > 0 {
		peeked, _ := rw.Reader.Peek(n)
		early = slices.Clone(peeked)
	}
	return c, early, nil
}
