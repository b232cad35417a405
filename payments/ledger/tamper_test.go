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

// tampered says how a column is changed where adding to it would not do.
var tampered = map[string]string{
	"ledger_transfers.seq":            "seq + 1000",
	"ledger_transfers.kind":           "CASE kind WHEN 'posted' THEN 'pending' WHEN 'pending' THEN 'posted' WHEN 'post' THEN 'void' WHEN 'void' THEN 'post' WHEN 'open' THEN 'close' ELSE 'open' END",
	"ledger_transfers.hash":           "'" + strings.Repeat("0", 64) + "'",
	"ledger_postings.seq":             "seq + 1000",
	"ledger_postings.leg":             "leg + 1000",
	"ledger_postings.currency":        "'USD'",
	"ledger_accounts.currency":        "'USD'",
	"ledger_accounts.may_go_negative": "1 - may_go_negative",
	"ledger_accounts.closed":          "1 - closed",
	"ledger_accounts.ceiling":         "ceiling + 1000000",
	"ledger_accounts.metadata":        `'{"tier":"platinum"}'`,
}

// everything records at least one row of each kind that a journal knows.
func everything(t *testing.T, db *sqldb.DB) {
	t.Helper()
	first := move("world", "a", 100)
	mustRecord(t, db, first)
	mustRecord(t, db, move("a", "b", 40))
	mustRecord(t, db, hold("held", "a", "b", 10), hold("posted", "a", "b", 5), hold("voided", "a", "b", 6))
	mustRecord(t, db, ledger.Transfer{ID: id(), Kind: ledger.Post, Resolves: "posted", Reference: "ref", Note: "note", EffectiveAt: at.Add(-time.Hour)})
	mustRecord(t, db, ledger.Transfer{ID: id(), Kind: ledger.Void, Resolves: "voided"})
	back := move("world", "jar", 7)
	mustRecord(t, db, back)
	err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := book.Reverse(tx, at, ledger.Reversal{ID: id(), Of: back.ID})
		return errors.Join(err, book.SetMetadata(tx, at, "a", "EUR", map[string]string{"tier": "gold"}), book.Close(tx, at, "jar", "EUR"))
	})
	if err != nil {
		t.Fatal(err)
	}
	mustRecord(t, db, move("a", "b", 1))
}

func hold(id, from, to string, amount int64) ledger.Transfer {
	return ledger.Transfer{ID: id, Kind: ledger.Pending, Legs: []ledger.Leg{eur(from, -amount), eur(to, amount)}, ExpiresAt: at.Add(time.Hour)}
}

// TestCheck_NamesTheRowWhateverColumnIsTampered changes every column of every
// row of every table, one at a time, and expects Check to name the row, unless
// the database itself refuses the change.
func TestCheck_NamesTheRowWhateverColumnIsTampered(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		everything(t, db)
		check(t, db)
		found, refused := 0, 0
		for _, table := range []struct {
			name  string
			keys  []string
			named func(row []string, column string) []string
		}{
			{"ledger_transfers", []string{"seq"}, func(row []string, column string) []string {
				if column == "seq" { // a hole is named by what follows it
					return []string{"row " + row[0], fmt.Sprintf("row %d", number(row[0])+1), fmt.Sprintf("row %d", number(row[0])+1000)}
				}
				return []string{"row " + row[0]}
			}},
			{"ledger_postings", []string{"seq", "leg"}, func(row []string, _ string) []string { return []string{"row " + row[0]} }},
			{"ledger_accounts", []string{"id", "currency"}, func(row []string, _ string) []string { return []string{"account " + row[0]} }},
			{"ledger_holds", []string{"id"}, func(row []string, _ string) []string { return []string{"hold " + row[0]} }},
		} {
			columns, rows := readTable(t, db, table.name, table.keys)
			if len(rows) == 0 {
				t.Fatalf("%s is empty", table.name)
			}
			for _, row := range rows {
				for i, column := range columns {
					if err := tamper(t, db, table.name, column, table.keys, row.keys); err != nil {
						refused++
						continue
					}
					_, err := ledger.Check(t.Context(), db, nil)
					if want := table.named(row.keys, column); !names(err, want) {
						t.Errorf("%s %v: changed %s, found %v, want it to name one of %q", table.name, row.keys, column, err, want)
					} else {
						found++
					}
					restore(t, db, table.name, columns, i, table.keys, row)
				}
			}
		}
		check(t, db)
		if refused > found/10 {
			t.Errorf("%d changes found, %d refused by the database", found, refused)
		}
	})
}

