package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/singleflight"

	"parley/internal/clock"
)

const (
	keySetMax = 256 << 10 // bytes of a key set
	keysMax   = 100       // keys of a set
)

// keySet is the cached key set of an issuer. A token that names an unknown
// key makes it read the set again, at most once per cooldown and never twice
// at the same time, so that forged key ids cost the issuer nothing. While the
// issuer cannot be reached the keys known last stay good.
type keySet struct {
	url, alg string
	http     *http.Client
	clock    clock.Clock
	cooldown time.Duration
	flight   singleflight.Group

	mu      sync.Mutex
	keys    keyfunc.Keyfunc // nil until the first success
	version int             // counts the successes
	tried   time.Time
}

func newKeySet(is Issuer, cfg Config, clk clock.Clock) *keySet {
	return &keySet{url: is.JWKS, alg: is.Alg, http: cfg.HTTP, clock: clk, cooldown: cfg.KeysCooldown}
}

func (k *keySet) known() keyfunc.Keyfunc {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys
}

// find returns the key or keys that may have signed t.
func (k *keySet) find(ctx context.Context, t *jwt.Token) (any, error) {
	if keys := k.known(); keys != nil {
		if key, err := keys.KeyfuncCtx(ctx)(t); err == nil {
			return key, nil
		}
	}
	if err := k.refresh(ctx); err != nil && k.known() == nil {
		return nil, fmt.Errorf("%w: key set: %w", ErrUnavailable, err)
	}
	keys := k.known()
	if keys == nil {
		return nil, fmt.Errorf("%w: key set not read yet", ErrUnavailable)
	}
	key, err := keys.KeyfuncCtx(ctx)(t)
	if err != nil {
		return nil, fmt.Errorf("%w: unknown key", ErrRefused)
	}
	return key, nil
}

// refresh reads the set unless that was tried within the cooldown.
func (k *keySet) refresh(ctx context.Context) error {
	_, err, _ := k.flight.Do("", func() (any, error) {
		if !k.due() {
			return nil, nil
		}
		// One caller's end must not fail the others who wait for the same read.
		keys, err := k.fetch(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err
		}
		k.mu.Lock()
		k.keys = keys
		k.version++
		k.mu.Unlock()
		return nil, nil
	})
	return err
}

func (k *keySet) due() bool {
	now := k.clock.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.tried.IsZero() && now.Before(k.tried.Add(k.cooldown)) {
		return false
	}
	k.tried = now
	return true
}

func (k *keySet) fetch(ctx context.Context) (keyfunc.Keyfunc, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := k.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, keySetMax+1))
	if err != nil {
		return nil, err
	}
	if len(body) > keySetMax {
		return nil, fmt.Errorf("larger than %d bytes", keySetMax)
	}
	return parseKeySet(body, k.alg)
}

// parseKeySet keeps the keys that can verify alg: one key of a kind we do not
// know must not make the others useless.
func parseKeySet(body []byte, alg string) (keyfunc.Keyfunc, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("not a key set: %w", err)
	}
	if len(set.Keys) > keysMax {
		return nil, fmt.Errorf("more than %d keys", keysMax)
	}
	good := []json.RawMessage{}
	for _, raw := range set.Keys {
		if usable(raw, alg) {
			good = append(good, raw)
		}
	}
	if len(good) == 0 {
		return nil, fmt.Errorf("no key for %s", alg)
	}
	return keyfunc.NewJWKSetJSON(joined(good))
}

var keyTypes = map[string]string{"ES256": "EC", "EdDSA": "OKP", "RS256": "RSA"}

func usable(raw json.RawMessage, alg string) bool {
	var k struct{ Kty, Use, Alg string }
	if err := json.Unmarshal(raw, &k); err != nil {
		return false
	}
	if k.Kty != keyTypes[alg] || k.Use == "enc" || (k.Alg != "" && k.Alg != alg) {
		return false
	}
	_, err := keyfunc.NewJWKSetJSON(joined([]json.RawMessage{raw}))
	return err == nil
}

func joined(keys []json.RawMessage) json.RawMessage {
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err) // the keys were just parsed
	}
	return b
}
