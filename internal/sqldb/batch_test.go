package sqldb_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
)

var (
	insertT = sqldb.Over("INSERT INTO t (k, n) {set}", sqldb.Text, sqldb.BigInt)
	findT   = sqldb.Over("WITH s(k) AS ({set}) SELECT t.k, t.n FROM s JOIN t ON t.k = s.k", sqldb.Text)
	deleteT = sqldb.Over("DELETE FROM t WHERE k IN ({set})", sqldb.Text)
)

func keys(n int) (k []string, v []int64) {
	for i := range n {
		k, v = append(k, fmt.Sprintf("%03d", i)), append(v, int64(i*i))
	}
	return k, v
}

// find returns the values of the keys that there are.
func find(t *testing.T, in func(func(*sqldb.Tx) error) error, k []string) (found []int64) {
	t.Helper()
	err := in(func(tx *sqldb.Tx) error {
		b := tx.Batch()
		b.Lock("t")
		b.QuerySet(findT, func(r sqldb.Row) error {
			var key string
			var n int64
			if err := r.Scan(&key, &n); err != nil {
				return err
			}
			found = append(found, n)
			return nil
		}, k)
		return b.Send()
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func TestBatch_SetsOfAnySize(t *testing.T) {
	for _, size := range []int{0, 1, 3, 4, 16, 21, 100} {
		sqldbtest.Each(t, sqldbtest.Schemas{"test": schema}, func(t *testing.T, db *sqldb.DB) {
			update := func(fn func(*sqldb.Tx) error) error { return db.Update(t.Context(), fn) }
			view := func(fn func(*sqldb.Tx) error) error { return db.View(t.Context(), fn) }
			k, v := keys(size)
			err := update(func(tx *sqldb.Tx) error {
				b := tx.Batch()
				b.ExecSet(insertT, k, v)
				return b.Send()
			})
			if err != nil {
				t.Fatal(err)
			}
			more, _ := keys(size + 5)
			if got := find(t, update, more); !slices.Equal(got, v) {
				t.Errorf("%d rows: found %v", size, got)
			}
			if got := find(t, view, more); !slices.Equal(got, v) {
				t.Errorf("%d rows, in a view: found %v", size, got)
			}
			err = update(func(tx *sqldb.Tx) error {
				b := tx.Batch()
				b.ExecSet(deleteT, more)
				return b.Send()
			})
			if !errors.Is(err, sqldb.ErrRows) {
				t.Errorf("deleted more than there is: %v", err)
			}
			if got := find(t, update, more); !slices.Equal(got, v) {
				t.Errorf("the error undid nothing: %v", got)
			}
		})
	}
}

func TestBatch_ExecChangesAsManyRowsAsItSays(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"test": schema}, func(t *testing.T, db *sqldb.DB) {
		raise := func(rows int) error {
			return db.Update(t.Context(), func(tx *sqldb.Tx) error {
				b := tx.Batch()
				b.Exec("INSERT INTO t (k, n) VALUES (?, ?), (?, ?)", 2, "a", 1, "b", 1)
				b.Exec("UPDATE t SET n = n + 1 WHERE n = ?", rows, 1)
				return b.Send()
			})
		}
		for _, rows := range []int{0, 1, 3} {
			if err := raise(rows); !errors.Is(err, sqldb.ErrRows) {
				t.Errorf("two rows changed where %d were to be: %v", rows, err)
			}
		}
		if err := raise(2); err != nil {
			t.Error(err)
		}
		got := find(t, func(fn func(*sqldb.Tx) error) error { return db.View(t.Context(), fn) }, []string{"a", "b"})
		if !slices.Equal(got, []int64{2, 2}) {
			t.Errorf("found %v", got)
		}
	})
}

// TestLock_IsTakenInOneOrderByAll lets transactions lock the same keys in
// opposite orders: had they waited for each other, one would have run again.
func TestLock_IsTakenInOneOrderByAll(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"test": schema}, func(t *testing.T, db *sqldb.DB) {
		const times = 40
		names, _ := keys(30)
		back := slices.Clone(names)
		slices.Reverse(back)
		var runs, inside atomic.Int64
		var wg sync.WaitGroup
		for i, order := range [][]string{names, back, names, back} {
			wg.Go(func() {
				for range times {
					err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
						runs.Add(1)
						b := tx.Batch()
						if b.Lock(order...); i < 2 {
							if err := tx.Lock(order...); err != nil {
								return err
							}
						}
						if err := b.Send(); err != nil {
							return err
						}
						if n := inside.Add(1); n != 1 {
							t.Errorf("%d hold the same locks", n)
						}
						inside.Add(-1)
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		if wg.Wait(); runs.Load() != 4*times {
			t.Errorf("%d runs of %d transactions", runs.Load(), 4*times)
		}
	})
}

func TestBatch_EndsAtTheFirstError(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"test": schema}, func(t *testing.T, db *sqldb.DB) {
		boom := errors.New("boom")
		k, v := keys(20)
		err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
			b := tx.Batch()
			b.ExecSet(insertT, k, v)
			b.QuerySet(findT, func(sqldb.Row) error { return boom }, k)
			b.ExecSet(deleteT, k)
			return b.Send()
		})
		if !errors.Is(err, boom) {
			t.Errorf("got %v", err)
		}
		err = db.Update(t.Context(), func(tx *sqldb.Tx) error {
			b := tx.Batch()
			b.ExecSet(insertT, append(k, k[0]), append(v, 0))
			return b.Send()
		})
		if err == nil {
			t.Error("a key was inserted twice")
		}
		if got := find(t, func(fn func(*sqldb.Tx) error) error { return db.Update(t.Context(), fn) }, k); len(got) != 0 {
			t.Errorf("an undone batch left %v", got)
		}
	})
}

func TestWAL_BeginsAnewUnderAWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	db, _ := openWith(t, sqldb.Config{URL: path, CheckpointPages: 64})
	largest := int64(0)
	blob := make([]byte, 20_000)
	for i := range blob {
		blob[i] = 'a' + byte(i%26)
	}
	for i := range 1800 { // 36 MB
		err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec("INSERT INTO t (k, n) VALUES (?, ?)", fmt.Sprint(i, string(blob)), i)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, fileSize(t, path+"-wal"))
	}
	if largest > 18<<20 { // far from all of it, however late the checkpointer gets to run
		t.Errorf("the log grew to %d bytes", largest)
	}
	if n := count(t, db); n != 1800 {
		t.Errorf("%d rows", n)
	}
}
