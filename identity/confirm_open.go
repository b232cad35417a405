package identity

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// Open begins or continues a party's confirmation of payment. version, unless
// 0, must be the current one. Opening again gives the same nonce until the
// deadline passes or the call's keys change. Errors: ErrUsersOnly, ErrNotParty,
// ErrVersionStale, ErrPaymentState, ErrHoldExpired, ErrCallNotActive,
// ErrTranscriptMismatch, ErrNotEndToEnd, ErrPasskeyUnknown.
func (s *Confirmations) Open(ctx context.Context, c wire.Caller, payment wire.PaymentID, version int64) (Opened, error) {
	if c.Role != wire.RoleUser {
		return Opened{}, ErrUsersOnly
	}
	var opened Opened
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		if err := tx.Lock("confirm:" + string(payment)); err != nil {
			return err
		}
		p, err := s.openable(tx, c, payment, version)
		if err != nil {
			return err
		}
		call, err := s.callOf(tx, p)
		if err != nil {
			return err
		}
		var method string
		if call.Transcript, method, err = s.bind(p, call); err != nil {
			return err
		}
		n, err := s.nonceFor(tx, c, p, call, method)
		if err != nil {
			return err
		}
		opened, err = s.answer(tx, c, p, n)
		return err
	})
	return opened, err
}

// openable reads the payment and checks that the caller may confirm it now.
func (s *Confirmations) openable(tx *sqldb.Tx, c wire.Caller, payment wire.PaymentID, version int64) (Payment, error) {
	p, err := s.payments.PaymentTx(tx, payment)
	switch {
	case err != nil:
		return Payment{}, err
	case c.User == "" || c.User != p.Payer && c.User != p.Payee:
		return Payment{}, ErrNotParty
	case version != 0 && version != p.Version:
		return Payment{}, fmt.Errorf("%w (version %d)", ErrVersionStale, p.Version)
	case !confirmable(p):
		return Payment{}, fmt.Errorf("%w: it is %s", ErrPaymentState, p.State)
	case holdExpired(p, s.clock.Now()):
		return Payment{}, ErrHoldExpired
	}
	return p, nil
}

func confirmable(p Payment) bool { return p.State == "held" || p.State == "confirming" }

func holdExpired(p Payment, now time.Time) bool {
	return p.HoldExpires.IsZero() || !now.Before(p.HoldExpires)
}

// callOf returns the call about p in which both its parties are.
func (s *Confirmations) callOf(tx *sqldb.Tx, p Payment) (CallInfo, error) {
	call, err := s.calls.ActiveForTx(tx, p.ID)
	if err != nil {
		return CallInfo{}, err
	}
	if !slices.Contains(call.Users, p.Payer) || !slices.Contains(call.Users, p.Payee) {
		return CallInfo{}, ErrCallNotActive
	}
	return call, nil
}

// bind returns the transcript that confirmations in call bind to, and what the
// words made of it are worth.
func (s *Confirmations) bind(p Payment, call CallInfo) (transcript, method string, err error) {
	if call.SFU {
		if !s.cfg.AllowSFUConfirm {
			return "", "", ErrNotEndToEnd
		}
		none := noWords(call.ID, p.Payer, p.Payee)
		return hex.EncodeToString(none[:]), MethodSFUNotE2E, nil
	}
	if _, err := parseHash(call.Transcript); err != nil || call.Verified != "words_match" {
		return "", "", fmt.Errorf("%w: both must say that they match", ErrTranscriptMismatch)
	}
	return call.Transcript, MethodWords, nil
}

// nonce is a row of identity_nonces.
type nonce struct {
	value       string
	payment     wire.PaymentID
	version     int64
	round       int64
	party       wire.UserID
	call        wire.CallID
	transcript  string
	method      string
	digest      string
	snapshot    string
	text        string
	locale      string
	deadline    time.Time
	used        bool
	idempotency string
	answer      string
}

func (n nonce) challenge() ([32]byte, error) {
	digest, err := parseHash(n.digest)
	if err != nil {
		return [32]byte{}, fmt.Errorf("identity: digest: %w", err)
	}
	transcript, err := parseHash(n.transcript)
	if err != nil {
		return [32]byte{}, fmt.Errorf("identity: transcript: %w", err)
	}
	value, ok := decode32(n.value)
	if !ok {
		return [32]byte{}, errors.New("identity: nonce is not 32 bytes")
	}
	return Challenge(digest, transcript, value), nil
}

