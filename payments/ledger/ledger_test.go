package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func schemas() sqldbtest.Schemas { return sqldbtest.Schemas{"ledger": ledger.Schema()} }

// chart: "world" may go negative, "jar" holds at most 100, the rest are people.
func chart(id string) (ledger.Terms, bool) {
	switch id {
	case "world":
		return ledger.Terms{Kind: "rail", MayGoNegative: true}, true
	case "jar":
		return ledger.Terms{Kind: "jar", Ceiling: 100}, true
	case "nobody":
		return ledger.Terms{}, false
	}
	return ledger.Terms{Kind: "user"}, true
}

var book = ledger.New(chart)

func eur(account string, amount int64) ledger.Leg {
	return ledger.Leg{Account: account, Currency: "EUR", Amount: amount}
}

var ids atomic.Int64

func id() string { return fmt.Sprintf("tr_%06d", ids.Add(1)) }

func move(from, to string, amount int64) ledger.Transfer {
	return ledger.Transfer{ID: id(), Legs: []ledger.Leg{eur(from, -amount), eur(to, amount)}}
}

func record(t testing.TB, db *sqldb.DB, transfers ...ledger.Transfer) error {
	t.Helper()
	return db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := book.Record(tx, at, transfers...)
		return err
	})
}

func mustRecord(t testing.TB, db *sqldb.DB, transfers ...ledger.Transfer) {
	t.Helper()
	if err := record(t, db, transfers...); err != nil {
		t.Fatal(err)
	}
}

func balance(t testing.TB, db *sqldb.DB, account string) (a ledger.Account) {
	t.Helper()
	err := db.View(t.Context(), func(tx *sqldb.Tx) (err error) {
		a, err = ledger.Balance(tx, account, "EUR")
		return err
	})
	if err != nil && !errors.Is(err, ledger.ErrAccountUnknown) {
		t.Fatal(err)
	}
	return a
}

func check(t testing.TB, db *sqldb.DB) ledger.Report {
	t.Helper()
	r, err := ledger.Check(t.Context(), db, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecord_RefusesAndChangesNothing(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		pending := ledger.Transfer{ID: "pend", Kind: ledger.Pending, Legs: []ledger.Leg{eur("a", -40), eur("b", 40)}, ExpiresAt: at.Add(time.Hour)}
		over := ledger.Transfer{ID: "over", Kind: ledger.Pending, Legs: []ledger.Leg{eur("a", -10), eur("b", 10)}, ExpiresAt: at}
		gone := ledger.Transfer{ID: "gone", Kind: ledger.Pending, Legs: []ledger.Leg{eur("a", -10), eur("b", 10)}}
		first := move("world", "a", 100)
		first.Reference = "r1"
		mustRecord(t, db, first)
		mustRecord(t, db, pending, over, gone)
		mustRecord(t, db, ledger.Transfer{ID: id(), Kind: ledger.Void, Resolves: "gone"})
		if err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
			if err := book.Open(tx, at, "shut", "EUR", ledger.Terms{Kind: "user"}); err != nil {
				return err
			}
			return book.Close(tx, at, "shut", "EUR")
		}); err != nil {
			t.Fatal(err)
		}
		before := check(t, db)
		again := move("world", "a", 1)
		again.Reference = "r1"
		same := move("world", "a", 1)
		same.ID = first.ID
		for name, c := range map[string]struct {
			transfers []ledger.Transfer
			want      error
		}{
			"more than available":          {[]ledger.Transfer{move("a", "b", 51)}, ledger.ErrInsufficient},
			"second of two linked":         {[]ledger.Transfer{move("a", "b", 10), move("c", "b", 1)}, ledger.ErrInsufficient},
			"reserve more than available":  {[]ledger.Transfer{{ID: id(), Kind: ledger.Pending, Legs: []ledger.Leg{eur("a", -51), eur("b", 51)}}}, ledger.ErrInsufficient},
			"above the ceiling":            {[]ledger.Transfer{move("world", "jar", 101)}, ledger.ErrCeiling},
			"reserved above the ceiling":   {[]ledger.Transfer{{ID: id(), Kind: ledger.Pending, Legs: []ledger.Leg{eur("world", -101), eur("jar", 101)}}}, ledger.ErrCeiling},
			"not in the chart":             {[]ledger.Transfer{move("world", "nobody", 1)}, ledger.ErrAccountUnknown},
			"closed":                       {[]ledger.Transfer{move("world", "shut", 1)}, ledger.ErrAccountClosed},
			"reference used":               {[]ledger.Transfer{again}, ledger.ErrDuplicate},
			"id used":                      {[]ledger.Transfer{same}, ledger.ErrDuplicate},
			"sum not zero":                 {[]ledger.Transfer{{ID: id(), Legs: []ledger.Leg{eur("world", -5), eur("a", 4)}}}, ledger.ErrShape},
			"sum zero over two currencies": {[]ledger.Transfer{{ID: id(), Legs: []ledger.Leg{eur("world", -5), {Account: "a", Currency: "USD", Amount: 5}}}}, ledger.ErrShape},
			"one leg":                      {[]ledger.Transfer{{ID: id(), Legs: []ledger.Leg{eur("a", 0)}}}, ledger.ErrShape},
			"to itself":                    {[]ledger.Transfer{move("a", "a", 5)}, ledger.ErrShape},
			"zero":                         {[]ledger.Transfer{move("a", "b", 0)}, ledger.ErrShape},
			"overflow":                     {[]ledger.Transfer{move("world", "a", ledger.MaxAmount)}, ledger.ErrShape},
			"above the largest leg":        {[]ledger.Transfer{move("world", "b", ledger.MaxAmount+1)}, ledger.ErrShape},
			"an account's own id":          {[]ledger.Transfer{{ID: "open:x/EUR", Legs: []ledger.Leg{eur("world", -5), eur("a", 5)}}}, ledger.ErrShape},
			"post more than reserved":      {[]ledger.Transfer{{ID: id(), Kind: ledger.Post, Resolves: "pend", Legs: []ledger.Leg{eur("a", -41), eur("b", 41)}}}, ledger.ErrShape},
			"post to another account":      {[]ledger.Transfer{{ID: id(), Kind: ledger.Post, Resolves: "pend", Legs: []ledger.Leg{eur("a", -40), eur("c", 40)}}}, ledger.ErrShape},
			"post after its time":          {[]ledger.Transfer{{ID: id(), Kind: ledger.Post, Resolves: "over"}}, ledger.ErrHoldExpired},
			"post what is void":            {[]ledger.Transfer{{ID: id(), Kind: ledger.Post, Resolves: "gone"}}, ledger.ErrResolved},
			"void twice":                   {[]ledger.Transfer{{ID: id(), Kind: ledger.Void, Resolves: "gone"}}, ledger.ErrResolved},
			"void twice in one":            {[]ledger.Transfer{{ID: id(), Kind: ledger.Void, Resolves: "pend"}, {ID: id(), Kind: ledger.Void, Resolves: "pend"}}, ledger.ErrResolved},
			"post what never was":          {[]ledger.Transfer{{ID: id(), Kind: ledger.Post, Resolves: "none"}}, ledger.ErrPendingUnknown},
			"post what is not pending":     {[]ledger.Transfer{{ID: id(), Kind: ledger.Post, Resolves: first.ID}}, ledger.ErrPendingUnknown},
		} {
			if err := record(t, db, c.transfers...); !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", name, err, c.want)
			}
			if after := check(t, db); after != before {
				t.Errorf("%s: changed the ledger from %+v to %+v", name, before, after)
			}
		}
		if got := balance(t, db, "a"); got.Posted != 100 || got.PendingOut != 50 || got.Available() != 50 {
			t.Errorf("a is %+v", got)
		}
	})
}

