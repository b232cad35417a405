package identity

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// submitResults names the outcomes of Submit that are counted by themselves.
var submitResults = []struct {
	is   error
	name string
}{
	{ErrVersionStale, "payment_version_stale"}, {ErrConfirmExpired, "confirmation_expired"},
	{ErrCallNotActive, "call_not_active"}, {ErrMediaNotAlive, "media_not_alive"},
	{ErrTranscriptMismatch, "transcript_mismatch"}, {ErrNotEndToEnd, "call_not_e2e"},
	{ErrAssertionInvalid, "assertion_invalid"}, {ErrPasskeyUnknown, "passkey_unknown"},
	{ErrHoldExpired, "hold_expired"}, {ErrPaymentState, "payment_state"}, {ErrNotParty, "not_party"},
}

func resultNames() []string {
	names := make([]string, len(submitResults))
	for i, r := range submitResults {
		names[i] = r.name
	}
	return names
}

// Submit takes a party's confirmation and answers the payment after it: it is
// captured when this was the second valid one. In one transaction the nonce is
// used up, the evidence is written and the payment moves. Sending the same
// nonce again answers the same and does nothing.
//
// What is checked, in order, and the error: ErrVersionStale, ErrPaymentState,
// ErrConfirmExpired, ErrCallNotActive, ErrMediaNotAlive, ErrTranscriptMismatch
// (or ErrNotEndToEnd), ErrAssertionInvalid, ErrPasskeyUnknown, ErrHoldExpired;
// besides ErrUsersOnly, ErrNotParty, ErrKeyMissing and ErrKeyReused. After
// ErrLedgerUnavailable nothing is known: send the same again.
func (s *Confirmations) Submit(ctx context.Context, c wire.Caller, in Submission) (json.RawMessage, error) {
	answer, repeated, err := s.submit(ctx, c, in)
	if errors.Is(err, sqldb.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", ErrLedgerUnavailable, err)
	}
	s.count(err, repeated)
	return answer, err
}

func (s *Confirmations) count(err error, repeated bool) {
	result := "error"
	switch {
	case repeated:
		result = "repeated"
	case err == nil:
		result = "confirmed"
	}
	for _, r := range submitResults {
		if err != nil && errors.Is(err, r.is) {
			result = r.name
		}
	}
	s.results.WithLabelValues(result).Inc()
}

func (s *Confirmations) submit(ctx context.Context, c wire.Caller, in Submission) (answer json.RawMessage, repeated bool, err error) {
	if c.Role != wire.RoleUser || c.User == "" {
		return nil, false, ErrUsersOnly
	}
	if in.Idempotency == "" {
		return nil, false, ErrKeyMissing
	}
	checked := s.checkAssertion(ctx, c, in)
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		if err := tx.Lock("confirm:" + string(in.Payment)); err != nil {
			return err
		}
		n, err := s.ownNonce(tx, c, in)
		if err != nil {
			return err
		}
		if n.used {
			answer, repeated = json.RawMessage(n.answer), true
			return nil
		}
		p, err := s.stillConfirmable(tx, in, n)
		if err != nil {
			return err
		}
		if checked.err != nil {
			return checked.err
		}
		if holdExpired(p, s.clock.Now()) {
			return ErrHoldExpired
		}
		answer, err = s.confirm(tx, c, in, n, p, checked.proof)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return answer, repeated, nil
}

// checkedAssertion is the outcome of the arithmetic of a signature.
type checkedAssertion struct {
	proof proof
	err   error
}

// checkAssertion verifies the passkey's answer before the transaction, which
// must not wait for arithmetic; nonces do not change once made. What it finds
// is used only after all that comes before it has been checked.
func (s *Confirmations) checkAssertion(ctx context.Context, c wire.Caller, in Submission) (checked checkedAssertion) {
	var o *owner
	var n nonce
	err := s.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		if n, err = readNonce(tx, "nonce = ?", in.Nonce); err != nil {
			return err
		}
		o, err = s.passkeys.ownerTx(tx, c.User)
		return err
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return checkedAssertion{err: ErrConfirmExpired}
	case errors.Is(err, ErrUserUnknown):
		return checkedAssertion{err: ErrPasskeyUnknown}
	case err != nil:
		return checkedAssertion{err: err}
	case n.used:
		return checkedAssertion{err: ErrConfirmExpired} // answered from the row
	}
	challenge, err := n.challenge()
	if err != nil {
		return checkedAssertion{err: err}
	}
	checked.proof, checked.err = s.passkeys.verify(o, challenge, in.Assertion)
	return checked
}

// ownNonce reads the nonce and checks that it is the caller's, for this
// payment, and that the idempotency key belongs to it.
func (s *Confirmations) ownNonce(tx *sqldb.Tx, c wire.Caller, in Submission) (nonce, error) {
	n, err := readNonce(tx, "nonce = ?", in.Nonce)
	if errors.Is(err, sql.ErrNoRows) || err == nil && n.payment != in.Payment {
		return nonce{}, ErrConfirmExpired
	}
	if err != nil {
		return nonce{}, err
	}
	if n.party != c.User {
		return nonce{}, ErrNotParty
	}
	var others int
	err = tx.QueryRow("SELECT count(*) FROM identity_nonces WHERE party = ? AND idempotency = ? AND nonce <> ?",
		string(c.User), in.Idempotency, n.value).Scan(&others)
	if err == nil && others > 0 {
		return nonce{}, ErrKeyReused
	}
	return n, err
}

