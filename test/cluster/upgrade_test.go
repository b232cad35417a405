package cluster_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/internal/sqldb"
)

// older, by CLUSTER_OLD, is a binary of the version before, which is upgraded to
// this one, too.
var older = os.Getenv("CLUSTER_OLD")

// People chat while every node is replaced by one of the next version, whose
// schema is one migration ahead, and while one goes back: both versions work on
// one database, and nothing is lost, doubled or out of order.
func TestUpgrade_TwoVersionsRunSideBySide(t *testing.T) {
	next := filepath.Join(t.TempDir(), "next")
	compile(t, next, "-tags", "nextschema", "-ldflags", "-X parley/internal/app.Version=next")
	w := newWorld(t)
	if w.hasColumn(t, "entries", "next_note") {
		t.Fatal("this version has the schema of the next one")
	}
	roll(t, w, next)
	if !w.hasColumn(t, "entries", "next_note") {
		t.Error("the next version did not bring its schema")
	}
	if older != "" {
		t.Run("from the version before", func(t *testing.T) { roll(t, newWorldOf(t, older), binary) })
	}
}

// roll replaces w's nodes by ones of to, one after the other, under a chat that
// goes on, and the last of them back and forth once more.
func roll(t *testing.T, w *world, to string) {
	t.Helper()
	from := w.nodes[0].binary
	c := w.newChat(t, 6)
	replace := func(n *node, by string) {
		n.drain(2 * time.Second)
		c.progress(5)
		n.end(syscall.SIGTERM)
		n.binary = by
		n.start()
		c.progress(10)
	}
	for i, n := range w.nodes {
		replace(n, to)
		if got := w.versions(t); i < len(w.nodes)-1 && len(got) != 2 {
			t.Errorf("after %d nodes the versions are %q", i+1, got)
		}
	}
	replace(w.nodes[2], from)
	replace(w.nodes[2], to)
	c.check()
}

// versions are those of the nodes that are alive.
func (w *world) versions(t *testing.T) []string {
	t.Helper()
	var list struct{ Items []struct{ Version string } }
	if err := w.nodes[0].rest().Do(t.Context(), "GET", "/v1/nodes", "", nil, &list); err != nil {
		t.Fatal(err)
	}
	var versions []string
	for _, n := range list.Items {
		versions = append(versions, n.Version)
	}
	slices.Sort(versions)
	return slices.Compact(versions)
}

func (w *world) hasColumn(t *testing.T, table, column string) bool {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: w.stores.postgres.url(w.stores.postgres.addr)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // only read
	var found int
	err = db.View(context.WithoutCancel(t.Context()), func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT count(*) FROM information_schema.columns WHERE table_name = ? AND column_name = ?", table, column).Scan(&found)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found > 0
}

// compile builds a node.
func compile(t *testing.T, to string, flags ...string) {
	t.Helper()
	if out, err := goBuild(to, flags...); err != nil {
		t.Fatalf("go build %s: %v\n%s", strings.Join(flags, " "), err, out)
	}
}
