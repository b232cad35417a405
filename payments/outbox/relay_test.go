package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"parley/internal/clock"
	"parley/internal/crash"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments/outbox"
)

func TestMain(m *testing.M) {
	crash.Main(crash.Roles{"writer": writeAndWait})
	goleak.VerifyTestMain(m)
}

// inbox is what a consumer inside the database keeps; without a key of its own, so that a second delivery shows.
var inbox = fstest.MapFS{"00001_t.sql": {Data: []byte("-- +goose Up\nCREATE TABLE inbox (seq BIGINT NOT NULL, id TEXT NOT NULL);\n")}}

func schemas() sqldbtest.Schemas {
	return sqldbtest.Schemas{"outbox": outbox.Schema(), "inbox": inbox}
}

func event(object string, n int) outbox.Event {
	return outbox.Event{ID: fmt.Sprintf("evt_%s_%d", object, n), Type: "payment.updated", Object: object, Time: time.UnixMilli(1_700_000_000_000).UTC(),
		Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n)), Audience: outbox.Audience{Conversation: "conv_1", Users: []string{"a", "b"}}}
}

func write(t testing.TB, db *sqldb.DB, relay *outbox.Relay, ev outbox.Event) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		if relay != nil {
			tx.AfterCommit(relay.Wake)
		}
		_, err := outbox.Append(tx, ev)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// keep is a consumer that writes what it hears into the same database.
func keep(tx *sqldb.Tx, ev outbox.Event) error {
	_, err := tx.Exec("INSERT INTO inbox (seq, id) VALUES (?, ?)", ev.Seq, ev.ID)
	return err
}

func kept(t testing.TB, db *sqldb.DB) (seqs []int64) {
	t.Helper()
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT seq FROM inbox")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var n int64
			if err := rows.Scan(&n); err != nil {
				return err
			}
			seqs = append(seqs, n)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return seqs
}

// running runs a relay until the returned function is called.
func running(t testing.TB, r *outbox.Relay) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// hear returns n values from c, or fails when they do not come.
func hear(t testing.TB, c <-chan int64, n int) (got []int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for range n {
		select {
		case v := <-c:
			got = append(got, v)
		case <-ctx.Done():
			t.Fatalf("heard %v, then nothing", got)
		}
	}
	return got
}

func upTo(n int) (all []int64) {
	for i := range n {
		all = append(all, int64(i+1))
	}
	return all
}

func TestAppend_NumbersWithoutHolesUnderConcurrency(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		heard := make(chan int64, 200)
		relay := outbox.NewRelay(db, clock.System{}, outbox.Config{Batch: 7})
		last := map[string]int64{}
		relay.Outside("watch", func(_ context.Context, ev outbox.Event) error {
			if ev.ObjectSeq != last[ev.Object]+1 {
				t.Errorf("%s: %d after %d", ev.Object, ev.ObjectSeq, last[ev.Object])
			}
			last[ev.Object] = ev.ObjectSeq
			heard <- ev.Seq
			return nil
		})
		defer running(t, relay)()
		var wg sync.WaitGroup
		for g := range 10 {
			wg.Go(func() {
				for i := range 12 {
					write(t, db, relay, event(fmt.Sprintf("pay%d", g%3), g*100+i))
				}
			})
		}
		wg.Wait()
		if got := hear(t, heard, 120); !slices.Equal(got, upTo(120)) {
			t.Errorf("heard %v", got)
		}
	})
}

func TestRelay_DeliversWhatItWasGivenWhenTheDoorbellRings(t *testing.T) {
	db := sqldbtest.Open(t, schemas())
	relay := outbox.NewRelay(db, clock.System{}, outbox.Config{Poll: time.Hour})
	got := make(chan outbox.Event, 2)
	relay.Outside("watch", func(_ context.Context, ev outbox.Event) error { got <- ev; return nil })
	defer running(t, relay)()
	want := event("pay1", 1)
	write(t, db, relay, want)
	ev := <-got
	want.Seq, want.ObjectSeq = 1, 1
	if fmt.Sprintf("%+v", ev) != fmt.Sprintf("%+v", want) {
		t.Errorf("got %+v, want %+v", ev, want)
	}
	write(t, db, relay, event("pay1", 2)) // nobody polls for an hour
	if ev := <-got; ev.ObjectSeq != 2 {
		t.Errorf("then %+v", ev)
	}
}

