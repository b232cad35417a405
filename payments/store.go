package payments

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/internal/sqldb"
)

// stored is an intent as the table has it; rev counts its changes.
type stored struct {
	Intent
	rev int64
}

const intentColumns = "id, rev, state, version, digest, snapshot, payer, payee, payee_name, amount, currency, fee_rule, order_ref, memo, conversation, confirm, capture_mode," +
	" held, capture_limit, captured, fee, refunded, fee_refunded, reserved, dispute, payer_confirmed, payee_confirmed, call_id, transcript," +
	" deadline, held_at, hold_expires, confirm_deadline, created_at, updated_at, asked_by, silent, payee_check, link, request, decline_reason, insisted"

// readIntent adds the query for a payment, and for whether a rail has authorised
// or was asked to authorise money for it; each is not called when there is none.
func readIntent(b *sqldb.Batch, id string, each func(s stored, authorised bool)) {
	b.Query("SELECT "+intentColumns+", (SELECT COUNT(*) FROM payments_orders WHERE "+ofPayment+" AND action = 'authorise')"+
		" FROM payments_intents WHERE id = ?", func(r sqldb.Row) error {
		var authorisations int64
		s, err := scanIntent(withMore{r, &authorisations})
		each(s, authorisations > 0)
		return err
	}, id, id)
}

// withMore is a row with one more column.
type withMore struct {
	scanner
	last any
}

func (r withMore) Scan(dest ...any) error { return r.scanner.Scan(append(dest, r.last)...) }

var insertIntent = "INSERT INTO payments_intents (" + intentColumns + ", due_at) VALUES (" + strings.Repeat("?, ", strings.Count(intentColumns, ",")+1) + "?)"

// scanner is a row of a query for intentColumns.
type scanner interface{ Scan(dest ...any) error }

func scanIntent(row scanner) (stored, error) {
	var s stored
	var fees, dispute string
	var payerOK, payeeOK, deadline, heldAt, holdExpires, confirmBy, created, updated, silent, insisted int64
	err := row.Scan(&s.ID, &s.rev, &s.State, &s.Version, &s.Digest, &s.Snapshot, &s.Payer, &s.Payee, &s.PayeeName, &s.Amount, &s.Currency,
		&fees, &s.Order, &s.Memo, &s.Conversation, &s.Confirm, &s.Capture, &s.Held, &s.Limit, &s.Captured, &s.Fee, &s.Refunded, &s.FeeRefunded, &s.Reserved,
		&dispute, &payerOK, &payeeOK, &s.Call, &s.Transcript, &deadline, &heldAt, &holdExpires, &confirmBy, &created, &updated,
		&s.Ask.By, &silent, &s.Ask.PayeeCheck, &s.Ask.Link, &s.Ask.Request, &s.Ask.DeclineReason, &insisted)
	if err != nil {
		return stored{}, err
	}
	if err := json.Unmarshal([]byte(fees), &s.Fees); err != nil {
		return stored{}, fmt.Errorf("fee rule of %s: %w", s.ID, err)
	}
	if dispute != "" {
		if err := json.Unmarshal([]byte(dispute), &s.Dispute); err != nil {
			return stored{}, fmt.Errorf("dispute of %s: %w", s.ID, err)
		}
	}
	s.PayerConfirmed, s.PayeeConfirmed, s.Ask.Silent, s.Ask.Insisted = payerOK != 0, payeeOK != 0, silent != 0, insisted != 0
	s.Deadline, s.HeldAt, s.HoldExpires, s.ConfirmDeadline = fromMillis(deadline), fromMillis(heldAt), fromMillis(holdExpires), fromMillis(confirmBy)
	s.CreatedAt, s.UpdatedAt = fromMillis(created), fromMillis(updated)
	return s, nil
}

