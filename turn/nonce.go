package turn

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"time"
)

// Sizes of a nonce before base64: short, so that a 401 stays under four times
// the request that asked for it.
const (
	nonceTime = 4
	nonceMAC  = 14
)

// noncer makes and checks nonces without keeping any: seconds and an HMAC over
// them and the client's address and transport. A captured request is of no use
// from another source, and after life from nowhere.
type noncer struct {
	key  [32]byte
	life time.Duration
}

func newNoncer(life time.Duration) *noncer {
	n := &noncer{life: life}
	_, _ = rand.Read(n.key[:]) // crypto/rand.Read never fails (Go 1.24)
	return n
}

// make returns a nonce for a client as seen now.
func (n *noncer) make(tr transport, src netip.AddrPort, now time.Time) []byte {
	var raw [nonceTime + nonceMAC]byte
	binary.BigEndian.PutUint32(raw[:], uint32(now.Unix()))
	n.mac(raw[:nonceTime], raw[nonceTime:], tr, src)
	return base64.RawURLEncoding.AppendEncode(nil, raw[:])
}

// valid reports whether nonce was made for this client within life of now.
func (n *noncer) valid(nonce []byte, tr transport, src netip.AddrPort, now time.Time) bool {
	var raw [nonceTime + nonceMAC]byte
	if base64.RawURLEncoding.DecodedLen(len(nonce)) != len(raw) {
		return false
	}
	if _, err := base64.RawURLEncoding.Decode(raw[:], nonce); err != nil {
		return false
	}
	var want [nonceMAC]byte
	n.mac(raw[:nonceTime], want[:], tr, src)
	if !hmac.Equal(want[:], raw[nonceTime:]) {
		return false
	}
	age := now.Sub(time.Unix(int64(binary.BigEndian.Uint32(raw[:])), 0))
	return age >= -time.Second && age <= n.life
}

func (n *noncer) mac(stamp, out []byte, tr transport, src netip.AddrPort) {
	h := hmac.New(sha256.New, n.key[:])
	h.Write(stamp)
	ip := src.Addr().As16()
	h.Write(ip[:])
	h.Write([]byte{byte(src.Port() >> 8), byte(src.Port()), byte(tr)})
	copy(out, h.Sum(nil))
}