func TestPost_InPartReleasesTheRest(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		mustRecord(t, db, move("world", "a", 100))
		mustRecord(t, db, ledger.Transfer{ID: "h", Kind: ledger.Pending, Legs: []ledger.Leg{eur("a", -80), eur("b", 80)}})
		if b := balance(t, db, "b"); b.Posted != 0 || b.PendingIn != 80 || b.Available() != 0 {
			t.Errorf("what is to arrive counts: %+v", b)
		}
		mustRecord(t, db, ledger.Transfer{ID: id(), Kind: ledger.Post, Resolves: "h", Legs: []ledger.Leg{eur("a", -30), eur("b", 30)}})
		a, b := balance(t, db, "a"), balance(t, db, "b")
		if a.Posted != 70 || a.PendingOut != 0 || b.Posted != 30 || b.PendingIn != 0 {
			t.Errorf("a %+v, b %+v", a, b)
		}
		if r := check(t, db); r.OpenHolds != 0 {
			t.Errorf("%+v", r)
		}
	})
}

func TestRecord_ManyLegsWithExactRemainder(t *testing.T) {
	db := sqldbtest.Open(t, schemas())
	mustRecord(t, db, move("world", "a", 100))
	legs := []ledger.Leg{eur("a", -100)}
	for i, share := range []int64{15, 15, 14, 14, 14, 14, 14} {
		legs = append(legs, eur(fmt.Sprintf("p%d", i), share))
	}
	mustRecord(t, db, ledger.Transfer{ID: id(), Legs: legs, Note: "dinner"})
	if r := check(t, db); r.Postings != 10 || balance(t, db, "p6").Posted != 14 {
		t.Errorf("%+v", r)
	}
}

