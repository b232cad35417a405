package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"

	"parley/wire"
)

// Prefixes of server keys. A key of dev mode is printed in public places and
// must be refused on anything but a loopback listener.
const (
	ServerKeyPrefix = "sk_"
	DevKeyPrefix    = "sk_dev_"
	hashedKeyPrefix = "sha256:"
)

// serverKeyMin is the shortest secret part of a server key that is accepted.
const serverKeyMin = 16

// IsDev reports whether key is a server key of dev mode.
func IsDev(key string) bool { return strings.HasPrefix(key, DevKeyPrefix) }

// HashKey returns the form in which a server key may be written in a
// configuration: "sha256:" and the hex digest. Keys are long and random, so
// that a plain digest cannot be turned back.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hashedKeyPrefix + hex.EncodeToString(sum[:])
}

type serverKeys [][sha256.Size]byte

// newServerKeys takes keys in the clear ("sk_…") or hashed ("sha256:…").
func newServerKeys(keys []string) (serverKeys, error) {
	var hashed serverKeys
	for i, k := range keys {
		sum, err := hashServerKey(k)
		if err != nil {
			return nil, fmt.Errorf("auth: server key %d: %w", i+1, err)
		}
		hashed = append(hashed, sum)
	}
	return hashed, nil
}

func hashServerKey(k string) (sum [sha256.Size]byte, err error) {
	if digest, ok := strings.CutPrefix(k, hashedKeyPrefix); ok {
		b, err := hex.DecodeString(digest)
		if err != nil || len(b) != len(sum) {
			return sum, fmt.Errorf("not %s and 64 hex digits", hashedKeyPrefix)
		}
		return [sha256.Size]byte(b), nil
	}
	secret, ok := strings.CutPrefix(k, ServerKeyPrefix)
	if !ok {
		return sum, fmt.Errorf("does not begin with %s", ServerKeyPrefix)
	}
	if len(strings.TrimPrefix(secret, "dev_")) < serverKeyMin && !IsDev(k) {
		return sum, fmt.Errorf("shorter than %d characters after %s", serverKeyMin, ServerKeyPrefix)
	}
	return sha256.Sum256([]byte(k)), nil
}

// has compares key with all keys in a time that does not depend on which matches.
func (s serverKeys) has(key string) bool {
	sum := sha256.Sum256([]byte(key))
	found := 0
	for i := range s {
		found |= subtle.ConstantTimeCompare(sum[:], s[i][:])
	}
	return found == 1
}

func (v *Verifier) identifyServer(key string, actFor wire.UserID) (Identity, error) {
	if len(key) > TokenMax || !v.serverKeys.has(key) {
		return Identity{}, fmt.Errorf("%w: unknown server key", ErrRefused)
	}
	if actFor != "" {
		if err := wire.CheckUser(string(actFor)); err != nil {
			return Identity{}, fmt.Errorf("%w: acting for: %w", ErrRefused, err)
		}
	}
	return Identity{Caller: wire.Caller{Role: wire.RoleServer, User: actFor}}, nil
}
