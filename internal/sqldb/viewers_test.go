package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
)

// insert adds the keys 0 to n-1.
func insert(t testing.TB, db *sqldb.DB, n int) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		for i := range n {
			if _, err := tx.Exec("INSERT INTO t (k, n) VALUES (?, ?)", fmt.Sprint(i), i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestView_SeesWhatWasCommittedBeforeAndNothingElse(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"test": schema}, func(t *testing.T, db *sqldb.DB) {
		for want := range 5 {
			err := db.View(t.Context(), func(tx *sqldb.Tx) error {
				for range 2 {
					var n int
					if err := tx.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
						return err
					}
					if n != want {
						t.Errorf("saw %d rows of %d", n, want)
					}
					if n == want { // the second look is at the same snapshot
						if err := db.Update(t.Context(), func(other *sqldb.Tx) error {
							_, err := other.Exec("INSERT INTO t (k, n) VALUES (?, 0) ON CONFLICT DO NOTHING", fmt.Sprint(want))
							return err
						}); err != nil {
							return err
						}
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestView_RowsLeftOpenAreNotSeenByTheNext(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"test": schema}, func(t *testing.T, db *sqldb.DB) {
		insert(t, db, 10)
		for range 3 {
			first := -1
			err := db.View(t.Context(), func(tx *sqldb.Tx) error {
				rows, err := tx.Query("SELECT n FROM t ORDER BY n")
				if err != nil {
					return err
				}
				rows.Next()
				return errors.Join(rows.Scan(&first), rows.Err()) // and they stay open
			})
			if err != nil || first != 0 {
				t.Fatalf("began with %d: %v", first, err)
			}
		}
	})
}

func TestView_CancelledOnesLeaveTheirConnectionFit(t *testing.T) {
	db, _ := openWith(t, sqldb.Config{URL: filepath.Join(t.TempDir(), "a.db"), Readers: 2})
	insert(t, db, 100)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := db.View(ctx, func(tx *sqldb.Tx) error {
				rows, err := tx.Query("SELECT n FROM t ORDER BY n")
				if err != nil {
					return err
				}
				defer func() { _ = rows.Close() }() // its error is in rows.Err
				seen := 0
				for rows.Next() {
					if seen++; seen == 50 && i%2 == 0 {
						cancel()
					}
				}
				if err := rows.Err(); err != nil {
					return err
				}
				if seen != 100 {
					return fmt.Errorf("saw %d rows", seen)
				}
				return nil
			})
			if err != nil && (i%2 == 1 || !errors.Is(err, context.Canceled)) {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if n := count(t, db); n != 100 {
		t.Errorf("%d rows", n)
	}
}

func TestView_WaitsForAConnectionAndGivesUpWithItsContext(t *testing.T) {
	db, _ := openWith(t, sqldb.Config{URL: filepath.Join(t.TempDir(), "a.db"), Readers: 1})
	err := db.View(t.Context(), func(*sqldb.Tx) error {
		ctx, cancel := context.WithCancel(t.Context())
		inner := make(chan error, 1)
		go func() { inner <- db.View(ctx, func(*sqldb.Tx) error { return nil }) }()
		cancel()
		if err := <-inner; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, db); n != 0 { // the place that was waited for is free
		t.Errorf("%d rows", n)
	}
}

func TestView_StatementsOfAnyNumber(t *testing.T) {
	db, _ := openWith(t, sqldb.Config{URL: filepath.Join(t.TempDir(), "a.db"), Readers: 1})
	insert(t, db, 3)
	for i := range 1500 {
		err := db.View(t.Context(), func(tx *sqldb.Tx) error {
			var n int
			return tx.QueryRow(fmt.Sprintf("SELECT count(*) + %d FROM t", i)).Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, db); n != 3 {
		t.Errorf("%d rows", n)
	}
}

func BenchmarkView(b *testing.B) {
	db := sqldbtest.Open(b, sqldbtest.Schemas{"test": schema})
	insert(b, db, 100)
	for b.Loop() {
		err := db.View(b.Context(), func(tx *sqldb.Tx) error {
			var n int
			return tx.QueryRow("SELECT a.n FROM t a JOIN t b ON b.k = a.k WHERE a.k = ?", "7").Scan(&n)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
