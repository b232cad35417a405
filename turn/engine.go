package turn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/pion/logging"
	pionturn "github.com/pion/turn/v4"
)

// nonceAge is how old a nonce of pion's may be before another is fetched; pion
// itself takes it for an hour.
const nonceAge = 30 * time.Minute

var (
	errEngineClosed = errors.New("turn: engine closed")
	errNoNonce      = errors.New("turn: engine gave no nonce")
	errTCPRelay     = errors.New("turn: TCP relays are not offered")
)

// exchange is one request on its way through the engine.
type exchange struct {
	src   *net.UDPAddr // who asks, see engine.source
	raw   []byte
	key   []byte      // what the request is signed with
	relay *allocation // what an Allocate request is to be given
	taken bool        // pion took relay and will close it
	reply []byte      // nil when pion answered nothing
	done  chan struct{}
}

// engine is pion's TURN server behind a door that lets in one request at a
// time: it is pion's only PacketConn, its authenticator and its maker of relay
// sockets, so that everything pion does between two reads belongs to the
// request of the first.
//
// pion keeps the lives of allocations, permissions and channels and reports
// their ends; no packet of data passes through it.
type engine struct {
	realm  []byte
	find   func(relay netip.AddrPort) *allocation
	in     chan *exchange
	closed chan struct{}

	current *exchange // of pion's read loop alone

	nonce   atomic.Pointer[pionNonce]
	sources atomic.Uint64
}

type pionNonce struct {
	value []byte
	made  time.Time
}

func newEngine(realm string, find func(netip.AddrPort) *allocation) *engine {
	return &engine{
		realm:  []byte(realm),
		find:   find,
		in:     make(chan *exchange),
		closed: make(chan struct{}),
	}
}

// start starts pion; close ends it.
func (e *engine) start() error {
	_, err := pionturn.NewServer(pionturn.ServerConfig{
		Realm:         string(e.realm),
		InboundMTU:    2 * maxPacket,
		AuthHandler:   e.authenticate,
		EventHandler:  e.events(),
		LoggerFactory: &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled},
		PacketConnConfigs: []pionturn.PacketConnConfig{{
			PacketConn:            enginePort{e},
			RelayAddressGenerator: engineRelays{e},
		}},
	})
	if err != nil {
		return fmt.Errorf("turn: start engine: %w", err)
	}
	return nil
}

// do passes ex through pion. It returns when pion is through with the request.
func (e *engine) do(ex *exchange) error {
	ex.done = make(chan struct{})
	select {
	case e.in <- ex:
	case <-e.closed:
		return errEngineClosed
	}
	<-ex.done
	return nil
}

// close ends pion's read loop, which closes every allocation it holds. It must
// be called once.
func (e *engine) close() { close(e.closed) }

// source returns an address that pion is to know a new allocation by. It is
// never used twice: when an allocation ends, pion's reader deletes whatever has
// the 5-tuple then, which may be the next allocation of the same client. All
// are out of 100::/64, where no packet comes from (RFC 6666).
func (e *engine) source() *net.UDPAddr {
	ip := net.ParseIP("100::")
	binary.BigEndian.PutUint64(ip[8:], e.sources.Add(1))
	return &net.UDPAddr{IP: ip, Port: 1}
}

// signedWith completes a request for pion: w without credentials becomes one
// signed by username with pion's own nonce.
func (e *engine) signedWith(w *builder, username, key []byte) ([]byte, error) {
	nonce, err := e.freshNonce()
	if err != nil {
		return nil, err
	}
	return w.attr(attrUsername, username).attr(attrRealm, e.realm).attr(attrNonce, nonce).sign(key).b, nil
}

// freshNonce asks pion for a nonce as a client would: with an unsigned Allocate.
func (e *engine) freshNonce() ([]byte, error) {
	if n := e.nonce.Load(); n != nil && time.Since(n.made) < nonceAge {
		return n.value, nil
	}
	ex := &exchange{
		src: e.source(),
		raw: newBuilder(nil, methodAllocate, classRequest, [12]byte{}).b,
	}
	if err := e.do(ex); err != nil {
		return nil, err
	}
	var m message
	if m.parse(ex.reply) != nil {
		return nil, errNoNonce
	}
	value, ok := m.get(attrNonce)
	if !ok {
		return nil, errNoNonce
	}
	e.nonce.Store(&pionNonce{value: value, made: time.Now()})
	return value, nil
}

