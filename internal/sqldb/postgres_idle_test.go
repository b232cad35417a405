package sqldb_test

import (
	"testing"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
)

// A transaction that waits for its client may not keep its locks for ever.
func TestPostgres_BoundsIdleTransactions(t *testing.T) {
	sqldbtest.OnPostgres(t, func(t *testing.T, url string) {
		db, err := sqldb.Open(t.Context(), sqldb.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() }) // only read
		var bound string
		err = db.View(t.Context(), func(tx *sqldb.Tx) error {
			return tx.QueryRow("SHOW idle_in_transaction_session_timeout").Scan(&bound)
		})
		if err != nil || bound != "5s" {
			t.Errorf("bounded to %q: %v", bound, err)
		}
	})
}
