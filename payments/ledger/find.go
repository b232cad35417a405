package ledger

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"parley/internal/sqldb"
)

// Entry is one transfer with its legs, as it stands in the journal.
type Entry struct {
	Seq  int64  `json:"seq"`
	ID   string `json:"id"`
	Kind Kind   `json:"kind" enum:"posted,pending,post,void"`
	// Resolves is the pending transfer that it posts or voids, or what it reverses.
	Resolves string `json:"resolves,omitempty" doc:"the pending transfer that it posts or voids, or the one that it reverses"`
	// ResolvedBy is the transfer that resolved or reversed this one.
	ResolvedBy  string    `json:"resolved_by,omitempty" doc:"what posted, voided or reversed it"`
	Reference   string    `json:"reference,omitempty"`
	EffectiveAt time.Time `json:"effective_at"`
	RecordedAt  time.Time `json:"recorded_at"`
	ExpiresAt   time.Time `json:"expires_at,omitzero" doc:"of a pending one: from then on it can only be voided"`
	Note        string    `json:"note,omitempty"`
	Hash        string    `json:"hash"`
	Postings    []Posting `json:"postings"`
}

// Posting is one leg of an Entry, in minor units.
type Posting struct {
	Account  string `json:"account"`
	Currency string `json:"currency"`
	Amount   int64  `json:"amount" doc:"minor units; negative leaves the account"`
}

// scopeIndexed is how many characters of a reference the index
// ledger_transfers_scope covers.
const scopeIndexed = 30

// Under returns the transfers whose reference begins with scope and a slash,
// oldest first: everything that one object, such as a payment, has moved. It
// compares by equality, which means the same under every collation of a
// database. A scope of less than 30 bytes is looked for in the whole journal.
func Under(tx *sqldb.Tx, scope string) ([]Entry, error) {
	prefix := []rune(scope + "/")
	where, args := "length(reference) > 30 AND substr(reference, 1, 30) = ?", []any{}
	if len(prefix) >= scopeIndexed {
		args = append(args, string(prefix[:scopeIndexed]))
	} else {
		where, args = "substr(reference, 1, ?) = ?", append(args, len(prefix), string(prefix))
	}
	entries, err := readEntries(tx, where, "ORDER BY seq", args...)
	if err != nil {
		return nil, fmt.Errorf("ledger: under %s: %w", scope, err)
	}
	return slices.DeleteFunc(entries, func(e Entry) bool { return !strings.HasPrefix(e.Reference, scope+"/") }), nil
}

// Get returns one transfer, or ErrUnknown.
func Get(tx *sqldb.Tx, id string) (Entry, error) {
	entries, err := readEntries(tx, "id = ? AND kind IN ('posted', 'pending', 'post', 'void')", "", id)
	if err != nil {
		return Entry{}, fmt.Errorf("ledger: get: %w", err)
	}
	if len(entries) == 0 {
		return Entry{}, fmt.Errorf("%w: %.128s", ErrUnknown, id)
	}
	return entries[0], nil
}

// ReadReference adds the query to a batch that tells the reference of one
// transfer; each is not called when there is none of this id.
func ReadReference(b *sqldb.Batch, id string, each func(reference string)) {
	b.Query("SELECT reference FROM ledger_transfers WHERE id = ? AND kind IN ('posted', 'pending', 'post', 'void')", func(r sqldb.Row) error {
		var reference string
		err := r.Scan(&reference)
		each(reference)
		return err
	}, id)
}

// entriesOf returns the transfers among rows that were just decided, as Get will.
func entriesOf(rows []*stored) []Entry {
	entries := make([]Entry, 0, len(rows))
	for _, r := range rows {
		if r.kind == openKind {
			continue
		}
		e := Entry{
			Seq: r.seq, ID: r.id, Kind: r.kind, Resolves: r.resolves, Reference: r.reference, Note: r.note, Hash: r.hash,
			EffectiveAt: fromMillis(r.effectiveAt), RecordedAt: fromMillis(r.recordedAt), ExpiresAt: fromMillis(r.expiresAt),
			Postings: make([]Posting, len(r.postings)),
		}
		for i, p := range r.postings {
			e.Postings[i] = Posting(p.Leg)
		}
		entries = append(entries, e)
	}
	return entries
}

