package auth

import (
	"crypto/sha256"
	"sync"
)

// rememberedMax is how many tokens are remembered at most: two halves of so
// many, about 400 bytes each.
const rememberedMax = 1 << 13

// remembered are tokens whose signature and claims were found good, by their
// SHA-256, so that who comes back with the same one costs no second look. When
// it ends and whether it was revoked is asked every time; keys that an issuer
// has replaced since make it be looked at anew.
type remembered struct {
	mu       sync.Mutex
	new, old map[[sha256.Size]byte]rememberedToken
}

type rememberedToken struct {
	id     Identity
	issuer *issuer
	keys   int // version of the issuer's keys then
}

// find returns what a token said, if it is remembered.
func (r *remembered) find(sum [sha256.Size]byte) (Identity, bool) {
	r.mu.Lock()
	t, ok := r.new[sum]
	if !ok {
		if t, ok = r.old[sum]; ok {
			r.putLocked(sum, t)
		}
	}
	r.mu.Unlock()
	return t.id, ok && t.issuer.keysVersion() == t.keys
}

func (r *remembered) put(sum [sha256.Size]byte, id Identity, is *issuer, keys int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.putLocked(sum, rememberedToken{id, is, keys})
}

// putLocked forgets those that were not asked for since the last half was full.
func (r *remembered) putLocked(sum [sha256.Size]byte, t rememberedToken) {
	if len(r.new) >= rememberedMax || r.new == nil {
		r.new, r.old = make(map[[sha256.Size]byte]rememberedToken), r.new
	}
	r.new[sum] = t
}
