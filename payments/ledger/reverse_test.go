package ledger_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments/ledger"
)

func reverse(t testing.TB, db *sqldb.DB, of string) error {
	t.Helper()
	return db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := book.Reverse(tx, at, ledger.Reversal{ID: id(), Of: of, Note: "mistake"})
		return err
	})
}

func TestReverse_TakesBackOnceAndNamesWhat(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		paid := ledger.Transfer{ID: id(), Legs: []ledger.Leg{eur("world", -100), eur("a", 70), eur("b", 30)}}
		mustRecord(t, db, paid)
		if err := reverse(t, db, paid.ID); err != nil {
			t.Fatal(err)
		}
		if a, b, w := balance(t, db, "a"), balance(t, db, "b"), balance(t, db, "world"); a.Posted != 0 || b.Posted != 0 || w.Posted != 0 {
			t.Errorf("after the reversal: %+v %+v %+v", a, b, w)
		}
		if err := reverse(t, db, paid.ID); !errors.Is(err, ledger.ErrReversed) {
			t.Errorf("a second time: %v", err)
		}
		_ = db.View(t.Context(), func(tx *sqldb.Tx) error {
			was, err := ledger.Get(tx, paid.ID)
			by, err2 := ledger.Get(tx, was.ResolvedBy)
			if err != nil || err2 != nil || by.Resolves != paid.ID || by.Note != "mistake" || len(by.Postings) != 3 || by.Postings[1].Amount != -70 {
				t.Errorf("%+v reversed by %+v, %v %v", was, by, err, err2)
			}
			if err := reverse(t, db, by.ID); !errors.Is(err, ledger.ErrNotReversible) {
				t.Errorf("a reversal reversed: %v", err)
			}
			return nil
		})
		check(t, db)
	})
}

func TestReverse_OnlyWhatWasPostedAndCanBeGivenBack(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		paid := move("world", "a", 100)
		mustRecord(t, db, paid, move("a", "b", 60))
		held := hold(id(), "a", "b", 10)
		post, void := ledger.Transfer{ID: id(), Kind: ledger.Post, Resolves: held.ID}, hold(id(), "a", "b", 5)
		mustRecord(t, db, held, void)
		mustRecord(t, db, post, ledger.Transfer{ID: "undone" + post.ID, Kind: ledger.Void, Resolves: void.ID})
		for of, want := range map[string]error{
			paid.ID:            ledger.ErrInsufficient, // the money is gone
			"nothing":          ledger.ErrUnknown,
			held.ID:            ledger.ErrNotReversible,
			"undone" + post.ID: ledger.ErrNotReversible,
		} {
			if err := reverse(t, db, of); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", of, err, want)
			}
		}
		before := balance(t, db, "a").Posted
		if err := reverse(t, db, post.ID); err != nil || balance(t, db, "a").Posted != before+10 {
			t.Errorf("posted hold: %v", err)
		}
		check(t, db)
	})
}

func TestReverse_OfManyAtOnceOneWins(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		paid := move("world", "a", 100)
		mustRecord(t, db, paid)
		errs := make([]error, 20)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { errs[i] = reverse(t, db, paid.ID) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, ledger.ErrReversed) {
				t.Error(err)
			}
		}
		if won != 1 || balance(t, db, "a").Posted != 0 {
			t.Errorf("%d reversals, %d left", won, balance(t, db, "a").Posted)
		}
	})
}

// TestUnder_FindsAScopeUnderAnyCollation moves the column to the order of a
// language, where signs weigh less than letters, and to a plain one.
func TestUnder_FindsAScopeUnderAnyCollation(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		if db.Dialect() == sqldb.Postgres {
			err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(`ALTER TABLE ledger_transfers ALTER COLUMN reference TYPE TEXT COLLATE "en-x-icu"`)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		scope := "pay_" + strings.Repeat("0", 26)
		for _, reference := range []string{scope + "/1/hold", scope + "/2/capture", scope + "0/1/hold", scope + "x", strings.ToUpper(scope) + "/1/hold", "short/1", "short/2", "shorter/1", "sho-rt/1"} {
			tr := move("world", "a", 1)
			tr.Reference = reference
			mustRecord(t, db, tr)
		}
		for of, want := range map[string]int{scope: 2, "short": 2, "shorter": 1, "none": 0, scope + "/1": 1, "sho": 0, "%": 0} {
			var got []ledger.Entry
			err := db.View(t.Context(), func(tx *sqldb.Tx) (err error) {
				got, err = ledger.Under(tx, of)
				return err
			})
			if err != nil || len(got) != want {
				t.Errorf("under %s: %d transfers, want %d; %v", of, len(got), want, err)
			}
			for _, e := range got {
				if !strings.HasPrefix(e.Reference, of+"/") || len(e.Postings) != 2 {
					t.Errorf("under %s: %+v", of, e)
				}
			}
		}
	})
}