// load returns a payment, or ErrUnknown.
func load(tx *sqldb.Tx, id string) (stored, error) {
	s, err := scanIntent(tx.QueryRow("SELECT "+intentColumns+" FROM payments_intents WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return stored{}, fmt.Errorf("%w: %.80s", ErrUnknown, id)
	}
	if err != nil {
		return stored{}, fmt.Errorf("payments: load: %w", err)
	}
	return s, nil
}

// paymentLock is what transactions lock that change a payment.
func paymentLock(id string) string { return "payment:" + id }

// loadForUpdate locks the payment until the end of the transaction and returns it.
func loadForUpdate(tx *sqldb.Tx, id string) (s stored, err error) {
	found := false
	b := tx.Batch()
	b.Lock(paymentLock(id))
	b.Query("SELECT "+intentColumns+" FROM payments_intents WHERE id = ?", func(r sqldb.Row) (err error) {
		found = true
		s, err = scanIntent(r)
		return err
	}, id)
	switch err := b.Send(); {
	case err != nil:
		return stored{}, fmt.Errorf("payments: load: %w", err)
	case !found:
		return stored{}, fmt.Errorf("%w: %.80s", ErrUnknown, id)
	}
	return s, nil
}

func insert(tx *sqldb.Tx, in Intent) error {
	b := tx.Batch()
	if err := insertIn(b, in); err != nil {
		return err
	}
	if err := b.Send(); err != nil {
		return fmt.Errorf("payments: insert: %w", err)
	}
	return nil
}

func insertIn(b *sqldb.Batch, in Intent) error {
	fees, err := json.Marshal(in.Fees)
	if err != nil {
		return fmt.Errorf("payments: fee rule: %w", err)
	}
	b.Exec(insertIntent, 1,
		in.ID, 1, string(in.State), in.Version, in.Digest, in.Snapshot, in.Payer, in.Payee, in.PayeeName, in.Amount, in.Currency,
		string(fees), in.Order, in.Memo, in.Conversation, in.Confirm, in.Capture, in.Held, in.Limit, in.Captured, in.Fee, in.Refunded, in.FeeRefunded, in.Reserved,
		"", flag(in.PayerConfirmed), flag(in.PayeeConfirmed), in.Call, in.Transcript,
		millis(in.Deadline), millis(in.HeldAt), millis(in.HoldExpires), millis(in.ConfirmDeadline), millis(in.CreatedAt), millis(in.UpdatedAt),
		in.Ask.By, flag(in.Ask.Silent), in.Ask.PayeeCheck, in.Ask.Link, in.Ask.Request, in.Ask.DeclineReason, flag(in.Ask.Insisted), millis(in.DueAt()))
	return nil
}

// update writes what a transition can change, if nobody else has changed the payment since it was read.
func update(tx *sqldb.Tx, in Intent, rev int64) error {
	b := tx.Batch()
	if err := updateIn(b, in, rev); err != nil {
		return err
	}
	switch err := b.Send(); {
	case errors.Is(err, sqldb.ErrRows):
		return fmt.Errorf("%w: the payment changed meanwhile", ErrVersionStale)
	case err != nil:
		return fmt.Errorf("payments: update: %w", err)
	}
	return nil
}

func updateIn(b *sqldb.Batch, in Intent, rev int64) error {
	dispute, err := in.Dispute.text()
	if err != nil {
		return err
	}
	b.Exec("UPDATE payments_intents SET rev = rev + 1, state = ?, version = ?, digest = ?, snapshot = ?, amount = ?, memo = ?,"+
		" held = ?, capture_limit = ?, captured = ?, fee = ?, refunded = ?, fee_refunded = ?, reserved = ?, dispute = ?,"+
		" payer_confirmed = ?, payee_confirmed = ?, call_id = ?, transcript = ?,"+
		" deadline = ?, held_at = ?, hold_expires = ?, confirm_deadline = ?, updated_at = ?, decline_reason = ?, due_at = ? WHERE id = ? AND rev = ?", 1,
		string(in.State), in.Version, in.Digest, in.Snapshot, in.Amount, in.Memo,
		in.Held, in.Limit, in.Captured, in.Fee, in.Refunded, in.FeeRefunded, in.Reserved, dispute,
		flag(in.PayerConfirmed), flag(in.PayeeConfirmed), in.Call, in.Transcript,
		millis(in.Deadline), millis(in.HeldAt), millis(in.HoldExpires), millis(in.ConfirmDeadline), millis(in.UpdatedAt),
		in.Ask.DeclineReason, millis(in.DueAt()), in.ID, rev)
	return nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// millis is t in Unix milliseconds, 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fromMillis is the opposite of millis.
func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
