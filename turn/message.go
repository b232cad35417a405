package turn

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // MESSAGE-INTEGRITY is HMAC-SHA1 (RFC 8489 §14.5).
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"time"
)

// Sizes and constants of RFC 8489 §5 and §14.
const (
	headerSize       = 20
	attrHeaderSize   = 4
	magicCookie      = 0x2112A442
	integritySize    = sha1.Size
	fingerprintXOR   = 0x5354554e
	channelHeader    = 4
	maxPacket        = 4096 // largest frame or datagram a client may send, header included
	addressFamilyIP4 = 0x01
	addressFamilyIP6 = 0x02
)

// Methods (RFC 8489 §18.2, RFC 8656 §17).
const (
	methodBinding          = 0x001
	methodAllocate         = 0x003
	methodRefresh          = 0x004
	methodSend             = 0x006
	methodData             = 0x007
	methodCreatePermission = 0x008
	methodChannelBind      = 0x009
)

// Classes.
const (
	classRequest    = 0
	classIndication = 1
	classSuccess    = 2
	classError      = 3
)

// Attributes (RFC 8489 §18.3, RFC 8656 §18).
const (
	attrUsername           = 0x0006
	attrMessageIntegrity   = 0x0008
	attrErrorCode          = 0x0009
	attrUnknownAttributes  = 0x000A
	attrChannelNumber      = 0x000C
	attrLifetime           = 0x000D
	attrXORPeerAddress     = 0x0012
	attrData               = 0x0013
	attrRealm              = 0x0014
	attrNonce              = 0x0015
	attrXORRelayedAddress  = 0x0016
	attrRequestedFamily    = 0x0017
	attrEvenPort           = 0x0018
	attrRequestedTransport = 0x0019
	attrReservationToken   = 0x0022
	attrXORMappedAddress   = 0x0020
	attrFingerprint        = 0x8028
)

// errMalformed is what parse answers for bytes that are not one whole, well-formed message.
var errMalformed = errors.New("turn: malformed STUN message")

type attribute struct {
	kind  uint16
	at    int // offset of value in the message
	value []byte
}

// message is a parsed STUN message. Its slices point into the parsed bytes.
// attributes holds what stands before MESSAGE-INTEGRITY; what stands behind it
// is not covered by it and is never looked at (RFC 8489 §14.5).
type message struct {
	raw         []byte
	method      uint16
	class       uint8
	id          [12]byte
	attributes  []attribute
	integrity   int // offset of MESSAGE-INTEGRITY in raw, 0 without one
	fingerprint bool
}

// parse reads exactly one message out of b, reusing m's memory. It refuses a
// length that is not b's, attributes that overlap the end and a FINGERPRINT
// that is wrong or not last.
func (m *message) parse(b []byte) error {
	if len(b) < headerSize || b[0]&0xC0 != 0 {
		return errMalformed
	}
	length := int(binary.BigEndian.Uint16(b[2:]))
	if length%4 != 0 || headerSize+length != len(b) || binary.BigEndian.Uint32(b[4:]) != magicCookie {
		return errMalformed
	}
	kind := binary.BigEndian.Uint16(b)
	*m = message{
		raw:        b,
		method:     kind&0x000F | kind&0x00E0>>1 | kind&0x3E00>>2,
		class:      uint8(kind&0x0010>>4 | kind&0x0100>>7),
		attributes: m.attributes[:0],
	}
	copy(m.id[:], b[8:headerSize])
	return m.parseAttributes()
}

func (m *message) parseAttributes() error {
	for at := headerSize; at < len(m.raw); {
		rest := m.raw[at:]
		if len(rest) < attrHeaderSize || m.fingerprint {
			return errMalformed
		}
		a := attribute{kind: binary.BigEndian.Uint16(rest), at: at + attrHeaderSize}
		size := int(binary.BigEndian.Uint16(rest[2:]))
		padded := attrHeaderSize + (size+3)&^3
		if padded > len(rest) {
			return errMalformed
		}
		a.value = rest[attrHeaderSize : attrHeaderSize+size]
		if err := m.take(a); err != nil {
			return err
		}
		at += padded
	}
	return nil
}

// take files one attribute.
func (m *message) take(a attribute) error {
	start := a.at - attrHeaderSize
	switch {
	case a.kind == attrFingerprint:
		if len(a.value) != 4 || binary.BigEndian.Uint32(a.value) != fingerprintOf(m.raw[:start]) {
			return errMalformed
		}
		m.fingerprint = true
	case m.integrity != 0:
	case a.kind == attrMessageIntegrity:
		if len(a.value) != integritySize {
			return errMalformed
		}
		m.integrity = start
	default:
		m.attributes = append(m.attributes, a)
	}
	return nil
}

// get returns the first attribute of a kind (RFC 8489 §14: later ones are ignored).
func (m *message) get(kind uint16) ([]byte, bool) {
	a, ok := m.find(kind)
	return a.value, ok
}

