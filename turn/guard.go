package turn

import (
	"encoding/binary"
	"strconv"
	"time"
)

// amplification is how many times its request an unauthenticated answer must
// stay below, so that a forged source address is not worth forging.
const amplification = 4

// guard is what every packet of a client meets first. It answers by itself
// everything but authenticated requests it agrees with, which go to the engine.
// One guard serves one goroutine: a UDP listener's reader or a stream's.
type guard struct {
	s   *Server
	msg message
}

// handle judges one datagram or frame. Its bytes may be overwritten.
func (g *guard) handle(c client, b []byte) {
	switch {
	case len(b) > maxPacket:
		g.s.metrics.dropped(dropOversize)
	case len(b) >= channelHeader && b[0]&0xC0 == 0x40:
		g.channelData(c, b)
	case g.msg.parse(b) != nil:
		g.s.metrics.dropped(dropMalformed)
	default:
		g.stun(c, &g.msg)
	}
}

// channelData relays ChannelData (RFC 8656 §12.4). Over UDP padding is optional.
func (g *guard) channelData(c client, b []byte) {
	number := binary.BigEndian.Uint16(b)
	length := int(binary.BigEndian.Uint16(b[2:]))
	rest := len(b) - channelHeader - length
	if number < minChannel || number > maxChannel || rest < 0 || rest > 3 {
		g.s.metrics.dropped(dropMalformed)
		return
	}
	a := g.s.table.of(c)
	if a == nil {
		g.s.metrics.dropped(dropNoAllocation)
		return
	}
	peer, ok := a.grants.Load().byNumber[number]
	if !ok {
		g.s.metrics.dropped(dropNoPermission)
		return
	}
	a.toPeer(b[:channelHeader+length], peer)
}

// stun routes a message by class and method.
func (g *guard) stun(c client, m *message) {
	switch {
	case m.class == classRequest && m.method == methodBinding:
		g.binding(c, m)
	case m.class == classRequest && requests[m.method].serve != nil:
		g.request(c, m)
	case m.class == classIndication && m.method == methodSend:
		g.sendIndication(c, m)
	case m.class == classIndication && m.method == methodBinding: // keep-alive
	default:
		g.s.metrics.dropped(dropUnexpected)
	}
}

// binding answers with the address the request came from (RFC 8489 §3).
func (g *guard) binding(c client, m *message) {
	if unknown := unknownAttributes(m, nil); len(unknown) > 0 {
		w := newBuilder(nil, m.method, classError, m.id).errorCode(420, "").attr(attrUnknownAttributes, unknown)
		g.answerUnauthenticated(c, m, w, 420)
		return
	}
	w := newBuilder(nil, m.method, classSuccess, m.id).address(attrXORMappedAddress, c.addr)
	g.answerUnauthenticated(c, m, w, 0)
}

// sendIndication relays the DATA of a Send indication (RFC 8656 §11.2).
func (g *guard) sendIndication(c client, m *message) {
	a := g.s.table.of(c)
	if a == nil {
		g.s.metrics.dropped(dropNoAllocation)
		return
	}
	data, hasData := m.find(attrData)
	value, _ := m.get(attrXORPeerAddress)
	peer, ok := decodeAddress(value, m.id)
	if !hasData || !ok || len(unknownAttributes(m, sendAttributes)) > 0 {
		g.s.metrics.dropped(dropMalformed)
		return
	}
	if !a.grants.Load().peers[peer.Addr()] {
		g.s.metrics.dropped(dropNoPermission)
		return
	}
	// The attribute's own header makes room for a channel's.
	a.toPeer(m.raw[data.at-channelHeader:data.at+len(data.value)], peer)
}

// request authenticates a request, looks at its attributes and its 5-tuple and
// lets its method serve it.
func (g *guard) request(c client, m *message) {
	rule := requests[m.method]
	r := &request{g: g, client: c, msg: m, now: g.s.cfg.Clock.Now(), allocation: g.s.table.of(c)}
	if !r.authenticate() {
		return
	}
	if unknown := unknownAttributes(m, rule.known); len(unknown) > 0 {
		r.refuseWith(420, "Unknown Attribute", func(w *builder) { w.attr(attrUnknownAttributes, unknown) })
		return
	}
	switch {
	case rule.allocates:
	case r.allocation == nil:
		r.refuse(437, "Allocation Mismatch")
		return
	case !r.allocation.id.same(r.id):
		r.refuse(441, "Wrong Credentials")
		return
	}
	rule.serve(r)
}

// answerUnauthenticated sends an answer that anybody can provoke: within the
// rate of its source and below amplification times the request.
func (g *guard) answerUnauthenticated(c client, m *message, w *builder, code int) {
	if m.fingerprint {
		w.seal()
	}
	if len(w.b) >= amplification*len(m.raw) {
		g.s.metrics.dropped(dropAmplification)
		return
	}
	if !g.s.unauthorized.allow(c.addr.Addr(), g.s.cfg.Clock.Now()) {
		g.s.metrics.dropped(dropUnauthorized)
		return
	}
	if code != 0 {
		g.s.metrics.errors.WithLabelValues(strconv.Itoa(code)).Inc()
	}
	c.write(w.b)
}

// challenge answers with a code, the realm and a fresh nonce.
func (g *guard) challenge(c client, m *message, code int, now time.Time) {
	w := newBuilder(nil, m.method, classError, m.id).errorCode(code, "").
		attr(attrRealm, []byte(g.s.cfg.Realm)).
		attr(attrNonce, g.s.nonces.make(c.listener.transport, c.addr, now))
	g.answerUnauthenticated(c, m, w, code)
}

// unknownAttributes lists the comprehension-required attributes of m outside
// the known ones as UNKNOWN-ATTRIBUTES carries them (RFC 8489 §6.3.1), at most sixteen.
func unknownAttributes(m *message, known []uint16) []byte {
	var out []byte
	for _, a := range m.attributes {
		if a.kind < 0x8000 && !isOneOf(a.kind, credentialAttributes) && !isOneOf(a.kind, known) && len(out) < 32 {
			out = binary.BigEndian.AppendUint16(out, a.kind)
		}
	}
	return out
}

func isOneOf(kind uint16, list []uint16) bool {
	for _, k := range list {
		if k == kind {
			return true
		}
	}
	return false
}
