package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/internal/auth"
)

// keyServer is an issuer's key set on a real HTTP server.
type keyServer struct {
	*httptest.Server
	reads atomic.Int64

	mu   sync.Mutex
	keys []map[string]string
	down bool
}

func newKeyServer(t testing.TB, keys ...map[string]string) *keyServer {
	s := &keyServer{keys: keys}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

// ServeHTTP implements http.Handler.
func (s *keyServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.reads.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": s.keys}) // the test notices
}

func (s *keyServer) set(down bool, keys ...map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.keys = down, keys
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func publicKey(t testing.TB, kid string, key crypto.Signer) map[string]string {
	t.Helper()
	switch k := key.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		n := len(point) / 2
		crv := map[int]string{32: "P-256", 48: "P-384"}[n]
		return map[string]string{"kty": "EC", "crv": crv, "kid": kid, "x": b64(point[1 : 1+n]), "y": b64(point[1+n:])}
	case ed25519.PublicKey:
		return map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(k)}
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "kid": kid, "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
	}
	t.Fatalf("%T", key)
	return nil
}

func signWith(t testing.TB, method jwt.SigningMethod, kid string, key any, edits jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims(edits))
	if kid != "" {
		token.Header["kid"] = kid
	}
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func client(t testing.TB) *http.Client {
	c := &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func TestJWKS_EachAlgorithmIsPinned(t *testing.T) {
	ec := ecKey(t, elliptic.P256())
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	// One set with keys of all kinds, one of a kind nobody knows, and one for encryption.
	encKey := ecKey(t, elliptic.P256())
	enc := publicKey(t, "enc", encKey)
	enc["use"] = "enc"
	s := newKeyServer(t, publicKey(t, "ec", ec), publicKey(t, "ed", ed), publicKey(t, "rs", rs), enc,
		map[string]string{"kty": "XYZ", "kid": "new"}, map[string]string{"kty": "oct", "kid": "sym", "k": b64(secret)})
	signers := map[string]struct {
		method jwt.SigningMethod
		key    any
		kid    string
	}{"ES256": {jwt.SigningMethodES256, ec, "ec"}, "EdDSA": {jwt.SigningMethodEdDSA, ed, "ed"}, "RS256": {jwt.SigningMethodRS256, rs, "rs"}}
	for alg := range signers {
		w := newWorld(t, auth.Config{HTTP: client(t), Issuers: []auth.Issuer{{Name: "bank", Alg: alg, JWKS: s.URL}}})
		for signedWith, by := range signers {
			for _, kid := range []string{by.kid, ""} {
				_, err := w.Identify(t.Context(), signWith(t, by.method, kid, by.key, jwt.MapClaims{"iss": "bank"}), "")
				if ok := err == nil; ok != (signedWith == alg) {
					t.Errorf("issuer pinned to %s, token %s with kid %q: %v", alg, signedWith, kid, err)
				}
				if err != nil && !strings.Contains(err.Error(), "signs with "+alg+" only") {
					t.Errorf("refused for another reason than the algorithm: %v", err)
				}
			}
		}
		if _, err := w.Identify(t.Context(), signWith(t, jwt.SigningMethodES256, "enc", encKey, jwt.MapClaims{"iss": "bank"}), ""); !errors.Is(err, auth.ErrRefused) {
			t.Errorf("%s: a key for encryption was taken: %v", alg, err)
		}
		// The old confusion: the public key as an HMAC secret.
		public, err := json.Marshal(publicKey(t, "ec", ec))
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range [][]byte{secret, public} {
			if _, err := w.Identify(t.Context(), signWith(t, jwt.SigningMethodHS256, "sym", key, jwt.MapClaims{"iss": "bank"}), ""); !errors.Is(err, auth.ErrRefused) {
				t.Errorf("%s: HMAC was taken: %v", alg, err)
			}
		}
	}
}

func TestJWKS_RefusesShortRSAKeys(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	s := newKeyServer(t, publicKey(t, "short", short))
	w := newWorld(t, auth.Config{HTTP: client(t), Issuers: []auth.Issuer{{Name: "bank", Alg: "RS256", JWKS: s.URL}}})
	token := signWith(t, jwt.SigningMethodRS256, "short", short, jwt.MapClaims{"iss": "bank"})
	if _, err := w.Identify(t.Context(), token, ""); !errors.Is(err, auth.ErrRefused) {
		t.Errorf("got %v", err)
	}
}

func TestJWKS_UnknownKeyIDsDoNotStampede(t *testing.T) {
	old, next := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	s := newKeyServer(t, publicKey(t, "old", old))
	w := newWorld(t, auth.Config{HTTP: client(t), Issuers: []auth.Issuer{{Name: "bank", Alg: "ES256", JWKS: s.URL}}})
	good := signWith(t, jwt.SigningMethodES256, "old", old, jwt.MapClaims{"iss": "bank"})
	forged := signWith(t, jwt.SigningMethodES256, "forged", next, jwt.MapClaims{"iss": "bank"})

	identifyMany := func(token string, want error) {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := w.Identify(t.Context(), token, ""); !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			})
		}
		wg.Wait()
	}
	identifyMany(good, nil)
	if n := s.reads.Load(); n != 1 {
		t.Errorf("the first use read the set %d times", n)
	}
	identifyMany(forged, auth.ErrRefused)
	if n := s.reads.Load(); n != 1 {
		t.Errorf("within the cooldown the set was read %d times", n)
	}
	w.clock.Advance(31 * time.Second)
	identifyMany(forged, auth.ErrRefused)
	if n := s.reads.Load(); n != 2 {
		t.Errorf("after the cooldown the set was read %d times", n)
	}

	// A new key is found as soon as the cooldown is over.
	s.set(false, publicKey(t, "old", old), publicKey(t, "forged", next))
	w.clock.Advance(31 * time.Second)
	identifyMany(forged, nil)
}