func (m *message) find(kind uint16) (attribute, bool) {
	for _, a := range m.attributes {
		if a.kind == kind {
			return a, true
		}
	}
	return attribute{}, false
}

// authentic reports in constant time whether MESSAGE-INTEGRITY was made with key.
func (m *message) authentic(key []byte) bool {
	if m.integrity == 0 {
		return false
	}
	mac := hmac.New(sha1.New, key)
	var head [headerSize]byte
	copy(head[:], m.raw)
	binary.BigEndian.PutUint16(head[2:], uint16(m.integrity-headerSize+attrHeaderSize+integritySize))
	mac.Write(head[:])
	mac.Write(m.raw[headerSize:m.integrity])
	at := m.integrity + attrHeaderSize
	return hmac.Equal(mac.Sum(nil), m.raw[at:at+integritySize])
}

// fingerprintOf computes FINGERPRINT over what stands before it; the header's
// length must already count it.
func fingerprintOf(b []byte) uint32 { return crc32.ChecksumIEEE(b) ^ fingerprintXOR }

// decodeAddress reads an XOR-…-ADDRESS value (RFC 8489 §14.2) as it was sent:
// an IPv4-mapped IPv6 address stays one.
func decodeAddress(v []byte, id [12]byte) (netip.AddrPort, bool) {
	if len(v) < 4 {
		return netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(v[2:]) ^ magicCookie>>16
	mask := addressMask(id)
	switch {
	case v[1] == addressFamilyIP4 && len(v) == 8:
		var ip [4]byte
		for i := range ip {
			ip[i] = v[4+i] ^ mask[i]
		}
		return netip.AddrPortFrom(netip.AddrFrom4(ip), port), true
	case v[1] == addressFamilyIP6 && len(v) == 20:
		var ip [16]byte
		for i := range ip {
			ip[i] = v[4+i] ^ mask[i]
		}
		return netip.AddrPortFrom(netip.AddrFrom16(ip), port), true
	}
	return netip.AddrPort{}, false
}

// appendAddress appends the XOR-…-ADDRESS value of addr to b.
func appendAddress(b []byte, addr netip.AddrPort, id [12]byte) []byte {
	mask := addressMask(id)
	ip := addr.Addr().AsSlice()
	family := byte(addressFamilyIP4)
	if len(ip) == 16 {
		family = addressFamilyIP6
	}
	b = append(b, 0, family)
	b = binary.BigEndian.AppendUint16(b, addr.Port()^magicCookie>>16)
	for i, x := range ip {
		b = append(b, x^mask[i])
	}
	return b
}

func addressMask(id [12]byte) (mask [16]byte) {
	binary.BigEndian.PutUint32(mask[:], magicCookie)
	copy(mask[4:], id[:])
	return mask
}

// builder writes a STUN message. Its bytes are complete after every call.
type builder struct{ b []byte }

// newBuilder starts a message in buf's memory.
func newBuilder(buf []byte, method uint16, class uint8, id [12]byte) *builder {
	kind := method&0x000F | method&0x0070<<1 | method&0x0F80<<2 |
		uint16(class&1)<<4 | uint16(class&2)<<7
	b := binary.BigEndian.AppendUint16(buf[:0], kind)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint32(b, magicCookie)
	return &builder{append(b, id[:]...)}
}

func (w *builder) attr(kind uint16, value []byte) *builder {
	w.b = binary.BigEndian.AppendUint16(w.b, kind)
	w.b = binary.BigEndian.AppendUint16(w.b, uint16(len(value)))
	w.b = append(w.b, value...)
	for len(w.b)%4 != 0 {
		w.b = append(w.b, 0)
	}
	w.setLength(0)
	return w
}

func (w *builder) uint32(kind uint16, v uint32) *builder {
	return w.attr(kind, binary.BigEndian.AppendUint32(nil, v))
}

func (w *builder) lifetime(d time.Duration) *builder {
	return w.uint32(attrLifetime, uint32(d/time.Second))
}

func (w *builder) address(kind uint16, addr netip.AddrPort) *builder {
	return w.attr(kind, appendAddress(nil, addr, [12]byte(w.b[8:headerSize])))
}

func (w *builder) errorCode(code int, reason string) *builder {
	v := []byte{0, 0, byte(code / 100), byte(code % 100)}
	return w.attr(attrErrorCode, append(v, reason...))
}

// sign appends MESSAGE-INTEGRITY.
func (w *builder) sign(key []byte) *builder {
	w.setLength(attrHeaderSize + integritySize)
	mac := hmac.New(sha1.New, key)
	mac.Write(w.b)
	return w.attr(attrMessageIntegrity, mac.Sum(nil))
}

// seal appends FINGERPRINT.
func (w *builder) seal() *builder {
	w.setLength(attrHeaderSize + 4)
	return w.uint32(attrFingerprint, fingerprintOf(w.b))
}

// setLength writes the header's length as if extra bytes more were there.
func (w *builder) setLength(extra int) {
	binary.BigEndian.PutUint16(w.b[2:], uint16(len(w.b)-headerSize+extra))
}
