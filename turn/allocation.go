package turn

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// maxGrants caps permissions and channels of one allocation, each.
const maxGrants = 64

// ending says why an allocation ended; it is a metric label.
type ending string

const (
	endedByEngine  ending = "lifetime" // its lifetime ran out or the client gave it up
	endedByStream  ending = "stream"   // its TCP or TLS connection ended
	endedByRevoke  ending = "revoked"
	endedByExpiry  ending = "expired" // its credential ran out
	endedByFailure ending = "failed"  // it was never given to the client, or its socket broke
)

// grants are the peers and channels of an allocation. They are replaced as a
// whole, so that packets read them without a lock.
type grants struct {
	peers    map[netip.Addr]bool
	byNumber map[uint16]netip.AddrPort
	byPeer   map[netip.AddrPort]uint16
}

// allocation is one client's relay: a socket towards peers and what may pass
// through it. pion decides how long it lives; end ends it sooner.
type allocation struct {
	s      *Server
	client client
	id     identity       // of the request that made it
	made   [12]byte       // that request's transaction
	life   time.Duration  // and the lifetime it was answered with
	source *net.UDPAddr   // what pion knows it by
	relay  netip.AddrPort // as clients and peers see it
	sock   *net.UDPConn
	ports  *ports
	port   uint16

	expires  atomic.Int64 // unix seconds of the newest credential used
	up, down bucket
	grants   atomic.Pointer[grants]
	mu       sync.Mutex // orders writers of grants

	endOnce, releaseOnce sync.Once
	gone                 chan struct{} // closed by end
}

// newAllocation opens a relay socket for the client that asks in r.
func (r *request) newAllocation(six, even bool) (*allocation, error) {
	s := r.g.s
	pool, external := s.ports4, s.cfg.ExternalIP
	if six {
		pool, external = s.ports6, s.cfg.ExternalIP6
	}
	sock, port, err := pool.open(even)
	if err != nil {
		return nil, err
	}
	a := &allocation{
		s: s, client: r.client, id: r.id, sock: sock, ports: pool, port: port,
		relay:  netip.AddrPortFrom(external, port),
		made:   r.msg.id,
		life:   r.lifetime(),
		source: s.engine.source(),
		gone:   make(chan struct{}),
	}
	now := s.cfg.Clock.Now()
	a.up.fill(s.cfg.Bandwidth, now)
	a.down.fill(s.cfg.Bandwidth, now)
	a.expires.Store(r.id.expires.Unix())
	a.grants.Store(&grants{})
	s.live.Add(1) // until release
	return a, nil
}

// change replaces the grants by a changed copy.
func (a *allocation) change(f func(*grants)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.grants.Load()
	next := &grants{
		peers:    cloned(old.peers),
		byNumber: cloned(old.byNumber),
		byPeer:   cloned(old.byPeer),
	}
	f(next)
	a.grants.Store(next)
}

