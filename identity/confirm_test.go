package identity_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"parley/identity"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

func TestConfirm_BothPartiesCapture(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		w := both(t, db, identity.ConfirmConfig{})
		ob, os := w.open("buyer"), w.open("seller")
		if ob.Nonce == os.Nonce || ob.Challenge == os.Challenge || ob.Digest != os.Digest || !ob.Deadline.Equal(os.Deadline) {
			t.Errorf("opened %+v and %+v", ob, os)
		}
		if ob.Text != "You will PAY 120.00 EUR to V. Seller." || os.Text != "You will RECEIVE 120.00 EUR." {
			t.Errorf("texts are %q and %q", ob.Text, os.Text)
		}
		if state, err := w.submit("seller", w.sign("seller", os)); err != nil || state != "confirming" {
			t.Fatalf("first: %s, %v", state, err)
		}
		if state, err := w.submit("buyer", w.sign("buyer", ob)); err != nil || state != "captured" {
			t.Fatalf("second: %s, %v", state, err)
		}
		if n := w.count("SELECT captures FROM till"); n != 1 {
			t.Errorf("captured %d times", n)
		}
		rows, err := w.evidence.Rows(t.Context(), payID)
		if err != nil || !slices.Equal(kinds(rows), []string{"snapshot", "confirmation", "confirmation"}) {
			t.Errorf("evidence is %v, %v", kinds(rows), err)
		}
	})
}

func TestConfirm_ChallengeBindsDigestTranscriptAndNonce(t *testing.T) {
	w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	o := w.open("buyer")
	h := func(s string) [32]byte {
		b, err := hex.DecodeString(s)
		if err != nil || len(b) != 32 {
			t.Fatalf("%q: %v", s, err)
		}
		return [32]byte(b)
	}
	nonce, err := base64.RawURLEncoding.DecodeString(o.Nonce)
	if err != nil || len(nonce) != 32 {
		t.Fatal(o.Nonce, err)
	}
	want := identity.Challenge(h(o.Digest), h(o.Transcript), [32]byte(nonce))
	var options struct {
		Challenge, RPID, UserVerification string
		AllowCredentials                  []struct{ ID string }
	}
	if err := json.Unmarshal(o.Options, &options); err != nil {
		t.Fatal(err)
	}
	if encoded := base64.RawURLEncoding.EncodeToString(want[:]); o.Challenge != encoded || options.Challenge != encoded {
		t.Errorf("challenges are %s and %s, want %s", o.Challenge, options.Challenge, encoded)
	}
	if options.UserVerification != "required" || len(options.AllowCredentials) != 1 {
		t.Errorf("options are %s", o.Options)
	}
}

func TestOpen_TellsBothParties(t *testing.T) {
	w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	first := w.open("buyer")
	if again := w.open("buyer"); again.Nonce != first.Nonce {
		t.Error("opening again made another nonce")
	}
	if len(w.speaker.heard) != 1 || w.speaker.heard[0].Type != "confirmation.opened" {
		t.Fatalf("heard %+v", w.speaker.heard)
	}
	if to := w.speaker.to[0]; len(to) != 2 || to[0].User != "buyer" || to[1].User != "seller" || to[0].Device != "" {
		t.Errorf("told %+v", to)
	}
	var data struct {
		Payment, By string
		Version     int64
		Deadline    time.Time
	}
	if err := json.Unmarshal(w.speaker.heard[0].Data, &data); err != nil {
		t.Fatal(err)
	}
	if data.Payment != "pay_1" || data.By != "buyer" || data.Version != 1 || !data.Deadline.Equal(first.Deadline) {
		t.Errorf("told %+v", data)
	}
}

