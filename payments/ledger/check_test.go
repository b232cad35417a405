package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments/ledger"
)

// TestCheck_NamesWhatWasTampered changes one thing behind the ledger's back and
// expects Check to name the first row that does not hold.
func TestCheck_NamesWhatWasTampered(t *testing.T) {
	// The journal: 1 open world, 2 open a, 3 first, 4 open b, 5 second, 6 third, 7 held
	for _, c := range []struct {
		name, sql string
		names     string
	}{
		{"amounts of a transfer", "UPDATE ledger_postings SET amount = amount * 2 WHERE seq = 5", "row 5 (second)"},
		{"account of a posting", "UPDATE ledger_postings SET account = 'c' WHERE seq = 5 AND leg = 1", "row 5 (second)"},
		{"balance of a posting", "UPDATE ledger_postings SET balance = 7 WHERE seq = 5 AND leg = 1", "row 5 (second)"},
		{"posting removed", "DELETE FROM ledger_postings WHERE seq = 5 AND leg = 1", "row 5 (second)"},
		{"posting invented", "INSERT INTO ledger_postings VALUES (99, 0, 'a', 'EUR', 5, 5)", "row 8 (posting)"},
		{"note", "UPDATE ledger_transfers SET note = 'other' WHERE seq = 3", "row 3 (first)"},
		{"reference", "UPDATE ledger_transfers SET reference = 'other' WHERE seq = 3", "row 3 (first)"},
		{"id", "UPDATE ledger_transfers SET id = 'other' WHERE seq = 3", "row 3 (other)"},
		{"time", "UPDATE ledger_transfers SET recorded_at = recorded_at - 1 WHERE seq = 6", "row 6 (third)"},
		{"effective time", "UPDATE ledger_transfers SET effective_at = 5 WHERE seq = 6", "row 6 (third)"},
		{"expiry", "UPDATE ledger_transfers SET expires_at = 5 WHERE seq = 7", "row 7 (held)"},
		{"kind", "UPDATE ledger_transfers SET kind = 'posted' WHERE seq = 7", "row 7 (held)"},
		{"hash", "UPDATE ledger_transfers SET hash = '" + strings.Repeat("0", 64) + "' WHERE seq = 5", "row 5 (second)"},
		{"row removed", "DELETE FROM ledger_transfers WHERE seq = 5", "row 5 (posting)"},
		{"row renumbered", "UPDATE ledger_transfers SET seq = 50 WHERE seq = 7", "row 7 (posting)"},
		{"balance of an account", "UPDATE ledger_accounts SET posted = posted + 1 WHERE id = 'a'", "account a EUR"},
		{"terms of an account", "UPDATE ledger_accounts SET may_go_negative = 1 WHERE id = 'a'", "account a EUR"},
		{"account removed", "DELETE FROM ledger_accounts WHERE id = 'b'", "account b EUR"},
		{"account invented", "INSERT INTO ledger_accounts VALUES ('x', 'EUR', 'user', 0, 0, 0, 9, 0, 0, 0, '{}')", "account x EUR"},
		{"hold forgotten", "DELETE FROM ledger_holds", "hold held"},
		{"hold invented", "INSERT INTO ledger_holds VALUES ('ghost', 1, 0)", "hold ghost"},
		{"hold prolonged", "UPDATE ledger_holds SET expires_at = 99", "hold held"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			db := sqldbtest.Open(t, schemas())
			first, second, third := move("world", "a", 100), move("a", "b", 40), move("b", "a", 5)
			first.ID, second.ID, third.ID = "first", "second", "third"
			mustRecord(t, db, first)
			mustRecord(t, db, second)
			mustRecord(t, db, third)
			mustRecord(t, db, ledger.Transfer{ID: "held", Kind: ledger.Pending, Legs: []ledger.Leg{eur("a", -10), eur("b", 10)}})
			if r := check(t, db); r.Rows != 7 || r.OpenHolds != 1 || r.Accounts != 3 || len(r.Head) != 64 {
				t.Fatalf("before: %+v", r)
			}
			err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
				n, err := tx.Exec(c.sql)
				if err == nil && n == 0 {
					err = errors.New("changed nothing")
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = ledger.Check(t.Context(), db, nil)
			var fault *ledger.Fault
			if !errors.As(err, &fault) || !strings.Contains(err.Error(), c.names) {
				t.Errorf("found %v, want it to name %s", err, c.names)
			}
		})
	}
}

func TestCheck_StreamsOverManyPagesAndReportsProgress(t *testing.T) {
	db := sqldbtest.Open(t, schemas())
	for range 5 {
		var many []ledger.Transfer
		for range 1000 {
			many = append(many, move("world", "a", 1))
		}
		mustRecord(t, db, many...)
	}
	var steps []int64
	r, err := ledger.Check(t.Context(), db, func(done, total int64) {
		if total != 5002 {
			t.Errorf("total %d", total)
		}
		steps = append(steps, done)
	})
	if err != nil || r.Rows != 5002 || len(steps) != 3 || steps[2] != 5002 {
		t.Errorf("%+v, %v, steps %v", r, err, steps)
	}
}
