package ledger

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/internal/sqldb"
)

// chainLock serialises the numbering and chaining of transfers where the
// database has several writers. It is taken before anything is read, so that
// what is read under it is what the previous holder committed.
const chainLock = "ledger:chain"

// Record decides and writes transfers at the given time, all or none, in the
// order given, chained behind what is recorded. It returns one of the package's
// errors when a transfer may not happen; the caller must then return an error
// from the closure, so that the transaction is undone.
func (b *Book) Record(tx *sqldb.Tx, at time.Time, transfers ...Transfer) ([]Recorded, error) {
	for i := range transfers {
		if transfers[i].Kind == "" {
			transfers[i].Kind = Posted
		}
		if err := checkShape(&transfers[i]); err != nil {
			return nil, err
		}
	}
	if err := tx.Lock(chainLock); err != nil {
		return nil, err
	}
	w, err := b.load(tx, at, transfers)
	if err != nil {
		return nil, err
	}
	rows := make([]row, len(transfers))
	for i := range transfers {
		if rows[i], err = w.decide(&transfers[i]); err != nil {
			return nil, err
		}
	}
	recorded := make([]Recorded, len(rows))
	for i := range rows {
		if recorded[i], err = w.append(&rows[i]); err != nil {
			return nil, err
		}
	}
	return recorded, w.saveAccounts()
}

// writer is one Record under way: what it has read, and the chain's head.
type writer struct {
	tx    *sqldb.Tx
	book  book
	seq   int64
	head  [32]byte
	dirty []accountKey // in the order touched
}

// load reads the chain's head, the accounts and the open holds that the
// transfers touch, and opens the accounts that the chart lets it open.
func (b *Book) load(tx *sqldb.Tx, at time.Time, transfers []Transfer) (*writer, error) {
	w := &writer{tx: tx, book: book{accounts: map[accountKey]*Account{}, holds: map[string]hold{}, now: at.UnixMilli()}}
	if err := w.readHead(); err != nil {
		return nil, err
	}
	for i := range transfers {
		w.touch(transfers[i].Legs)
		if id := transfers[i].Resolves; id != "" {
			h, err := readHold(tx, id)
			if err != nil {
				return nil, err
			}
			w.book.holds[id] = h
			w.touch(h.legs)
		}
	}
	if err := w.readAccounts(); err != nil {
		return nil, err
	}
	for _, k := range w.dirty {
		if w.book.accounts[k] == nil {
			if terms, ok := b.chart(k.id); ok {
				if err := w.open(k, terms); err != nil {
					return nil, err
				}
			}
		}
	}
	return w, nil
}

func (w *writer) touch(legs []Leg) {
	for _, l := range legs {
		if k := l.key(); !slices.Contains(w.dirty, k) {
			w.dirty = append(w.dirty, k)
		}
	}
}

func (w *writer) readHead() error {
	var hash string
	err := w.tx.QueryRow("SELECT seq, hash FROM ledger_transfers ORDER BY seq DESC LIMIT 1").Scan(&w.seq, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ledger: read head: %w", err)
	}
	w.head, err = parseHash(hash)
	return err
}

// readHold returns the open pending transfer of this id.
func readHold(tx *sqldb.Tx, id string) (hold, error) {
	var seq int64
	var h hold
	err := tx.QueryRow("SELECT seq, expires_at FROM ledger_holds WHERE id = ?", id).Scan(&seq, &h.expiresAt)
	if errors.Is(err, sql.ErrNoRows) {
		var kind Kind
		err = tx.QueryRow("SELECT kind FROM ledger_transfers WHERE id = ?", id).Scan(&kind)
		switch {
		case errors.Is(err, sql.ErrNoRows), err == nil && kind != Pending:
			return hold{}, fmt.Errorf("%w: %s", ErrPendingUnknown, id)
		case err == nil:
			return hold{}, fmt.Errorf("%w: %s", ErrResolved, id)
		}
	}
	if err != nil {
		return hold{}, fmt.Errorf("ledger: read hold: %w", err)
	}
	h.legs, err = readLegs(tx, seq)
	return h, err
}

