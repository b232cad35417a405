package hub

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"
)

// Sizes of the buffers that coder/websocket keeps for the life of a connection.
const (
	readBuffer = 512
	// controlBuffer holds the largest control frame, so that the library, which
	// here writes control frames only, hands each over in one Write.
	controlBuffer = 136
)

// link is the network side of a session: the connection as coder/websocket sees
// it. What the library writes (pongs, answers to a close) joins the session's
// own frames in its outbox, so that frames never tear.
type link struct {
	net.Conn
	raw   syscall.RawConn // nil when the connection is no plain socket (TLS, a pipe)
	early []byte          // came with the handshake
	s     *session
	// pending counts the bytes read since the last whole message or ping: many
	// small fragments must not keep a reader busy for nothing. The reader's own.
	pending int
}

func newLink(c net.Conn, early []byte, s *session) *link {
	l := &link{Conn: c, early: early, s: s}
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			l.raw = raw
		}
	}
	return l
}

// Read implements net.Conn; whatever arrives shows that the client lives.
func (l *link) Read(p []byte) (int, error) {
	if len(l.early) > 0 {
		n := copy(p, l.early)
		if l.early = l.early[n:]; len(l.early) == 0 {
			l.early = nil
		}
		return n, nil
	}
	n, err := l.Conn.Read(p)
	if l.pending += n; l.pending > 2*l.s.hub.cfg.MaxFrame+readBuffer {
		return n, errEndless
	}
	if n > 0 {
		l.s.seen.Store(int64(l.s.hub.uptime()))
	}
	return n, err
}

// errEndless says that a client keeps sending without finishing a message.
var errEndless = errors.New("hub: too much sent without finishing a message")

// Write takes a whole control frame from the library.
func (l *link) Write(p []byte) (int, error) {
	frame := append([]byte(nil), p...)
	if p[0] == finClose {
		l.s.farewell(frame)
	} else {
		l.s.push(frame)
	}
	return len(p), nil
}

// cut ends the connection without a farewell. It never blocks: a TLS connection
// is cut below its closing alert.
func (l *link) cut() {
	if t, ok := l.Conn.(interface{ NetConn() net.Conn }); ok {
		_ = t.NetConn().Close()
	}
	_ = l.Conn.Close()
}

// Close implements net.Conn.
func (l *link) Close() error {
	l.cut()
	return nil
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

// lean lets coder/websocket take over a connection with small buffers: it has
// no option for it and would keep net/http's two of 4 KiB.
type lean struct {
	http.ResponseWriter
	s *session
}

// Hijack implements http.Hijacker.
func (w lean) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	var early []byte
	if n := rw.Reader.Buffered(); n > 0 {
		peeked, _ := rw.Reader.Peek(n)
		early = append(early, peeked...)
	}
	l := newLink(c, early, w.s)
	w.s.link = l
	return l, bufio.NewReadWriter(bufio.NewReaderSize(l, readBuffer), bufio.NewWriterSize(l, controlBuffer)), nil
}