// Query narrows a list of transfers; empty fields do not.
type Query struct {
	Account, Currency string
	Reference         string
	// Before is the Seq that the page begins before; 0 begins at the newest.
	Before int64
	Limit  int
}

// List returns transfers, newest first. The next page begins before the last one's Seq.
func List(tx *sqldb.Tx, q Query) ([]Entry, error) {
	if q.Before <= 0 {
		q.Before = math.MaxInt64
	}
	where, args := "kind IN ('posted', 'pending', 'post', 'void') AND seq < ?", []any{q.Before}
	if q.Reference != "" {
		where += " AND reference = ? AND reference <> ''"
		args = append(args, q.Reference)
	}
	if q.Account != "" {
		touched := "SELECT DISTINCT seq FROM ledger_postings WHERE account = ? AND seq < ?"
		args = append(args, q.Account, q.Before)
		if q.Currency != "" {
			touched += " AND currency = ?"
			args = append(args, q.Currency)
		}
		where += " AND seq IN (" + touched + " ORDER BY seq DESC LIMIT ?)"
		args = append(args, q.Limit)
	}
	entries, err := readEntries(tx, where, "ORDER BY seq DESC LIMIT ?", append(args, q.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("ledger: list: %w", err)
	}
	return entries, nil
}

// readEntries returns the transfers for which where holds, in the order given.
func readEntries(tx *sqldb.Tx, where, order string, args ...any) ([]Entry, error) {
	entries, err := readHeads(tx, where, order, args...)
	if err != nil || len(entries) == 0 {
		return entries, err
	}
	at := make(map[int64]*Entry, len(entries))
	for i := range entries {
		at[entries[i].Seq] = &entries[i]
	}
	for part := range slices.Chunk(entries, 100) {
		if err := readPostings(tx, at, part); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

func readHeads(tx *sqldb.Tx, where, order string, args ...any) ([]Entry, error) {
	rows, err := tx.Query("SELECT t.seq, t.id, t.kind, t.resolves, COALESCE(r.id, ''), t.reference, t.effective_at, t.recorded_at, t.expires_at, t.note, t.hash"+
		" FROM (SELECT * FROM ledger_transfers WHERE "+where+" "+order+") t"+
		" LEFT JOIN ledger_transfers r ON r.resolves = t.id AND r.resolves <> ''", args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	entries := []Entry{}
	for rows.Next() {
		e := Entry{Postings: []Posting{}}
		var effective, recorded, expires int64
		if err := rows.Scan(&e.Seq, &e.ID, &e.Kind, &e.Resolves, &e.ResolvedBy, &e.Reference, &effective, &recorded, &expires, &e.Note, &e.Hash); err != nil {
			return nil, err
		}
		e.EffectiveAt, e.RecordedAt, e.ExpiresAt = fromMillis(effective), fromMillis(recorded), fromMillis(expires)
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return int(a.Seq - b.Seq) }) // a join need not keep the order
	if strings.Contains(order, "DESC") {
		slices.Reverse(entries)
	}
	return entries, rows.Err()
}

// readPostings fills in the legs of part.
func readPostings(tx *sqldb.Tx, at map[int64]*Entry, part []Entry) error {
	args := make([]any, len(part))
	for i := range part {
		args[i] = part[i].Seq
	}
	rows, err := tx.Query("SELECT seq, account, currency, amount FROM ledger_postings WHERE seq IN (?"+strings.Repeat(", ?", len(part)-1)+") ORDER BY seq, leg", args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		var seq int64
		var p Posting
		if err := rows.Scan(&seq, &p.Account, &p.Currency, &p.Amount); err != nil {
			return err
		}
		at[seq].Postings = append(at[seq].Postings, p)
	}
	return rows.Err()
}
