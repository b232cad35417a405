package turn

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
)

// errNoPort is what ports.open answers when the range is used up.
var errNoPort = errors.New("turn: no relay port left")

// maxForeignPorts is how many ports of the range held by other programs one
// allocation steps over before it gives up.
const maxForeignPorts = 64

// ports opens relay sockets on one address and keeps which ports of the range
// are free: a shuffled queue, so that a port is hard to guess, found at once
// however full the range is, and reused as late as possible.
type ports struct {
	bind netip.Addr

	mu   sync.Mutex
	free []uint16
}

func newPorts(bind netip.Addr, first, last uint16) *ports {
	p := &ports{bind: bind}
	for n := int(first); n <= int(last); n++ {
		p.free = append(p.free, uint16(n))
	}
	rand.Shuffle(len(p.free), func(i, j int) { p.free[i], p.free[j] = p.free[j], p.free[i] })
	return p
}

// open listens on the next free port, on an even one if asked. The caller
// gives the port back with release after closing the socket.
func (p *ports) open(even bool) (*net.UDPConn, uint16, error) {
	for range maxForeignPorts {
		port, ok := p.take(even)
		if !ok {
			return nil, 0, errNoPort
		}
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.bind, port)))
		if err == nil {
			return conn, port, nil
		}
		p.release(port)
	}
	return nil, 0, errNoPort
}

func (p *ports) take(even bool) (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, port := range p.free {
		if even && port%2 != 0 {
			continue
		}
		p.free[i] = p.free[0]
		p.free = p.free[1:]
		return port, true
	}
	return 0, false
}

func (p *ports) release(port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, port)
}
