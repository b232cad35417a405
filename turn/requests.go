package turn

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"
)

// Lives of an allocation (RFC 8656 §7.2). pion takes an hour or more for "use
// the default", so the longest stays below it.
const (
	defaultLifetime = 10 * time.Minute
	maxLifetime     = time.Hour - time.Second
)

// protocolUDP is REQUESTED-TRANSPORT's only value served (RFC 8656 §14.7).
const protocolUDP = 17

// Attributes that every request may carry, and those of the Send indication.
var (
	credentialAttributes = []uint16{attrUsername, attrRealm, attrNonce}
	sendAttributes       = []uint16{attrXORPeerAddress, attrData}
)

// requests is what the guard does with each authenticated method.
var requests = map[uint16]struct {
	known     []uint16 // comprehension-required attributes it understands
	allocates bool     // needs no allocation of the same user
	serve     func(*request)
}{
	methodAllocate: {
		known:     []uint16{attrRequestedTransport, attrLifetime, attrRequestedFamily, attrEvenPort, attrReservationToken},
		allocates: true,
		serve:     (*request).allocate,
	},
	methodRefresh:          {known: []uint16{attrLifetime, attrRequestedFamily}, serve: (*request).refresh},
	methodCreatePermission: {known: []uint16{attrXORPeerAddress}, serve: (*request).createPermission},
	methodChannelBind:      {known: []uint16{attrXORPeerAddress, attrChannelNumber}, serve: (*request).channelBind},
}

// request is an authenticated request being served.
type request struct {
	g          *guard
	client     client
	msg        *message
	now        time.Time
	id         identity
	key        []byte
	allocation *allocation // the client's, nil without one
}

// authenticate checks long-term credentials (RFC 8489 §9.2.4) and answers if
// they do not hold. An unknown user, a wrong password, a foreign realm and an
// expired credential look the same from outside.
func (r *request) authenticate() bool {
	s, m := r.g.s, r.msg
	if m.integrity == 0 {
		r.g.challenge(r.client, m, 401, r.now)
		return false
	}
	username, hasUsername := m.get(attrUsername)
	realm, hasRealm := m.get(attrRealm)
	nonce, hasNonce := m.get(attrNonce)
	if !hasUsername || !hasRealm || !hasNonce || len(username) > maxUsername {
		w := newBuilder(nil, m.method, classError, m.id).errorCode(400, "")
		r.g.answerUnauthenticated(r.client, m, w, 400)
		return false
	}
	if !s.nonces.valid(nonce, r.client.listener.transport, r.client.addr, r.now) {
		r.g.challenge(r.client, m, 438, r.now)
		return false
	}
	id, known := parseUsername(string(username))
	key, authentic := s.keyOf(m, string(username))
	alive := r.now.Before(r.until(id)) && !id.expires.After(r.now.Add(s.cfg.MaxTTL+clockSkew))
	if !authentic || !known || !alive || string(realm) != s.cfg.Realm {
		r.g.challenge(r.client, m, 401, r.now)
		return false
	}
	r.id, r.key = id, key
	return true
}

// until is when the credential ends for this client: what it has allocated in
// a call that goes on outlives it.
func (r *request) until(id identity) time.Time {
	if a := r.allocation; a != nil && a.id.same(id) {
		return time.Unix(max(a.expires.Load(), id.expires.Unix()), 0)
	}
	return id.expires
}

// keyOf returns the key that m is signed with, trying every secret.
func (s *Server) keyOf(m *message, username string) ([]byte, bool) {
	for _, secret := range []string{s.cfg.Secret, s.cfg.PreviousSecret} {
		if secret == "" {
			continue
		}
		if key := authKey(username, s.cfg.Realm, password(secret, username)); m.authentic(key) {
			return key, true
		}
	}
	return nil, false
}

// allocate serves Allocate (RFC 8656 §7.2).
func (r *request) allocate() {
	if old := r.g.s.table.of(r.client); old != nil {
		r.repeat(old)
		return
	}
	six, even, code, reason := r.wanted()
	if code != 0 {
		r.refuse(code, reason)
		return
	}
	s := r.g.s
	switch {
	case s.revoked.has(r.id.call):
		r.refuse(403, "Forbidden")
		return
	case s.draining.Load() || !s.quota.take(r.id):
		r.refuse(486, "Allocation Quota Reached")
		return
	}
	a, err := r.newAllocation(six, even)
	if err != nil {
		s.quota.give(r.id)
		r.refuse(508, "Insufficient Capacity")
		return
	}
	s.metrics.began(r.client.listener.transport)
	s.table.add(a)
	if s.revoked.has(r.id.call) { // since the look above; from here on Revoke finds it
		a.end(endedByRevoke)
		a.release()
		r.refuse(403, "Forbidden")
		return
	}
	r.grant(a)
}

