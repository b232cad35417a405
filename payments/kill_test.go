package payments_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/payments"
	"parley/payments/ledger"
)

// killEnv names the database of a child process that works until it is killed.
const killEnv = "PAYMENTS_TEST_WORKER"

// TestCapture_KilledInTheMiddleIsWholeOrNotAtAll kills a process that captures
// as fast as it can. What it acknowledged is captured once, and nothing is half done.
func TestCapture_KilledInTheMiddleIsWholeOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "killed.db")
	acked := map[string]bool{}
	for round := range 4 {
		killWorker(t, path, 10+round*15, acked)
		db := openFile(t, path)
		if _, err := ledger.Check(t.Context(), db.DB, nil); err != nil {
			t.Fatal(err)
		}
		db.explain(t, acked)
		db.stop()
	}
	if len(acked) == 0 {
		t.Error("the worker acknowledged nothing")
	}
}

// killWorker starts a worker and kills it once it has acknowledged n captures more.
func killWorker(t *testing.T, path string, n int, acked map[string]bool) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), killEnv+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for ; n > 0 && lines.Scan(); n-- {
		acked[lines.Text()] = true
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // acknowledged before the kill took effect
		if id := lines.Text(); len(id) == len("pay_")+26 {
			acked[id] = true
		}
	}
	_ = child.Wait() // killed
	if n > 0 {
		t.Fatalf("the worker ended by itself: %v", acked)
	}
}

type file struct {
	*sqldb.DB
	stop func()
}

func openFile(t *testing.T, path string) file {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	return file{db, func() {
		cancel()
		if err := errors.Join(<-ended, db.Close()); err != nil {
			t.Error(err)
		}
	}}
}

// explained says what belongs to each state of a worker's payment.
var explained = map[string]string{
	"requested":  "held 0, captured 0, holds 0, captures 0, events 1",
	"held":       "held 100, captured 0, holds 1, captures 0, events 2",
	"confirming": "held 100, captured 0, holds 1, captures 0, events 3",
	"captured":   "held 0, captured 100, holds 1, captures 1, events 5",
}

// explain holds every payment against the transfers and events about it.
func (f file) explain(t *testing.T, acked map[string]bool) {
	t.Helper()
	found := 0
	err := f.View(t.Context(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT i.id, i.state, i.held, i.captured," +
			" (SELECT COUNT(*) FROM ledger_transfers t WHERE t.note = 'hold ' || i.id), (SELECT COUNT(*) FROM ledger_transfers t WHERE t.note = 'capture ' || i.id)," +
			" (SELECT COUNT(*) FROM outbox_events e WHERE e.object = i.id) FROM payments_intents i")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var id, state string
			var held, captured, holds, captures, events int64
			if err := rows.Scan(&id, &state, &held, &captured, &holds, &captures, &events); err != nil {
				return err
			}
			if acked[id] {
				found++
			}
			got := fmt.Sprintf("held %d, captured %d, holds %d, captures %d, events %d", held, captured, holds, captures, events)
			switch {
			case got != explained[state]:
				t.Errorf("%s is %s: %s", id, state, got)
			case acked[id] && state != "captured":
				t.Errorf("%s was acknowledged as captured and is %s", id, state)
			}
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	if found != len(acked) {
		t.Errorf("%d of %d acknowledged payments are there", found, len(acked))
	}
}

// work is the child: live payments confirmed by both, each printed when captured.
func work(path string) {
	ctx := context.Background()
	db, err := sqldb.Open(ctx, sqldb.Config{URL: path})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for owner, files := range schemas() {
		if err := db.Migrate(ctx, owner, files); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	go func() { _ = db.Run(ctx) }()
	s, err := payments.New(payments.Config{FeeBasisPoints: 100, Asking: payments.AskLimits{OpenPerPair: 1 << 20, PerDay: 1 << 20}}, payments.Deps{DB: db, Clock: clock.System{}, Digester: digest, Rail: payments.Sandbox{},
		Sensitive: func(string) bool { return false }})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	run := fmt.Sprint(time.Now().UnixNano())
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id, err := capture(ctx, db, s, fmt.Sprintf("%s-%d-%d", run, g, i))
				if err != nil {
					fmt.Println("failed:", err)
					os.Exit(1)
				}
				fmt.Println(id)
			}
		})
	}
	wg.Wait()
}

// capture takes one payment through the whole path.
func capture(ctx context.Context, db *sqldb.DB, s *payments.Service, key string) (string, error) {
	if _, err := s.Fund(ctx, payments.Actor{Server: true, Key: key}, payments.FundInput{User: "buyer", Amount: 100, Currency: "EUR"}); err != nil {
		return "", err
	}
	p, err := s.Create(ctx, payments.Actor{User: "seller", Key: key}, payments.CreateInput{Payer: "buyer", Amount: 100, Currency: "EUR"})
	if err != nil {
		return "", err
	}
	if p, err = s.Hold(ctx, payments.Actor{User: "buyer", Key: key + "h"}, p.ID, 1); err != nil {
		return "", err
	}
	for _, user := range []string{"seller", "buyer"} {
		err := db.Update(ctx, func(tx *sqldb.Tx) error {
			_, err := s.ConfirmTx(tx, payments.Confirmation{By: payments.Actor{User: user, Key: key + "c"}, Payment: p.ID, Version: 1, Digest: p.Digest, Call: "call_1", Transcript: "t1"})
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return p.ID, nil
}
