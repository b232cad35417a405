package identity_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/identity"
	"parley/identity/authenticatortest"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

func TestPasskeys_RegisterListRemove(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, identity.ConfirmConfig{})
		key := w.register("buyer")
		if key.Device != "dev_buyer" || key.LastUsedAt != nil || key.BackedUp || !strings.HasPrefix(key.ID, identity.PrefixPasskey) {
			t.Errorf("registered %+v", key)
		}
		// The same device is told that it has one already; another registers its own.
		begun, err := w.passkeys.RegisterBegin(t.Context(), person("buyer"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.devices["buyer"].Register(begun.Options, origin); err == nil {
			t.Error("the same device registered twice")
		}
		w.register("buyer")
		list, err := w.passkeys.List(t.Context(), person("buyer"))
		if err != nil || len(list) != 2 || list[0].ID != key.ID || !list[0].CreatedAt.Equal(key.CreatedAt) {
			t.Fatalf("listed %+v, %v", list, err)
		}
		w.want("removed by a stranger", w.passkeys.Remove(t.Context(), person("seller"), key.ID), identity.ErrPasskeyUnknown)
		if err := w.passkeys.Remove(t.Context(), person("buyer"), key.ID); err != nil {
			t.Fatal(err)
		}
		w.want("removed twice", w.passkeys.Remove(t.Context(), person("buyer"), key.ID), identity.ErrPasskeyUnknown)
		if list, err := w.passkeys.List(t.Context(), person("seller")); err != nil || len(list) != 0 {
			t.Errorf("someone else has %+v, %v", list, err)
		}
		// The whole record is kept, not a part.
		var record string
		err = w.db.View(t.Context(), func(tx *sqldb.Tx) error {
			return tx.QueryRow("SELECT record FROM identity_passkeys").Scan(&record)
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{`"publicKey"`, `"flags"`, `"backupEligible"`, `"attestation"`, `"clientDataJSON"`} {
			if !strings.Contains(record, part) {
				t.Errorf("the record lacks %s", part)
			}
		}
	})
}

func TestPasskeys_UseIsRecorded(t *testing.T) {
	w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	w.clock.Advance(time.Minute)
	if _, err := w.submit("buyer", w.sign("buyer", w.open("buyer"))); err != nil {
		t.Fatal(err)
	}
	list, err := w.passkeys.List(t.Context(), person("buyer"))
	if err != nil || len(list) != 1 || list[0].LastUsedAt == nil || list[0].LastUsedAt.Sub(list[0].CreatedAt) < time.Minute {
		t.Errorf("listed %+v, %v", list, err)
	}
}

func TestRegister_RefusesLyingAuthenticators(t *testing.T) {
	for name, c := range map[string]struct {
		lies   authenticatortest.Lies
		origin string
	}{
		"another page":      {origin: "http://evil.example"},
		"another domain":    {lies: authenticatortest.Lies{RPID: "evil.example"}},
		"another challenge": {lies: authenticatortest.Lies{Challenge: strings.Repeat("A", 43)}},
		"not verified":      {lies: authenticatortest.Lies{NotVerified: true}},
		"not present":       {lies: authenticatortest.Lies{NotPresent: true}},
		"an assertion":      {lies: authenticatortest.Lies{Type: "webauthn.get"}},
		"a payment":         {lies: authenticatortest.Lies{Type: "payment.get"}},
		"a framed page":     {lies: authenticatortest.Lies{CrossOrigin: true}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
			if c.origin == "" {
				c.origin = origin
			}
			begun, err := w.passkeys.RegisterBegin(t.Context(), person("buyer"))
			if err != nil {
				t.Fatal(err)
			}
			a := &authenticatortest.Authenticator{Lies: c.lies}
			credential, err := a.Register(begun.Options, c.origin)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.passkeys.RegisterFinish(t.Context(), person("buyer"), begun.Session, credential)
			w.want(name, err, identity.ErrCredential)
			if n := w.count("SELECT count(*) FROM identity_passkeys"); n != 0 {
				t.Error("it was stored")
			}
		})
	}
}

func TestRegister_SessionsAreGoodOnceForTheirUserAndForAWhile(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, identity.ConfirmConfig{})
		begin := func() (identity.Registration, json.RawMessage) {
			begun, err := w.passkeys.RegisterBegin(t.Context(), person("buyer"))
			if err != nil {
				t.Fatal(err)
			}
			credential, err := (&authenticatortest.Authenticator{}).Register(begun.Options, origin)
			if err != nil {
				t.Fatal(err)
			}
			return begun, credential
		}
		begun, credential := begin()
		_, err := w.passkeys.RegisterFinish(t.Context(), person("seller"), begun.Session, credential)
		w.want("another user", err, identity.ErrCeremonyExpired)
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 4 {
			wg.Go(func() {
				_, err := w.passkeys.RegisterFinish(t.Context(), person("buyer"), begun.Session, credential)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if !errors.Is(err, identity.ErrCeremonyExpired) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("a session was good %d times", won)
		}
		begun, credential = begin()
		w.clock.Advance(5*time.Minute + time.Second)
		_, err = w.passkeys.RegisterFinish(t.Context(), person("buyer"), begun.Session, credential)
		w.want("too late", err, identity.ErrCeremonyExpired)
	})
}

