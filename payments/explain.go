package payments

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"parley/internal/sqldb"
	"parley/payments/ledger"
)

// Unexplained is a payment whose state its transfers do not lead to, or a
// transfer or account that no payment accounts for.
type Unexplained struct {
	What string // a payment, a transfer, or "account id currency"
	Why  string
}

// Error implements error.
func (e *Unexplained) Error() string { return fmt.Sprintf("payments check: %s: %s", e.What, e.Why) }

// Explanation is what Explain has read.
type Explanation struct {
	Payments int64
}

// explainPage bounds the payments explained in one View.
const explainPage = 200

// Explain proves that the ledger accounts for every payment: what a payment
// says is held, captured, refunded, taken as fee and reserved is what its
// transfers moved, every transfer of a payment has its payment, and the held
// and disputed accounts of users hold nothing but what their payments say. It
// streams in pages and may run beside writers: every comparison is made on one
// snapshot. An *Unexplained names the first fault.
func Explain(ctx context.Context, db *sqldb.DB, progress func(done, total int64)) (Explanation, error) {
	var e Explanation
	var after string
	var total int64
	for more := true; more; {
		err := db.View(ctx, func(tx *sqldb.Tx) (err error) {
			if total == 0 {
				if err := tx.QueryRow("SELECT COUNT(*) FROM payments_intents").Scan(&total); err != nil {
					return fmt.Errorf("payments check: %w", err)
				}
			}
			var n int64
			after, n, err = explainPageAfter(tx, after)
			e.Payments += n
			more = n == explainPage
			return err
		})
		if err != nil {
			return e, err
		}
		if progress != nil {
			progress(e.Payments, max(total, e.Payments))
		}
	}
	return e, db.View(ctx, explainWhole)
}

// ExplainTx does the same in one transaction.
func ExplainTx(tx *sqldb.Tx) error {
	after := ""
	for {
		last, n, err := explainPageAfter(tx, after)
		if err != nil {
			return err
		}
		if after = last; n < explainPage {
			return explainWhole(tx)
		}
	}
}

// explainPageAfter explains the payments of one page and returns the last one and their number.
func explainPageAfter(tx *sqldb.Tx, after string) (last string, n int64, err error) {
	page, err := intentsAfter(tx, after)
	if err != nil {
		return after, 0, err
	}
	for _, in := range page {
		if err := explain(tx, in.Intent); err != nil {
			return after, 0, err
		}
		after = in.ID
	}
	return after, int64(len(page)), nil
}

// explainWhole looks for what no payment accounts for.
func explainWhole(tx *sqldb.Tx) error {
	for _, look := range []func(*sqldb.Tx) error{explainReferences, explainHeld, explainDisputed, explainOrders} {
		if err := look(tx); err != nil {
			return err
		}
	}
	return nil
}

