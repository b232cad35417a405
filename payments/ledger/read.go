package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
)

// Balance returns one account, or ErrAccountUnknown.
func Balance(tx *sqldb.Tx, id, currency string) (Account, error) {
	accounts, err := scanAccounts(tx, "WHERE a.id = ? AND a.currency = ?", id, currency)
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
	return scanAccounts(tx, "WHERE a.id = ? ORDER BY a.currency", id)
}

// Accounts returns up to limit accounts behind (afterID, afterCurrency) in the order of id and currency.
func Accounts(tx *sqldb.Tx, afterID, afterCurrency string, limit int) ([]Account, error) {
	return scanAccounts(tx, "WHERE (a.id, a.currency) > (?, ?) ORDER BY a.id, a.currency LIMIT ?", afterID, afterCurrency, limit)
}

func scanAccounts(tx *sqldb.Tx, where string, args ...any) ([]Account, error) {
	rows, err := tx.Query("SELECT "+balanceColumns+" FROM ledger_accounts a "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("ledger: read accounts: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var accounts []Account
	for rows.Next() {
		a, err := scanAccount(rows)
		if err != nil {
			return nil, fmt.Errorf("ledger: read accounts: %w", err)
		}
		accounts = append(accounts, a)
	}
	return accounts, rows.Err()
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
