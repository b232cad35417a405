package ledger_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments/ledger"
)

// naive is the whole face of a ledger as a child would write it: every row that
// ever was, and sums over them.
type naive struct {
	now      time.Time
	rows     []*naiveRow
	resolved map[string]*naiveRow // by what they resolve
	byID     map[string]*naiveRow
	accounts map[string]*naiveAccount
}

type naiveRow struct {
	id, resolves        string
	kind                ledger.Kind
	recorded, effective time.Time
	expires             time.Time
	legs                map[string]int64
}

type naiveAccount struct {
	negative, closed bool
	ceiling          int64
	metadata         map[string]string
}

// resolver returns what posted, voided or reversed the row.
func (n *naive) resolver(id string, by time.Time) *naiveRow {
	if r := n.resolved[id]; r != nil && !r.recorded.After(by) {
		return r
	}
	return nil
}

// recorded is what an account had once everything recorded by then was there.
func (n *naive) recorded(account string, by time.Time) (p ledger.Past) {
	for _, r := range n.rows {
		if r.recorded.After(by) {
			continue
		}
		amount := r.legs[account]
		switch {
		case r.kind != ledger.Pending:
			p.Posted += amount
		case n.resolver(r.id, by) != nil:
		case amount < 0:
			p.PendingOut -= amount
		default:
			p.PendingIn += amount
		}
	}
	return p
}

// effective is what an account had by what counts from then or before.
func (n *naive) effective(account string, by time.Time) (posted int64) {
	for _, r := range n.rows {
		if r.kind != ledger.Pending && !r.effective.After(by) {
			posted += r.legs[account]
		}
	}
	return posted
}

// try plays a row and reports why it may not be, leaving nothing behind then.
func (n *naive) try(r naiveRow) error {
	if of := n.byID[r.resolves]; r.resolves != "" {
		if err := n.resolvable(r, of); err != nil {
			return err
		}
		switch {
		case r.kind == ledger.Posted: // a reversal
			r.legs = map[string]int64{}
			for a, x := range of.legs {
				r.legs[a] = -x
			}
		case r.kind == ledger.Post && r.legs == nil:
			r.legs = of.legs
		}
	}
	n.rows, n.byID[r.id] = append(n.rows, &r), &r
	if r.resolves != "" {
		n.resolved[r.resolves] = &r
	}
	err := n.fits(r.legs)
	if err != nil {
		n.rows = n.rows[:len(n.rows)-1]
		delete(n.byID, r.id)
		delete(n.resolved, r.resolves)
	}
	return err
}

func (n *naive) resolvable(r naiveRow, of *naiveRow) error {
	reversal := r.kind == ledger.Posted
	switch {
	case of == nil && reversal:
		return ledger.ErrUnknown
	case reversal && (of.kind == ledger.Pending || of.kind == ledger.Void || of.kind == ledger.Posted && of.resolves != ""):
		return ledger.ErrNotReversible
	case !reversal && (of == nil || of.kind != ledger.Pending):
		return ledger.ErrPendingUnknown
	case n.resolver(of.id, n.now) != nil && reversal:
		return ledger.ErrReversed
	case n.resolver(of.id, n.now) != nil:
		return ledger.ErrResolved
	case r.kind == ledger.Post && !n.now.Before(of.expires):
		return ledger.ErrHoldExpired
	}
	return nil
}

// fits reports which bound the accounts would break.
func (n *naive) fits(touched map[string]int64) error {
	var errs []error
	for _, a := range slices.Sorted(maps.Keys(touched)) {
		terms := n.accounts[a]
		if terms == nil {
			terms = &naiveAccount{negative: a == "world", metadata: map[string]string{}}
			if a == "jar" {
				terms.ceiling = 100
			}
			n.accounts[a] = terms
			defer func() { // an account of a refused transfer was never opened
				if len(errs) > 0 {
					delete(n.accounts, a)
				}
			}()
		}
		p := n.recorded(a, n.now)
		switch {
		case terms.closed:
			errs = append(errs, ledger.ErrAccountClosed)
		case !terms.negative && p.Posted-p.PendingOut < 0:
			errs = append(errs, ledger.ErrInsufficient)
		case terms.ceiling != 0 && p.Posted+p.PendingIn > terms.ceiling:
			errs = append(errs, ledger.ErrCeiling)
		}
	}
	return errors.Join(errs...)
}

