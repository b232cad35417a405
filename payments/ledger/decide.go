package ledger

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// accountKey names an account in one currency.
type accountKey struct{ id, currency string }

func (l Leg) key() accountKey { return accountKey{l.Account, l.Currency} }

// hold is a pending transfer that may be resolved.
type hold struct {
	legs      []Leg
	expiresAt int64
}

// book is the part of the ledger that a group of transfers touches, as far as
// it has been decided. It is a value in memory: no I/O, no clock.
type book struct {
	accounts map[accountKey]*Account
	holds    map[string]hold // the open ones that the group resolves
	now      int64           // ms
}

// posting is a leg with the posted balance after it.
type posting struct {
	Leg
	balance int64
}

// checkShape reports whether t could be recorded on some ledger.
func checkShape(t *Transfer) error {
	switch {
	case t.ID == "" || len(t.ID) > 128 || strings.Contains(t.ID, ":"):
		return fmt.Errorf("%w: id must have 1 to 128 bytes and no colon", ErrShape)
	case len(t.Reference) > 256 || len(t.Note) > 1024:
		return fmt.Errorf("%w: reference or note too long", ErrShape)
	case !storable(t.ID) || !storable(t.Reference) || !storable(t.Note):
		return fmt.Errorf("%w: id, reference and note must be UTF-8 without a zero byte", ErrShape)
	case (t.Kind == Post || t.Kind == Void || t.reverses) != (t.Resolves != ""):
		return fmt.Errorf("%w: post and void, and only they, resolve a pending transfer", ErrShape)
	case t.Kind != Pending && !t.ExpiresAt.IsZero():
		return fmt.Errorf("%w: only a pending transfer expires", ErrShape)
	}
	switch t.Kind {
	case Void:
		if len(t.Legs) != 0 {
			return fmt.Errorf("%w: a void has no legs of its own", ErrShape)
		}
		return nil
	case Post:
		if len(t.Legs) == 0 {
			return nil
		}
	case Posted, Pending:
	default:
		return fmt.Errorf("%w: kind %q", ErrShape, t.Kind)
	}
	return checkLegs(t.Legs)
}

// storable reports whether both databases keep s as it is.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// checkLegs reports whether legs are a balanced set of postings.
func checkLegs(legs []Leg) error {
	if len(legs) < 2 || len(legs) > maxLegs {
		return fmt.Errorf("%w: %d legs, want 2 to %d", ErrShape, len(legs), maxLegs)
	}
	for i, l := range legs {
		if l.Account == "" || len(l.Account) > 160 || !storable(l.Account) || !storable(l.Currency) || len(l.Currency) != 3 || strings.ToUpper(l.Currency) != l.Currency {
			return fmt.Errorf("%w: leg %d: account %q, currency %q", ErrShape, i, l.Account, l.Currency)
		}
		if l.Amount == 0 || l.Amount > MaxAmount || l.Amount < -MaxAmount {
			return fmt.Errorf("%w: leg %d: amount %d", ErrShape, i, l.Amount)
		}
		var sum int64 // of at most maxLegs amounts of 53 bits: cannot overflow
		for j, m := range legs {
			if j < i && m.key() == l.key() {
				return fmt.Errorf("%w: account %s twice", ErrShape, l.Account)
			}
			if m.Currency == l.Currency {
				sum += m.Amount
			}
		}
		if sum != 0 {
			return fmt.Errorf("%w: legs sum to %d %s", ErrShape, sum, l.Currency)
		}
	}
	return nil
}

// maxLegs keeps the sum of legs far from overflow and one transfer's work bounded.
const maxLegs = 512