func TestJWKS_OldKeysStayGoodWhileTheIssuerIsDown(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	s := newKeyServer(t)
	s.set(true)
	w := newWorld(t, auth.Config{HTTP: client(t), Issuers: []auth.Issuer{{Name: "bank", Alg: "ES256", JWKS: s.URL}}})
	token := signWith(t, jwt.SigningMethodES256, "k", key, jwt.MapClaims{"iss": "bank"})
	for range 2 { // the second is within the cooldown
		if _, err := w.Identify(t.Context(), token, ""); !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("never read: %v", err)
		}
	}
	s.set(false, publicKey(t, "k", key))
	w.clock.Advance(31 * time.Second)
	if _, err := w.Identify(t.Context(), token, ""); err != nil {
		t.Fatal(err)
	}
	s.set(true)
	w.clock.Advance(31 * time.Second)
	unknown := signWith(t, jwt.SigningMethodES256, "other", key, jwt.MapClaims{"iss": "bank"})
	if _, err := w.Identify(t.Context(), unknown, ""); !errors.Is(err, auth.ErrRefused) {
		t.Errorf("unknown key while down: %v", err)
	}
	if _, err := w.Identify(t.Context(), token, ""); err != nil {
		t.Errorf("known key while down: %v", err)
	}
}

// A key that its issuer has withdrawn is good for no token, though it was for this one.
func TestJWKS_AWithdrawnKeyEndsRememberedTokens(t *testing.T) {
	old, next := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	s := newKeyServer(t, publicKey(t, "old", old))
	w := newWorld(t, auth.Config{HTTP: client(t), Issuers: []auth.Issuer{{Name: "app", Alg: "ES256", JWKS: s.URL}}})
	token := signWith(t, jwt.SigningMethodES256, "old", old, jwt.MapClaims{"iss": "app"})
	for range 2 {
		if _, err := w.Identify(t.Context(), token, ""); err != nil {
			t.Fatal(err)
		}
	}
	s.set(false, publicKey(t, "next", next))
	w.clock.Advance(time.Minute) // the cooldown
	if _, err := w.Identify(t.Context(), signWith(t, jwt.SigningMethodES256, "next", next, jwt.MapClaims{"iss": "app"}), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Identify(t.Context(), token, ""); !errors.Is(err, auth.ErrRefused) {
		t.Errorf("got %v", err)
	}
}