// TestLedger_EveryOperationAgreesWithANaiveModel plays random sequences of all
// operations on the ledger and on the model: same refusals, same balances now,
// at any time before and by effective time, and Check is content.
func TestLedger_EveryOperationAgreesWithANaiveModel(t *testing.T) {
	names := []string{"world", "a", "b", "jar"}
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		n := &naive{now: at, resolved: map[string]*naiveRow{}, byID: map[string]*naiveRow{}, accounts: map[string]*naiveAccount{}}
		rapid.Check(t, func(rt *rapid.T) {
			for range rapid.IntRange(1, 6).Draw(rt, "operations") {
				n.now = n.now.Add(time.Duration(rapid.IntRange(0, 30).Draw(rt, "minutes")) * time.Minute)
				step(rt, t, db, n, names)
			}
			account := rapid.SampledFrom(names).Draw(rt, "account")
			compareNow(rt, t, db, n, account)
			comparePast(rt, t, db, n, account)
		})
		check(t, db)
	})
}

// step plays one operation on both.
func step(rt *rapid.T, t *testing.T, db *sqldb.DB, n *naive, names []string) {
	switch rapid.SampledFrom([]string{"move", "move", "move", "hold", "post", "void", "reverse", "metadata", "close"}).Draw(rt, "operation") {
	case "metadata":
		account, text := rapid.SampledFrom(names).Draw(rt, "of"), rapid.StringN(0, 8, 30).Draw(rt, "value")
		err := inBook(t, db, func(tx *sqldb.Tx) error {
			return book.SetMetadata(tx, n.now, account, "EUR", map[string]string{"k": text})
		})
		if known := n.accounts[account]; known != nil && err == nil {
			known.metadata = map[string]string{"k": text}
		} else if known != nil && !errors.Is(err, ledger.ErrShape) || known == nil && !errors.Is(err, ledger.ErrAccountUnknown) && !errors.Is(err, ledger.ErrShape) {
			rt.Fatalf("metadata of %s: %v", account, err)
		}
	case "close":
		err := inBook(t, db, func(tx *sqldb.Tx) error { return book.Close(tx, n.now, "jar", "EUR") })
		p, known := n.recorded("jar", n.now), n.accounts["jar"]
		empty := p == ledger.Past{}
		if known == nil != errors.Is(err, ledger.ErrAccountUnknown) || known != nil && (err == nil) != (empty || known.closed) {
			rt.Fatalf("close %+v, %+v: %v", p, known, err)
		}
		if known != nil && err == nil {
			known.closed = true
		}
	default:
		r, tr := anyRow(rt, n, names)
		_, err := record1(t, db, n.now, tr)
		want := n.try(r)
		if (err == nil) != (want == nil) || err != nil && !anyIs(want, err) {
			rt.Fatalf("%+v: ledger says %v, model %v", tr, err, want)
		}
	}
}

