package sqldb_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
)

// What is read decides what is written, and a statement that fails undoes all
// and is named.
func TestTwoTrips_AsksAndWrites(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"test": schema}, func(t *testing.T, db *sqldb.DB) {
		view := func(fn func(*sqldb.Tx) error) error { return db.View(t.Context(), fn) }
		add := func(k string, more ...string) error {
			var n int64
			return db.TwoTrips(t.Context(), func(b *sqldb.Batch) {
				n = 0
				b.Query("SELECT n FROM t WHERE k < ? ORDER BY k DESC LIMIT 1", func(r sqldb.Row) error { return r.Scan(&n) }, k)
			}, func(add func(string, ...any)) error {
				for i, k := range append([]string{k}, more...) {
					add("INSERT INTO t (k, n) VALUES (?, ?)", k, n+int64(i)+1)
				}
				return nil
			})
		}
		for _, k := range []string{"a", "b", "c"} {
			if err := add(k); err != nil {
				t.Fatal(err)
			}
		}
		err := add("d", "e", "b", "f")
		var failed *sqldb.StatementError
		if !errors.As(err, &failed) || failed.At != 2 || !sqldb.IsConflict(err) {
			t.Errorf("a key that is taken: %v", err)
		}
		if err := add("g"); err != nil { // the connection is good
			t.Error(err)
		}
		refused := errors.New("refused")
		err = db.TwoTrips(t.Context(), func(b *sqldb.Batch) {
			b.Query("UPDATE t SET n = 100 RETURNING n", func(sqldb.Row) error { return nil })
		},
			func(func(string, ...any)) error { return refused })
		if !errors.Is(err, refused) {
			t.Errorf("refused: %v", err)
		}
		if got := find(t, view, []string{"a", "b", "c", "d", "e", "f", "g"}); !slices.Equal(got, []int64{1, 2, 3, 4}) {
			t.Errorf("there is %v", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err = db.TwoTrips(ctx, func(*sqldb.Batch) { cancel() }, func(add func(string, ...any)) error {
			add("INSERT INTO t (k, n) VALUES ('h', 5)")
			return ctx.Err()
		})
		if err == nil {
			t.Error("written after its context had ended")
		}
		if got := find(t, view, []string{"h"}); len(got) != 0 {
			t.Errorf("there is %v", got)
		}
	})
}
