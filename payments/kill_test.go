package payments_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/crash"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
)

// storyRole is the child that plays stories until it is killed; its arguments
// are the database, how late its clock is in minutes, and a word that makes its
// stories' names unique.
const storyRole = "stories"

// Roles of the children that these tests kill.
var roles = crash.Roles{storyRole: playStories, orderRole: workOrders}

// storytellers is how many stories a child plays at a time.
const storytellers = 8

// playStories says "began NAME" before a story and "ack NAME STEP ANSWER" after each step.
func playStories(args []string) error {
	minutes, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	n, err := openNode(sqldb.Config{URL: args[0], CheckpointPages: 100}, time.Duration(minutes)*time.Minute)
	if err != nil {
		return err
	}
	errs := make([]error, storytellers)
	var wg sync.WaitGroup
	for g := range storytellers {
		wg.Go(func() {
			for i := g; errs[g] == nil; i++ {
				errs[g] = tellStory(n, fmt.Sprintf("%s:%s.%d.%d", stories[i%len(stories)].kind, args[2], g, i))
			}
		})
	}
	wg.Wait() // until it is killed
	return errors.Join(errs...)
}

func tellStory(n *faultNode, name string) error {
	crash.Say("began %s", name)
	p := &player{ctx: context.Background(), n: n, name: name, heard: func(step, answer string) { crash.Say("ack %s %s %s", name, step, answer) }}
	kindOf(name).play(p)
	return p.err
}

// hear notes what a child said.
func (w *witness) hear(t testing.TB, lines []string) {
	t.Helper()
	for _, line := range lines {
		switch f := strings.Fields(line); {
		case len(f) == 2 && f[0] == "began":
			w.begin(f[1])
		case len(f) == 4 && f[0] == "ack":
			w.ack(t, f[1], f[2], f[3])
		default:
			t.Errorf("the child said %q", line)
		}
	}
}

// TestKilled_AtRandomPointsLosesAndDoublesNothing kills a process that plays
// stories as fast as it can, again and again on the same database.
func TestKilled_AtRandomPointsLosesAndDoublesNothing(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { killRounds(t, filepath.Join(t.TempDir(), "killed.db"), 6) })
	sqldbtest.OnPostgres(t, func(t *testing.T, url string) { killRounds(t, url, 2) })
}

func killRounds(t *testing.T, url string, rounds int) {
	w := newWitness()
	for round := range rounds {
		child := crash.Start(t, storyRole, url, strconv.Itoa(2*round), strconv.Itoa(round))
		first := child.Await()
		w.hear(t, append([]string{first}, child.KillAfter(rand.N(150*time.Millisecond))...)) //nolint:gosec // a random moment
		n, err := openNode(sqldb.Config{URL: url}, time.Duration(2*round+1)*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		n.survived(t, w)
		if err := n.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	t.Logf("%d stories, %d answers", len(w.began), w.count())
}