func intentsAfter(tx *sqldb.Tx, after string) ([]stored, error) {
	rows, err := tx.Query("SELECT "+intentColumns+" FROM payments_intents WHERE id > ? ORDER BY id LIMIT ?", after, explainPage)
	if err != nil {
		return nil, fmt.Errorf("payments check: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var page []stored
	for rows.Next() {
		in, err := scanIntent(rows)
		if err != nil {
			return nil, fmt.Errorf("payments check: after %s: %w", after, err)
		}
		page = append(page, in)
	}
	return page, rows.Err()
}

// moved is what the transfers of one payment did, in minor units.
type moved struct {
	held, captured, refunded, fee, feeRefunded, reserved int64
}

// explain compares one payment with its transfers.
func explain(tx *sqldb.Tx, in Intent) error {
	wrong := func(format string, args ...any) error { return &Unexplained{in.ID, fmt.Sprintf(format, args...)} }
	entries, err := ledger.Under(tx, in.ID)
	if err != nil {
		return err
	}
	m, err := sum(in, entries)
	if err != nil {
		return wrong("%v", err)
	}
	onTop, onTopRefunded := int64(0), int64(0)
	if in.Fees.PaidBy == FeeByPayer {
		onTop, onTopRefunded = in.Fee, in.FeeRefunded
	}
	for _, c := range [...]struct {
		name            string
		says, transfers int64
	}{
		{"held", in.Held, m.held},
		{"captured", in.Captured + onTop, m.captured},
		{"refunded", in.Refunded + onTopRefunded, m.refunded},
		{"fee", in.Fee, m.fee},
		{"fee_refunded", in.FeeRefunded, m.feeRefunded},
		{"reserved", in.Reserved, m.reserved},
	} {
		if c.says != c.transfers {
			return wrong("%s is %d, its transfers say %d", c.name, c.says, c.transfers)
		}
	}
	if why := impossible(in); why != "" {
		return wrong("state %s, but %s", in.State, why)
	}
	return nil
}

// sum adds up a payment's transfers: by account where an account tells, by the
// kind at the end of the reference where it does not.
func sum(in Intent, entries []ledger.Entry) (m moved, err error) {
	for _, e := range entries {
		kind := e.Reference[strings.LastIndexByte(e.Reference, '/')+1:]
		for _, p := range e.Postings {
			if p.Currency != in.Currency {
				return m, fmt.Errorf("transfer %s moves %s", e.ID, p.Currency)
			}
			switch p.Account {
			case heldAccount(in.Payer):
				m.held += p.Amount
				if kind == string(EffectCapture) {
					m.captured -= p.Amount
				}
			case availableAccount(in.Payer):
				if kind == string(EffectRefund) {
					m.refunded += p.Amount
				}
			case disputedAccount(in.Payee):
				m.reserved += p.Amount
			case feesAccount:
				m.fee += max(p.Amount, 0)
				m.feeRefunded -= min(p.Amount, 0)
			case availableAccount(in.Payee):
			default:
				if strings.HasPrefix(p.Account, userPrefix) {
					return m, fmt.Errorf("transfer %s moves money of %s, who is no party", e.ID, p.Account)
				}
			}
		}
	}
	return m, nil
}

// impossible says what a payment's state cannot go with, or "".
func impossible(in Intent) string {
	switch {
	case in.State == Requested && (in.Held != 0 || in.Captured != 0):
		return "money has moved"
	case slices.Contains([]State{Held, Confirming, Confirmed}, in.State) && in.Held == 0:
		return "nothing is held"
	case slices.Contains([]State{Declined, Expired, Cancelled, Voided}, in.State) && (in.Held != 0 || in.Captured != 0):
		return "money is held or captured"
	case slices.Contains([]State{Captured, PartRefunded, Refunded, Disputed}, in.State) && in.Captured == 0:
		return "nothing is captured"
	case in.State == Captured && in.Refunded != 0:
		return "something is refunded"
	case in.State == PartRefunded && (in.Refunded == 0 || in.Refunded >= in.Captured):
		return "not a part of it is refunded"
	case in.State == Refunded && in.Refunded != in.Captured:
		return "not all of it is refunded"
	}
	return ""
}

// explainReferences looks for transfers that speak of a payment there is not.
func explainReferences(tx *sqldb.Tx) error {
	rows, err := tx.Query("SELECT t.id, t.reference FROM ledger_transfers t WHERE length(t.reference) > 30 AND substr(t.reference, 1, 4) = 'pay_'" +
		" AND NOT EXISTS (SELECT 1 FROM payments_intents i WHERE i.id = substr(t.reference, 1, 30)) ORDER BY t.seq LIMIT 1")
	if err != nil {
		return fmt.Errorf("payments check: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	if rows.Next() {
		var id, reference string
		if err := rows.Scan(&id, &reference); err != nil {
			return fmt.Errorf("payments check: %w", err)
		}
		return &Unexplained{"transfer " + id, "there is no payment of its reference " + reference}
	}
	return rows.Err()
}

// explainHeld compares what users' held accounts hold with their payments.
func explainHeld(tx *sqldb.Tx) error {
	return explainAccounts(tx, "'user:' || payer || ':held'", "held", ":held")
}

// explainDisputed does the same for disputed accounts.
func explainDisputed(tx *sqldb.Tx) error {
	return explainAccounts(tx, "'user:' || payee || ':disputed'", "reserved", ":disputed")
}

// explainAccounts compares the accounts whose ids end with suffix with the sums
// of a column over payments.
func explainAccounts(tx *sqldb.Tx, account, column, suffix string) error {
	rows, err := tx.Query("SELECT a.id, a.currency, a.posted, CAST(COALESCE(s.total, 0) AS BIGINT) FROM ledger_accounts a"+
		" LEFT JOIN (SELECT "+account+" AS account, currency, SUM("+column+") AS total FROM payments_intents GROUP BY 1, 2) s"+
		" ON s.account = a.id AND s.currency = a.currency"+
		" WHERE a.kind = 'user' AND substr(a.id, length(a.id) - ?, ?) = ? AND a.posted <> COALESCE(s.total, 0) ORDER BY a.id, a.currency LIMIT 1",
		len(suffix)-1, len(suffix), suffix)
	return explained(rows, err, "payments say")
}

// explained fails on the first row of a query for accounts that hold something
// else than they should: id, currency, what is posted and what should be.
func explained(rows *sql.Rows, err error, says string) error {
	if err != nil {
		return fmt.Errorf("payments check: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	if rows.Next() {
		var id, currency string
		var posted, total int64
		if err := rows.Scan(&id, &currency, &posted, &total); err != nil {
			return fmt.Errorf("payments check: %w", err)
		}
		return &Unexplained{"account " + id + " " + currency, fmt.Sprintf("holds %d, %s %d", posted, says, total)}
	}
	return rows.Err()
}
