package turn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// maxReadErrors in a row end a listener: its socket is broken.
const maxReadErrors = 100

// udpReadBuffer holds what arrives while the one reader of a UDP listener is busy.
const udpReadBuffer = 4 << 20

// listener is one socket clients talk to: a UDP socket or an accepting one.
type listener struct {
	s         *Server
	transport transport
	addr      netip.AddrPort
	udp       *net.UDPConn
	tcp       net.Listener
}

// listen opens the socket for t at host:port.
func (s *Server) listen(t transport, hostPort string) (*listener, error) {
	l := &listener{s: s, transport: t}
	if t == overUDP {
		conn, err := net.ListenPacket("udp", hostPort)
		if err != nil {
			return nil, fmt.Errorf("turn: listen %v: %w", t, err)
		}
		l.udp = conn.(*net.UDPConn)
		_ = l.udp.SetReadBuffer(udpReadBuffer) // as much of it as the kernel grants
		l.addr = addrPortOf(conn.LocalAddr())
		return l, nil
	}
	ln, err := net.Listen("tcp", hostPort)
	if err != nil {
		return nil, fmt.Errorf("turn: listen %v: %w", t, err)
	}
	l.tcp = ln
	l.addr = addrPortOf(ln.Addr())
	return l, nil
}

// run serves clients until the socket is closed.
func (l *listener) run(ctx context.Context) error {
	if l.udp != nil {
		return l.runUDP()
	}
	return l.runStreams(ctx)
}

// close closes the socket.
func (l *listener) close() {
	if l.udp != nil {
		_ = l.udp.Close()
		return
	}
	_ = l.tcp.Close()
}

func (l *listener) runUDP() error {
	g := &guard{s: l.s}
	buf := make([]byte, maxPacket+1)
	for failures := 0; failures < maxReadErrors; {
		n, from, err := l.udp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			failures++
			continue
		}
		failures = 0
		g.handle(client{listener: l, addr: unmap(from)}, buf[:n])
	}
	return fmt.Errorf("turn: udp listener %v: too many errors", l.addr)
}

func (l *listener) writeTo(b []byte, to netip.AddrPort) {
	if _, err := l.udp.WriteToUDPAddrPort(b, to); err != nil {
		l.s.metrics.dropped(dropSocket)
	}
}

func (l *listener) runStreams(ctx context.Context) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	for failures := 0; failures < maxReadErrors; {
		conn, err := l.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // out of files, most likely: let some close
			failures++
			if l.s.cfg.Clock.Wait(ctx, l.s.cfg.Clock.Now().Add(50*time.Millisecond)) != nil {
				return nil
			}
			continue
		}
		failures = 0
		if reason := l.s.streams.add(conn); reason != "" {
			l.s.metrics.refused.WithLabelValues(reason).Inc()
			_ = conn.Close()
			continue
		}
		conns.Go(func() {
			defer l.s.streams.remove(conn)
			l.serve(ctx, conn)
		})
	}
	return fmt.Errorf("turn: %v listener %v: too many errors", l.transport, l.addr)
}

// streams counts open connections, all and by source, and can close them all.
type streams struct {
	perIP, total int
	metrics      *metrics

	mu     sync.Mutex
	open   map[net.Conn]netip.Addr
	bySrc  map[netip.Addr]int
	closed bool
}

// add takes conn in, or says why not.
func (s *streams) add(conn net.Conn) (refusal string) {
	src := sourceOf(addrPortOf(conn.RemoteAddr()).Addr())
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed, len(s.open) >= s.total:
		return refuseTotal
	case s.bySrc[src] >= s.perIP:
		return refusePerIP
	}
	s.open[conn] = src
	s.bySrc[src]++
	s.metrics.streams.Inc()
	return ""
}

func (s *streams) remove(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	src, ok := s.open[conn]
	if !ok {
		return
	}
	delete(s.open, conn)
	if s.bySrc[src]--; s.bySrc[src] == 0 {
		delete(s.bySrc, src)
	}
	s.metrics.streams.Dec()
}

// closeAll closes every connection and takes in no more.
func (s *streams) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for conn := range s.open {
		_ = conn.Close()
	}
}

func addrPortOf(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.UDPAddr:
		return unmap(a.AddrPort())
	case *net.TCPAddr:
		return unmap(a.AddrPort())
	}
	return netip.AddrPort{}
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
