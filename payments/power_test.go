package payments_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"parley/internal/crash"
	"parley/internal/sqldb"
)

// powerRun is a load of stories on one database, with how far the log reached
// when each answer was given.
type powerRun struct {
	*witness
	image *crash.Image
	// reached says by story and step up to where the log must be there for the answer to be.
	reached map[string]map[string]crash.Position
}

// runPower plays stories and copies database and log at their end, still open.
func runPower(t *testing.T, checkpointPages int) *powerRun {
	t.Helper()
	path := filepath.Join(t.TempDir(), "power.db")
	n, err := openNode(sqldb.Config{URL: path, CheckpointPages: checkpointPages}, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := &powerRun{witness: newWitness(), reached: map[string]map[string]crash.Position{}}
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Go(func() {
			for i := range len(stories) {
				r.tell(t, n, path, fmt.Sprintf("%s:%d", stories[i].kind, g))
			}
		})
	}
	wg.Wait()
	n.settle(t) // so that nobody writes now
	if r.image, err = crash.TakeImage(path); err != nil {
		t.Fatal(err)
	}
	if err := n.stop(); err != nil {
		t.Error(err)
	}
	return r
}

func (r *powerRun) tell(t *testing.T, n *faultNode, path, name string) {
	r.begin(name)
	r.mu.Lock()
	reached := map[string]crash.Position{}
	r.reached[name] = reached
	r.mu.Unlock()
	p := &player{ctx: t.Context(), n: n, name: name, heard: func(step, answer string) {
		at, err := crash.LogPosition(path)
		if err != nil {
			t.Error(err)
		}
		r.ack(t, name, step, answer)
		r.mu.Lock()
		defer r.mu.Unlock()
		reached[step] = at
	}}
	kindOf(name).play(p)
	if p.err != nil {
		t.Error(p.err)
	}
}

// after opens what a cut has left and verifies it. What was acknowledged before
// the cut answers the same; whole also leads all stories to their ends.
func (r *powerRun) after(t *testing.T, path string, keeps func(crash.Position) bool, whole bool) {
	t.Helper()
	n, err := openNode(sqldb.Config{URL: path}, 2*time.Minute)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() {
		if err := n.stop(); err != nil {
			t.Error(err)
		}
	}()
	kept := newWitness()
	for name, steps := range r.acks {
		kept.acks[name] = map[string]string{}
		for step, answer := range steps {
			if keeps(r.reached[name][step]) {
				kept.acks[name][step] = answer
			}
		}
	}
	if whole {
		kept.began = r.began
		n.survived(t, kept)
		return
	}
	n.whole(t)
	for name, steps := range kept.acks {
		p := &player{ctx: t.Context(), n: n, name: name, heard: func(step, answer string) { kept.ack(t, name, step, answer) },
			until: func(step string) bool { return steps[step] == "" }}
		kindOf(name).play(p)
		if p.err != nil {
			t.Error(p.err)
		}
	}
	n.whole(t)
}

// TestPower_CutsOfTheLogKeepWhatWasAcknowledged loses the end of the
// write-ahead log, or finds something else in its place, at random points.
//
// Why a cut may be anywhere behind the last acknowledged commit, and nowhere
// before: with synchronous=FULL a commit writes its frames, the last of them
// marked as its end, and syncs the log before it is acknowledged. So up to there
// the disk has it. Frames behind were written but not synced: of them the disk
// may have any sectors, in any order, or what was there before. Each frame
// carries a checksum over all frames before it, so whoever opens the log reads
// up to the last commit in front of the first frame that is not right.
func TestPower_CutsOfTheLogKeepWhatWasAcknowledged(t *testing.T) {
	random := rand.New(rand.NewPCG(rand.Uint64(), 1)) //nolint:gosec // random places
	for _, pages := range []int{1 << 20, 40} {        // one log for all of it, and one that begins anew
		r := runPower(t, pages)
		for i := range 6 {
			cut := r.image.RandomCut(random)
			path := filepath.Join(t.TempDir(), "cut.db")
			if err := r.image.Write(path, cut, random); err != nil {
				t.Fatal(err)
			}
			r.after(t, path, func(at crash.Position) bool { return r.image.Keeps(at, cut) }, i%3 == 0)
			if t.Failed() {
				t.Fatalf("%d pages between checkpoints, %d frames: %v", pages, r.image.Frames(), cut)
			}
		}
	}
}

// TestPower_FailsWhileTheLogIsMovedToTheDatabase tears the database itself: of
// a checkpoint that was under way any sectors may have been written. The log,
// which was synced before, has them all.
func TestPower_FailsWhileTheLogIsMovedToTheDatabase(t *testing.T) {
	random := rand.New(rand.NewPCG(rand.Uint64(), 2)) //nolint:gosec // random sectors
	r := runPower(t, 1<<20)
	path := filepath.Join(t.TempDir(), "moved.db")
	if err := r.image.Write(path, r.image.Uncut(), random); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(context.Background(), sqldb.Config{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil { // moves the log
		t.Fatal(err)
	}
	moved, err := os.ReadFile(path) //nolint:gosec // the test's own
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		path := filepath.Join(t.TempDir(), "torn.db")
		if err := r.image.WriteTorn(path, moved, random); err != nil {
			t.Fatal(err)
		}
		r.after(t, path, func(crash.Position) bool { return true }, true)
	}
}