// nonceFor returns the party's nonce in the running round, or makes one and
// tells both parties.
func (s *Confirmations) nonceFor(tx *sqldb.Tx, c wire.Caller, p Payment, call CallInfo, method string) (nonce, error) {
	now := s.clock.Now()
	round, deadline, err := s.round(tx, p, now)
	if err != nil {
		return nonce{}, err
	}
	n, err := readNonce(tx, "payment = ? AND version = ? AND round = ? AND party = ? AND transcript = ?",
		string(p.ID), p.Version, round, string(c.User), call.Transcript)
	if err == nil && n.digest == p.Digest || err != nil && !errors.Is(err, sql.ErrNoRows) {
		return n, err
	}
	if err == nil {
		return nonce{}, fmt.Errorf("identity: payment %s has two digests at version %d", p.ID, p.Version)
	}
	value := make([]byte, 32)
	_, _ = rand.Read(value) // never fails since Go 1.24
	n = nonce{
		value: encode(value), payment: p.ID, version: p.Version, round: round, party: c.User, call: call.ID,
		transcript: call.Transcript, method: method, digest: p.Digest, snapshot: string(p.Snapshot),
		text: shownText(p, c.User), locale: localeEN, deadline: deadline,
	}
	if err := n.insert(tx, now); err != nil {
		return nonce{}, err
	}
	s.announce(tx, p, n, now)
	return n, nil
}

// round returns the running round at the payment's version, or begins one and
// puts the snapshot on record.
func (s *Confirmations) round(tx *sqldb.Tx, p Payment, now time.Time) (round int64, deadline time.Time, err error) {
	var ms int64
	err = tx.QueryRow("SELECT round, deadline_ms FROM identity_rounds WHERE payment = ? AND version = ? ORDER BY round DESC LIMIT 1",
		string(p.ID), p.Version).Scan(&round, &ms)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, time.Time{}, err
	}
	if deadline = time.UnixMilli(ms).UTC(); round > 0 && now.Before(deadline) {
		return round, deadline, nil
	}
	if round == 0 {
		body := map[string]any{"payment": p.ID, "version": p.Version, "digest": p.Digest, "snapshot": p.Snapshot}
		if _, err := s.evidence.AppendTx(tx, p.ID, KindSnapshot, now, body); err != nil {
			return 0, time.Time{}, err
		}
	}
	round, deadline = round+1, now.Add(s.cfg.For).Truncate(time.Millisecond)
	_, err = tx.Exec("INSERT INTO identity_rounds (payment, version, round, opened_ms, deadline_ms) VALUES (?, ?, ?, ?, ?)",
		string(p.ID), p.Version, round, now.UnixMilli(), deadline.UnixMilli())
	return round, deadline, err
}

func (n nonce) insert(tx *sqldb.Tx, now time.Time) error {
	_, err := tx.Exec(`INSERT INTO identity_nonces (nonce, payment, version, round, party, call_id, transcript, method, digest,
		snapshot, text_shown, locale, opened_ms, deadline_ms, used_ms, idempotency, answer)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', '')`,
		n.value, string(n.payment), n.version, n.round, string(n.party), string(n.call), n.transcript, n.method, n.digest,
		n.snapshot, n.text, n.locale, now.UnixMilli(), n.deadline.UnixMilli())
	return err
}

// readNonce returns the one row that fits where, or sql.ErrNoRows.
func readNonce(tx *sqldb.Tx, where string, args ...any) (n nonce, err error) {
	var deadline, used int64
	err = tx.QueryRow(`SELECT nonce, payment, version, round, party, call_id, transcript, method, digest, snapshot,
		text_shown, locale, deadline_ms, used_ms, idempotency, answer FROM identity_nonces WHERE `+where, args...).
		Scan(&n.value, &n.payment, &n.version, &n.round, &n.party, &n.call, &n.transcript, &n.method, &n.digest, &n.snapshot,
			&n.text, &n.locale, &deadline, &used, &n.idempotency, &n.answer)
	n.deadline, n.used = time.UnixMilli(deadline).UTC(), used != 0
	return n, err
}

// announce tells the devices of both parties that one of them began to confirm.
func (s *Confirmations) announce(tx *sqldb.Tx, p Payment, n nonce, now time.Time) {
	data, err := json.Marshal(map[string]any{"payment": p.ID, "version": p.Version, "by": n.party, "deadline": n.deadline})
	if err != nil {
		panic(err) // ids, a number and a time
	}
	ev := wire.Event{Type: "confirmation.opened", Time: now, Author: n.party, Data: data}
	ctx := context.WithoutCancel(tx.Context())
	tx.AfterCommit(func() { s.publisher.Publish(ctx, ev, wire.To{User: p.Payer}, wire.To{User: p.Payee}) })
}

func (s *Confirmations) answer(tx *sqldb.Tx, c wire.Caller, p Payment, n nonce) (Opened, error) {
	challenge, err := n.challenge()
	if err != nil {
		return Opened{}, err
	}
	o, err := s.passkeys.ownerTx(tx, c.User)
	if errors.Is(err, ErrUserUnknown) {
		return Opened{}, fmt.Errorf("%w: register one first", ErrPasskeyUnknown)
	}
	if err != nil {
		return Opened{}, err
	}
	options, err := s.passkeys.options(o, challenge)
	if err != nil {
		return Opened{}, err
	}
	return Opened{
		Payment: p.ID, Version: n.version, Digest: n.digest, Snapshot: json.RawMessage(n.snapshot), Text: n.text, Locale: n.locale,
		Call: n.call, Transcript: n.transcript, Method: n.method, Nonce: n.value, Challenge: encode(challenge[:]),
		Deadline: n.deadline, Options: options,
	}, nil
}