// anyIs reports whether one of the joined errors is what err is about.
func anyIs(joined, err error) bool {
	for _, sentinel := range []error{ledger.ErrUnknown, ledger.ErrNotReversible, ledger.ErrPendingUnknown, ledger.ErrReversed, ledger.ErrResolved,
		ledger.ErrHoldExpired, ledger.ErrAccountClosed, ledger.ErrInsufficient, ledger.ErrCeiling} {
		if errors.Is(joined, sentinel) && errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

func inBook(t *testing.T, db *sqldb.DB, do func(*sqldb.Tx) error) error {
	t.Helper()
	return db.Update(t.Context(), do)
}

// reversal marks a transfer that record1 hands to Reverse.
const reversal ledger.Kind = "reversal"

func record1(t *testing.T, db *sqldb.DB, now time.Time, tr ledger.Transfer) (r ledger.Recorded, err error) {
	t.Helper()
	err = inBook(t, db, func(tx *sqldb.Tx) (err error) {
		if tr.Kind == reversal {
			r, err = book.Reverse(tx, now, ledger.Reversal{ID: tr.ID, Of: tr.Resolves})
			return err
		}
		_, err = book.Record(tx, now, tr)
		return err
	})
	return r, err
}

// anyRow draws a transfer for the model and the same for the ledger.
func anyRow(rt *rapid.T, n *naive, names []string) (naiveRow, ledger.Transfer) {
	r := naiveRow{id: id(), recorded: n.now, effective: n.now}
	tr := ledger.Transfer{ID: r.id}
	switch rapid.IntRange(0, 5).Draw(rt, "kind") {
	case 0:
		r.kind, tr.Kind = ledger.Posted, reversal
	case 1:
		r.kind, tr.Kind = ledger.Post, ledger.Post
	case 2:
		r.kind, tr.Kind = ledger.Void, ledger.Void
	case 3:
		r.kind, tr.Kind = ledger.Pending, ledger.Pending
		r.expires = n.now.Add(time.Hour)
		tr.ExpiresAt = r.expires
	default:
		r.kind, tr.Kind = ledger.Posted, ledger.Posted
		r.effective = n.now.Add(time.Duration(rapid.IntRange(-90, 90).Draw(rt, "effective")) * time.Minute)
		tr.EffectiveAt = r.effective
	}
	if tr.Kind != ledger.Pending && tr.Kind != ledger.Posted {
		r.resolves = "none"
		if recent := n.rows[max(0, len(n.rows)-8):]; len(recent) > 0 {
			r.resolves = rapid.SampledFrom(recent).Draw(rt, "resolves").id
		}
		tr.Resolves = r.resolves
		return r, tr
	}
	two := rapid.Permutation(names).Draw(rt, "accounts")[:2]
	amount := rapid.Int64Range(1, 60).Draw(rt, "amount")
	r.legs = map[string]int64{two[0]: -amount, two[1]: amount}
	tr.Legs = []ledger.Leg{eur(two[0], -amount), eur(two[1], amount)}
	return r, tr
}

func compareNow(rt *rapid.T, t *testing.T, db *sqldb.DB, n *naive, account string) {
	known := n.accounts[account]
	if known == nil {
		return
	}
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		p, err := ledger.ProfileOf(tx, account, "EUR")
		want := n.recorded(account, n.now)
		if err != nil || p.Posted != want.Posted || p.PendingOut != want.PendingOut || p.PendingIn != want.PendingIn || p.Closed != known.closed || !maps.Equal(p.Metadata, known.metadata) {
			rt.Fatalf("%s is %+v, model says %+v, %+v; %v", account, p, want, known, err)
		}
		return nil
	})
	if err != nil {
		rt.Fatal(err)
	}
}

func comparePast(rt *rapid.T, t *testing.T, db *sqldb.DB, n *naive, account string) {
	by := n.now.Add(-time.Duration(rapid.IntRange(-100, 300).Draw(rt, "ago")) * time.Minute)
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		past, err := ledger.RecordedAsOf(tx, account, "EUR", by)
		posted, err2 := ledger.EffectiveAsOf(tx, account, "EUR", by)
		if want, wantPosted := n.recorded(account, by), n.effective(account, by); past != want || posted != wantPosted {
			return fmt.Errorf("%s as of %s: %+v and %d by effect, model says %+v and %d", account, by, past, posted, want, wantPosted)
		}
		return errors.Join(err, err2)
	})
	if err != nil {
		rt.Fatal(err)
	}
}
