package sqldbtest

import (
	"os"
	"testing"
)

// OnPostgres runs f as a subtest with the URL of an empty schema, where
// PARLEY_TEST_POSTGRES names a server: for tests of several nodes, which share
// a database that SQLite cannot be.
func OnPostgres(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	if server := os.Getenv("PARLEY_TEST_POSTGRES"); server != "" {
		t.Run("postgres", func(t *testing.T) { f(t, postgresSchema(t, server)) })
	}
}
