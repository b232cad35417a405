package identity

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/wire"
)

// Kinds of evidence rows.
const (
	KindSnapshot     = "snapshot"     // a version of the payment that was put before its parties
	KindConfirmation = "confirmation" // a party confirmed it
	KindDecision     = "decision"     // the safety rules asked for something
)

const (
	labelEvidence  = "parley/evidence/1"
	prefixEvidence = "evd_"
)

// Row is a piece of evidence: appended once, never changed. Its hash covers
// the row before it.
type Row struct {
	Seq  int64           `json:"seq" doc:"from 1, without gaps, per payment"`
	ID   string          `json:"id"`
	Kind string          `json:"kind" enum:"snapshot,confirmation,decision"`
	At   time.Time       `json:"at"`
	Body json.RawMessage `json:"body" doc:"RFC 8785 canonical JSON"`
	Prev string          `json:"prev" doc:"hash of the row before, empty for the first"`
	Hash string          `json:"hash" doc:"SHA-256, hex, over label, payment, seq, id, kind, time in ms, body and prev"`
}

// Records are the facts that other features keep of a payment, each as the
// JSON that its own operations answer.
type Records interface {
	// Payment returns the payment with its parties, or ErrPaymentUnknown.
	Payment(ctx context.Context, payment wire.PaymentID) (record json.RawMessage, payer, payee wire.UserID, err error)
	// Calls returns the calls made about it, oldest first.
	Calls(ctx context.Context, payment wire.PaymentID) ([]json.RawMessage, error)
	// Transfers returns the ledger transfers that it made, oldest first.
	Transfers(ctx context.Context, payment wire.PaymentID) ([]json.RawMessage, error)
}

// Bundle is everything that is known of a payment, for one of its parties.
type Bundle struct {
	V         int               `json:"v" doc:"format, 1"`
	Payment   json.RawMessage   `json:"payment"`
	Rows      []Row             `json:"rows" doc:"snapshots and confirmations, chained by hash"`
	Calls     []json.RawMessage `json:"calls"`
	Transfers []json.RawMessage `json:"transfers"`
	Head      string            `json:"head" doc:"hash of the last row"`
	Hash      string            `json:"hash" doc:"SHA-256, hex, over the RFC 8785 form of everything else but made_at"`
	MadeAt    time.Time         `json:"made_at"`
}

// Evidence keeps the rows and puts bundles together.
type Evidence struct {
	db      *sqldb.DB
	clock   clock.Clock
	records Records
}

// NewEvidence returns the Evidence on db.
func NewEvidence(db *sqldb.DB, clk clock.Clock, records Records) *Evidence {
	return &Evidence{db: db, clock: clk, records: records}
}

// AppendTx adds a row about payment in the transaction of what it proves.
func (e *Evidence) AppendTx(tx *sqldb.Tx, payment wire.PaymentID, kind string, at time.Time, body any) (Row, error) {
	if err := tx.Lock("evidence:" + string(payment)); err != nil {
		return Row{}, err
	}
	row := Row{ID: wire.NewID[string](prefixEvidence, at), Kind: kind, At: at.UTC().Truncate(time.Millisecond)}
	err := tx.QueryRow("SELECT seq, hash FROM identity_evidence WHERE payment = ? ORDER BY seq DESC LIMIT 1", string(payment)).Scan(&row.Seq, &row.Prev)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Row{}, err
	}
	row.Seq++
	if row.Body, err = canonicalJSON(body); err != nil {
		return Row{}, fmt.Errorf("identity: evidence: %w", err)
	}
	row.Hash = row.hash(payment)
	_, err = tx.Exec("INSERT INTO identity_evidence (payment, seq, id, kind, at_ms, body, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		string(payment), row.Seq, row.ID, row.Kind, row.At.UnixMilli(), string(row.Body), row.Prev, row.Hash)
	return row, err
}

// hash covers every column, each with its length before it.
func (r Row) hash(payment wire.PaymentID) string {
	b := []byte(labelEvidence)
	b = appendPrefixed(b, string(payment))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Seq))
	b = appendPrefixed(b, r.ID)
	b = appendPrefixed(b, r.Kind)
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.UnixMilli()))
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Body)))
	b = append(b, r.Body...)
	b = appendPrefixed(b, r.Prev)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Rows returns the evidence of payment, oldest first.
func (e *Evidence) Rows(ctx context.Context, payment wire.PaymentID) ([]Row, error) {
	all := []Row{}
	err := e.db.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT seq, id, kind, at_ms, body, prev, hash FROM identity_evidence WHERE payment = ? ORDER BY seq", string(payment))
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // Err below tells what matters
		for rows.Next() {
			var r Row
			var at int64
			var body string
			if err := rows.Scan(&r.Seq, &r.ID, &r.Kind, &at, &body, &r.Prev, &r.Hash); err != nil {
				return err
			}
			r.At, r.Body = time.UnixMilli(at).UTC(), json.RawMessage(body)
			all = append(all, r)
		}
		return rows.Err()
	})
	return all, err
}

// ErrChain says that evidence was changed after it was written.
var ErrChain = errors.New("the evidence does not fit its hashes")

// CheckRows verifies the chain of a payment's rows.
func CheckRows(payment wire.PaymentID, rows []Row) error {
	prev := ""
	for i, r := range rows {
		if r.Seq != int64(i+1) || r.Prev != prev || r.Hash != r.hash(payment) {
			return fmt.Errorf("%w: row %d", ErrChain, i+1)
		}
		prev = r.Hash
	}
	return nil
}

// Bundle puts together what is known of payment for one of its parties, a
// server key or an operator. It fails with ErrChain rather than hand out rows
// that were tampered with.
func (e *Evidence) Bundle(ctx context.Context, c wire.Caller, payment wire.PaymentID) (Bundle, error) {
	record, payer, payee, err := e.records.Payment(ctx, payment)
	if err != nil {
		return Bundle{}, err
	}
	if c.Role == wire.RoleUser && c.User != payer && c.User != payee {
		return Bundle{}, ErrNotParty
	}
	b := Bundle{V: 1, Payment: record, MadeAt: e.clock.Now().UTC().Truncate(time.Second)}
	if b.Rows, err = e.Rows(ctx, payment); err != nil {
		return Bundle{}, err
	}
	if err := CheckRows(payment, b.Rows); err != nil {
		return Bundle{}, err
	}
	if n := len(b.Rows); n > 0 {
		b.Head = b.Rows[n-1].Hash
	}
	if b.Calls, err = e.records.Calls(ctx, payment); err != nil {
		return Bundle{}, err
	}
	if b.Transfers, err = e.records.Transfers(ctx, payment); err != nil {
		return Bundle{}, err
	}
	b.Calls, b.Transfers = notNil(b.Calls), notNil(b.Transfers)
	b.Hash, err = b.hash()
	return b, err
}

func notNil(all []json.RawMessage) []json.RawMessage {
	if all == nil {
		return []json.RawMessage{}
	}
	return all
}

// hash covers the bundle without its own hash and time.
func (b Bundle) hash() (string, error) {
	canonical, err := canonicalJSON(map[string]any{
		"v": b.V, "payment": b.Payment, "rows": b.Rows, "calls": b.Calls, "transfers": b.Transfers, "head": b.Head,
	})
	if err != nil {
		return "", fmt.Errorf("identity: evidence: %w", err)
	}
	return digestOf(canonical), nil
}
