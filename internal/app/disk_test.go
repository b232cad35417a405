package app_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"parley/wire"
)

// TestDisk_FullRefusesWritesAndGoesOnWhenThereIsRoom takes a node the room on
// its disk while people ask for money, and gives it back.
func TestDisk_FullRefusesWritesAndGoesOnWhenThereIsRoom(t *testing.T) {
	dir := t.TempDir()
	n, child := childNode(t, dir)
	s := &requests{n: n, ids: map[string]string{}}
	s.send(t, 0, 20)
	log, err := os.Stat(filepath.Join(dir, "parley.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	child.LimitFiles(uint64(log.Size()) + 150_000)
	full := s.send(t, 20, 220)
	if full == 0 {
		t.Fatal("nothing was refused")
	}
	if b := available(n, "buyer"); b != 50000 { // reading goes on
		t.Errorf("buyer has %d", b)
	}
	child.LimitFiles(math.MaxUint64)
	if again := s.send(t, 0, 220); again != 0 { // the same keys
		t.Errorf("%d refused although there is room", again)
	}
	n.stop()
	n = startChild(t, dir)
	for i := range 220 {
		s.same(t, n, i)
	}
	n.stop()
	checkLedger(t, dir)
}

// requests are payments asked for by number, each under a key of its own.
type requests struct {
	n   *node
	mu  sync.Mutex
	ids map[string]string // by key
}

// ask asks for the i-th payment.
func (s *requests) ask(t *testing.T, n *node, i int) (key, id string, err error) {
	key = fmt.Sprint("disk-", i)
	var p struct{ ID string }
	err = n.server("").Do(t.Context(), "POST", "/v1/payments", key, object{"payer": "buyer", "payee": "seller", "amount": 100 + i, "currency": "EUR", "confirm": "none"}, &p)
	return key, p.ID, err
}

// send asks for payments from several clients and returns how many were
// refused; whoever was answered must be told of the same payment again.
func (s *requests) send(t *testing.T, from, to int) (refused int) {
	t.Helper()
	next := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range next {
				key, id, err := s.ask(t, s.n, i)
				var p *wire.Problem
				s.mu.Lock()
				switch {
				case err == nil && (s.ids[key] == "" || s.ids[key] == id):
					s.ids[key] = id
				case errors.As(err, &p) && p.Status == 503 && (p.Code == "database_unavailable" || p.Code == "ledger_unavailable") && p.RetryAfter > 0:
					refused++
				default:
					t.Errorf("%s: %s after %s, %v", key, id, s.ids[key], err)
				}
				s.mu.Unlock()
			}
		})
	}
	for i := from; i < to; i++ {
		next <- i
	}
	close(next)
	wg.Wait()
	return refused
}

// same verifies that a node that has just started answers with the payment of before.
func (s *requests) same(t *testing.T, n *node, i int) {
	t.Helper()
	if key, id, err := s.ask(t, n, i); err != nil || id != s.ids[key] {
		t.Errorf("%s: %s, was %s, %v", key, id, s.ids[key], err)
	}
}