func cloned[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

func (a *allocation) permit(peer netip.Addr) { a.change(func(g *grants) { g.peers[peer] = true }) }
func (a *allocation) forbid(peer netip.Addr) { a.change(func(g *grants) { delete(g.peers, peer) }) }

func (a *allocation) bind(number uint16, peer netip.AddrPort) {
	a.change(func(g *grants) { g.byNumber[number], g.byPeer[peer] = peer, number })
}

func (a *allocation) unbind(number uint16) {
	a.change(func(g *grants) {
		delete(g.byPeer, g.byNumber[number])
		delete(g.byNumber, number)
	})
}

// six reports whether the relay is an IPv6 one.
func (a *allocation) six() bool { return a.relay.Addr().Is6() }

// toPeer relays packet[channelHeader:] to peer, which must have been granted.
// The header's bytes are overwritten.
func (a *allocation) toPeer(packet []byte, peer netip.AddrPort) {
	payload := packet[channelHeader:]
	if !a.up.take(len(payload), a.s.cfg.Clock.Now()) {
		a.s.metrics.dropped(dropBandwidth)
		return
	}
	if a.s.policy.self[peer.Addr()] {
		if other := a.s.table.relayAt(peer); other != nil {
			a.toLeg(packet, other)
			return
		}
		if !a.s.policy.portAllowed(peer) {
			a.s.metrics.dropped(dropForbidden)
			return
		}
	}
	if _, err := a.sock.WriteToUDPAddrPort(payload, peer); err != nil {
		a.s.metrics.dropped(dropSocket)
		return
	}
	a.s.metrics.relayed(toPeer, len(payload))
}

// toLeg relays between two allocations of this server without touching a
// socket, if both belong to one call.
func (a *allocation) toLeg(packet []byte, other *allocation) {
	if other.id.call != a.id.call {
		a.s.metrics.dropped(dropForbidden)
		return
	}
	a.s.metrics.relayed(toPeer, len(packet)-channelHeader)
	other.fromPeer(packet, a.relay)
}

// fromPeer relays packet[channelHeader:], received from peer, to the client,
// as ChannelData if the peer has a channel, else as a Data indication. The
// header's bytes are overwritten.
func (a *allocation) fromPeer(packet []byte, peer netip.AddrPort) {
	payload := packet[channelHeader:]
	g := a.grants.Load()
	number, bound := g.byPeer[peer]
	if !g.peers[peer.Addr()] {
		a.s.metrics.dropped(dropNoPermission)
		return
	}
	if !a.down.take(len(payload), a.s.cfg.Clock.Now()) {
		a.s.metrics.dropped(dropBandwidth)
		return
	}
	if bound {
		binary.BigEndian.PutUint16(packet, number)
		binary.BigEndian.PutUint16(packet[2:], uint16(len(payload)))
		a.client.write(packet)
	} else {
		a.client.write(dataIndication(payload, peer))
	}
	a.s.metrics.relayed(toClient, len(payload))
}

func dataIndication(payload []byte, peer netip.AddrPort) []byte {
	var id [12]byte
	binary.BigEndian.PutUint64(id[:], rand.Uint64())
	binary.BigEndian.PutUint32(id[8:], rand.Uint32())
	buf := make([]byte, 0, headerSize+2*attrHeaderSize+20+len(payload)+3)
	return newBuilder(buf, methodData, classIndication, id).
		address(attrXORPeerAddress, peer).attr(attrData, payload).b
}

// pump reads the relay socket until the allocation ends. Whoever starts it
// has counted it in s.live.
func (a *allocation) pump() {
	defer a.s.live.Done()
	buf := make([]byte, channelHeader+maxPacket+1)
	for failures := 0; failures < maxReadErrors; {
		n, from, err := a.sock.ReadFromUDPAddrPort(buf[channelHeader:])
		switch {
		case err != nil && a.ended():
			return
		case err != nil:
			failures++
			a.s.metrics.dropped(dropSocket)
			continue
		case n > maxPacket:
			a.s.metrics.dropped(dropOversize)
		default:
			a.fromPeer(buf[:channelHeader+n], unmap(from))
		}
		failures = 0
	}
	a.end(endedByFailure)
}

func (a *allocation) ended() bool {
	select {
	case <-a.gone:
		return true
	default:
		return false
	}
}

// end takes the allocation out of service at once: its socket is closed, its
// quota returned and no packet finds it any more. pion notices and calls
// release. It may be called more than once.
func (a *allocation) end(why ending) {
	a.endOnce.Do(func() {
		close(a.gone)
		_ = a.sock.Close()
		a.s.table.remove(a)
		a.s.quota.give(a.id)
		a.s.metrics.ended(why)
		a.client.allocationEnded(why)
	})
}

// release gives the port back, when nothing refers to the allocation by its
// port any more.
func (a *allocation) release() {
	a.releaseOnce.Do(func() {
		a.s.table.forget(a)
		a.ports.release(a.port)
		a.s.live.Done()
	})
}

// expired reports whether the newest credential used has run out.
func (a *allocation) expired(now time.Time) bool { return now.Unix() >= a.expires.Load() }

// prolong lets the allocation live until then, at least: as long as a newer
// credential, or as a call that goes on.
func (a *allocation) prolong(until time.Time) {
	a.expires.Store(max(a.expires.Load(), until.Unix()))
}