func (e *engine) authenticate(string, string, net.Addr) ([]byte, bool) {
	if e.current == nil || e.current.key == nil {
		return nil, false
	}
	return e.current.key, true
}

// events keeps the allocations' grants in step with pion's timers.
func (e *engine) events() pionturn.EventHandler {
	on := func(relay net.Addr, f func(*allocation)) {
		if a := e.find(addrPortOf(relay)); a != nil {
			f(a)
		}
	}
	return pionturn.EventHandler{
		OnPermissionCreated: func(_, _ net.Addr, _, _, _ string, relay net.Addr, peer net.IP) {
			on(relay, func(a *allocation) { a.permit(ipAddr(peer)) })
		},
		OnPermissionDeleted: func(_, _ net.Addr, _, _, _ string, relay net.Addr, peer net.IP) {
			on(relay, func(a *allocation) { a.forbid(ipAddr(peer)) })
		},
		OnChannelCreated: func(_, _ net.Addr, _, _, _ string, relay, peer net.Addr, number uint16) {
			on(relay, func(a *allocation) { a.bind(number, addrPortOf(peer)) })
		},
		OnChannelDeleted: func(_, _ net.Addr, _, _, _ string, relay, _ net.Addr, number uint16) {
			on(relay, func(a *allocation) { a.unbind(number) })
		},
	}
}

func ipAddr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// enginePort is the engine as pion's net.PacketConn.
type enginePort struct{ *engine }

// ReadFrom ends the exchange before and waits for the next.
func (e enginePort) ReadFrom(p []byte) (int, net.Addr, error) {
	if ex := e.current; ex != nil {
		e.current = nil
		close(ex.done)
	}
	select {
	case ex := <-e.in:
		e.engine.current = ex
		return copy(p, ex.raw), ex.src, nil
	case <-e.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo takes pion's answer to the current exchange.
func (e enginePort) WriteTo(p []byte, _ net.Addr) (int, error) {
	if e.current != nil {
		e.current.reply = append([]byte(nil), p...)
	}
	return len(p), nil
}

func (e enginePort) Close() error                     { return nil }
func (e enginePort) LocalAddr() net.Addr              { return &net.UDPAddr{IP: net.IPv6loopback, Port: 1} }
func (e enginePort) SetDeadline(time.Time) error      { return nil }
func (e enginePort) SetReadDeadline(time.Time) error  { return nil }
func (e enginePort) SetWriteDeadline(time.Time) error { return nil }

// engineRelays hands pion the relay that the current exchange brings along.
type engineRelays struct{ *engine }

func (engineRelays) Validate() error { return nil }

func (e engineRelays) AllocatePacketConn(string, int) (net.PacketConn, net.Addr, error) {
	ex := e.current
	if ex == nil || ex.relay == nil || ex.taken {
		return nil, nil, errNoPort
	}
	ex.taken = true
	ex.relay.s.live.Add(1) // pump
	return relayPort{ex.relay}, net.UDPAddrFromAddrPort(ex.relay.relay), nil
}

func (engineRelays) AllocateConn(string, int) (net.Conn, net.Addr, error) {
	return nil, nil, errTCPRelay
}

// relayPort is an allocation as the relay socket pion believes to hold. Its
// ReadFrom lends pion's goroutine to the allocation; pion never reads a packet.
type relayPort struct{ a *allocation }

func (r relayPort) ReadFrom([]byte) (int, net.Addr, error) {
	r.a.pump()
	return 0, nil, net.ErrClosed
}

// Close is pion's last word on the allocation.
func (r relayPort) Close() error {
	r.a.end(endedByEngine)
	r.a.release()
	return nil
}

func (r relayPort) WriteTo([]byte, net.Addr) (int, error) { return 0, net.ErrClosed }
func (r relayPort) LocalAddr() net.Addr                   { return net.UDPAddrFromAddrPort(r.a.relay) }
func (r relayPort) SetDeadline(time.Time) error           { return nil }
func (r relayPort) SetReadDeadline(time.Time) error       { return nil }
func (r relayPort) SetWriteDeadline(time.Time) error      { return nil }