func TestDatabase_HoldsConstraintsOfItsOwn(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		mustRecord(t, db, move("world", "a", 100), move("world", "jar", 50))
		mustRecord(t, db, ledger.Transfer{ID: "h", Kind: ledger.Pending, Legs: []ledger.Leg{eur("a", -40), eur("b", 40)}})
		for _, q := range []string{
			"UPDATE ledger_accounts SET posted = 39 WHERE id = 'a'",
			"UPDATE ledger_accounts SET posted = 101 WHERE id = 'jar'",
			"UPDATE ledger_accounts SET pending_out = -1 WHERE id = 'world'",
			"UPDATE ledger_accounts SET closed = 1 WHERE id = 'a'",
			"UPDATE ledger_postings SET amount = 0",
			"UPDATE ledger_transfers SET resolves = 'h'",
		} {
			err := db.Update(t.Context(), func(tx *sqldb.Tx) error { _, err := tx.Exec(q); return err })
			if err == nil {
				t.Errorf("allowed: %s", q)
			}
		}
	})
}

func TestStatement_PagesBackWithoutHoles(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		for range 7 {
			mustRecord(t, db, move("world", "a", 10), move("a", "b", 3))
		}
		var amounts, balances []int64
		var before int64
		for {
			var page []ledger.Line
			err := db.View(t.Context(), func(tx *sqldb.Tx) (err error) {
				page, err = ledger.Statement(tx, "a", "EUR", ledger.Period{}, before, 4)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, l := range page {
				amounts, balances = append(amounts, l.Amount), append(balances, l.Balance)
			}
			before = page[len(page)-1].Seq
		}
		if len(amounts) != 14 || amounts[0] != -3 || amounts[1] != 10 || balances[0] != 49 || balances[13] != 10 {
			t.Errorf("amounts %v, balances %v", amounts, balances)
		}
	})
}

func TestExpired_NamesHoldsWhoseTimeIsOver(t *testing.T) {
	db := sqldbtest.Open(t, schemas())
	mustRecord(t, db, move("world", "a", 100))
	for i, h := range []string{"h3", "h1", "h2"} {
		mustRecord(t, db, ledger.Transfer{ID: h, Kind: ledger.Pending, Legs: []ledger.Leg{eur("a", -1), eur("b", 1)}, ExpiresAt: at.Add(time.Duration(3-i) * time.Hour)})
	}
	var got []string
	err := db.View(t.Context(), func(tx *sqldb.Tx) (err error) {
		got, err = ledger.Expired(tx, at.Add(2*time.Hour), 10)
		return err
	})
	if want := []string{"h2", "h1"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

// TestRecord_ManyClientsOnFewAccounts lets many clients move money between few
// accounts at once: nothing is lost, nobody falls below zero.
func TestRecord_ManyClientsOnFewAccounts(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		names := []string{"a", "b", "c"}
		for _, n := range names {
			mustRecord(t, db, move("world", n, 20))
		}
		var refused atomic.Int64
		var wg sync.WaitGroup
		for g := range 12 {
			wg.Go(func() {
				for i := range 15 {
					err := record(t, db, move(names[(g+i)%3], names[(g+i+1+i%2)%3], int64(1+(g*i)%25)))
					if errors.Is(err, ledger.ErrInsufficient) {
						refused.Add(1)
					} else if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		r := check(t, db)
		if want := 4 + 3 + 12*15 - refused.Load(); r.Rows != want {
			t.Errorf("%d rows, want %d", r.Rows, want)
		}
		if sum := balance(t, db, "a").Posted + balance(t, db, "b").Posted + balance(t, db, "c").Posted; sum != 60 {
			t.Errorf("60 became %d", sum)
		}
	})
}

func TestAccount_ClosesOnlyWhenEmptyAndKeepsItsTerms(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		do := func(f func(tx *sqldb.Tx) error) error { return db.Update(t.Context(), f) }
		end := func(id string) error {
			return do(func(tx *sqldb.Tx) error { return book.Close(tx, at, id, "EUR") })
		}
		mustRecord(t, db, move("world", "a", 10))
		for id, want := range map[string]error{"a": ledger.ErrNotEmpty, "ghost": ledger.ErrAccountUnknown} {
			if err := end(id); !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", id, err, want)
			}
		}
		mustRecord(t, db, move("a", "world", 10), ledger.Transfer{ID: "in", Kind: ledger.Pending, Legs: []ledger.Leg{eur("world", -1), eur("a", 1)}})
		if err := end("a"); !errors.Is(err, ledger.ErrNotEmpty) {
			t.Errorf("with a hold: %v", err)
		}
		mustRecord(t, db, ledger.Transfer{ID: id(), Kind: ledger.Void, Resolves: "in"})
		if err := errors.Join(end("a"), end("a")); err != nil {
			t.Error(err)
		}
		err := do(func(tx *sqldb.Tx) error { return book.Open(tx, at, "world", "EUR", ledger.Terms{Kind: "user"}) })
		if !errors.Is(err, ledger.ErrShape) {
			t.Errorf("other terms: %v", err)
		}
		check(t, db)
	})
}
