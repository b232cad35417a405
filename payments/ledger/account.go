package ledger

import (
	"fmt"
	"strings"
	"time"

	"parley/internal/sqldb"
)

// Open opens an account on the given terms. An account that exists on the same
// terms stays as it is; on other terms it is an ErrTerms, when it is closed an
// ErrAccountClosed.
func (b *Book) Open(tx *sqldb.Tx, at time.Time, id, currency string, terms Terms) error {
	if id == "" || len(id) > 160 || len(currency) != 3 || terms.Ceiling < 0 || terms.Ceiling > MaxAmount {
		return fmt.Errorf("%w: account %q %q", ErrShape, id, currency)
	}
	k := accountKey{id, currency}
	w, err := b.only(tx, at, k)
	if err != nil {
		return err
	}
	a := w.book.accounts[k]
	if a == nil {
		r, a, err := openAccount(k, terms, w.book.now)
		if err != nil {
			return err
		}
		w.book.accounts[k], w.dirty[k] = a, true
		_, err = w.append(r)
		return err
	}
	switch {
	case a.Closed:
		return fmt.Errorf("%w: %s %s", ErrAccountClosed, id, currency)
	case a.Terms != terms:
		return fmt.Errorf("%w: %s %s", ErrTerms, id, currency)
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
	w := newWriter(tx, b.chart, at)
	return w, w.loadAccount(k)
}

// openAccount is an account that does not exist yet, with the row that journals it.
func openAccount(k accountKey, terms Terms, at int64) (*row, *Account, error) {
	if terms.Kind == "" || strings.ContainsAny(terms.Kind, " \n") {
		return nil, nil, fmt.Errorf("%w: account kind %q", ErrShape, terms.Kind)
	}
	return accountRow(openKind, k, at, termsNote(k.currency, terms)), &Account{ID: k.id, Currency: k.currency, Terms: terms}, nil
}

// accountRow is the row that opens or closes an account. Its id keeps an
// account from being opened twice.
func accountRow(kind Kind, k accountKey, at int64, note string) *row {
	return &row{id: string(kind) + ":" + k.id + "/" + k.currency, kind: kind, effectiveAt: at, recordedAt: at, note: note}
}
