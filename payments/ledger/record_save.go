package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"parley/internal/sqldb"
)

// What a writer writes. The unique indexes and the constraints of the tables
// hold whatever was decided above.
var (
	insertRows = sqldb.Over("INSERT INTO ledger_transfers (seq, id, kind, resolves, reference, effective_at, recorded_at, expires_at, note, hash) {set} ON CONFLICT DO NOTHING",
		sqldb.BigInt, sqldb.Text, sqldb.Text, sqldb.Text, sqldb.Text, sqldb.BigInt, sqldb.BigInt, sqldb.BigInt, sqldb.Text, sqldb.Text)
	insertPostings = sqldb.Over("INSERT INTO ledger_postings (seq, leg, account, currency, amount, balance) {set}",
		sqldb.BigInt, sqldb.BigInt, sqldb.Text, sqldb.Text, sqldb.BigInt, sqldb.BigInt)
	saveAccounts = sqldb.Over("INSERT INTO ledger_accounts (id, currency, kind, may_go_negative, ceiling, closed, posted, pending_out, pending_in, opened_at) {set}"+
		" ON CONFLICT (id, currency) DO UPDATE SET posted = excluded.posted, pending_out = excluded.pending_out, pending_in = excluded.pending_in",
		sqldb.Text, sqldb.Text, sqldb.Text, sqldb.BigInt, sqldb.BigInt, sqldb.BigInt, sqldb.BigInt, sqldb.BigInt, sqldb.BigInt, sqldb.BigInt)
	insertHolds = sqldb.Over("INSERT INTO ledger_holds (id, seq, expires_at) {set}", sqldb.Text, sqldb.BigInt, sqldb.BigInt)
	deleteHolds = sqldb.Over("DELETE FROM ledger_holds WHERE id IN ({set})", sqldb.Text)
)

// save writes the rows, postings, balances and open holds that were decided
// since load, in one round trip. It returns ErrDuplicate when an id, a
// reference or a resolution is used already and load was not asked.
func (w *writer) save() error {
	return w.saveWith(func(*sqldb.Batch) error { return nil })
}

// saveWith is save with statements of others in the same round trip.
func (w *writer) saveWith(more func(*sqldb.Batch) error) error {
	b := w.tx.Batch()
	w.saveRows(b)
	w.savePostings(b)
	w.saveAccounts(b)
	w.saveHolds(b)
	if err := more(b); err != nil {
		return err
	}
	w.rows, w.dirty = nil, map[accountKey]bool{}
	switch err := b.Send(); {
	case errors.Is(err, sqldb.ErrRows):
		return fmt.Errorf("%w: %w", ErrDuplicate, err)
	case err != nil:
		return fmt.Errorf("ledger: save: %w", err)
	}
	return nil
}

func (w *writer) saveRows(b *sqldb.Batch) {
	n := len(w.rows)
	seq, id, kind, resolves, reference := make([]int64, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	effective, recorded, expires, note, hash := make([]int64, n), make([]int64, n), make([]int64, n), make([]string, n), make([]string, n)
	for i, r := range w.rows {
		seq[i], id[i], kind[i], resolves[i], reference[i] = r.seq, r.id, string(r.kind), r.resolves, r.reference
		effective[i], recorded[i], expires[i], note[i], hash[i] = r.effectiveAt, r.recordedAt, r.expiresAt, r.note, r.hash
	}
	b.ExecSet(insertRows, seq, id, kind, resolves, reference, effective, recorded, expires, note, hash)
}

func (w *writer) savePostings(b *sqldb.Batch) {
	var seq, leg, amount, balance []int64
	var account, currency []string
	for _, r := range w.rows {
		for i, p := range r.postings {
			seq, leg, account, currency = append(seq, r.seq), append(leg, int64(i)), append(account, p.Account), append(currency, p.Currency)
			amount, balance = append(amount, p.Amount), append(balance, p.balance)
		}
	}
	b.ExecSet(insertPostings, seq, leg, account, currency, amount, balance)
}

// saveAccounts opens what is new and sets the balances of the rest.
func (w *writer) saveAccounts(b *sqldb.Batch) {
	keys := slices.SortedFunc(maps.Keys(w.dirty), func(a, b accountKey) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.currency, b.currency))
	})
	n := len(keys)
	id, currency, kind := make([]string, n), make([]string, n), make([]string, n)
	negative, ceiling, closed, opened := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	posted, out, in := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, k := range keys {
		a := w.book.accounts[k]
		id[i], currency[i], kind[i], ceiling[i], opened[i] = a.ID, a.Currency, a.Kind, a.Ceiling, w.book.now
		posted[i], out[i], in[i] = a.Posted, a.PendingOut, a.PendingIn
		if a.MayGoNegative {
			negative[i] = 1
		}
	}
	b.ExecSet(saveAccounts, id, currency, kind, negative, ceiling, closed, posted, out, in, opened)
}

// saveHolds keeps the list of open holds in step with the rows.
func (w *writer) saveHolds(b *sqldb.Batch) {
	var opened, closed []string
	var seq, expires []int64
	for _, r := range w.rows {
		switch r.kind {
		case Pending:
			opened, seq, expires = append(opened, r.id), append(seq, r.seq), append(expires, r.expiresAt)
		case Post, Void:
			closed = append(closed, r.resolves)
		}
	}
	b.ExecSet(insertHolds, opened, seq, expires)
	b.ExecSet(deleteHolds, closed)
}

// append chains one row that moves no money and writes it at once.
func (w *writer) append(r *row) (Recorded, error) {
	s := &stored{row: *r, loaded: true}
	w.chain(s)
	return s.recorded(), w.save()
}
