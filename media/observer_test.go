package media_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"parley/media"
	"parley/wire"
)

// witness keeps what an SFU reports.
type witness struct {
	mu     sync.Mutex
	lines  []string
	change chan struct{}
}

func newWitness() *witness { return &witness{change: make(chan struct{})} }

func (w *witness) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf(format, args...))
	close(w.change)
	w.change = make(chan struct{})
}

func (w *witness) Slots(_ wire.CallID, p media.Participant, slots []media.Slot) {
	var users []wire.UserID
	for _, s := range slots {
		users = append(users, s.User)
	}
	slices.Sort(users)
	w.note("slots %s %v", p.User, users)
}

func (w *witness) Speakers(_ wire.CallID, users []wire.UserID)     { w.note("speakers %v", users) }
func (w *witness) Connected(_ wire.CallID, p media.Participant)    { w.note("connected %s", p.User) }
func (w *witness) Disconnected(_ wire.CallID, p media.Participant) { w.note("disconnected %s", p.User) }
func (w *witness) Alive(_ wire.CallID, p media.Participant, last time.Time) {
	if time.Since(last) > 3*time.Second {
		w.note("stale alive %s", p.User)
		return
	}
	w.note("alive %s", p.User)
}

// count returns how often a line was noted.
func (w *witness) count(line string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, l := range w.lines {
		if l == line {
			n++
		}
	}
	return n
}

// waitFor waits until a line was noted n times.
func (w *witness) waitFor(t testing.TB, line string, n int) {
	t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		change := w.change
		w.mu.Unlock()
		if w.count(line) >= n {
			return
		}
		select {
		case <-change:
		case <-deadline:
			w.mu.Lock()
			defer w.mu.Unlock()
			t.Fatalf("%q was not reported %d times; reported: %q", line, n, w.lines)
		}
	}
}