func TestOpen_Refuses(t *testing.T) {
	for name, c := range map[string]struct {
		edit    func(w *world)
		caller  wire.Caller
		version int64
		want    error
	}{
		"a server key acting for the buyer": {caller: wire.Caller{Role: wire.RoleServer, User: "buyer"}, want: identity.ErrUsersOnly},
		"a stranger":                        {caller: person("mallory"), want: identity.ErrNotParty},
		"another version":                   {version: 2, want: identity.ErrVersionStale},
		"a request without a hold":          {edit: func(w *world) { w.exec("UPDATE till SET state = 'requested'") }, want: identity.ErrPaymentState},
		"what is captured":                  {edit: func(w *world) { w.exec("UPDATE till SET state = 'captured'") }, want: identity.ErrPaymentState},
		"after the hold":                    {edit: func(w *world) { w.exec("UPDATE till SET hold_ms = 1") }, want: identity.ErrHoldExpired},
		"no such payment":                   {edit: func(w *world) { w.exec("DELETE FROM till") }, want: identity.ErrPaymentUnknown},
		"without a call":                    {edit: func(w *world) { w.line.active = false }, want: identity.ErrCallNotActive},
		"a call without the payee":          {edit: func(w *world) { w.line.call.Users = []wire.UserID{"buyer", "mallory"} }, want: identity.ErrCallNotActive},
		"before the words are compared":     {edit: func(w *world) { w.line.call.Transcript, w.line.call.Verified = "", "none" }, want: identity.ErrTranscriptMismatch},
		"when the words differ":             {edit: func(w *world) { w.line.call.Verified = "words_differ" }, want: identity.ErrTranscriptMismatch},
		"a transcript that is no hash":      {edit: func(w *world) { w.line.call.Transcript = strings.Repeat("A", 64) }, want: identity.ErrTranscriptMismatch},
		"a call through the server":         {edit: func(w *world) { w.line.call.SFU = true }, want: identity.ErrNotEndToEnd},
		"without a passkey":                 {edit: func(w *world) { w.exec("DELETE FROM identity_passkeys") }, want: identity.ErrPasskeyUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
			if c.caller.Role == "" {
				c.caller = person("buyer")
			}
			if c.edit != nil {
				c.edit(w)
			}
			_, err := w.confirm.Open(t.Context(), c.caller, payID, c.version)
			w.want(name, err, c.want)
			if len(w.speaker.heard) != 0 {
				t.Error("it was announced")
			}
		})
	}
}

