package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Prefixes of keys as people see them (Standard Webhooks).
const (
	secretPrefix    = "whsec_"
	publicKeyPrefix = "whpk_"
)

// keyBytes is the length of an HMAC secret and of an Ed25519 seed.
const keyBytes = 32

// keys sign what one endpoint gets.
type keys struct {
	secret []byte // HMAC-SHA256
	seed   []byte // Ed25519
}

func newKeys() keys {
	k := keys{secret: make([]byte, keyBytes), seed: make([]byte, keyBytes)}
	for _, b := range [][]byte{k.secret, k.seed} {
		if _, err := rand.Read(b); err != nil {
			panic(fmt.Sprintf("webhook: no randomness: %v", err)) // never returns an error since Go 1.24
		}
	}
	return k
}

// text is the secret as the receiver configures it.
func (k keys) text() string { return secretPrefix + encode(k.secret) }

// publicKey is what verifies v1a signatures, as the receiver configures it.
func (k keys) publicKey() string {
	return publicKeyPrefix + encode(ed25519.NewKeyFromSeed(k.seed).Public().(ed25519.PublicKey))
}

// sign returns the v1 and v1a signatures of "id.timestamp.body".
func (k keys) sign(id string, at time.Time, body []byte) string {
	signed := append([]byte(id+"."+strconv.FormatInt(at.Unix(), 10)+"."), body...)
	mac := hmac.New(sha256.New, k.secret)
	mac.Write(signed)
	return "v1," + encode(mac.Sum(nil)) + " v1a," + encode(ed25519.Sign(ed25519.NewKeyFromSeed(k.seed), signed))
}

// signature is the header's value: the newest keys first.
func signature(all []keys, id string, at time.Time, body []byte) string {
	parts := make([]string, len(all))
	for i, k := range all {
		parts[i] = k.sign(id, at, body)
	}
	return strings.Join(parts, " ")
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func decodeKeys(secret, seed string) (k keys, err error) {
	if k.secret, err = base64.StdEncoding.DecodeString(secret); err != nil {
		return k, fmt.Errorf("webhook: stored secret: %w", err)
	}
	if k.seed, err = base64.StdEncoding.DecodeString(seed); err != nil {
		return k, fmt.Errorf("webhook: stored key: %w", err)
	}
	if len(k.seed) != ed25519.SeedSize {
		return k, fmt.Errorf("webhook: stored key has %d bytes", len(k.seed))
	}
	return k, nil
}
