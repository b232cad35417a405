package turn

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// maxStreamQueue bounds what waits for a slow TCP or TLS client, in bytes;
	// packets beyond it are dropped (dropSlowStream).
	maxStreamQueue = 64 << 10
	// streamWriteTimeout ends a stream whose client takes nothing for so long.
	streamWriteTimeout = 10 * time.Second
)

// stream is one TCP or TLS connection. Its reader owns it; one writer sends
// what everybody else queues, as much at once as has gathered.
type stream struct {
	s      *Server
	conn   net.Conn
	client client

	mu      sync.Mutex
	pending []byte
	wake    chan struct{} // holds one token while pending is not empty
	done    chan struct{} // closed when the reader has ended
}

// serve reads conn until it ends, misbehaves or stays without an allocation
// for SilentAfter, and returns after its writer.
func (l *listener) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	if l.transport == overTLS {
		secure, err := l.handshake(ctx, conn)
		if err != nil {
			l.s.metrics.refused.WithLabelValues(refuseHandshake).Inc()
			return
		}
		conn = secure
	}
	st := &stream{s: l.s, conn: conn, wake: make(chan struct{}, 1), done: make(chan struct{})}
	st.client = client{listener: l, addr: addrPortOf(conn.RemoteAddr()), stream: st}
	st.unsettle()

	var writer sync.WaitGroup
	writer.Go(st.write)
	st.read()
	close(st.done)
	st.close()
	if a := l.s.table.of(st.client); a != nil {
		a.end(endedByStream)
	}
	writer.Wait()
}

// handshake makes conn a TLS one within SilentAfter.
func (l *listener) handshake(ctx context.Context, conn net.Conn) (net.Conn, error) {
	_ = conn.SetDeadline(time.Now().Add(l.s.cfg.SilentAfter))
	secure := tls.Server(conn, l.s.certificate.server)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secure, conn.SetDeadline(time.Time{})
}

// read hands every frame to a guard.
func (st *stream) read() {
	g := &guard{s: st.s}
	r := bufio.NewReaderSize(st.conn, maxPacket)
	for {
		frame, size, err := readFrame(r)
		if err != nil {
			st.explain(err)
			return
		}
		g.handle(st.client, frame)
		_, _ = r.Discard(size)
	}
}

// explain counts why the server itself ended the stream.
func (st *stream) explain(err error) {
	switch {
	case errors.Is(err, errFrame):
		st.s.metrics.refused.WithLabelValues(refuseFrame).Inc()
	case errors.Is(err, os.ErrDeadlineExceeded):
		st.s.metrics.refused.WithLabelValues(refuseSilent).Inc()
	}
}

// send queues one frame, padded (RFC 8656 §12.5), or drops it.
func (st *stream) send(b []byte) {
	st.mu.Lock()
	full := len(st.pending)+len(b)+3 > maxStreamQueue
	if !full {
		st.pending = append(st.pending, b...)
		for len(st.pending)%4 != 0 {
			st.pending = append(st.pending, 0)
		}
	}
	st.mu.Unlock()
	if full {
		st.s.metrics.dropped(dropSlowStream)
		return
	}
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// write sends what is queued until the reader has ended or the client takes no more.
func (st *stream) write() {
	var spare []byte
	for {
		select {
		case <-st.wake:
		case <-st.done:
			return
		}
		st.mu.Lock()
		st.pending, spare = spare[:0], st.pending
		st.mu.Unlock()
		_ = st.conn.SetWriteDeadline(time.Now().Add(streamWriteTimeout))
		if err := st.flush(spare); err != nil {
			st.close()
			return
		}
	}
}

// flush writes queued frames: over TCP all at once, over TLS a record for each,
// since there are clients (coturn's among them) that take a record for a frame.
func (st *stream) flush(frames []byte) error {
	if st.client.listener.transport == overTCP {
		_, err := st.conn.Write(frames)
		return err
	}
	for len(frames) > 0 {
		_, size, _ := frameSize(frames)
		if _, err := st.conn.Write(frames[:size]); err != nil {
			return err
		}
		frames = frames[size:]
	}
	return nil
}

// settle lets the stream be silent while a is in service.
func (st *stream) settle(a *allocation) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !a.ended() {
		_ = st.conn.SetReadDeadline(time.Time{})
	}
}

// unsettle gives the stream SilentAfter to get an allocation. Traffic does not extend it.
func (st *stream) unsettle() {
	st.mu.Lock()
	defer st.mu.Unlock()
	_ = st.conn.SetReadDeadline(time.Now().Add(st.s.cfg.SilentAfter))
}

// close ends the connection at once; the reader notices. A TLS close_notify
// would wait for a client that does not read.
func (st *stream) close() {
	if t, ok := st.conn.(*tls.Conn); ok {
		_ = t.NetConn().Close()
		return
	}
	_ = st.conn.Close()
}