// wanted reads what an Allocate asks for: a code other than 0 refuses it.
func (r *request) wanted() (six, even bool, code int, reason string) {
	m := r.msg
	protocol, ok := m.get(attrRequestedTransport)
	if !ok || len(protocol) != 4 {
		return false, false, 400, "Bad Request"
	}
	if protocol[0] != protocolUDP {
		return false, false, 442, "Unsupported Transport Protocol"
	}
	port, hasEven := m.get(attrEvenPort)
	_, hasToken := m.get(attrReservationToken)
	family, hasFamily := m.get(attrRequestedFamily)
	switch {
	case hasEven && len(port) != 1, hasFamily && len(family) != 4, hasToken && (hasEven || hasFamily):
		return false, false, 400, "Bad Request"
	case hasToken, hasEven && port[0]&0x80 != 0: // ports are not reserved for later
		return false, false, 508, "Insufficient Capacity"
	case !hasFamily || family[0] == addressFamilyIP4:
		return false, hasEven, 0, ""
	case family[0] == addressFamilyIP6 && r.g.s.ports6 != nil:
		return true, hasEven, 0, ""
	}
	return false, false, 440, "Address Family not Supported"
}

// repeat answers an Allocate on a 5-tuple that has an allocation: a
// retransmission as before (RFC 8656 §7.2), another with 437.
func (r *request) repeat(old *allocation) {
	if !old.id.same(r.id) || old.made != r.msg.id {
		r.refuse(437, "Allocation Mismatch")
		return
	}
	r.succeed(old)
}

// grant lets pion make the allocation.
func (r *request) grant(a *allocation) {
	ex := &exchange{src: a.source, relay: a}
	ok := r.pass(ex, r.fresh().attr(attrRequestedTransport, []byte{protocolUDP, 0, 0, 0}).lifetime(a.life))
	if !ex.taken {
		a.end(endedByFailure)
		a.release()
		return
	}
	if ok {
		r.client.allocationMade(a)
		r.succeed(a)
	}
}

// succeed tells the client its addresses and the lifetime. pion's own answer
// would give the client's address as pion knows it.
func (r *request) succeed(a *allocation) {
	r.reply(newBuilder(nil, methodAllocate, classSuccess, r.msg.id).
		address(attrXORRelayedAddress, a.relay).
		lifetime(a.life).
		address(attrXORMappedAddress, r.client.addr).
		sign(r.key))
}

// lifetime is what the client asks for within bounds, and never longer than its credential holds.
func (r *request) lifetime() time.Duration {
	life := defaultLifetime
	if v, ok := r.msg.get(attrLifetime); ok && len(v) == 4 {
		life = time.Duration(binary.BigEndian.Uint32(v)) * time.Second
	}
	life = min(max(life, defaultLifetime), maxLifetime)
	return max(min(life, r.until(r.id).Sub(r.now)), time.Second)
}

// refresh serves Refresh (RFC 8656 §8.2). A newer credential of the same user
// and call prolongs the allocation.
func (r *request) refresh() {
	if v, ok := r.msg.get(attrRequestedFamily); ok {
		if len(v) != 4 {
			r.refuse(400, "Bad Request")
			return
		}
		if (v[0] == addressFamilyIP6) != r.allocation.six() {
			r.refuse(443, "Peer Address Family Mismatch")
			return
		}
	}
	life := time.Duration(0)
	if v, ok := r.msg.get(attrLifetime); !ok || len(v) != 4 || binary.BigEndian.Uint32(v) != 0 {
		life = r.lifetime()
		r.allocation.prolong(r.id.expires)
	}
	r.answer(r.fresh().lifetime(life))
}

// createPermission serves CreatePermission (RFC 8656 §10.2): all peers or none.
func (r *request) createPermission() {
	w := r.fresh()
	fresh := map[netip.Addr]bool{}
	have := r.allocation.grants.Load().peers
	for _, a := range r.msg.attributes {
		if a.kind != attrXORPeerAddress {
			continue
		}
		peer, ok := decodeAddress(a.value, r.msg.id)
		if !ok {
			r.refuse(400, "Bad Request")
			return
		}
		if code, reason := r.judge(peer); code != 0 {
			r.refuse(code, reason)
			return
		}
		if !have[peer.Addr()] {
			fresh[peer.Addr()] = true
		}
		w.address(attrXORPeerAddress, peer)
	}
	switch {
	case len(w.b) == headerSize:
		r.refuse(400, "Bad Request")
	case len(have)+len(fresh) > maxGrants:
		r.refuse(508, "Insufficient Capacity")
	default:
		r.answer(w)
	}
}

