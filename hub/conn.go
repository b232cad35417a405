package hub

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
)

// link is the network side of a session.
type link struct {
	net.Conn
	raw syscall.RawConn // nil when the connection is no plain socket (TLS, a pipe)
}

func newLink(c net.Conn) *link {
	l := &link{Conn: c}
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			l.raw = raw
		}
	}
	return l
}

// cut ends the connection without a farewell. It never blocks: a TLS connection
// is cut below its closing alert.
func (l *link) cut() {
	if t, ok := l.Conn.(interface{ NetConn() net.Conn }); ok {
		_ = t.NetConn().Close()
	}
	_ = l.Conn.Close()
}

// tryWrite writes what the socket takes at once, which may be nothing.
func (l *link) tryWrite(b []byte) (int, error) {
	if l.raw == nil {
		return 0, nil
	}
	a := attempts.Get().(*attempt)
	a.buf, a.n, a.err = b, 0, nil
	err := l.raw.Write(a.once)
	n := a.n
	if err == nil {
		err = a.err
	}
	a.buf = nil
	attempts.Put(a)
	return n, err
}

// attempt is one write to a file descriptor, kept for reuse because a closure
// for each would be garbage for each.
type attempt struct {
	buf  []byte
	n    int
	err  error
	once func(fd uintptr) bool
}

var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.once = func(fd uintptr) bool {
		for {
			n, err := syscall.Write(int(fd), a.buf)
			switch {
			case errors.Is(err, syscall.EINTR):
				continue
			case errors.Is(err, syscall.EAGAIN):
				return true
			}
			a.n, a.err = max(n, 0), err
			return true
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
