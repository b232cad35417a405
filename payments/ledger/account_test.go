package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments/ledger"
)

func TestMetadata_IsJournaledOnceForEachChange(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		mustRecord(t, db, move("world", "a", 5))
		before := check(t, db).Rows
		set := func(m map[string]string) error {
			return inBook(t, db, func(tx *sqldb.Tx) error { return book.SetMetadata(tx, at, "a", "EUR", m) })
		}
		for _, m := range []map[string]string{{"b": "2", "a": "1"}, {"a": "1", "b": "2"}, {}, nil} {
			if err := set(m); err != nil {
				t.Fatal(err)
			}
		}
		if rows := check(t, db).Rows - before; rows != 2 {
			t.Errorf("%d rows for two changes", rows)
		}
		many := map[string]string{}
		for i := range ledger.MetadataKeys + 1 {
			many[fmt.Sprint(i)] = ""
		}
		for name, m := range map[string]map[string]string{
			"too many": many, "no key": {"": "x"}, "long key": {strings.Repeat("k", 65): ""}, "long value": {"k": strings.Repeat("v", 501)},
			"zero byte": {"k": "\x00"}, "not text": {"\xff": ""},
		} {
			if err := set(m); !errors.Is(err, ledger.ErrShape) {
				t.Errorf("%s: %v", name, err)
			}
		}
		err := inBook(t, db, func(tx *sqldb.Tx) error { return book.SetMetadata(tx, at, "nobody", "EUR", nil) })
		if !errors.Is(err, ledger.ErrAccountUnknown) {
			t.Errorf("of no account: %v", err)
		}
	})
}

func TestOpen_AgainOnTheSameTermsOnlyWhileOpen(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		open := func(terms ledger.Terms) error {
			return inBook(t, db, func(tx *sqldb.Tx) error { return book.Open(tx, at, "app:x", "EUR", terms) })
		}
		terms := ledger.Terms{Kind: "app", Ceiling: 10}
		for range 2 {
			if err := open(terms); err != nil {
				t.Fatal(err)
			}
		}
		if err := open(ledger.Terms{Kind: "app"}); !errors.Is(err, ledger.ErrTerms) || !errors.Is(err, ledger.ErrShape) {
			t.Errorf("on other terms: %v", err)
		}
		if err := inBook(t, db, func(tx *sqldb.Tx) error { return book.Close(tx, at, "app:x", "EUR") }); err != nil {
			t.Fatal(err)
		}
		if err := open(terms); !errors.Is(err, ledger.ErrAccountClosed) {
			t.Errorf("once closed: %v", err)
		}
		check(t, db)
	})
}

func TestProfiles_PageAndNarrow(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		usd := move("world", "b", 5)
		for i := range usd.Legs {
			usd.Legs[i].Currency = "USD"
		}
		mustRecord(t, db, move("world", "b", 5), move("world", "a", 5), move("world", "jar", 5), usd)
		list := func(only ledger.Selection, id, currency string, limit int) string {
			var names []string
			err := db.View(t.Context(), func(tx *sqldb.Tx) error {
				found, err := ledger.Profiles(tx, only, id, currency, limit)
				for _, p := range found {
					names = append(names, p.ID+" "+p.Currency)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return strings.Join(names, ", ")
		}
		for _, c := range []struct{ got, want string }{
			{list(ledger.Selection{}, "", "", 2), "a EUR, b EUR"},
			{list(ledger.Selection{}, "b", "EUR", 2), "b USD, jar EUR"},
			{list(ledger.Selection{Kind: "user"}, "", "", 10), "a EUR, b EUR, b USD"},
			{list(ledger.Selection{Currency: "USD"}, "", "", 10), "b USD, world USD"},
			{list(ledger.Selection{ID: "b"}, "", "", 10), "b EUR, b USD"},
		} {
			if c.got != c.want {
				t.Errorf("%s, want %s", c.got, c.want)
			}
		}
	})
}

// TestAsOf_CountsTheMomentItself: what is recorded or effective at a time
// counts as of that time, and a millisecond before it does not.
func TestAsOf_CountsTheMomentItself(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		early, late := move("world", "a", 10), move("world", "a", 100)
		early.EffectiveAt, late.EffectiveAt = at.Add(-time.Hour), at.Add(time.Hour)
		mustRecord(t, db, move("world", "a", 1), early, late)
		for _, c := range []struct {
			by                  time.Duration
			recorded, effective int64
		}{
			{-time.Hour - time.Millisecond, 0, 0}, {-time.Hour, 0, 10}, {-time.Millisecond, 0, 10}, {0, 111, 11},
			{time.Hour - time.Millisecond, 111, 11}, {time.Hour, 111, 111},
		} {
			err := db.View(t.Context(), func(tx *sqldb.Tx) error {
				past, err := ledger.RecordedAsOf(tx, "a", "EUR", at.Add(c.by))
				posted, err2 := ledger.EffectiveAsOf(tx, "a", "EUR", at.Add(c.by))
				if past.Posted != c.recorded || posted != c.effective {
					t.Errorf("%s: recorded %d, effective %d, want %d and %d", c.by, past.Posted, posted, c.recorded, c.effective)
				}
				return errors.Join(err, err2)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
