package ledger_test

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments/ledger"
)

// TestSchema_KeepsALedgerThatExists migrates a journal that the first schema
// holds: every row, hash and balance is there afterwards.
func TestSchema_KeepsALedgerThatExists(t *testing.T) {
	text, err := fs.ReadFile(ledger.Schema(), "00001_init.sql")
	if err != nil {
		t.Fatal(err)
	}
	first := fstest.MapFS{"00001_init.sql": {Data: text}}
	sqldbtest.Each(t, sqldbtest.Schemas{"ledger": first}, func(t *testing.T, db *sqldb.DB) {
		mustRecord(t, db, move("world", "a", 100), hold("held", "a", "b", 10))
		migrate(t, db)
		if r := check(t, db); r.Rows != 5 || r.OpenHolds != 1 || balance(t, db, "a").Available() != 90 {
			t.Errorf("after the migration: %+v", r)
		}
		later := move("a", "b", 5)
		later.Reference = "after"
		mustRecord(t, db, later)
		check(t, db)
	})
}

// migrate brings the whole schema to a database that is in use.
func migrate(t *testing.T, db *sqldb.DB) {
	t.Helper()
	if db.Dialect() == sqldb.Postgres {
		if err := db.Migrate(t.Context(), "ledger", ledger.Schema()); err != nil {
			t.Fatal(err)
		}
		return
	}
	second, err := sqldb.Open(context.Background(), sqldb.Config{URL: databaseFile(t, db)})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Migrate(t.Context(), "ledger", ledger.Schema()); err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

// databaseFile is where an SQLite database stands.
func databaseFile(t *testing.T, db *sqldb.DB) (path string) {
	t.Helper()
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&path)
	})
	if err != nil || !filepath.IsAbs(path) {
		t.Fatal(path, err)
	}
	return path
}

// TestUnder_UsesAnIndex keeps the evidence of a payment from reading the whole journal.
func TestUnder_UsesAnIndex(t *testing.T) {
	db := sqldbtest.Open(t, schemas())
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query("EXPLAIN QUERY PLAN SELECT seq FROM ledger_transfers WHERE length(reference) > 30 AND substr(reference, 1, 30) = ?", "x")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				return err
			}
			plan = append(plan, detail)
		}
		if !strings.Contains(strings.Join(plan, "\n"), "ledger_transfers_scope") {
			t.Errorf("plan: %q", plan)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}
