package ledger

import (
	"fmt"
	"time"

	"parley/internal/sqldb"
)

// Entry is one transfer with its legs, as it stands in the journal.
type Entry struct {
	Seq         int64     `json:"seq"`
	ID          string    `json:"id"`
	Kind        Kind      `json:"kind"`
	Resolves    string    `json:"resolves,omitempty"`
	Reference   string    `json:"reference,omitempty"`
	EffectiveAt time.Time `json:"effective_at"`
	RecordedAt  time.Time `json:"recorded_at"`
	Hash        string    `json:"hash"`
	Postings    []Posting `json:"postings"`
}

// Posting is one leg of an Entry, in minor units.
type Posting struct {
	Account  string `json:"account"`
	Currency string `json:"currency"`
	Amount   int64  `json:"amount"`
}

// Under returns the transfers whose reference begins with scope and a slash,
// oldest first: everything that one object, such as a payment, has moved.
func Under(tx *sqldb.Tx, scope string) ([]Entry, error) {
	rows, err := tx.Query("SELECT t.seq, t.id, t.kind, t.resolves, t.reference, t.effective_at, t.recorded_at, t.hash, p.account, p.currency, p.amount"+
		" FROM ledger_transfers t JOIN ledger_postings p ON p.seq = t.seq"+
		" WHERE t.reference >= ? AND t.reference < ? AND t.reference <> '' ORDER BY t.seq, p.leg", scope+"/", scope+"0") // '0' follows '/'
	if err != nil {
		return nil, fmt.Errorf("ledger: under %s: %w", scope, err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	entries := []Entry{}
	for rows.Next() {
		var e Entry
		var p Posting
		var effective, recorded int64
		if err := rows.Scan(&e.Seq, &e.ID, &e.Kind, &e.Resolves, &e.Reference, &effective, &recorded, &e.Hash, &p.Account, &p.Currency, &p.Amount); err != nil {
			return nil, fmt.Errorf("ledger: under %s: %w", scope, err)
		}
		if n := len(entries); n == 0 || entries[n-1].Seq != e.Seq {
			e.EffectiveAt, e.RecordedAt = fromMillis(effective), fromMillis(recorded)
			entries = append(entries, e)
		}
		last := &entries[len(entries)-1]
		last.Postings = append(last.Postings, p)
	}
	return entries, rows.Err()
}
