package app_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"parley/chat"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
)

// later is a schema with one more migration than this binary knows.
func later(t *testing.T, schema fs.FS) fs.FS {
	t.Helper()
	files := fstest.MapFS{"09999_later.sql": {Data: []byte("-- +goose Up\nALTER TABLE members ADD COLUMN nickname TEXT NOT NULL DEFAULT '';\n")}}
	names, err := fs.Glob(schema, "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("%v: %v", names, err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(schema, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	return files
}

// upgradeBehind migrates the database to a later schema, as the first node of
// the next version does while nodes of this one run.
func upgradeBehind(t *testing.T, url string) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), "chat", later(t, chat.Schema())); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// A node goes on, and starts, on a database whose schema is one migration ahead.
func TestUpgrade_ANodeWorksOnTheNextSchema(t *testing.T) {
	works := func(n *node) {
		buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
		conv := directWith(buyer, "seller")
		buyer.say(conv, "still here")
		seller.awaitText("still here")
	}
	check := func(t *testing.T, url string) {
		running := start(t, t.TempDir(), "database.url="+url)
		works(running)
		upgradeBehind(t, url)
		works(running)
		running.stop()
		works(start(t, t.TempDir(), "database.url="+url))
	}
	sqldbtest.OnPostgres(t, check)
	t.Run("sqlite", func(t *testing.T) { check(t, t.TempDir()+"/shared.db") })
}
