package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"parley/internal/crash"
	"parley/internal/sqldb"
	"parley/payments/ledger"
)

// ack is a group that was acknowledged, with how far the log reached then.
type ack struct {
	reference string
	recorded  []ledger.Recorded
	at        crash.Position
}

// openFile returns a running database on a file and the function that ends it.
func openFile(t *testing.T, cfg sqldb.Config) (db *sqldb.DB, stop func()) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), "ledger", ledger.Schema()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	return db, func() {
		cancel()
		if err := errors.Join(<-ended, db.Close()); err != nil {
			t.Error(err)
		}
	}
}

// linked is a group of two transfers.
func linked(g, i int) []ledger.Transfer {
	reference := fmt.Sprintf("p/%d/%d", g, i)
	return []ledger.Transfer{referenced(move("world", fmt.Sprintf("n%d", i%5), 9), reference), referenced(move(fmt.Sprintf("n%d", i%5), "b", 4), reference+"/b")}
}

// loadAndCopy has many clients record groups, and copies database and log at the end.
func loadAndCopy(t *testing.T, checkpointPages int) (*crash.Image, []ack) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "power.db")
	db, stop := openFile(t, sqldb.Config{URL: path, CheckpointPages: checkpointPages})
	c := ledger.NewCommitter(db, book, now, ledger.CommitterConfig{GroupMax: 5})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	var mu sync.Mutex
	var acks []ack
	var wg sync.WaitGroup
	for g := range 12 {
		wg.Go(func() {
			for i := range 10 {
				group := linked(g, i)
				recorded, err := c.Submit(t.Context(), group...)
				at, perr := crash.LogPosition(path)
				if err := errors.Join(err, perr); err != nil {
					t.Error(err)
				}
				mu.Lock()
				acks = append(acks, ack{group[0].Reference, recorded, at})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	image, err := crash.TakeImage(path)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	stop()
	return image, acks
}

// TestPower_CutsOfTheLogKeepWhatWasAcknowledged loses the end of the
// write-ahead log at random points behind the last acknowledged commit: what
// was acknowledged stands where it stood, groups are there whole or not at all,
// and sent again they all stand once.
func TestPower_CutsOfTheLogKeepWhatWasAcknowledged(t *testing.T) {
	random := rand.New(rand.NewPCG(rand.Uint64(), 3)) //nolint:gosec // random places
	for _, pages := range []int{1 << 20, 40} {
		image, acks := loadAndCopy(t, pages)
		lost := 0
		for range 8 {
			cut := image.RandomCut(random)
			lost += cutAt(t, image, acks, cut, random)
			if t.Failed() {
				t.Fatalf("%d pages between checkpoints, %d frames: %v", pages, image.Frames(), cut)
			}
		}
		if lost == 0 && pages == 1<<20 { // else nearly all may have been moved already
			t.Error("no cut lost anything")
		}
	}
}

// cutAt verifies one cut and returns how many groups it has lost.
func cutAt(t *testing.T, image *crash.Image, acks []ack, cut crash.Cut, random *rand.Rand) (lost int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cut.db")
	if err := image.Write(path, cut, random); err != nil {
		t.Fatal(err)
	}
	db, stop := openFile(t, sqldb.Config{URL: path})
	defer stop()
	check(t, db)
	c := ledger.NewCommitter(db, book, now, ledger.CommitterConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	found := halves(t, db, acks)
	var wg sync.WaitGroup
	for i, a := range acks {
		there := found[i]
		switch {
		case there == 1:
			t.Errorf("%s is half there", a.reference)
		case there == 0 && image.Keeps(a.at, cut):
			t.Errorf("%s was acknowledged and is not there", a.reference)
		case there == 0:
			lost++
		}
		wg.Go(func() {
			var g, i int
			if _, err := fmt.Sscanf(a.reference, "p/%d/%d", &g, &i); err != nil {
				t.Error(err)
			}
			again, err := c.Submit(t.Context(), linked(g, i)...)
			if err != nil || there == 2 && (again[0] != a.recorded[0] || again[1] != a.recorded[1]) {
				t.Errorf("%s stood at %v and stands at %v: %v", a.reference, a.recorded, again, err)
			}
		})
	}
	wg.Wait()
	check(t, db)
	if got, want := balance(t, db, "b").Posted, int64(4*len(acks)); got != want {
		t.Errorf("b has %d, want %d", got, want)
	}
	return lost
}

// halves tells how many of each group's two transfers are there.
func halves(t *testing.T, db *sqldb.DB, acks []ack) []int {
	t.Helper()
	there := make([]int, len(acks))
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		for i, a := range acks {
			for _, r := range []string{a.reference, a.reference + "/b"} {
				_, found, err := ledger.Find(tx, r)
				if err != nil {
					return err
				}
				if found {
					there[i]++
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}