// apply decides t and returns its postings. After an error the book is of no more use.
func (b *book) apply(t *Transfer) ([]posting, error) {
	legs := t.Legs
	if t.Kind == Post || t.Kind == Void {
		held, err := b.release(t)
		if err != nil {
			return nil, err
		}
		if t.Kind == Post && len(legs) == 0 {
			legs = held
		}
	}
	out := make([]posting, len(legs))
	for i, l := range legs {
		a, err := b.account(l.key())
		if err != nil {
			return nil, err
		}
		before := a.Available()
		if err := a.move(t.Kind, l.Amount); err != nil {
			return nil, err
		}
		if err := a.check(before, l.Amount); err != nil {
			return nil, err
		}
		out[i] = posting{l, a.Posted}
	}
	if t.Kind == Pending {
		b.holds[t.ID] = hold{legs, millis(t.ExpiresAt)}
	}
	return out, nil
}

// row decides t and returns the row that records it, not numbered yet.
func (b *book) row(t *Transfer) (row, error) {
	postings, err := b.apply(t)
	if err != nil {
		return row{}, err
	}
	r := row{
		id: t.ID, kind: t.Kind, resolves: t.Resolves, reference: t.Reference,
		effectiveAt: millis(t.EffectiveAt), recordedAt: b.now, expiresAt: millis(t.ExpiresAt),
		note: t.Note, postings: postings,
	}
	if r.effectiveAt == 0 {
		r.effectiveAt = b.now
	}
	return r, nil
}

// release undoes the reservation that t resolves and returns its legs.
func (b *book) release(t *Transfer) ([]Leg, error) {
	h, ok := b.holds[t.Resolves]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrResolved, t.Resolves)
	}
	delete(b.holds, t.Resolves)
	if t.Kind == Post {
		if h.expiresAt != 0 && b.now >= h.expiresAt {
			return nil, fmt.Errorf("%w: %s", ErrHoldExpired, t.Resolves)
		}
		if err := within(t.Legs, h.legs); err != nil {
			return nil, err
		}
	}
	for _, l := range h.legs {
		a, err := b.account(l.key())
		if err != nil {
			return nil, err
		}
		if l.Amount < 0 {
			a.PendingOut += l.Amount
		} else {
			a.PendingIn -= l.Amount
		}
	}
	return h.legs, nil
}

// within reports whether each leg takes or brings no more than was reserved for its account.
func within(legs, held []Leg) error {
	room := make(map[accountKey]int64, len(held))
	for _, l := range held {
		room[l.key()] = l.Amount
	}
	for _, l := range legs {
		r := room[l.key()]
		if l.Amount > 0 && l.Amount > r || l.Amount < 0 && l.Amount < r {
			return fmt.Errorf("%w: %s: %d posted of %d reserved", ErrShape, l.Account, l.Amount, r)
		}
	}
	return nil
}

func (b *book) account(k accountKey) (*Account, error) {
	a, ok := b.accounts[k]
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: %s %s", ErrAccountUnknown, k.id, k.currency)
	case a.Closed:
		return nil, fmt.Errorf("%w: %s %s", ErrAccountClosed, k.id, k.currency)
	}
	return a, nil
}

// move changes the balances by one leg of a transfer of this kind.
func (a *Account) move(k Kind, amount int64) error {
	switch {
	case k != Pending:
		a.Posted += amount
	case amount < 0:
		a.PendingOut -= amount
	default:
		a.PendingIn += amount
	}
	if a.Posted > MaxAmount || a.Posted < -MaxAmount || a.PendingIn > MaxAmount || a.PendingOut > MaxAmount {
		return fmt.Errorf("%w: balance of %s out of range", ErrShape, a.ID)
	}
	return nil
}

// check holds the account to its terms, as the database's constraints do.
func (a *Account) check(before, change int64) error {
	switch {
	case !a.MayGoNegative && a.Available() < 0:
		return &BalanceError{a.ID, a.Currency, before, change, ErrInsufficient}
	case a.Ceiling != 0 && a.Posted+a.PendingIn > a.Ceiling:
		return &BalanceError{a.ID, a.Currency, before, change, ErrCeiling}
	}
	return nil
}

// millis is t in Unix milliseconds, 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fromMillis is the opposite of millis.
func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