// TestSubmit_Refuses changes one thing between open and submit and holds that
// nothing has moved and no evidence was written.
func TestSubmit_Refuses(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(w *world, in *identity.Submission)
		as   wire.UserID // who submits; buyer by default
		want error
	}{
		"a version that has changed":     {edit: func(w *world, _ *identity.Submission) { w.exec("UPDATE till SET version = 2, amount = 11000") }, want: identity.ErrVersionStale},
		"another amount at this version": {edit: func(w *world, _ *identity.Submission) { w.exec("UPDATE till SET amount = 11000") }, want: identity.ErrVersionStale},
		"another version than opened":    {edit: func(_ *world, in *identity.Submission) { in.Version = 2 }, want: identity.ErrVersionStale},
		"a payment in review":            {edit: func(w *world, _ *identity.Submission) { w.exec("UPDATE till SET state = 'review'") }, want: identity.ErrPaymentState},
		"after the deadline":             {edit: func(w *world, _ *identity.Submission) { w.clock.Advance(121 * time.Second) }, want: identity.ErrConfirmExpired},
		"an unknown nonce":               {edit: func(_ *world, in *identity.Submission) { in.Nonce = strings.Repeat("A", 43) }, want: identity.ErrConfirmExpired},
		"a nonce of another payment":     {edit: func(_ *world, in *identity.Submission) { in.Payment = "pay_2" }, want: identity.ErrConfirmExpired},
		"after the call":                 {edit: func(w *world, _ *identity.Submission) { w.line.active = false }, want: identity.ErrCallNotActive},
		"the payer is not heard":         {edit: func(w *world, _ *identity.Submission) { w.line.silent["buyer"] = true }, want: identity.ErrMediaNotAlive},
		"the payee is not heard":         {edit: func(w *world, _ *identity.Submission) { w.line.silent["seller"] = true }, want: identity.ErrMediaNotAlive},
		"new keys in the call":           {edit: func(w *world, _ *identity.Submission) { w.line.call.Transcript = transcriptHex(9) }, want: identity.ErrTranscriptMismatch},
		"another call, the same keys":    {edit: func(w *world, _ *identity.Submission) { w.line.call.ID = "call_2" }, want: identity.ErrTranscriptMismatch},
		"the device sees other keys":     {edit: func(_ *world, in *identity.Submission) { in.Transcript = transcriptHex(9) }, want: identity.ErrTranscriptMismatch},
		"words that were not compared":   {edit: func(_ *world, in *identity.Submission) { in.SAS = "none" }, want: identity.ErrTranscriptMismatch},
		"a call that went to the server": {edit: func(w *world, _ *identity.Submission) { w.line.call.SFU = true }, want: identity.ErrNotEndToEnd},
		"after the hold":                 {edit: func(w *world, _ *identity.Submission) { holdOnly(w) }, want: identity.ErrHoldExpired},
		"no idempotency key":             {edit: func(_ *world, in *identity.Submission) { in.Idempotency = "" }, want: identity.ErrKeyMissing},
		"someone else's nonce":           {as: "seller", want: identity.ErrNotParty},
		"no answer at all":               {edit: func(_ *world, in *identity.Submission) { in.Assertion = json.RawMessage(`{}`) }, want: identity.ErrAssertionInvalid},
		"a passkey removed meanwhile": {edit: func(w *world, _ *identity.Submission) {
			w.exec("DELETE FROM identity_passkeys WHERE user_id = 'buyer'")
		}, want: identity.ErrPasskeyUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
			in := w.sign("buyer", w.open("buyer"))
			if c.edit != nil {
				c.edit(w, &in)
			}
			if c.as == "" {
				c.as = "buyer"
			}
			_, err := w.submit(c.as, in)
			w.want(name, err, c.want)
			w.nothingMoved()
		})
	}
}

// holdOnly lets the hold pass without changing what the snapshot says of it:
// its digest must not be what refuses.
func holdOnly(w *world) {
	w.exec("UPDATE identity_nonces SET deadline_ms = deadline_ms + ?", (30 * 24 * time.Hour).Milliseconds())
	w.clock.Advance(8 * 24 * time.Hour)
}

func (w *world) nothingMoved() {
	w.t.Helper()
	if n := w.count("SELECT count(*) FROM till WHERE confirmed <> ''"); n != 0 {
		w.t.Error("the payment moved")
	}
	if n := w.count("SELECT count(*) FROM identity_evidence WHERE kind = 'confirmation'"); n != 0 {
		w.t.Error("evidence was written")
	}
	if n := w.count("SELECT count(*) FROM identity_nonces WHERE used_ms > 0"); n != 0 {
		w.t.Error("the nonce was used up")
	}
}

// TestSubmit_RefusesInTheOrderOfTheCodes breaks more and more, from the last
// check to the first: each time the earlier check must speak.
func TestSubmit_RefusesInTheOrderOfTheCodes(t *testing.T) {
	w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	in := w.sign("buyer", w.open("buyer"))
	for _, step := range []struct {
		spoil func()
		want  error
	}{
		{func() { holdOnly(w) }, identity.ErrHoldExpired},
		{func() { in.Assertion = json.RawMessage(`{}`) }, identity.ErrAssertionInvalid},
		{func() { w.line.call.Transcript = transcriptHex(9) }, identity.ErrTranscriptMismatch},
		{func() { w.line.silent["seller"] = true }, identity.ErrMediaNotAlive},
		{func() { w.line.active = false }, identity.ErrCallNotActive},
		{func() { w.clock.Advance(60 * 24 * time.Hour) }, identity.ErrConfirmExpired},
		{func() { w.exec("UPDATE till SET version = 2") }, identity.ErrVersionStale},
	} {
		step.spoil()
		_, err := w.submit("buyer", in)
		w.want("", err, step.want)
	}
	w.nothingMoved()
}

