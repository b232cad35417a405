package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments/ledger"
)

func runImport(t testing.TB, db *sqldb.DB, text string, dry bool) (ledger.Imported, error) {
	t.Helper()
	return ledger.Import{DB: db, Book: book, DryRun: dry, Now: func() time.Time { return at }, Allow: func(account, _ string) error {
		if account == "secret" {
			return errors.New("not for import")
		}
		return nil
	}}.Run(t.Context(), strings.NewReader(text))
}

const openingsCSV = "currency,account,amount,reference,effective_at,note\n" +
	"EUR,a,100,,2026-01-01T00:00:00Z,old system\n" +
	"\n" +
	"EUR,b,25,b-1,,\n" +
	"EUR,b,5,b-2,,\"twice, by reference\"\n" +
	"EUR,world,-30,,,\n" +
	"USD,a,7,,,\n"

func TestImport_RecordsOnceHoweverOftenItRuns(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		dry, err := runImport(t, db, openingsCSV, true)
		if err != nil || dry.Lines != 5 || dry.Recorded != 0 || dry.Sums["EUR"] != 100 || dry.Sums["USD"] != 7 {
			t.Errorf("dry run: %+v, %v", dry, err)
		}
		if r := check(t, db); r.Rows != 0 {
			t.Errorf("a dry run wrote %d rows", r.Rows)
		}
		// An earlier run came as far as one line.
		if _, err := runImport(t, db, "account,amount,currency,reference\nb,25,EUR,b-1\n", false); err != nil {
			t.Fatal(err)
		}
		first, err := runImport(t, db, openingsCSV, false)
		if err != nil || first.Recorded != 4 || first.Already != 1 {
			t.Errorf("the rest: %+v, %v", first, err)
		}
		again, err := runImport(t, db, openingsCSV, false)
		if err != nil || again.Recorded != 0 || again.Already != 5 {
			t.Errorf("again: %+v, %v", again, err)
		}
		for account, want := range map[string]int64{"a": 100, "b": 30, "world": -30, "opening": -100} {
			if got := balance(t, db, account).Posted; got != want {
				t.Errorf("%s has %d, want %d", account, got, want)
			}
		}
		err = db.View(t.Context(), func(tx *sqldb.Tx) error {
			posted, err := ledger.EffectiveAsOf(tx, "a", "EUR", time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))
			if posted != 100 {
				t.Errorf("counts from %d", posted)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		check(t, db)
	})
}

func TestImport_NamesEveryBadLineAndWritesNothing(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		mustRecord(t, db, move("world", "jar", 60))
		if _, err := runImport(t, db, "account,currency,amount\nb,EUR,10\n", false); err != nil {
			t.Fatal(err)
		}
		before := check(t, db)
		for name, c := range map[string]struct {
			file string
			bad  map[int]string // line: a part of what is said
		}{
			"csv": {"account,currency,amount,reference,effective_at\n" +
				"a,EUR,5,,\n" + "a,EUR,x,r2,\n" + "a,EUR,1.50,r3,\n" + "a,eur,5,r4,\n" + "a,EUR,0,r5,\n" + "a,EUR,5,,\n" +
				"nobody,EUR,5,,\n" + "secret,EUR,5,,\n" + "c,EUR,-5,,\n" + "jar,EUR,41,,\n" + "b,EUR,11,,\n" + "a,EUR,5\n" + "\"a,EUR,5,r,\n" +
				"a,EUR,5,r6,yesterday\n" + "a,EUR,99999999999999999999,r7,\n" + ",EUR,5,,\n" + "jar,EUR,40,r8,\n",
				map[int]string{3: "whole number", 4: "whole number", 5: "currency", 6: "zero", 7: "line 2", 8: "account unknown", 9: "not for import",
					10: "insufficient", 11: "ceiling", 12: "another", 13: "fields", 14: "CSV", 15: "not a time", 16: "whole number", 17: "missing"}},
			"json": {`{"account":"a","currency":"EUR","amount":5}` + "\n" + `{"account":"a","currency":"EUR","amount":5.5}` + "\n" + `{"account":"a"}` + "\n" +
				`{"account":"a","currency":"EUR","amount":5,"amonut":1}` + "\n" + `{"account":"c","currency":"EUR","amount":5} {}` + "\n" + `[1]` + "\n" + `{`,
				map[int]string{2: "JSON", 3: "zero", 4: "unknown field", 5: "more than one", 6: "JSON", 7: "JSON"}},
			"column":  {"account,currency,amount,balance\na,EUR,5,5\n", map[int]string{1: "balance"}},
			"missing": {"account,currency\na,EUR\n", map[int]string{1: "amount"}},
		} {
			_, err := runImport(t, db, c.file, false)
			var bad *ledger.ImportError
			if !errors.As(err, &bad) || int(bad.Count) != len(c.bad) || len(bad.Bad) != len(c.bad) {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for i, line := range bad.Bad {
				if want, ok := c.bad[line.Line]; !ok || !strings.Contains(line.Error(), want) || i > 0 && bad.Bad[i-1].Line > line.Line {
					t.Errorf("%s: %v, want line %d to speak of %q", name, &line, line.Line, want)
				}
			}
		}
		if after := check(t, db); after != before {
			t.Errorf("%+v became %+v", before, after)
		}
	})
}