func TestRegister_IsForPeopleAndBounded(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	server := wire.Caller{Role: wire.RoleServer, User: "buyer"}
	_, err := w.passkeys.RegisterBegin(t.Context(), server)
	w.want("a server key for the buyer", err, identity.ErrUsersOnly)
	_, err = w.passkeys.RegisterFinish(t.Context(), server, "reg_1", nil)
	w.want("a server key for the buyer", err, identity.ErrUsersOnly)
	for range 20 {
		w.register("buyer")
	}
	_, err = w.passkeys.RegisterBegin(t.Context(), person("buyer"))
	w.want("the 21st", err, identity.ErrPasskeyLimit)
}

func TestRegister_OptionsAskForVerificationAndNameNobody(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	begun, err := w.passkeys.RegisterBegin(t.Context(), person("buyer"))
	if err != nil {
		t.Fatal(err)
	}
	var o struct {
		User                   struct{ ID string }
		AuthenticatorSelection struct{ UserVerification string }
		Attestation            string
		PubKeyCredParams       []struct{ Alg int }
	}
	if err := json.Unmarshal(begun.Options, &o); err != nil {
		t.Fatal(err)
	}
	if o.AuthenticatorSelection.UserVerification != "required" || o.Attestation != "none" || len(o.User.ID) != 43 || len(o.PubKeyCredParams) != 3 {
		t.Errorf("options are %s", begun.Options)
	}
}

func TestPasskeys_OfOneDomainDoNotWorkOnAnother(t *testing.T) {
	w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	other, err := identity.NewConfirmations(identity.ConfirmDeps{
		DB: w.db, Clock: w.clock, Passkeys: w.newPasskeys("https://pay.example", "pay.example"), Evidence: w.evidence,
		Payments: w.till, Calls: w.line, Publisher: w.speaker,
	}, identity.ConfirmConfig{})
	if err != nil {
		t.Fatal(err)
	}
	o, err := other.Open(t.Context(), person("buyer"), payID, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.devices["buyer"].Assert(o.Options, "https://pay.example"); !errors.Is(err, authenticatortest.ErrNoCredential) {
		t.Errorf("the device answered: %v", err)
	}
	home := w.open("buyer") // the same nonce, with the options of the right domain
	in := w.sign("buyer", home)
	if _, err := other.Submit(t.Context(), person("buyer"), in); !errors.Is(err, identity.ErrAssertionInvalid) {
		t.Errorf("the other domain took it: %v", err)
	}
}

// FuzzAssertion feeds answers that no passkey gave: none may pass, and each is
// refused for a reason that the caller may see.
func FuzzAssertion(f *testing.F) {
	w := newWorld(f, sqldbtest.Open(f, schemas()), identity.ConfirmConfig{})
	w.register("buyer")
	o := w.open("buyer")
	good := string(w.sign("buyer", o).Assertion)
	challenge, err := base64.RawURLEncoding.DecodeString(o.Challenge)
	if err != nil {
		f.Fatal(err)
	}
	check, err := w.passkeys.Checker(f.Context(), "buyer", [32]byte(challenge))
	if err != nil {
		f.Fatal(err)
	}
	if err := check(json.RawMessage(good)); err != nil {
		f.Fatal(err)
	}
	f.Add(good[:len(good)-1])
	f.Add(strings.Replace(good, `"userHandle":"`, `"userHandle":"A`, 1))
	f.Add(strings.Replace(good, "public-key", "payment", 1))
	f.Add(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA"}}`)
	f.Fuzz(func(t *testing.T, assertion string) {
		err := check(json.RawMessage(assertion))
		if err != nil && !errors.Is(err, identity.ErrAssertionInvalid) && !errors.Is(err, identity.ErrPasskeyUnknown) {
			t.Errorf("%q: %v", assertion, err)
		}
		// The keys of this run are new, so a stored input can only pass if it holds this run's signature.
		if err == nil && !strings.Contains(assertion, signatureOf(t, good)) {
			t.Errorf("passed: %q", assertion)
		}
	})
}

func signatureOf(t *testing.T, assertion string) string {
	t.Helper()
	var a struct{ Response struct{ Signature string } }
	if err := json.Unmarshal([]byte(assertion), &a); err != nil {
		t.Fatal(err)
	}
	return strings.TrimRight(a.Response.Signature, "=")
}
