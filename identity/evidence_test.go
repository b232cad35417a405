package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"parley/identity"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

// checkAssertionByHand verifies the passkey's signature in an evidence body
// with nothing but the standard library and CBOR.
func checkAssertionByHand(t *testing.T, body map[string]any) {
	t.Helper()
	raw := func(s any) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s.(string))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var cose map[int]any
	if err := cbor.Unmarshal(raw(body["public_key"]), &cose); err != nil {
		t.Fatal(err)
	}
	point := append([]byte{4}, append(cose[-2].([]byte), cose[-3].([]byte)...)...)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	a := body["assertion"].(map[string]any)
	client := raw(a["client_data_json"])
	clientHash := sha256.Sum256(client)
	signed := sha256.Sum256(append(raw(a["authenticator_data"]), clientHash[:]...))
	if !ecdsa.VerifyASN1(key, signed[:], raw(a["signature"])) {
		t.Error("the signature on record does not verify")
	}
	var data struct{ Type, Challenge string }
	if err := json.Unmarshal(client, &data); err != nil || data.Challenge != body["challenge"] || data.Type != "webauthn.get" {
		t.Errorf("client data is %s, %v", client, err)
	}
}

func TestEvidence_BundleForPartiesAndServers(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		w := both(t, db, identity.ConfirmConfig{})
		for _, u := range []wire.UserID{"buyer", "seller"} {
			if _, err := w.submit(u, w.sign(u, w.open(u))); err != nil {
				t.Fatal(err)
			}
		}
		var hash string
		for _, c := range []wire.Caller{person("buyer"), person("seller"), {Role: wire.RoleServer}, {Role: wire.RoleOperator, User: "root"}} {
			b, err := w.evidence.Bundle(t.Context(), c, payID)
			if err != nil {
				t.Fatal(err)
			}
			if len(b.Rows) != 3 || b.Head != b.Rows[2].Hash || len(b.Calls) != 1 || b.Transfers == nil {
				t.Errorf("bundle is %+v", b)
			}
			if err := identity.CheckRows(payID, b.Rows); err != nil {
				t.Error(err)
			}
			if hash != "" && b.Hash != hash {
				t.Error("two bundles of the same facts have different hashes")
			}
			hash = b.Hash
			w.clock.Advance(time.Minute)
		}
		_, err := w.evidence.Bundle(t.Context(), person("mallory"), payID)
		w.want("a stranger", err, identity.ErrNotParty)
		_, err = w.evidence.Bundle(t.Context(), person("buyer"), "pay_2")
		w.want("another payment", err, identity.ErrPaymentUnknown)
	})
}

func TestEvidence_TamperingIsSeen(t *testing.T) {
	for name, c := range map[string]string{
		"a body":      "UPDATE identity_evidence SET body = '{}' WHERE seq = 2",
		"a time":      "UPDATE identity_evidence SET at_ms = at_ms - 1 WHERE seq = 1",
		"a kind":      "UPDATE identity_evidence SET kind = 'snapshot' WHERE seq = 2",
		"an id":       "UPDATE identity_evidence SET id = 'evd_other' WHERE seq = 3",
		"a hash":      "UPDATE identity_evidence SET hash = 'ff' WHERE seq = 1",
		"a lost row":  "DELETE FROM identity_evidence WHERE seq = 2",
		"a lost head": "DELETE FROM identity_evidence WHERE seq = 1",
	} {
		t.Run(name, func(t *testing.T) {
			w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
			for _, u := range []wire.UserID{"buyer", "seller"} {
				if _, err := w.submit(u, w.sign(u, w.open(u))); err != nil {
					t.Fatal(err)
				}
			}
			w.exec(c)
			if _, err := w.evidence.Bundle(t.Context(), person("buyer"), payID); !errors.Is(err, identity.ErrChain) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestConfirmationEvidence_CanBeCheckedWithoutTheServer(t *testing.T) {
	w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	o := w.open("buyer")
	in := w.sign("buyer", o)
	in.Text, in.Locale = "Du ZAHLST 120,00 € an V. Seller.", "de"
	if _, err := w.submit("buyer", in); err != nil {
		t.Fatal(err)
	}
	body := w.lastConfirmation()
	for key, want := range map[string]any{
		"party": "buyer", "role": "payer", "device": "dev_buyer", "call": "call_1", "transcript": o.Transcript, "digest": o.Digest, "nonce": o.Nonce,
		"challenge": o.Challenge, "words": "match", "method": identity.MethodWords, "rp_id": "localhost", "origin": origin, "locale": "de", "text": in.Text,
	} {
		if body[key] != want {
			t.Errorf("%s is %v, want %v", key, body[key], want)
		}
	}
	var words []string
	for _, v := range body["words_read"].([]any) {
		words = append(words, v.(string))
	}
	list := identity.WordList()
	if len(words) != 3 || !slices.Contains(list, words[0]) || !slices.Contains(list, words[1]) {
		t.Errorf("words are %v", words)
	}
	checkAssertionByHand(t, body)
}
