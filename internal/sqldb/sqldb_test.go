package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"parley/internal/crash"
	"parley/internal/sqldb"
)

func TestMain(m *testing.M) {
	crash.Main(crash.Roles{"full disk": fullDisk})
	goleak.VerifyTestMain(m)
}

var schema = fstest.MapFS{"00001_t.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t (k TEXT PRIMARY KEY, n BIGINT NOT NULL);\n")}}

// open returns a running database on a fresh file and the function that stops it.
func open(t *testing.T, path string) (db *sqldb.DB, stop func()) {
	t.Helper()
	return openWith(t, sqldb.Config{URL: path})
}

func openWith(t *testing.T, cfg sqldb.Config) (db *sqldb.DB, stop func()) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), "test", schema); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return db, stop
}

func count(t *testing.T, db *sqldb.DB) (n int) {
	t.Helper()
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT count(*) FROM t").Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestUpdate_OneFailureLeavesItsGroupAlone(t *testing.T) {
	db, _ := open(t, filepath.Join(t.TempDir(), "a.db"))
	boom := errors.New("boom")
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
				if _, err := tx.Exec("INSERT INTO t (k, n) VALUES (?, ?)", fmt.Sprint(i), i); err != nil {
					return err
				}
				switch i % 4 {
				case 1:
					return boom
				case 2:
					panic("boom")
				}
				return nil
			})
			if failed := i%4 == 1 || i%4 == 2; failed != (err != nil) {
				t.Errorf("%d: got %v", i, err)
			}
		})
	}
	wg.Wait()
	if n := count(t, db); n != 100 {
		t.Errorf("kept %d rows, want 100", n)
	}
}

func TestUpdate_HooksRunInCommitOrderAndOnlyAfterSuccess(t *testing.T) {
	db, _ := open(t, filepath.Join(t.TempDir(), "a.db"))
	var mu sync.Mutex
	var heard []int64
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			_ = db.Update(t.Context(), func(tx *sqldb.Tx) error { // every tenth fails on purpose
				var n int64
				if err := tx.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
					return err
				}
				tx.AfterCommit(func() { mu.Lock(); heard = append(heard, n); mu.Unlock() })
				if _, err := tx.Exec("INSERT INTO t (k, n) VALUES (?, ?)", fmt.Sprint(i), n); err != nil {
					return err
				}
				if i%10 == 0 {
					return errors.New("no")
				}
				return nil
			})
		})
	}
	wg.Wait()
	if len(heard) != 90 {
		t.Fatalf("heard %d, want 90", len(heard))
	}
	for i, n := range heard {
		if n != int64(i) {
			t.Fatalf("heard %v out of order", heard)
		}
	}
}

func TestRun_FinishesWhatWasAcceptedAndRefusesTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	db, stop := open(t, path)
	var wg sync.WaitGroup
	var mu sync.Mutex
	acked := 0
	for i := range 300 {
		wg.Go(func() {
			err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec("INSERT INTO t (k, n) VALUES (?, 1)", fmt.Sprint(i))
				return err
			})
			switch {
			case err == nil:
				mu.Lock()
				acked++
				mu.Unlock()
			case !errors.Is(err, sqldb.ErrUnavailable):
				t.Error(err)
			}
		})
	}
	stop()
	wg.Wait()
	again, _ := open(t, path)
	if n := count(t, again); n != acked {
		t.Errorf("file holds %d rows, acknowledged %d", n, acked)
	}
}

func TestView_CannotWrite(t *testing.T) {
	db, _ := open(t, filepath.Join(t.TempDir(), "a.db"))
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec("INSERT INTO t (k, n) VALUES ('x', 1)")
		return err
	})
	if err == nil {
		t.Error("a View wrote")
	}
}

func TestView_EndsWhenItTakesTooLong(t *testing.T) {
	db, _ := openWith(t, sqldb.Config{URL: filepath.Join(t.TempDir(), "a.db"), ViewMax: 20 * time.Millisecond})
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		var n int64
		return tx.QueryRow("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c").Scan(&n)
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if n := count(t, db); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
