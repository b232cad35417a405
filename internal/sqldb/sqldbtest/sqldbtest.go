// Package sqldbtest opens real databases for tests: an SQLite file in a
// temporary folder, and a schema of its own in the PostgreSQL server that
// PARLEY_TEST_POSTGRES names (a postgres:// URL), where the test scripts start one.
package sqldbtest

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// Schemas are migration files by owner.
type Schemas map[string]fs.FS

// Open returns a running, migrated SQLite database that ends with the test.
func Open(t testing.TB, schemas Schemas) *sqldb.DB {
	t.Helper()
	return start(t, filepath.Join(t.TempDir(), "test.db"), schemas)
}

// OpenFile does the same with a file that may exist already.
func OpenFile(t testing.TB, path string, schemas Schemas) *sqldb.DB {
	t.Helper()
	return start(t, path, schemas)
}

// Each runs f as a subtest on every kind of database there is.
func Each(t *testing.T, schemas Schemas, f func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, Open(t, schemas)) })
	if server := os.Getenv("PARLEY_TEST_POSTGRES"); server != "" {
		t.Run("postgres", func(t *testing.T) { f(t, start(t, postgresSchema(t, server), schemas)) })
	}
}

func start(t testing.TB, at string, schemas Schemas) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: at})
	if err != nil {
		t.Fatal(err)
	}
	for owner, files := range schemas {
		if err := db.Migrate(t.Context(), owner, files); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("database: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	return db
}

// postgresSchema creates an empty schema and returns a URL whose search path is it.
func postgresSchema(t testing.TB, server string) string {
	t.Helper()
	name := wire.NewID[string]("test_", time.Now())
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.ExecContext(t.Context(), fmt.Sprintf("CREATE SCHEMA %q", name)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.ExecContext(context.Background(), fmt.Sprintf("DROP SCHEMA %q CASCADE", name)); err != nil {
			t.Errorf("drop schema: %v", err)
		}
		_ = admin.Close()
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// EachBench runs f as a benchmark of this name on every kind of database there is.
func EachBench(b *testing.B, schemas Schemas, name string, f func(b *testing.B, db *sqldb.DB)) {
	b.Helper()
	b.Run("sqlite/"+name, func(b *testing.B) { f(b, Open(b, schemas)) })
	if server := os.Getenv("PARLEY_TEST_POSTGRES"); server != "" {
		b.Run("postgres/"+name, func(b *testing.B) { f(b, start(b, postgresSchema(b, server), schemas)) })
	}
}
