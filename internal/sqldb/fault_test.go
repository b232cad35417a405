package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"parley/internal/crash"
	"parley/internal/sqldb"
)

// TestWriter_SyncsTheLogAtEachCommit: everything that is said about lost power rests on it.
func TestWriter_SyncsTheLogAtEachCommit(t *testing.T) {
	db, _ := open(t, filepath.Join(t.TempDir(), "a.db"))
	err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		var mode string
		var level int
		err := errors.Join(tx.QueryRow("PRAGMA journal_mode").Scan(&mode), tx.QueryRow("PRAGMA synchronous").Scan(&level))
		if mode != "wal" || level < 2 { // 2 is FULL
			t.Errorf("journal mode %s, synchronous %d", mode, level)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// insertLong writes two rows that go together and nearly fill a page each.
func insertLong(ctx context.Context, db *sqldb.DB, key string) error {
	return db.Update(ctx, func(tx *sqldb.Tx) error {
		for _, end := range []string{"/1/", "/2/"} {
			if _, err := tx.Exec("INSERT INTO t (k, n) VALUES (?, 1)", key+end+strings.Repeat("x", 3_000)); err != nil {
				return err
			}
		}
		return nil
	})
}

// insertMany writes from many callers at once and tells each of them apart:
// acknowledged or not. Errors other than ErrUnavailable come back.
func insertMany(ctx context.Context, db *sqldb.DB, prefix string, n int, heard func(acked bool, key string)) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			key := fmt.Sprintf("%s%03d", prefix, i)
			err := insertLong(ctx, db, key)
			if err == nil || errors.Is(err, sqldb.ErrUnavailable) {
				heard(err == nil, key)
			} else {
				errs[i] = err
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// both verifies that of each key both rows are there or none, and that all that were acknowledged are.
func both(t *testing.T, db *sqldb.DB, acked []string) {
	t.Helper()
	found := map[string]int{}
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT k FROM t")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // its error is in rows.Err
		for rows.Next() {
			var k string
			if err := rows.Scan(&k); err != nil {
				return err
			}
			key, _, _ := strings.Cut(k, "/")
			found[key]++
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, n := range found {
		if n != 2 {
			t.Errorf("%s is half there", key)
		}
	}
	for _, key := range acked {
		if found[key] != 2 {
			t.Errorf("%s was acknowledged and is not there", key)
		}
	}
}

// TestDisk_FullRefusesAndGoesOn bounds the database's size, so that SQLite ends
// transactions in the middle with SQLITE_FULL, and lifts the bound again.
func TestDisk_FullRefusesAndGoesOn(t *testing.T) {
	db, _ := openWith(t, sqldb.Config{URL: filepath.Join(t.TempDir(), "a.db"), CheckpointPages: 16})
	bound := func(pages int) {
		t.Helper()
		err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
			var now int
			return tx.QueryRow(fmt.Sprintf("PRAGMA max_page_count = %d", pages)).Scan(&now)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var acked []string
	refused := 0
	heard := func(ok bool, key string) {
		mu.Lock()
		defer mu.Unlock()
		if ok {
			acked = append(acked, key)
		} else {
			refused++
		}
	}
	for round := range 5 {
		bound(100 * (round + 1))
		for i := range 4 {
			if err := insertMany(t.Context(), db, fmt.Sprint("full", round, ".", i, "."), 40, heard); err != nil {
				t.Error(err)
			}
		}
		for i, full := 0, refused; refused == full; i++ { // what a refused group leaves free is used by one at a time
			if err := insertMany(t.Context(), db, fmt.Sprint("last", round, ".", i, "."), 1, heard); err != nil {
				t.Fatal(err)
			}
		}
		both(t, db, acked) // reading goes on
	}
	if len(acked) < 50 || refused < 50 {
		t.Errorf("%d were acknowledged, %d refused", len(acked), refused)
	}
	bound(1 << 30)
	before := refused
	if err := insertMany(t.Context(), db, "after", 20, heard); err != nil || refused != before {
		t.Errorf("%d of 20 refused after there was room again: %v", refused-before, err)
	}
	both(t, db, acked)
}

// TestDisk_WithoutSpace fills a file system of a few megabytes, where the one who
// runs the test may mount one, and frees a part of it again.
func TestDisk_WithoutSpace(t *testing.T) {
	dir := t.TempDir()
	if syscall.Mount("parley", dir, "tmpfs", 0, "size=8m") != nil {
		return // the other tests of disks do with less
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 6_500_000), 0o600); err != nil {
		t.Fatal(err)
	}
	db, _ := openWith(t, sqldb.Config{URL: filepath.Join(dir, "a.db"), CheckpointPages: 16})
	var mu sync.Mutex
	var acked []string
	refused := 0
	heard := func(ok bool, key string) {
		mu.Lock()
		defer mu.Unlock()
		if ok {
			acked = append(acked, key)
		} else {
			refused++
		}
	}
	for i := 0; refused == 0; i++ {
		if err := insertMany(t.Context(), db, fmt.Sprint("full", i, "."), 20, heard); err != nil {
			t.Fatal(err)
		}
	}
	both(t, db, acked)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	before := refused
	if err := insertMany(t.Context(), db, "after", 20, heard); err != nil || refused != before {
		t.Errorf("%d of 20 refused after there was room again: %v", refused-before, err)
	}
	both(t, db, acked)
}

// fullDisk is a child whose files may not grow in every other round.
func fullDisk(args []string) error {
	ctx := context.Background()
	db, err := sqldb.Open(ctx, sqldb.Config{URL: args[0], CheckpointPages: 16})
	if err != nil {
		return err
	}
	if err := db.Migrate(ctx, "test", schema); err != nil {
		return err
	}
	go func() { _ = db.Run(ctx) }()
	var allowed syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &allowed); err != nil {
		return err
	}
	for round := range diskRounds {
		limit := allowed
		if round%2 == 1 {
			limit.Cur = uint64(round) * 300_000
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		err := insertMany(ctx, db, fmt.Sprintf("r%d.", round), 150, func(acked bool, key string) { crash.Say("%t %s", acked, key) })
		if err != nil {
			return err
		}
	}
	crash.Say("done")
	crash.Wait()
	return nil
}

// diskRounds is how often a child's disk is full or has room.
const diskRounds = 6

// TestDisk_FilesThatCannotGrow takes the room from log and database together
// and gives it back, then kills the process that went through it.
func TestDisk_FilesThatCannotGrow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	child := crash.Start(t, "full disk", path)
	var acked []string
	var refused [diskRounds]int
	for line := child.Await(); line != "done"; line = child.Await() {
		var ok bool
		var round, i int
		if _, err := fmt.Sscanf(line, "%t r%d.%d", &ok, &round, &i); err != nil {
			t.Fatalf("the child said %q", line)
		}
		if ok {
			acked = append(acked, fmt.Sprintf("r%d.%03d", round, i))
		} else {
			refused[round]++
		}
	}
	child.Kill()
	for round, n := range refused {
		if full := round%2 == 1; full != (n > 0) {
			t.Errorf("round %d: %d refused of 150", round, n)
		}
	}
	db, _ := open(t, path)
	both(t, db, acked)
}
