package ledger

import (
	"fmt"
	"slices"

	"parley/internal/sqldb"
)

// What a writer reads. Every statement finds its rows by an index.
var (
	readKnown = sqldb.Over("WITH k(id, reference) AS ({set})"+
		" SELECT "+journalColumns+" FROM k JOIN ledger_transfers t ON t.id = k.id"+
		" UNION ALL SELECT "+journalColumns+" FROM k JOIN ledger_transfers t ON t.reference = k.reference AND t.reference <> ''", sqldb.Text, sqldb.Text)
	readHolds = sqldb.Over("WITH k(id) AS ({set})"+
		" SELECT h.id, h.expires_at, p.leg, p.account, p.currency, p.amount FROM k JOIN ledger_holds h ON h.id = k.id JOIN ledger_postings p ON p.seq = h.seq", sqldb.Text)
	readAccounts = sqldb.Over("WITH k(id, currency) AS ({set})"+
		" SELECT "+balanceColumns+" FROM k JOIN ledger_accounts a ON a.id = k.id AND a.currency = k.currency", sqldb.Text, sqldb.Text)
	readHoldAccounts = sqldb.Over("WITH k(id) AS ({set})"+
		" SELECT "+balanceColumns+" FROM k JOIN ledger_holds h ON h.id = k.id JOIN ledger_postings p ON p.seq = h.seq"+
		" JOIN ledger_accounts a ON a.id = p.account AND a.currency = p.currency", sqldb.Text)
)

const (
	journalColumns = "t.seq, t.id, t.kind, t.resolves, t.reference, t.effective_at, t.recorded_at, t.expires_at, t.note, t.hash"
	balanceColumns = "a.id, a.currency, a.kind, a.may_go_negative, a.ceiling, a.closed, a.posted, a.pending_out, a.pending_in"
)

// wanted is what a writer has to read.
type wanted struct {
	ids, references []string // pairs; the empty string names nothing
	holds           []string
	accounts        []string // pairs with currencies
	currencies      []string
}

func (n *wanted) add(group []Transfer, used bool, seen map[accountKey]bool) {
	for i := range group {
		t := &group[i]
		if used {
			n.ids, n.references = append(n.ids, t.ID), append(n.references, t.Reference)
		}
		if t.Resolves != "" && !slices.Contains(n.holds, t.Resolves) {
			n.holds = append(n.holds, t.Resolves)
			n.ids, n.references = append(n.ids, t.Resolves), append(n.references, "")
		}
		for _, l := range t.Legs {
			n.addAccount(l.key(), seen)
		}
	}
}

func (n *wanted) addAccount(k accountKey, seen map[accountKey]bool) {
	if !seen[k] {
		seen[k] = true
		n.accounts, n.currencies = append(n.accounts, k.id), append(n.currencies, k.currency)
	}
}

// load reads the chain's head and everything that the groups touch, in one
// round trip under the chain's lock. Which of their ids and references are used
// already is read when used is true, else left for save to find out.
func (w *writer) load(used bool, groups ...[]Transfer) error {
	var n wanted
	seen := map[accountKey]bool{}
	for _, g := range groups {
		n.add(g, used, seen)
	}
	b := w.tx.Batch()
	b.Lock(chainLock)
	w.loadHead(b)
	b.QuerySet(readKnown, w.scanKnown, n.ids, n.references)
	b.QuerySet(readAccounts, w.scanAccount, n.accounts, n.currencies)
	b.QuerySet(readHolds, w.scanHold, n.holds)
	b.QuerySet(readHoldAccounts, w.scanAccount, n.holds)
	if err := b.Send(); err != nil {
		return fmt.Errorf("ledger: load: %w", err)
	}
	return nil
}

// loadAccount reads the chain's head and one account.
func (w *writer) loadAccount(k accountKey) error {
	b := w.tx.Batch()
	b.Lock(chainLock)
	w.loadHead(b)
	b.QuerySet(readAccounts, w.scanAccount, []string{k.id}, []string{k.currency})
	if err := b.Send(); err != nil {
		return fmt.Errorf("ledger: load: %w", err)
	}
	return nil
}

func (w *writer) loadHead(b *sqldb.Batch) {
	b.Query("SELECT seq, hash FROM ledger_transfers ORDER BY seq DESC LIMIT 1", func(r sqldb.Row) (err error) {
		var hash string
		if err := r.Scan(&w.seq, &hash); err != nil {
			return err
		}
		w.head, err = parseHash(hash)
		return err
	})
}

func (w *writer) scanKnown(r sqldb.Row) error {
	var s stored
	if err := r.Scan(&s.seq, &s.id, &s.kind, &s.resolves, &s.reference, &s.effectiveAt, &s.recordedAt, &s.expiresAt, &s.note, &s.hash); err != nil {
		return err
	}
	w.byID[s.id] = &s
	if s.reference != "" {
		w.byReference[s.reference] = &s
	}
	return nil
}

func (w *writer) scanAccount(r sqldb.Row) error {
	a, err := scanAccount(r)
	w.book.accounts[accountKey{a.ID, a.Currency}] = &a
	return err
}

// scanAccount reads the columns of balanceColumns.
func scanAccount(r sqldb.Row) (Account, error) {
	var a Account
	var negative, closed int64
	err := r.Scan(&a.ID, &a.Currency, &a.Kind, &negative, &a.Ceiling, &closed, &a.Posted, &a.PendingOut, &a.PendingIn)
	a.MayGoNegative, a.Closed = negative != 0, closed != 0
	return a, err
}

// scanHold takes one leg of an open hold; legs may come in any order.
func (w *writer) scanHold(r sqldb.Row) error {
	var id string
	var expires int64
	var at int
	var l Leg
	if err := r.Scan(&id, &expires, &at, &l.Account, &l.Currency, &l.Amount); err != nil {
		return err
	}
	h := w.book.holds[id]
	h.expiresAt = expires
	if missing := at + 1 - len(h.legs); missing > 0 {
		h.legs = append(h.legs, make([]Leg, missing)...)
	}
	h.legs[at] = l
	w.book.holds[id] = h
	return nil
}

// postingsOf returns the postings of a row that was recorded earlier.
func (w *writer) postingsOf(s *stored) ([]posting, error) {
	if s.loaded {
		return s.postings, nil
	}
	legs, err := readLegs(w.tx, s.seq)
	if err != nil {
		return nil, err
	}
	for _, l := range legs {
		s.postings = append(s.postings, posting{Leg: l})
	}
	s.loaded = true
	return s.postings, nil
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