func number(s string) (n int64) {
	_, _ = fmt.Sscan(s, &n) // our own
	return n
}

func names(err error, any []string) bool {
	var fault *ledger.Fault
	if !errors.As(err, &fault) {
		return false
	}
	for _, name := range any {
		if strings.Contains(err.Error(), name) {
			return true
		}
	}
	return false
}

// tableRow is a row as it was, its key columns as text.
type tableRow struct {
	keys   []string
	values []any
}

func readTable(t *testing.T, db *sqldb.DB, table string, keys []string) (columns []string, all []tableRow) {
	t.Helper()
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT * FROM " + table + " ORDER BY " + strings.Join(keys, ", "))
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		if columns, err = rows.Columns(); err != nil {
			return err
		}
		for rows.Next() {
			r := tableRow{values: make([]any, len(columns))}
			into := make([]any, len(columns))
			for i := range into {
				into[i] = &r.values[i]
			}
			if err := rows.Scan(into...); err != nil {
				return err
			}
			for _, k := range keys {
				for i, c := range columns {
					if c == k {
						r.keys = append(r.keys, fmt.Sprint(r.values[i]))
					}
				}
			}
			all = append(all, r)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return columns, all
}

// tamper changes one column of one row; the error is the database's refusal.
func tamper(t *testing.T, db *sqldb.DB, table, column string, keys, values []string) error {
	t.Helper()
	change, ok := tampered[table+"."+column]
	if !ok {
		change = "CASE WHEN 1 = 1 THEN " + column + " + 1 END"
		if isText(t, db, table, column) {
			change = column + " || 'x'"
		}
	}
	return db.Update(t.Context(), func(tx *sqldb.Tx) error {
		n, err := tx.Exec("UPDATE "+table+" SET "+column+" = "+change+where(keys), anys(values)...)
		if err == nil && n != 1 {
			t.Fatalf("%s %v: %d rows changed", table, values, n)
		}
		return err
	})
}

func isText(t *testing.T, db *sqldb.DB, table, column string) (text bool) {
	t.Helper()
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		var v any
		err := tx.QueryRow("SELECT " + column + " FROM " + table + " LIMIT 1").Scan(&v)
		_, text = v.(string)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// where compares key columns as text, whatever they are.
func where(keys []string) string {
	return " WHERE CAST(" + strings.Join(keys, " AS TEXT) = ? AND CAST(") + " AS TEXT) = ?"
}

func anys(values []string) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

// restore puts one row back by its other columns: the tampered one may be its key.
func restore(t *testing.T, db *sqldb.DB, table string, columns []string, tampered int, keys []string, r tableRow) {
	t.Helper()
	var conditions []string
	args := []any{r.values[tampered]}
	for i, c := range columns {
		if i != tampered {
			conditions = append(conditions, c+" = ?")
			args = append(args, r.values[i])
		}
	}
	err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		n, err := tx.Exec("UPDATE "+table+" SET "+columns[tampered]+" = ? WHERE "+strings.Join(conditions, " AND "), args...)
		if err == nil && n != 1 {
			err = fmt.Errorf("%d rows restored", n)
		}
		return err
	})
	if err != nil {
		t.Fatalf("%s %v %v: %v", table, keys, r.keys, err)
	}
}
