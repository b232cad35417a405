package turn

import "net/netip"

// transport is what a client speaks STUN over.
type transport uint8

const (
	overUDP transport = iota
	overTCP
	overTLS
)

func (t transport) String() string { return [...]string{"udp", "tcp", "tls"}[t] }

// client is where packets come from and answers go: a source address at a UDP
// listener, or a stream. It is comparable and stands for the 5-tuple.
type client struct {
	listener *listener
	addr     netip.AddrPort
	stream   *stream // nil over UDP
}

// write sends one message or ChannelData frame. It does not block: what a UDP
// socket or a stream's queue does not take is dropped and counted.
func (c client) write(b []byte) {
	if c.stream != nil {
		c.stream.send(b)
		return
	}
	c.listener.writeTo(b, c.addr)
}

// allocationMade lets a stream live as long as its allocation.
func (c client) allocationMade(a *allocation) {
	if c.stream != nil {
		c.stream.settle(a)
	}
}

// allocationEnded gives a stream a last chance to allocate again, or none if
// the server itself took the allocation away.
func (c client) allocationEnded(why ending) {
	switch {
	case c.stream == nil:
	case why == endedByRevoke || why == endedByExpiry:
		c.stream.close()
	default:
		c.stream.unsettle()
	}
}