func TestRelay_InTxTakesEffectOnceThoughItFailsAndTwoNodesRunIt(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		done := make(chan int64, 100)
		var mu sync.Mutex
		failures := 3
		node := func() *outbox.Relay {
			r := outbox.NewRelay(db, clock.System{}, outbox.Config{Batch: 4, Poll: 10 * time.Millisecond})
			r.InTx("log", func(tx *sqldb.Tx, ev outbox.Event) error {
				if err := keep(tx, ev); err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				if ev.Seq == 6 && failures > 0 {
					failures--
					return errors.New("not now") // after it wrote: that must be undone
				}
				tx.AfterCommit(func() { done <- ev.Seq })
				return nil
			})
			return r
		}
		one, two := node(), node()
		defer running(t, one)()
		defer running(t, two)()
		for i := range 20 {
			write(t, db, one, event("pay1", i))
			two.Wake()
		}
		hear(t, done, 20)
		if got := kept(t, db); !slices.Equal(got, upTo(20)) {
			t.Errorf("kept %v", got)
		}
	})
}

func TestRelay_OutsideComesAgainFromTheOneThatFailed(t *testing.T) {
	db := sqldbtest.Open(t, schemas())
	for i := range 5 {
		write(t, db, nil, event("pay1", i))
	}
	relay := outbox.NewRelay(db, clock.System{}, outbox.Config{Poll: 5 * time.Millisecond})
	heard := make(chan int64, 20)
	tries := 0
	relay.Outside("webhook", func(_ context.Context, ev outbox.Event) error {
		heard <- ev.Seq
		if tries++; ev.Seq == 3 && tries < 5 {
			return errors.New("unreachable")
		}
		return nil
	})
	stop := running(t, relay)
	if got, want := hear(t, heard, 7), []int64{1, 2, 3, 3, 3, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("heard %v, want %v", got, want)
	}
	stop()
	write(t, db, nil, event("pay1", 5))
	defer running(t, relay)()
	if got := hear(t, heard, 1); got[0] != 6 {
		t.Errorf("after a restart heard %v", got)
	}
}

func TestRelay_PollsWhenNobodyRings(t *testing.T) {
	db := sqldbtest.Open(t, schemas())
	shifted := &clock.Shifted{}
	relay := outbox.NewRelay(db, shifted, outbox.Config{Poll: time.Hour})
	heard := make(chan int64, 4)
	relay.Outside("watch", func(_ context.Context, ev outbox.Event) error { heard <- ev.Seq; return nil })
	write(t, db, nil, event("pay1", 0))
	defer running(t, relay)()
	hear(t, heard, 1)
	write(t, db, nil, event("pay1", 1))
	for len(heard) == 0 { // the relay may not be waiting yet: move the clock until it has heard
		shifted.Advance(time.Hour)
		if err := db.View(t.Context(), func(*sqldb.Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRelay_KilledBetweenCommitAndDelivery kills a process that has committed
// an event and not delivered it; the next one delivers it, once.
func TestRelay_KilledBetweenCommitAndDelivery(t *testing.T) {
	path := filepath.Join(t.TempDir(), "killed.db")
	child := crash.Start(t, "writer", path)
	if line := child.Await(); line != "committed" {
		t.Fatalf("child said %q", line)
	}
	child.Kill()

	for restart := range 2 { // the second time the first event must not come again
		db, stopDB := reopen(t, path)
		if restart == 1 {
			write(t, db, nil, event("pay1", 2))
		}
		relay := outbox.NewRelay(db, clock.System{}, outbox.Config{})
		done := make(chan int64, 4)
		relay.InTx("log", func(tx *sqldb.Tx, ev outbox.Event) error {
			tx.AfterCommit(func() { done <- ev.Seq })
			return keep(tx, ev)
		})
		stop := running(t, relay)
		hear(t, done, 1)
		stop()
		if got := kept(t, db); !slices.Equal(got, upTo(restart+1)) {
			t.Errorf("after restart %d kept %v", restart, got)
		}
		stopDB()
	}
}

func reopen(t *testing.T, path string) (*sqldb.DB, func()) {
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: path})
	if err != nil {
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

// writeAndWait is the child: it commits one event, says so, and waits to be killed.
func writeAndWait(args []string) error {
	ctx := context.Background()
	db, err := sqldb.Open(ctx, sqldb.Config{URL: args[0]})
	if err != nil {
		return err
	}
	if err := errors.Join(db.Migrate(ctx, "outbox", outbox.Schema()), db.Migrate(ctx, "inbox", inbox)); err != nil {
		return err
	}
	go func() { _ = db.Run(ctx) }()
	err = db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := outbox.Append(tx, event("pay1", 1))
		return err
	})
	if err != nil {
		return err
	}
	crash.Say("committed")
	crash.Wait()
	return nil
}
