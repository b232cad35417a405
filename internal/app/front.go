package app

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"parley/hub/rawsock"
)

// Bounds of a request, as the front reads it and as net/http does.
const (
	headerTimeout  = 10 * time.Second
	headerMax      = 16 << 10
	frontReadsOnce = 2 << 10
	// frontLooksAt is how much of a request must be there to be answered at once:
	// what browsers send is shorter, without large cookies.
	frontLooksAt = 1 << 10
)

// front takes the node's connections. A handshake for a socket, told by how the
// first packet begins, is read and answered here; all others are for net/http,
// of which front is the listener. net/http keeps 12 KiB, a context and a second
// goroutine for each connection and cannot take them back from one that is taken
// over, which was a sixth of what a connecting socket costs.
type front struct {
	listener net.Listener
	raw      *rawsock.Listener // that has taken it over; nil where it cannot
	silent   *rawsock.Watcher  // of those who have not said anything yet; nil likewise
	handler  http.Handler
	lobby    *lobby
	crowded  func() bool // whoever comes should wait outside
	log      *slog.Logger

	others chan accepted // for net/http
	closed chan struct{}
	close  func() error
	guests sync.WaitGroup
}

type accepted struct {
	conn net.Conn
	err  error
}

// newFront accepts from l, which it closes, until Close is called; handler
// answers handshakes.
func newFront(l net.Listener, handler http.Handler, waiting *lobby, crowded func() bool, log *slog.Logger) *front {
	f := &front{listener: l, handler: handler, lobby: waiting, crowded: crowded, log: log, others: make(chan accepted), closed: make(chan struct{})}
	if w, err := rawsock.NewWatcher(); err == nil {
		if f.raw, _ = rawsock.Over(l); f.raw == nil {
			_ = w.Close()
		} else {
			f.silent = w
		}
	}
	f.close = sync.OnceValue(func() error {
		close(f.closed)
		if f.raw != nil {
			return f.raw.Close()
		}
		return l.Close()
	})
	return f
}

// Accept implements net.Listener with the connections that are no sockets.
func (f *front) Accept() (net.Conn, error) {
	select {
	case a := <-f.others:
		return a.conn, a.err
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (f *front) Close() error { return f.close() }

// Addr implements net.Listener.
func (f *front) Addr() net.Addr { return f.listener.Addr() }

// run accepts until Close; it returns when the connections it has read from are
// answered, handed over or closed.
func (f *front) run() {
	defer f.guests.Wait()
	defer f.lobby.clear()
	if f.silent != nil {
		defer func() { _ = f.silent.Close() }()
		f.guests.Go(f.silent.Run)
		f.guests.Go(f.expire)
	}
	var loops sync.WaitGroup
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		loops.Go(f.accept)
	}
	loops.Wait()
}

// expire closes those who say nothing for too long, until Close.
func (f *front) expire() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			f.lobby.expire(now)
		case <-f.closed:
			return
		}
	}
}

// accept takes one connection after the other. A handshake that is there already
// is answered before the next connection is looked at, so that a crowd waits
// where waiting costs nothing. Its connection never comes to Go's poller.
func (f *front) accept() {
	for {
		f.pause()
		var err error
		if f.raw != nil {
			err = f.acceptRaw()
		} else {
			err = f.acceptOther()
		}
		if err == nil {
			continue
		}
		if !f.hand(accepted{err: err}) || errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// first is what a connection begins with.
type first uint8

const (
	firstNothing first = iota // nothing has come yet
	firstOther                // no request for a socket
	firstPart                 // the beginning of a request for a socket
	firstWhole                // a whole one
)

// acceptRaw answers the next connection if it has asked for a socket. What may
// have to be waited for is waited for elsewhere.
func (f *front) acceptRaw() error {
	raw, err := f.raw.Accept()
	if err != nil {
		return err
	}
	f.receive(raw, nil)
	return nil
}

// receive looks at what a connection has said; v is nil if it was not waited for.
func (f *front) receive(raw *rawsock.Conn, v *visitor) {
	what, err := glance(raw)
	switch {
	case err != nil:
	case what == firstWhole: // nothing is waited for
		f.answer(raw, v)
		return
	case what == firstNothing && v == nil:
		f.await(raw)
		return
	}
	if v != nil && !f.lobby.leave(v) {
		return // it was closed and counted
	}
	var c net.Conn
	if err == nil {
		c, err = raw.Detach()
	}
	switch {
	case err != nil:
		f.lobby.silent.Inc()
		_ = raw.Close()
	case what == firstOther:
		f.pass(c, f.lobby.admit(c))
	default:
		v := f.lobby.admit(c)
		f.guests.Go(func() { f.greet(c, v) })
	}
}

// await has a connection received again when it has said something.
func (f *front) await(raw *rawsock.Conn) {
	v := &visitor{conn: raw, until: time.Now().Add(headerTimeout), close: func() {
		_ = raw.Close()
		f.silent.Forget(raw)
	}}
	f.lobby.seat(v)
	if f.silent.Add(raw, func() { f.receive(raw, v) }) != nil { // or it was closed meanwhile
		f.lose(raw, v)
	}
}

// acceptOther leaves the next connection to net/http.
func (f *front) acceptOther() error {
	c, err := f.listener.Accept()
	if err == nil {
		f.pass(c, f.lobby.admit(c))
	}
	return err
}

// greet waits for what a connection wants.
func (f *front) greet(c net.Conn, v *visitor) {
	_ = c.SetReadDeadline(time.Now().Add(headerTimeout))
	switch what, err := peek(c); {
	case err != nil:
		f.lose(c, v)
	case what == firstOther:
		_ = c.SetReadDeadline(time.Time{})
		f.pass(c, v)
	default:
		f.answer(c, v)
	}
}

// lose gives up a connection that asks for nothing.
func (f *front) lose(c net.Conn, v *visitor) {
	f.lobby.gone(v)
	_ = c.Close()
}

// pass leaves a connection to net/http.
func (f *front) pass(c net.Conn, v *visitor) {
	f.lobby.leave(v)
	if !f.hand(accepted{conn: c}) {
		_ = c.Close()
	}
}

// How long accepting pauses at most for one connection, and how often it looks.
const (
	pauseMost = 50 * time.Millisecond
	pauseLook = time.Millisecond
)

// pause waits while it is crowded inside: the kernel keeps who comes meanwhile.
func (f *front) pause() {
	if !f.crowded() {
		return
	}
	f.lobby.paused.Inc()
	tick := time.NewTicker(pauseLook)
	defer tick.Stop()
	for end := time.Now().Add(pauseMost); f.crowded() && time.Now().Before(end); {
		select {
		case <-tick.C:
		case <-f.closed:
			return
		}
	}
}

// hand gives net/http a connection, or the error that it asks about again.
func (f *front) hand(a accepted) bool {
	select {
	case f.others <- a:
		return true
	case <-f.closed:
		return false
	}
}

// socketLine is how a request for a socket begins.
const socketLine = "GET /v1/socket"

// glance tells what a connection has begun with, and takes nothing of it.
func glance(c *rawsock.Conn) (first, error) {
	var seen [frontLooksAt]byte
	switch n, err := c.Peek(seen[:]); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return firstNothing, nil
	case err != nil:
		return firstNothing, err
	default:
		return judge(seen[:n]), nil
	}
}

// judge tells what a connection begins with.
func judge(seen []byte) first {
	rest, ok := bytes.CutPrefix(seen, []byte(socketLine))
	switch {
	case !ok || len(rest) == 0 || rest[0] != ' ' && rest[0] != '?':
		return firstOther
	case !bytes.Contains(rest, []byte("\r\n\r\n")):
		return firstPart
	}
	return firstWhole
}

var requests = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, frontReadsOnce) }}

