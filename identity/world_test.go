package identity_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"parley/identity"
	"parley/identity/authenticatortest"
	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	origin = "http://localhost:8080"
	payID  = wire.PaymentID("pay_1")
	callID = wire.CallID("call_1")
)

// tillSchema is the table of the till: payments small enough for these tests,
// but in the same database, so that what is undone is undone together.
var tillSchema = fstest.MapFS{"00001_till.sql": {Data: []byte(`-- +goose Up
CREATE TABLE till (id TEXT PRIMARY KEY, version BIGINT NOT NULL, state TEXT NOT NULL, amount BIGINT NOT NULL,
	hold_ms BIGINT NOT NULL, confirmed TEXT NOT NULL, transcript TEXT NOT NULL, captures BIGINT NOT NULL);
`)}}

func schemas() sqldbtest.Schemas {
	return sqldbtest.Schemas{"identity": identity.Schema(), "till": tillSchema}
}

// till implements identity.Payments, identity.Records and identity.CardFacts.
type till struct {
	db   *sqldb.DB
	fail error // of ConfirmTx, after it has written
}

func (p *till) PaymentTx(tx *sqldb.Tx, id wire.PaymentID) (identity.Payment, error) {
	out := identity.Payment{ID: id, Payer: "buyer", Payee: "seller", PayeeName: "V. Seller", Currency: "EUR"}
	var hold int64
	err := tx.QueryRow("SELECT version, state, amount, hold_ms FROM till WHERE id = ?", string(id)).Scan(&out.Version, &out.State, &out.Amount, &hold)
	if errors.Is(err, sql.ErrNoRows) {
		return identity.Payment{}, identity.ErrPaymentUnknown
	}
	if err != nil {
		return identity.Payment{}, err
	}
	if hold > 0 {
		out.HoldExpires = time.UnixMilli(hold)
	}
	out.Snapshot, out.Digest, err = identity.Snapshot{
		Payment: id, Version: out.Version, Amount: out.Amount, Currency: out.Currency,
		Payee: out.Payee, PayeeName: out.PayeeName, Purpose: "Bike", Expires: out.HoldExpires,
	}.Canonical()
	return out, err
}

func (p *till) ConfirmTx(tx *sqldb.Tx, c identity.Confirmed) (json.RawMessage, error) {
	var confirmed, transcript string
	if err := tx.QueryRow("SELECT confirmed, transcript FROM till WHERE id = ?", string(c.Payment)).Scan(&confirmed, &transcript); err != nil {
		return nil, err
	}
	state, captures := "confirming", 0
	if confirmed != "" && confirmed != string(c.Party) && transcript == c.Transcript {
		state, captures = "captured", 1
	}
	_, err := tx.Exec("UPDATE till SET state = ?, confirmed = ?, transcript = ?, captures = captures + ? WHERE id = ?",
		state, string(c.Party), c.Transcript, captures, string(c.Payment))
	if err != nil {
		return nil, err
	}
	if p.fail != nil {
		return nil, p.fail
	}
	return json.Marshal(map[string]string{"id": string(c.Payment), "state": state})
}

func (p *till) Payment(ctx context.Context, id wire.PaymentID) (record json.RawMessage, payer, payee wire.UserID, err error) {
	err = p.db.View(ctx, func(tx *sqldb.Tx) error {
		got, err := p.PaymentTx(tx, id)
		if err != nil {
			return err
		}
		payer, payee = got.Payer, got.Payee
		record, err = json.Marshal(map[string]string{"id": string(id), "state": got.State})
		return err
	})
	return record, payer, payee, err
}

func (p *till) Calls(context.Context, wire.PaymentID) ([]json.RawMessage, error) {
	return []json.RawMessage{json.RawMessage(`{"id":"call_1"}`)}, nil
}

func (p *till) Transfers(context.Context, wire.PaymentID) ([]json.RawMessage, error) { return nil, nil }

func (p *till) CardPayment(ctx context.Context, id wire.PaymentID) (identity.CardPayment, error) {
	var c identity.CardPayment
	err := p.db.View(ctx, func(tx *sqldb.Tx) error {
		got, err := p.PaymentTx(tx, id)
		c = identity.CardPayment{ID: id, Version: got.Version, Digest: got.Digest, Amount: got.Amount, Currency: got.Currency, Order: "77"}
		return err
	})
	return c, err
}

// line implements identity.Calls: one call that the test sets up.
type line struct {
	mu     sync.Mutex
	call   identity.CallInfo
	active bool
	silent map[wire.UserID]bool
}

func (l *line) ActiveForTx(*sqldb.Tx, wire.PaymentID) (identity.CallInfo, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.active {
		return identity.CallInfo{}, identity.ErrCallNotActive
	}
	return l.call, nil
}

func (l *line) MediaAliveTx(_ *sqldb.Tx, call wire.CallID, user wire.UserID) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return call == l.call.ID && !l.silent[user], nil
}

// speaker implements wire.Publisher by remembering.
type speaker struct {
	mu    sync.Mutex
	heard []wire.Event
	to    [][]wire.To
}

func (s *speaker) Publish(_ context.Context, ev wire.Event, to ...wire.To) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard, s.to = append(s.heard, ev), append(s.to, to)
}