func TestSubmit_RefusesLyingAuthenticators(t *testing.T) {
	for name, c := range map[string]struct {
		lie    func(w *world, o *identity.Opened)
		origin string
		want   error
	}{
		"another page":             {origin: "http://evil.example", want: identity.ErrAssertionInvalid},
		"another port":             {origin: "http://localhost:9090", want: identity.ErrAssertionInvalid},
		"another domain":           {lie: func(w *world, _ *identity.Opened) { w.devices["buyer"].Lies.RPID = "evil.example" }, want: identity.ErrAssertionInvalid},
		"another challenge":        {lie: func(w *world, _ *identity.Opened) { w.devices["buyer"].Lies.Challenge = strings.Repeat("A", 43) }, want: identity.ErrAssertionInvalid},
		"the other's challenge":    {lie: func(w *world, _ *identity.Opened) { w.devices["buyer"].Lies.Challenge = w.open("seller").Challenge }, want: identity.ErrAssertionInvalid},
		"user not verified":        {lie: func(w *world, _ *identity.Opened) { w.devices["buyer"].Lies.NotVerified = true }, want: identity.ErrAssertionInvalid},
		"user not present":         {lie: func(w *world, _ *identity.Opened) { w.devices["buyer"].Lies.NotPresent = true }, want: identity.ErrAssertionInvalid},
		"a payment handler's data": {lie: func(w *world, _ *identity.Opened) { w.devices["buyer"].Lies.Type = "payment.get" }, want: identity.ErrAssertionInvalid},
		"a registration's data":    {lie: func(w *world, _ *identity.Opened) { w.devices["buyer"].Lies.Type = "webauthn.create" }, want: identity.ErrAssertionInvalid},
		"a framed page":            {lie: func(w *world, _ *identity.Opened) { w.devices["buyer"].Lies.CrossOrigin = true }, want: identity.ErrAssertionInvalid},
		"a wrong signature":        {lie: func(w *world, _ *identity.Opened) { w.devices["buyer"].Lies.WrongSignature = true }, want: identity.ErrAssertionInvalid},
		"an unknown credential":    {lie: func(w *world, _ *identity.Opened) { w.devices["buyer"].Lies.CredentialID = []byte("nobody") }, want: identity.ErrPasskeyUnknown},
		"the seller's passkey": {lie: func(w *world, o *identity.Opened) {
			w.devices["buyer"], o.Options = w.devices["seller"], withAllowed(t, o.Options, w.open("seller").Options)
		}, want: identity.ErrPasskeyUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
			o := w.open("buyer")
			if c.lie != nil {
				c.lie(w, &o)
			}
			if c.origin == "" {
				c.origin = origin
			}
			in := w.sign("buyer", o)
			var err error
			if in.Assertion, err = w.devices["buyer"].Assert(o.Options, c.origin); err != nil {
				t.Fatal(err)
			}
			_, err = w.submit("buyer", in)
			w.want(name, err, c.want)
			w.nothingMoved()
		})
	}
}

