package hub

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"
)

// link is the network side of a session: a WebSocket's connection, or a stream
// of server-sent events.
type link interface {
	// Read waits for bytes from the client, or for the end.
	Read(b []byte) (int, error)
	// Write waits until b is taken, or for the deadline, after which it can be
	// tried again if the error is os.ErrDeadlineExceeded.
	Write(b []byte) (int, error)
	SetWriteDeadline(at time.Time) error
	// tryWrite writes what is taken at once, which may be nothing.
	tryWrite(b []byte) (int, error)
	// cut ends the link without a farewell and never blocks.
	cut()
}

// socket is the link of a WebSocket.
type socket struct {
	net.Conn
	raw syscall.RawConn // nil when the connection is no plain socket (TLS, a pipe)
}

func newSocket(c net.Conn) *socket {
	l := &socket{Conn: c}
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			l.raw = raw
		}
	}
	return l
}

// raw is the session's socket, nil when a poller cannot read it.
func (s *session) raw() syscall.RawConn {
	if l, ok := s.link.(*socket); ok {
		return l.raw
	}
	return nil
}

// cut implements link: a TLS connection is cut below its closing alert.
func (l *socket) cut() {
	if t, ok := l.Conn.(interface{ NetConn() net.Conn }); ok {
		_ = t.NetConn().Close()
	}
	_ = l.Conn.Close()
}

// tryWrite implements link. It asks the socket itself, not Go's poller: nobody
// waits, and whoever writes is alone.
func (l *socket) tryWrite(b []byte) (int, error) {
	if l.raw == nil {
		return 0, nil
	}
	a := attempts.Get().(*attempt)
	a.buf, a.n, a.err = b, 0, nil
	err := l.raw.Control(a.once)
	n := a.n
	if err == nil {
		err = a.err
	}
	a.buf = nil
	attempts.Put(a)
	return n, err
}

// writeSoon writes b, waiting for the socket no longer than timeout. Most often it
// takes b at once, and no timer is needed.
func (l *socket) writeSoon(b []byte, timeout time.Duration) error {
	n, err := l.tryWrite(b)
	if err != nil || n == len(b) {
		return err
	}
	if err := l.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := l.Write(b[n:]); err != nil {
		return err
	}
	return l.SetWriteDeadline(time.Time{})
}

// attempt is one write to a file descriptor, kept for reuse because a closure
// for each would be garbage for each.
type attempt struct {
	buf  []byte
	n    int
	err  error
	once func(fd uintptr)
}

var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.once = func(fd uintptr) {
		n, err := writeNow(fd, a.buf)
		for errors.Is(err, syscall.EINTR) {
			n, err = writeNow(fd, a.buf)
		}
		if !errors.Is(err, syscall.EAGAIN) {
			a.n, a.err = max(n, 0), err
		}
	}
	return a
}}

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