// world is two people in a call about a payment of 120.00 EUR that is held.
type world struct {
	t        testing.TB
	db       *sqldb.DB
	clock    *clock.Shifted
	till     *till
	line     *line
	speaker  *speaker
	users    *identity.Directory
	passkeys *identity.Passkeys
	evidence *identity.Evidence
	confirm  *identity.Confirmations
	cards    *identity.Cards
	devices  map[wire.UserID]*authenticatortest.Authenticator
}

func newWorld(t testing.TB, db *sqldb.DB, cfg identity.ConfirmConfig) *world {
	t.Helper()
	w := &world{t: t, db: db, clock: &clock.Shifted{}, till: &till{db: db}, speaker: &speaker{}, devices: map[wire.UserID]*authenticatortest.Authenticator{}}
	transcript := transcriptHex(1)
	w.line = &line{active: true, silent: map[wire.UserID]bool{}, call: identity.CallInfo{
		ID: callID, Transcript: transcript, Verified: "words_match", Users: []wire.UserID{"buyer", "seller"},
	}}
	w.users = identity.NewDirectory(db, w.clock, identity.DirectoryConfig{})
	w.passkeys = w.newPasskeys(origin, "localhost")
	w.evidence = identity.NewEvidence(db, w.clock, w.till)
	w.cards = identity.NewCards(db, w.clock, w.users, w.till, identity.CardConfig{Issuer: "http://localhost:8080"})
	var err error
	w.confirm, err = identity.NewConfirmations(identity.ConfirmDeps{
		DB: db, Clock: w.clock, Passkeys: w.passkeys, Evidence: w.evidence, Payments: w.till, Calls: w.line, Publisher: w.speaker,
	}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.exec("INSERT INTO till (id, version, state, amount, hold_ms, confirmed, transcript, captures) VALUES (?, 1, 'held', 12000, ?, '', '', 0)",
		string(payID), w.clock.Now().Add(7*24*time.Hour).UnixMilli())
	for _, u := range []wire.UserID{"buyer", "seller"} {
		if err := w.users.Seen(t.Context(), u, string(u)); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) newPasskeys(origin, rpID string) *identity.Passkeys {
	w.t.Helper()
	p, err := identity.NewPasskeys(w.db, w.clock, w.users, identity.PasskeyConfig{RPID: rpID, Origins: []string{origin}})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func transcriptHex(n byte) string {
	t := pattern(n, 1)
	const digits = "0123456789abcdef"
	var s []byte
	for _, b := range t {
		s = append(s, digits[b>>4], digits[b&15])
	}
	return string(s)
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	err := w.db.Update(w.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// count returns the number that a query of one number gives.
func (w *world) count(query string, args ...any) (n int) {
	w.t.Helper()
	if err := w.db.View(w.t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(query, args...).Scan(&n) }); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func person(u wire.UserID) wire.Caller {
	return wire.Caller{Role: wire.RoleUser, User: u, Device: wire.DeviceID("dev_" + string(u))}
}

// register gives a person a passkey.
func (w *world) register(u wire.UserID) identity.Passkey {
	w.t.Helper()
	a := &authenticatortest.Authenticator{}
	w.devices[u] = a
	begun, err := w.passkeys.RegisterBegin(w.t.Context(), person(u))
	if err != nil {
		w.t.Fatal(err)
	}
	credential, err := a.Register(begun.Options, origin)
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := w.passkeys.RegisterFinish(w.t.Context(), person(u), begun.Session, credential)
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

func (w *world) open(u wire.UserID) identity.Opened {
	w.t.Helper()
	o, err := w.confirm.Open(w.t.Context(), person(u), payID, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// sign lets the person's passkey answer what was opened.
func (w *world) sign(u wire.UserID, o identity.Opened) identity.Submission {
	w.t.Helper()
	assertion, err := w.devices[u].Assert(o.Options, origin)
	if err != nil {
		w.t.Fatal(err)
	}
	return identity.Submission{
		Payment: o.Payment, Version: o.Version, Transcript: o.Transcript, SAS: "match", Nonce: o.Nonce,
		Assertion: assertion, Idempotency: "key-" + o.Nonce,
	}
}

func (w *world) submit(u wire.UserID, in identity.Submission) (string, error) {
	w.t.Helper()
	answer, err := w.confirm.Submit(w.t.Context(), person(u), in)
	if err != nil {
		return "", err
	}
	var p struct{ State string }
	if err := json.Unmarshal(answer, &p); err != nil {
		w.t.Fatal(err)
	}
	return p.State, nil
}

// want fails the test unless err is target.
func (w *world) want(what string, err, target error) {
	w.t.Helper()
	if !errors.Is(err, target) {
		w.t.Errorf("%s: got %v, want %v", what, err, target)
	}
}

// both returns a world in which both have passkeys.
func both(t *testing.T, db *sqldb.DB, cfg identity.ConfirmConfig) *world {
	t.Helper()
	w := newWorld(t, db, cfg)
	w.register("buyer")
	w.register("seller")
	return w
}

func each(t *testing.T, f func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	sqldbtest.Each(t, schemas(), f)
}

func kinds(rows []identity.Row) []string {
	all := make([]string, 0, len(rows))
	for _, r := range rows {
		all = append(all, r.Kind)
	}
	return slices.Clip(all)
}