// stillConfirmable checks all that can have changed since the open, in the
// order of the codes that clients rely on.
func (s *Confirmations) stillConfirmable(tx *sqldb.Tx, in Submission, n nonce) (Payment, error) {
	p, err := s.payments.PaymentTx(tx, in.Payment)
	switch {
	case err != nil:
		return Payment{}, err
	case in.Version != p.Version || n.version != p.Version || n.digest != p.Digest:
		return Payment{}, fmt.Errorf("%w (version %d)", ErrVersionStale, p.Version)
	case !confirmable(p):
		return Payment{}, fmt.Errorf("%w: it is %s", ErrPaymentState, p.State)
	case !s.clock.Now().Before(n.deadline):
		return Payment{}, ErrConfirmExpired
	}
	call, err := s.callOf(tx, p)
	if err != nil {
		return Payment{}, err
	}
	for _, user := range []wire.UserID{p.Payer, p.Payee} {
		alive, err := s.calls.MediaAliveTx(tx, call.ID, user)
		if err != nil {
			return Payment{}, err
		}
		if !alive {
			return Payment{}, fmt.Errorf("%w: %s", ErrMediaNotAlive, user)
		}
	}
	transcript, method, err := s.bind(p, call)
	if err != nil {
		return Payment{}, err
	}
	if call.ID != n.call || transcript != n.transcript || in.Transcript != n.transcript || method != n.method {
		return Payment{}, ErrTranscriptMismatch
	}
	return p, claim(in.SAS, method)
}

// claim checks what is said about the words against what they are worth.
func claim(sas, method string) error {
	switch {
	case method == MethodWords && sas != "match":
		return fmt.Errorf("%w: the words must be compared", ErrTranscriptMismatch)
	case method == MethodSFUNotE2E && sas != "none":
		return fmt.Errorf("%w: words cannot match there", ErrNotEndToEnd)
	}
	return nil
}

// confirm uses up the nonce, moves the payment and writes the evidence.
func (s *Confirmations) confirm(tx *sqldb.Tx, c wire.Caller, in Submission, n nonce, p Payment, pr proof) (json.RawMessage, error) {
	now := s.clock.Now().Truncate(time.Millisecond)
	if err := s.passkeys.saveUse(tx, pr, now); err != nil {
		return nil, err
	}
	answer, err := s.payments.ConfirmTx(tx, Confirmed{
		Payment: p.ID, Version: n.version, Digest: n.digest, Party: c.User, Deadline: n.deadline,
		Call: n.call, Transcript: n.transcript, Method: n.method, Key: in.Idempotency, At: now,
	})
	if err != nil {
		return nil, err
	}
	changed, err := tx.Exec("UPDATE identity_nonces SET used_ms = ?, idempotency = ?, answer = ? WHERE nonce = ? AND used_ms = 0",
		now.UnixMilli(), in.Idempotency, string(answer), n.value)
	if err != nil {
		return nil, err
	}
	if changed != 1 {
		return nil, ErrConfirmExpired // used by another node; the lock above makes it impossible
	}
	body, err := s.body(c, in, n, p, pr, now)
	if err != nil {
		return nil, err
	}
	if _, err := s.evidence.AppendTx(tx, p.ID, KindConfirmation, now, body); err != nil {
		return nil, err
	}
	if pr.counterBack {
		tx.AfterCommit(func() {
			s.signals.WithLabelValues(SignalCounterBack).Inc()
			s.log.Warn("a passkey's counter did not grow: it may have been copied", "payment", p.ID, "passkey", pr.key.id)
		})
	}
	return answer, nil
}

func (s *Confirmations) body(c wire.Caller, in Submission, n nonce, p Payment, pr proof, now time.Time) (confirmationBody, error) {
	challenge, err := n.challenge()
	if err != nil {
		return confirmationBody{}, err
	}
	b := confirmationBody{
		Payment: p.ID, Version: n.version, Digest: n.digest, Party: c.User, Role: "payee", Device: c.Device, Method: n.method,
		Call: n.call, Transcript: n.transcript, Words: "not_e2e", WordsRead: []string{},
		Nonce: n.value, Challenge: encode(challenge[:]), Assertion: pr.assertion, Passkey: pr.key.id,
		PublicKey: base64.RawURLEncoding.EncodeToString(pr.key.record.PublicKey), RPID: s.passkeys.cfg.RPID, Origin: pr.origin,
		Signals: []string{}, Text: n.text, Locale: n.locale, Snapshot: json.RawMessage(n.snapshot), At: now,
	}
	if c.User == p.Payer {
		b.Role = "payer"
	}
	if in.Text != "" {
		b.Text, b.Locale = in.Text, in.Locale
	}
	if n.method == MethodWords {
		transcript, err := parseHash(n.transcript)
		if err != nil {
			return confirmationBody{}, err
		}
		words, digits := Words(transcript)
		b.Words, b.WordsRead = "match", []string{words[0], words[1], digits}
	}
	if pr.counterBack {
		b.Signals = append(b.Signals, SignalCounterBack)
	}
	return b, nil
}

// keepUnused is how long a nonce that was never used stays after its deadline,
// so that a late submit is told what happened.
const keepUnused = 24 * time.Hour

func (s *Confirmations) sweep(ctx context.Context) error {
	return s.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec("DELETE FROM identity_nonces WHERE used_ms = 0 AND deadline_ms < ?", s.clock.Now().Add(-keepUnused).UnixMilli())
		return err
	})
}
