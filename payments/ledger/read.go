package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"parley/internal/sqldb"
)

// Balance returns one account, or ErrAccountUnknown.
func Balance(tx *sqldb.Tx, id, currency string) (Account, error) {
	accounts, err := scanAccounts(tx, accountQueries[1], id, currency)
	if err != nil {
		return Account{}, err
	}
	if len(accounts) == 0 {
		return Account{}, fmt.Errorf("%w: %s %s", ErrAccountUnknown, id, currency)
	}
	return accounts[0], nil
}

// Balances returns an account's balances, one for each currency it was opened in.
func Balances(tx *sqldb.Tx, id string) ([]Account, error) {
	return scanAccounts(tx, accountColumns+" WHERE id = ? ORDER BY currency", id)
}

// Accounts returns up to limit accounts behind (afterID, afterCurrency) in the order of id and currency.
func Accounts(tx *sqldb.Tx, afterID, afterCurrency string, limit int) ([]Account, error) {
	return scanAccounts(tx, accountColumns+" WHERE (id, currency) > (?, ?) ORDER BY id, currency LIMIT ?", afterID, afterCurrency, limit)
}

// Line is one posting of an account's statement.
type Line struct {
	Seq         int64
	Transfer    string
	Kind        Kind
	Reference   string
	Note        string
	Amount      int64
	Balance     int64 // posted, after this line
	EffectiveAt time.Time
	RecordedAt  time.Time
}

// Statement returns up to limit lines of an account, newest first, recorded
// before the line with this sequence number; 0 begins at the newest. The next
// page begins before the last line's Seq. Lines of kind Pending have not
// changed the balance.
func Statement(tx *sqldb.Tx, id, currency string, before int64, limit int) ([]Line, error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	rows, err := tx.Query("SELECT t.seq, t.id, t.kind, t.reference, t.note, p.amount, p.balance, t.effective_at, t.recorded_at"+
		" FROM ledger_postings p JOIN ledger_transfers t ON t.seq = p.seq"+
		" WHERE p.account = ? AND p.currency = ? AND p.seq < ? ORDER BY p.seq DESC LIMIT ?", id, currency, before, limit)
	if err != nil {
		return nil, fmt.Errorf("ledger: statement: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var lines []Line
	for rows.Next() {
		var l Line
		var effective, recorded int64
		if err := rows.Scan(&l.Seq, &l.Transfer, &l.Kind, &l.Reference, &l.Note, &l.Amount, &l.Balance, &effective, &recorded); err != nil {
			return nil, fmt.Errorf("ledger: statement: %w", err)
		}
		l.EffectiveAt, l.RecordedAt = fromMillis(effective), fromMillis(recorded)
		lines = append(lines, l)
	}
	return lines, rows.Err()
}

// Find returns where the transfer with this reference stands, and whether there is one.
func Find(tx *sqldb.Tx, reference string) (Recorded, bool, error) {
	var r Recorded
	if reference == "" {
		return r, false, nil
	}
	err := tx.QueryRow("SELECT seq, id, hash FROM ledger_transfers WHERE reference = ? AND reference <> ''", reference).Scan(&r.Seq, &r.ID, &r.Hash)
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	if err != nil {
		return r, false, fmt.Errorf("ledger: find: %w", err)
	}
	return r, true, nil
}

// Head returns the newest row of the journal: publish its hash outside, or the
// chain proves nothing. An empty ledger has the zero Recorded.
func Head(tx *sqldb.Tx) (Recorded, error) {
	var r Recorded
	err := tx.QueryRow("SELECT seq, id, hash FROM ledger_transfers ORDER BY seq DESC LIMIT 1").Scan(&r.Seq, &r.ID, &r.Hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return r, fmt.Errorf("ledger: head: %w", err)
	}
	return r, nil
}

// Expired returns the ids of up to limit pending transfers whose time is over at now, the oldest first.
func Expired(tx *sqldb.Tx, now time.Time, limit int) ([]string, error) {
	rows, err := tx.Query("SELECT id FROM ledger_holds WHERE expires_at > 0 AND expires_at <= ? ORDER BY expires_at LIMIT ?", now.UnixMilli(), limit)
	if err != nil {
		return nil, fmt.Errorf("ledger: expired: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("ledger: expired: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