// answer reads the handshake's request and has it handled. v is nil if the request
// was there already, else a deadline for reading is set.
func (f *front) answer(c net.Conn, v *visitor) {
	defer func() {
		if p := recover(); p != nil {
			f.log.Error("handshake panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			_ = c.Close()
		}
	}()
	w := &handshake{conn: c, timed: v != nil, left: headerMax, in: requests.Get().(*bufio.Reader)}
	w.in.Reset(w)
	r, err := http.ReadRequest(w.in)
	switch {
	case err == nil && r.Host == "" && r.ProtoAtLeast(1, 1):
		err = errNoHost
		fallthrough
	case err != nil:
		if v != nil {
			f.lobby.gone(v)
		}
		w.refuse(err)
	default:
		if v != nil {
			f.lobby.leave(v)
		}
		r.RemoteAddr = c.RemoteAddr().String()
		f.handler.ServeHTTP(w, r)
	}
	w.finish()
	w.in.Reset(nil)
	requests.Put(w.in)
}

var (
	errTooMuchHeader = errors.New("the request's header is too large")
	errNoHost        = errors.New("the request has no Host header")
)

// handshake is a request for a socket on its way: what the request is read from
// and what it is answered to.
type handshake struct {
	conn   net.Conn
	in     *bufio.Reader
	left   int  // of what may be read
	timed  bool // a deadline for reading is set
	taken  bool
	status int
	header http.Header
	body   bytes.Buffer
}

// Read implements io.Reader within the bound of a header.
func (w *handshake) Read(b []byte) (int, error) {
	if w.left <= 0 {
		return 0, errTooMuchHeader
	}
	n, err := w.conn.Read(b[:min(len(b), w.left)])
	w.left -= n
	return n, err
}

// Header implements http.ResponseWriter.
func (w *handshake) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter.
func (w *handshake) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *handshake) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// Hijack implements http.Hijacker. What it returns to read from is good until
// the handler returns.
func (w *handshake) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.taken = true
	if w.timed {
		_ = w.conn.SetReadDeadline(time.Time{})
	}
	return w.conn, bufio.NewReadWriter(w.in, nil), nil
}

// refuse answers a request that cannot be read; who has gone hears nothing.
func (w *handshake) refuse(err error) {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
	case errors.Is(err, errTooMuchHeader):
		http.Error(w, "Request header fields too large", http.StatusRequestHeaderFieldsTooLarge)
	default:
		http.Error(w, "Bad request: "+err.Error(), http.StatusBadRequest)
	}
}

// finish sends what was not taken over and closes its connection.
func (w *handshake) finish() {
	if w.taken {
		return
	}
	if w.status != 0 {
		w.Header().Set("Connection", "close")
		resp := http.Response{
			StatusCode: w.status, ProtoMajor: 1, ProtoMinor: 1, Header: w.header,
			Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Close: true,
		}
		_ = w.conn.SetDeadline(time.Now().Add(headerTimeout))
		_ = resp.Write(w.conn) // the client may have gone
		if tcp, ok := w.conn.(*net.TCPConn); ok && w.left <= 0 {
			hearOut(tcp)
		}
	}
	_ = w.conn.Close()
}

// hearOut reads on a little while after the answer: closing on who is still
// sending would take the answer away from him.
func hearOut(c *net.TCPConn) {
	_ = c.CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	_, _ = io.CopyN(io.Discard, c, 1<<20)
}
