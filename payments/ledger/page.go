package ledger

import (
	"fmt"
	"math"

	"parley/internal/sqldb"
)

// storedRow is a row with the hash kept beside it.
type storedRow struct {
	row
	hash string
}

// pageQuery asks for up to pageMax rows behind after, up to last (0: no bound);
// with an account, those that have a leg on it, in currency if given.
type pageQuery struct {
	after, last       int64
	account, currency string
}

// pageMax bounds the rows read in one View, so that reading a large ledger
// does not hold a snapshot open.
const pageMax = 2000

// where returns the condition on seq and its arguments.
func (q pageQuery) where() (string, []any) {
	if q.last == 0 {
		q.last = math.MaxInt64
	}
	if q.account == "" {
		return "seq > ? AND seq <= ?", []any{q.after, q.last}
	}
	touched, args := "SELECT DISTINCT seq FROM ledger_postings WHERE account = ? AND seq > ? AND seq <= ?", []any{q.account, q.after, q.last}
	if q.currency != "" {
		touched, args = touched+" AND currency = ?", append(args, q.currency)
	}
	return "seq IN (" + touched + " ORDER BY seq LIMIT ?)", append(args, pageMax)
}

// readPage returns rows with their postings. A *Fault says that a posting
// belongs to none of them, or that one is missing or doubled.
func readPage(tx *sqldb.Tx, q pageQuery) ([]storedRow, error) {
	page, err := readRows(tx, q)
	if err != nil || len(page) == 0 {
		return page, err
	}
	q.last = page[len(page)-1].seq
	where, args := q.where()
	rows, err := tx.Query("SELECT seq, leg, account, currency, amount, balance FROM ledger_postings WHERE "+where+" ORDER BY seq, leg", args...)
	if err != nil {
		return nil, fmt.Errorf("ledger: read postings: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	i := 0
	for rows.Next() {
		var seq, leg int64
		var p posting
		if err := rows.Scan(&seq, &leg, &p.Account, &p.Currency, &p.Amount, &p.balance); err != nil {
			return nil, fmt.Errorf("ledger: read postings: %w", err)
		}
		for i < len(page)-1 && page[i].seq < seq {
			i++
		}
		if page[i].seq != seq {
			return nil, &Fault{seq, "posting", "belongs to no transfer"}
		}
		if want := int64(len(page[i].postings)); leg != want {
			return nil, &Fault{seq, page[i].id, fmt.Sprintf("has a posting numbered %d where %d belongs", leg, want)}
		}
		page[i].postings = append(page[i].postings, p)
	}
	return page, rows.Err()
}

func readRows(tx *sqldb.Tx, q pageQuery) ([]storedRow, error) {
	where, args := q.where()
	rows, err := tx.Query("SELECT seq, id, kind, resolves, reference, effective_at, recorded_at, expires_at, note, hash"+
		" FROM ledger_transfers WHERE "+where+" ORDER BY seq LIMIT ?", append(args, pageMax)...)
	if err != nil {
		return nil, fmt.Errorf("ledger: read transfers: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var page []storedRow
	for rows.Next() {
		var r storedRow
		if err := rows.Scan(&r.seq, &r.id, &r.kind, &r.resolves, &r.reference, &r.effectiveAt, &r.recordedAt, &r.expiresAt, &r.note, &r.hash); err != nil {
			return nil, fmt.Errorf("ledger: read transfers: %w", err)
		}
		page = append(page, r)
	}
	return page, rows.Err()
}