func TestImport_OfManyLinesCountsThem(t *testing.T) {
	db := sqldbtest.Open(t, schemas())
	var file, bad strings.Builder
	for i := range 1200 {
		fmt.Fprintf(&file, "{\"account\":\"user:%d\",\"currency\":\"EUR\",\"amount\":%d}\n", i, i+1)
		fmt.Fprintf(&bad, "{\"account\":\"user:%d\",\"currency\":\"EUR\",\"amount\":%d}\n", i, -i-1)
	}
	_, err := runImport(t, db, bad.String(), true)
	var wrong *ledger.ImportError
	if !errors.As(err, &wrong) || wrong.Count != 1200 || len(wrong.Bad) != 100 || !strings.Contains(err.Error(), "and 1100 more") {
		t.Errorf("bad lines: %v", err)
	}
	done, err := runImport(t, db, file.String(), false)
	if err != nil || done.Recorded != 1200 || done.Sums["EUR"] != 1200*1201/2 {
		t.Errorf("%+v, %v", done, err)
	}
	if r := check(t, db); r.Accounts != 1201 {
		t.Errorf("%+v", r)
	}
}

// FuzzOpenings feeds the reader of import files with anything: it never fails
// on it otherwise than by naming lines, and what it lets through is in bounds.
func FuzzOpenings(f *testing.F) {
	f.Add([]byte(openingsCSV))
	f.Add([]byte("\ufeffaccount,currency,amount\r\na,EUR,1\r\n"))
	f.Add([]byte(`{"account":"a","currency":"EUR","amount":5,"effective_at":"2026-01-01T00:00:00Z"}` + "\n{}\n"))
	f.Add([]byte("account,currency,amount\n\"a\nb\",EUR,1\n=1+1,EUR,-5\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		last := 0
		for o, err := range ledger.Openings(bytes.NewReader(file)) {
			var line *ledger.LineError
			switch {
			case errors.As(err, &line):
				if line.Line <= last || line.Err == nil {
					t.Fatalf("line %d after %d: %v", line.Line, last, line.Err)
				}
				last = line.Line
				continue
			case err != nil:
				if !errors.Is(err, ledger.ErrFile) {
					t.Fatal(err)
				}
				return
			}
			if o.Line <= last || o.Amount == 0 || o.Amount > ledger.MaxAmount || o.Amount < -ledger.MaxAmount || o.Account == "" || len(o.Account) > 160 || len(o.Currency) != 3 {
				t.Fatalf("let through %+v", o)
			}
			last = o.Line
		}
	})
}
