package ledger

import (
	"fmt"
	"strings"
	"time"

	"parley/internal/sqldb"
)

// Open opens an account on the given terms. An account that exists on the same
// terms stays as it is; on other terms it is an ErrShape.
func (b *Book) Open(tx *sqldb.Tx, at time.Time, id, currency string, terms Terms) error {
	if id == "" || len(id) > 160 || len(currency) != 3 || terms.Ceiling < 0 || terms.Ceiling > MaxAmount {
		return fmt.Errorf("%w: account %q %q", ErrShape, id, currency)
	}
	w, err := b.only(tx, at, accountKey{id, currency})
	if err != nil {
		return err
	}
	a := w.book.accounts[accountKey{id, currency}]
	if a == nil {
		return w.open(accountKey{id, currency}, terms)
	}
	if a.Terms != terms {
		return fmt.Errorf("%w: account %s %s is open on other terms", ErrShape, id, currency)
	}
	return nil
}

// Close ends an account that is empty and has no open holds: nothing can be
// posted to it again. Closing twice is no error.
func (b *Book) Close(tx *sqldb.Tx, at time.Time, id, currency string) error {
	k := accountKey{id, currency}
	w, err := b.only(tx, at, k)
	if err != nil {
		return err
	}
	a := w.book.accounts[k]
	switch {
	case a == nil:
		return fmt.Errorf("%w: %s %s", ErrAccountUnknown, id, currency)
	case a.Closed:
		return nil
	case a.Posted != 0 || a.PendingIn != 0 || a.PendingOut != 0:
		return fmt.Errorf("%w: %s %s", ErrNotEmpty, id, currency)
	}
	if _, err := w.append(accountRow(closeKind, k, w.book.now, "currency="+currency)); err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE ledger_accounts SET closed = 1 WHERE id = ? AND currency = ?", id, currency); err != nil {
		return fmt.Errorf("ledger: close account: %w", err)
	}
	return nil
}

// only loads the head and one account, opening nothing.
func (b *Book) only(tx *sqldb.Tx, at time.Time, k accountKey) (*writer, error) {
	if err := tx.Lock(chainLock); err != nil {
		return nil, err
	}
	w := &writer{tx: tx, book: book{accounts: map[accountKey]*Account{}, now: at.UnixMilli()}, dirty: []accountKey{k}}
	if err := w.readHead(); err != nil {
		return nil, err
	}
	return w, w.readAccounts()
}

// open journals and inserts an account that does not exist yet.
func (w *writer) open(k accountKey, terms Terms) error {
	if terms.Kind == "" || strings.ContainsAny(terms.Kind, " \n") {
		return fmt.Errorf("%w: account kind %q", ErrShape, terms.Kind)
	}
	if _, err := w.append(accountRow(openKind, k, w.book.now, termsNote(k.currency, terms))); err != nil {
		return err
	}
	negative := 0
	if terms.MayGoNegative {
		negative = 1
	}
	_, err := w.tx.Exec("INSERT INTO ledger_accounts (id, currency, kind, may_go_negative, ceiling, closed, posted, pending_out, pending_in, opened_at)"+
		" VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0, ?)", k.id, k.currency, terms.Kind, negative, terms.Ceiling, w.book.now)
	if err != nil {
		return fmt.Errorf("ledger: open account: %w", err)
	}
	w.book.accounts[k] = &Account{ID: k.id, Currency: k.currency, Terms: terms}
	return nil
}

// accountRow is the row that opens or closes an account. Its id keeps an
// account from being opened twice.
func accountRow(kind Kind, k accountKey, at int64, note string) *row {
	return &row{id: string(kind) + ":" + k.id + "/" + k.currency, kind: kind, effectiveAt: at, recordedAt: at, note: note}
}
