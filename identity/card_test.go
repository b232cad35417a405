package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/identity"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

// publishedKey reads the key of cards as a client does.
func publishedKey(t *testing.T, cards *identity.Cards) (*ecdsa.PublicKey, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	cards.ServeHTTP(rec, httptest.NewRequest("GET", "/.well-known/jwks.json", nil))
	var set struct {
		Keys []struct{ Kty, Crv, Kid, Alg, Use, X, Y, D string }
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%s: %v", rec.Body, err)
	}
	k := set.Keys[0]
	if k.Kty != "EC" || k.Crv != "P-256" || k.Alg != "ES256" || k.Use != "sig" || k.D != "" {
		t.Errorf("key is %s", rec.Body)
	}
	x, errX := base64.RawURLEncoding.DecodeString(k.X)
	y, errY := base64.RawURLEncoding.DecodeString(k.Y)
	if err := errors.Join(errX, errY); err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, append(x, y...)...))
	if err != nil {
		t.Fatal(err)
	}
	return key, k.Kid
}

func TestCards_SayWhoCallsAboutWhat(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	verified := "A. Buyer"
	if _, err := w.users.Put(t.Context(), wire.Caller{Role: wire.RoleServer}, "buyer", identity.UserChange{Name: "b", VerifiedName: &verified}); err != nil {
		t.Fatal(err)
	}
	signed, err := w.cards.Sign(t.Context(), "buyer", "seller", payID, "AB:CD")
	if err != nil {
		t.Fatal(err)
	}
	key, kid := publishedKey(t, w.cards)
	card, err := identity.VerifyCard(signed, key, "seller", w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	if card.RichCall.Name != verified || !card.RichCall.Verified || card.Reason != "Payment 120.00 EUR, order 77" || card.Origin.URI != "parley:user:buyer" {
		t.Errorf("card is %+v", card)
	}
	if card.Payment == nil || card.Payment.ID != payID || card.Payment.Version != 1 || len(card.Payment.Digest) != 64 {
		t.Errorf("about %+v", card.Payment)
	}
	if len(card.Keys) != 1 || card.Keys[0] != (identity.Fingerprint{Alg: "sha-256", Dig: "AB:CD"}) {
		t.Errorf("keys are %+v", card.Keys)
	}
	header, err := base64.RawURLEncoding.DecodeString(strings.Split(signed, ".")[0])
	if err != nil || !strings.Contains(string(header), `"typ":"passport"`) || !strings.Contains(string(header), kid) {
		t.Errorf("header is %s, %v", header, err)
	}
	plain, err := w.cards.Sign(t.Context(), "nobody", "seller", "")
	if err != nil {
		t.Fatal(err)
	}
	if card, err := identity.VerifyCard(plain, key, "seller", w.clock.Now()); err != nil || card.Payment != nil || card.Reason != "" || card.RichCall.Verified {
		t.Errorf("a card about nothing is %+v, %v", card, err)
	}
	_, err = w.cards.Sign(t.Context(), "buyer", "seller", "pay_2")
	w.want("about no payment", err, identity.ErrPaymentUnknown)
}

func TestCards_ForgeriesAreRefused(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	signed, err := w.cards.Sign(t.Context(), "buyer", "seller", payID)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := publishedKey(t, w.cards)
	other := newWorld(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	foreign, _ := publishedKey(t, other.cards)
	parts := strings.Split(signed, ".")
	now := w.clock.Now()
	for name, c := range map[string]struct {
		card string
		key  *ecdsa.PublicKey
		to   wire.UserID
		at   time.Time
	}{
		"for another user":      {signed, key, "mallory", now},
		"a minute old":          {signed, key, "seller", now.Add(62 * time.Second)},
		"from the future":       {signed, key, "seller", now.Add(-62 * time.Second)},
		"signed by someone":     {signed, foreign, "seller", now},
		"with other content":    {parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{}`)) + "." + parts[2], key, "seller", now},
		"unsigned":              {"eyJhbGciOiJub25lIn0." + parts[1] + ".", key, "seller", now},
		"something else signed": {"hello", key, "seller", now},
	} {
		if _, err := identity.VerifyCard(c.card, c.key, c.to, c.at); !errors.Is(err, identity.ErrCard) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCards_AllNodesSignWithOneKey(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, identity.ConfirmConfig{})
		var wg sync.WaitGroup
		sets := make([]string, 6)
		for i := range sets {
			wg.Go(func() {
				node := identity.NewCards(db, w.clock, w.users, w.till, identity.CardConfig{})
				set, err := node.JWKS(t.Context())
				if err != nil {
					t.Error(err)
				}
				sets[i] = string(set)
			})
		}
		wg.Wait()
		for _, s := range sets {
			if s != sets[0] {
				t.Errorf("keys are %s and %s", sets[0], s)
			}
		}
	})
}
