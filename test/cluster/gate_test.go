package cluster_test

import (
	"net"
	"sync"
	"testing"
)

// gate is a TCP proxy on loopback that can stop forwarding without closing
// anything, as a network that has come apart does.
type gate struct {
	addr   string
	target string
	listen net.Listener
	all    sync.WaitGroup

	mu    sync.Mutex
	open  chan struct{} // closed while the gate forwards
	wire  string        // the gate is shut by pulling this network device; none: by holding back
	conns map[net.Conn]struct{}
}

// newGate forwards to target until the test ends.
func newGate(t *testing.T, target string) *gate { t.Helper(); return newGateOn(t, "127.0.0.1", target) }

// newGateOn listens on an address of this machine.
func newGateOn(t *testing.T, host, target string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{addr: l.Addr().String(), target: target, listen: l, open: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	close(g.open)
	g.all.Go(g.accept)
	t.Cleanup(g.end)
	return g
}

func (g *gate) accept() {
	for {
		c, err := g.listen.Accept()
		if err != nil {
			return // closed
		}
		g.all.Go(func() { g.serve(c) })
	}
}

func (g *gate) serve(near net.Conn) {
	defer g.forget(near)
	if !g.keep(near) || !g.pass() {
		return
	}
	far, err := net.Dial("tcp", g.target)
	if err != nil {
		return
	}
	defer g.forget(far)
	if !g.keep(far) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { g.copy(far, near) })
	both.Go(func() { g.copy(near, far) })
	both.Wait()
}

// copy forwards what it reads, holding it back while the gate is shut.
func (g *gate) copy(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && g.pass() {
			_, _ = to.Write(buf[:n]) // the next read tells
		}
		if err != nil {
			g.pass() // nor does the end of a connection get through
			_ = to.Close()
			return
		}
	}
}

// pass waits until the gate is open; false when the test has ended.
func (g *gate) pass() bool {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	<-open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.conns != nil
}

func (g *gate) keep(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns == nil {
		return false
	}
	g.conns[c] = struct{}{}
	return true
}

func (g *gate) forget(c net.Conn) {
	_ = c.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
}

// shut stops forwarding; what is under way waits.
func (g *gate) shut() {
	if g.wire != "" {
		_ = ip("link", "set", g.wire, "down") // what follows tells
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
}

// reopen forwards again, what waited first.
func (g *gate) reopen() {
	if g.wire != "" {
		_ = ip("link", "set", g.wire, "up") // what follows tells
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

func (g *gate) end() {
	_ = g.listen.Close()
	g.mu.Lock()
	for c := range g.conns {
		_ = c.Close()
	}
	g.conns = nil
	g.mu.Unlock()
	g.reopen()
	g.all.Wait()
}