// withAllowed returns options with the credentials of others.
func withAllowed(t *testing.T, options, others json.RawMessage) json.RawMessage {
	t.Helper()
	var a, b map[string]any
	if err := errors.Join(json.Unmarshal(options, &a), json.Unmarshal(others, &b)); err != nil {
		t.Fatal(err)
	}
	a["allowCredentials"] = b["allowCredentials"]
	out, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSubmit_ResendsGetTheSameAnswer(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		reg := prometheus.NewRegistry()
		w := both(t, db, identity.ConfirmConfig{Metrics: reg})
		os, ob := w.open("seller"), w.open("buyer")
		if _, err := w.submit("seller", w.sign("seller", os)); err != nil {
			t.Fatal(err)
		}
		in := w.sign("buyer", ob)
		var wg sync.WaitGroup
		for range 8 { // a double tap, and resends after a reconnect
			wg.Go(func() {
				if state, err := w.submit("buyer", in); err != nil || state != "captured" {
					t.Errorf("%s, %v", state, err)
				}
			})
		}
		wg.Wait()
		// Even when the call is over, the passkey gone and the answer signed anew.
		w.line.active = false
		w.exec("DELETE FROM identity_passkeys")
		in.Assertion = json.RawMessage(`{}`)
		if state, err := w.submit("buyer", in); err != nil || state != "captured" {
			t.Errorf("late resend: %s, %v", state, err)
		}
		if n := w.count("SELECT captures FROM till"); n != 1 {
			t.Errorf("captured %d times", n)
		}
		if n := w.count("SELECT count(*) FROM identity_evidence WHERE kind = 'confirmation'"); n != 2 {
			t.Errorf("%d confirmations on record", n)
		}
		_, err := w.submit("seller", in)
		w.want("someone else's used nonce", err, identity.ErrNotParty)
		expected := `
# HELP parley_identity_signals_total Signs that a passkey may have been copied, by kind.
# TYPE parley_identity_signals_total counter
parley_identity_signals_total{kind="sign_count_back"} 0
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(expected), "parley_identity_signals_total"); err != nil {
			t.Error(err)
		}
	})
}

func TestSubmit_AServerKeyCannotConfirmForAPerson(t *testing.T) {
	w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	in := w.sign("buyer", w.open("buyer"))
	_, err := w.confirm.Submit(t.Context(), wire.Caller{Role: wire.RoleServer, User: "buyer"}, in)
	w.want("a server key", err, identity.ErrUsersOnly)
	w.nothingMoved()
}

func TestSubmit_OneKeyIsForOneConfirmation(t *testing.T) {
	w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	first := w.sign("buyer", w.open("buyer"))
	if _, err := w.submit("buyer", first); err != nil {
		t.Fatal(err)
	}
	w.line.call.Transcript = transcriptHex(9)
	second := w.sign("buyer", w.open("buyer"))
	second.Idempotency = first.Idempotency
	_, err := w.submit("buyer", second)
	w.want("the key again", err, identity.ErrKeyReused)
}

func TestSubmit_NewKeysAskBothAgain(t *testing.T) {
	w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	deadline := w.open("seller").Deadline
	old := w.open("buyer")
	if state, err := w.submit("seller", w.sign("seller", w.open("seller"))); err != nil || state != "confirming" {
		t.Fatal(state, err)
	}
	w.line.call.Transcript = transcriptHex(9) // a reload without the stored certificate
	_, err := w.submit("buyer", w.sign("buyer", old))
	w.want("over the old keys", err, identity.ErrTranscriptMismatch)
	fresh := w.open("buyer")
	if fresh.Nonce == old.Nonce || !fresh.Deadline.Equal(deadline) {
		t.Errorf("nonce is new: %v, deadline is kept: %v", fresh.Nonce != old.Nonce, fresh.Deadline.Equal(deadline))
	}
	if state, err := w.submit("buyer", w.sign("buyer", fresh)); err != nil || state != "confirming" {
		t.Errorf("the seller's confirmation over the old keys counted: %s, %v", state, err)
	}
	if state, err := w.submit("seller", w.sign("seller", w.open("seller"))); err != nil || state != "captured" {
		t.Errorf("both over the new keys: %s, %v", state, err)
	}
}

func TestOpen_TheDeadlineIsNotExtended(t *testing.T) {
	w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{})
	first := w.open("buyer")
	w.clock.Advance(time.Minute)
	if o := w.open("seller"); !o.Deadline.Equal(first.Deadline) {
		t.Errorf("the second open has deadline %v, the first %v", o.Deadline, first.Deadline)
	}
	if left := first.Deadline.Sub(w.clock.Now()); left < 58*time.Second || left > time.Minute {
		t.Errorf("%v are left after a minute", left)
	}
	w.clock.Advance(time.Minute)
	next := w.open("buyer")
	if next.Nonce == first.Nonce || !next.Deadline.After(first.Deadline) {
		t.Errorf("after the deadline no new round began: %+v", next)
	}
	w.exec("UPDATE till SET version = 2, amount = 11000")
	edited := w.open("buyer")
	if edited.Version != 2 || edited.Digest == next.Digest || edited.Nonce == next.Nonce {
		t.Errorf("after an edit: %+v", edited)
	}
	rows, err := w.evidence.Rows(t.Context(), payID)
	if err != nil || !slices.Equal(kinds(rows), []string{"snapshot", "snapshot"}) {
		t.Errorf("evidence is %v, %v: want one snapshot per version", kinds(rows), err)
	}
}

func TestSubmit_ThroughTheServerSaysSo(t *testing.T) {
	w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{AllowSFUConfirm: true})
	w.line.call.SFU, w.line.call.Transcript, w.line.call.Verified = true, "", "none"
	o := w.open("buyer")
	if o.Method != identity.MethodSFUNotE2E {
		t.Errorf("method is %s", o.Method)
	}
	in := w.sign("buyer", o)
	_, err := w.submit("buyer", in)
	w.want("claiming that words match", err, identity.ErrNotEndToEnd)
	in.SAS = "none"
	if state, err := w.submit("buyer", in); err != nil || state != "confirming" {
		t.Fatal(state, err)
	}
	if words := w.lastConfirmation()["words"]; words != "not_e2e" {
		t.Errorf("evidence says words: %v", words)
	}
}

func (w *world) lastConfirmation() map[string]any {
	w.t.Helper()
	rows, err := w.evidence.Rows(w.t.Context(), payID)
	if err != nil || len(rows) == 0 {
		w.t.Fatal(rows, err)
	}
	var body map[string]any
	if err := json.Unmarshal(rows[len(rows)-1].Body, &body); err != nil {
		w.t.Fatal(err)
	}
	return body
}

func TestSubmit_CounterGoingBackIsASignal(t *testing.T) {
	reg := prometheus.NewRegistry()
	w := both(t, sqldbtest.Open(t, schemas()), identity.ConfirmConfig{Metrics: reg})
	if state, err := w.submit("buyer", w.sign("buyer", w.open("buyer"))); err != nil || state != "confirming" {
		t.Fatal(state, err)
	}
	if signals := w.lastConfirmation()["signals"].([]any); len(signals) != 0 {
		t.Errorf("the first use has signals %v", signals)
	}
	back := uint32(1) // as before: a copy that was made then
	w.devices["buyer"].Lies.Counter = &back
	w.line.call.Transcript = transcriptHex(9)
	if state, err := w.submit("buyer", w.sign("buyer", w.open("buyer"))); err != nil || state != "confirming" {
		t.Fatal(state, err)
	}
	if signals := w.lastConfirmation()["signals"].([]any); len(signals) != 1 || signals[0] != identity.SignalCounterBack {
		t.Errorf("signals are %v", signals)
	}
	if n, err := testutil.GatherAndCount(reg, "parley_identity_signals_total"); err != nil || n != 1 {
		t.Error(n, err)
	}
}

func TestSubmit_FailureUndoesAll(t *testing.T) {
	each(t, func(t *testing.T, db *sqldb.DB) {
		w := both(t, db, identity.ConfirmConfig{})
		in := w.sign("buyer", w.open("buyer"))
		w.till.fail = sqldb.ErrUnavailable
		_, err := w.submit("buyer", in)
		w.want("no ledger", err, identity.ErrLedgerUnavailable)
		w.nothingMoved()
		w.till.fail = nil
		if state, err := w.submit("buyer", in); err != nil || state != "confirming" {
			t.Errorf("the same again: %s, %v", state, err)
		}
	})
}