func readLegs(tx *sqldb.Tx, seq int64) ([]Leg, error) {
	rows, err := tx.Query("SELECT account, currency, amount FROM ledger_postings WHERE seq = ? ORDER BY leg", seq)
	if err != nil {
		return nil, fmt.Errorf("ledger: read postings: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var legs []Leg
	for rows.Next() {
		var l Leg
		if err := rows.Scan(&l.Account, &l.Currency, &l.Amount); err != nil {
			return nil, fmt.Errorf("ledger: read postings: %w", err)
		}
		legs = append(legs, l)
	}
	return legs, rows.Err()
}

const accountColumns = "SELECT id, currency, kind, may_go_negative, ceiling, closed, posted, pending_out, pending_in FROM ledger_accounts"

// accountQueries read 1 to 4 accounts; their texts are constant so that they stay prepared.
var accountQueries = func() (q [5]string) {
	for n := range q[1:] {
		q[n+1] = accountColumns + " WHERE " + strings.Repeat("(id = ? AND currency = ?) OR ", n) + "(id = ? AND currency = ?)"
	}
	return q
}()

func (w *writer) readAccounts() error {
	for keys := range slices.Chunk(w.dirty, len(accountQueries)-1) {
		args := make([]any, 0, 2*len(keys))
		for _, k := range keys {
			args = append(args, k.id, k.currency)
		}
		accounts, err := scanAccounts(w.tx, accountQueries[len(keys)], args...)
		if err != nil {
			return err
		}
		for i := range accounts {
			w.book.accounts[accountKey{accounts[i].ID, accounts[i].Currency}] = &accounts[i]
		}
	}
	return nil
}

func scanAccounts(tx *sqldb.Tx, query string, args ...any) ([]Account, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, fmt.Errorf("ledger: read accounts: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var accounts []Account
	for rows.Next() {
		var a Account
		var negative, closed int64
		if err := rows.Scan(&a.ID, &a.Currency, &a.Kind, &negative, &a.Ceiling, &closed, &a.Posted, &a.PendingOut, &a.PendingIn); err != nil {
			return nil, fmt.Errorf("ledger: read accounts: %w", err)
		}
		a.MayGoNegative, a.Closed = negative != 0, closed != 0
		accounts = append(accounts, a)
	}
	return accounts, rows.Err()
}

// decide turns a transfer into the row that records it.
func (w *writer) decide(t *Transfer) (row, error) {
	postings, err := w.book.apply(t)
	if err != nil {
		return row{}, err
	}
	r := row{
		id: t.ID, kind: t.Kind, resolves: t.Resolves, reference: t.Reference,
		effectiveAt: millis(t.EffectiveAt), recordedAt: w.book.now, expiresAt: millis(t.ExpiresAt),
		note: t.Note, postings: postings,
	}
	if r.effectiveAt == 0 {
		r.effectiveAt = w.book.now
	}
	return r, nil
}

// append numbers, chains and writes one row with its postings.
func (w *writer) append(r *row) (Recorded, error) {
	r.seq = w.seq + 1
	hash := r.link(w.head)
	hashText := hex.EncodeToString(hash[:])
	n, err := w.tx.Exec("INSERT INTO ledger_transfers (seq, id, kind, resolves, reference, effective_at, recorded_at, expires_at, note, hash)"+
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		r.seq, r.id, string(r.kind), r.resolves, r.reference, r.effectiveAt, r.recordedAt, r.expiresAt, r.note, hashText)
	if err != nil {
		return Recorded{}, fmt.Errorf("ledger: append: %w", err)
	}
	if n == 0 {
		return Recorded{}, fmt.Errorf("%w: id %s, reference %q", ErrDuplicate, r.id, r.reference)
	}
	if err := w.insertPostings(r); err != nil {
		return Recorded{}, err
	}
	if err := w.saveHold(r); err != nil {
		return Recorded{}, err
	}
	w.seq, w.head = r.seq, hash
	return Recorded{Seq: r.seq, ID: r.id, Hash: hashText}, nil
}

// postingQueries insert 1 to 4 postings.
var postingQueries = func() (q [5]string) {
	for n := range q[1:] {
		q[n+1] = "INSERT INTO ledger_postings (seq, leg, account, currency, amount, balance) VALUES " +
			strings.Repeat("(?, ?, ?, ?, ?, ?), ", n) + "(?, ?, ?, ?, ?, ?)"
	}
	return q
}()

func (w *writer) insertPostings(r *row) error {
	leg := 0
	for part := range slices.Chunk(r.postings, len(postingQueries)-1) {
		args := make([]any, 0, 6*len(part))
		for _, p := range part {
			args = append(args, r.seq, leg, p.Account, p.Currency, p.Amount, p.balance)
			leg++
		}
		if _, err := w.tx.Exec(postingQueries[len(part)], args...); err != nil {
			return fmt.Errorf("ledger: append postings: %w", err)
		}
	}
	return nil
}

// saveHold keeps the list of open holds in step with the row.
func (w *writer) saveHold(r *row) error {
	var err error
	switch r.kind {
	case Pending:
		_, err = w.tx.Exec("INSERT INTO ledger_holds (id, seq, expires_at) VALUES (?, ?, ?)", r.id, r.seq, r.expiresAt)
	case Post, Void:
		_, err = w.tx.Exec("DELETE FROM ledger_holds WHERE id = ?", r.resolves)
	}
	if err != nil {
		return fmt.Errorf("ledger: save hold: %w", err)
	}
	return nil
}

func (w *writer) saveAccounts() error {
	for _, k := range w.dirty {
		a := w.book.accounts[k]
		_, err := w.tx.Exec("UPDATE ledger_accounts SET posted = ?, pending_out = ?, pending_in = ? WHERE id = ? AND currency = ?",
			a.Posted, a.PendingOut, a.PendingIn, a.ID, a.Currency)
		if err != nil {
			return fmt.Errorf("ledger: save account %s: %w", a.ID, err)
		}
	}
	return nil
}