// channelBind serves ChannelBind (RFC 8656 §12.2). That number and peer are
// not bound to others is pion's to check.
func (r *request) channelBind() {
	value, _ := r.msg.get(attrXORPeerAddress)
	peer, ok := decodeAddress(value, r.msg.id)
	channel, _ := r.msg.get(attrChannelNumber)
	if !ok || peer.Port() == 0 || len(channel) != 4 {
		r.refuse(400, "Bad Request")
		return
	}
	number := binary.BigEndian.Uint16(channel)
	g := r.allocation.grants.Load()
	_, bound := g.byNumber[number]
	if number < minChannel || number > maxChannel {
		r.refuse(400, "Bad Request")
		return
	}
	code, reason := r.judge(peer)
	if code == 0 && !r.reachable(peer) {
		code, reason = 403, "Forbidden"
	}
	if code != 0 {
		r.refuse(code, reason)
		return
	}
	if !bound && len(g.byNumber) >= maxGrants || !g.peers[peer.Addr()] && len(g.peers) >= maxGrants {
		r.refuse(508, "Insufficient Capacity")
		return
	}
	r.answer(r.fresh().attr(attrChannelNumber, []byte{byte(number >> 8), byte(number), 0, 0}).
		address(attrXORPeerAddress, peer))
}

// judge says whether a permission for peer may be granted: 0 if so.
func (r *request) judge(peer netip.AddrPort) (code int, reason string) {
	switch p := &r.g.s.policy; {
	case !p.addressAllowed(peer.Addr()), p.listeners[peer]:
		return 403, "Forbidden"
	case peer.Addr().Is6() != r.allocation.six():
		return 443, "Peer Address Family Mismatch"
	}
	return 0, ""
}

// reachable says whether packets to exactly this peer would be let through:
// on this machine only to a leg of the same call or where configured.
func (r *request) reachable(peer netip.AddrPort) bool {
	if leg := r.g.s.table.relayAt(peer); leg != nil {
		return leg.id.call == r.id.call
	}
	return r.g.s.policy.portAllowed(peer)
}

// fresh starts the request anew for pion, with nothing the client wrote but its transaction.
func (r *request) fresh() *builder {
	return newBuilder(nil, r.msg.method, classRequest, r.msg.id)
}

// answer passes w through pion on behalf of the client's allocation and gives
// the client pion's answer.
func (r *request) answer(w *builder) {
	ex := &exchange{src: r.allocation.source}
	if r.pass(ex, w) {
		r.reply(&builder{ex.reply})
	}
}

// pass lets pion serve w and reports its success; a failure is answered.
func (r *request) pass(ex *exchange, w *builder) bool {
	username, _ := r.msg.get(attrUsername)
	var err error
	ex.key = r.key
	if ex.raw, err = r.g.s.engine.signedWith(w, username, r.key); err == nil {
		err = r.g.s.engine.do(ex)
	}
	if err != nil {
		r.g.s.metrics.dropped(dropEngineClosed)
		return false
	}
	var reply message
	switch {
	case reply.parse(ex.reply) != nil:
		r.refuse(500, "Server Error")
	case reply.class == classSuccess:
		return true
	default:
		r.refuse(reply.errorCode())
	}
	return false
}

// reply sends a signed answer, sealed if the request was.
func (r *request) reply(w *builder) {
	if r.msg.fingerprint {
		w.seal()
	}
	r.client.write(w.b)
}

// errorCode reads an error answer of pion's.
func (m *message) errorCode() (code int, reason string) {
	v, ok := m.get(attrErrorCode)
	if !ok || len(v) < 4 {
		return 500, "Server Error"
	}
	return int(v[2])*100 + int(v[3]), string(v[4:])
}

// refuse answers with an error the client can trust.
func (r *request) refuse(code int, reason string) { r.refuseWith(code, reason, nil) }

func (r *request) refuseWith(code int, reason string, more func(*builder)) {
	w := newBuilder(nil, r.msg.method, classError, r.msg.id).errorCode(code, reason)
	if more != nil {
		more(w)
	}
	r.g.s.metrics.errors.WithLabelValues(strconv.Itoa(code)).Inc()
	r.reply(w.sign(r.key))
}
