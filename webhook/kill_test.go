package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"parley/internal/clock"
	"parley/internal/crash"
	"parley/internal/sqldb"
	"parley/payments/outbox"
	"parley/webhook"
	"parley/wire"
)

// consumer is a service as the outbox feeds it.
func consumer(s *webhook.Service) func(tx *sqldb.Tx, ev outbox.Event) error {
	return func(tx *sqldb.Tx, ev outbox.Event) error {
		return s.Consume(tx, webhook.Event{ID: wire.EventID(ev.ID), Type: ev.Type, Object: ev.Object, Seq: ev.ObjectSeq, Time: ev.Time, Data: ev.Data})
	}
}

// open returns a running database; stop ends it.
func open(path string) (db *sqldb.DB, stop func() error, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	db, err = sqldb.Open(ctx, sqldb.Config{URL: path})
	if err == nil {
		err = errors.Join(db.Migrate(ctx, "outbox", outbox.Schema()), db.Migrate(ctx, "webhook", webhook.Schema()))
	}
	if err != nil {
		cancel()
		return nil, nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	return db, func() error {
		cancel()
		return errors.Join(<-ended, db.Close())
	}, nil
}

// commitAndWait is the child: an endpoint and events in the outbox are
// committed, nothing is consumed, and it waits to be killed. Its arguments are
// the database and the endpoint's URL.
func commitAndWait(args []string) error {
	db, _, err := open(args[0])
	if err != nil {
		return err
	}
	if _, err = webhook.New(webhook.Config{AllowPrivate: true}, webhook.Deps{DB: db, Clock: clock.System{}}).Create(context.Background(), server, webhook.Change{URL: &args[1]}); err != nil {
		return err
	}
	for n := range 3 {
		err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
			_, err := outbox.Append(tx, outbox.Event{
				ID: fmt.Sprint("evt_a_", n+1), Type: "payment.held", Object: "a", Time: time.Now().Add(time.Second), Data: json.RawMessage(`{}`),
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	crash.Say("committed")
	crash.Wait()
	return nil
}

func TestKill_BetweenCommitAndDeliveryLosesAndDoublesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "killed.db")
	rec := receive(t, nil)
	child := crash.Start(t, "writer", path, rec.URL)
	if line := child.Await(); line != "committed" {
		t.Fatalf("child said %q", line)
	}
	child.Kill()

	for round := range 2 { // the second finds nothing left to do
		db, stopDB, err := open(path)
		if err != nil {
			t.Fatal(err)
		}
		k := newKit(t, db, webhook.Config{})
		relay := outbox.NewRelay(db, k.clock, outbox.Config{})
		relay.InTx("webhooks", consumer(k.Service))
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- relay.Run(ctx) }()
		stop := run(t, k.Service)
		all, err := k.List(t.Context(), server)
		if err != nil || len(all) != 1 {
			t.Fatalf("%v, %v", all, err)
		}
		if round == 0 {
			same(t, rec.ids(3), []string{"evt_a_1", "evt_a_2", "evt_a_3"})
		} else if tested, err := k.Test(t.Context(), server, all[0].ID, ""); err != nil {
			t.Fatal(err)
		} else {
			same(t, rec.ids(1), []string{string(tested.Event)})
		}
		k.quiet(all[0].ID) // what is cut off before its outcome is written comes again
		stop()
		cancel()
		if err := errors.Join(<-ended, stopDB()); err != nil {
			t.Error(err)
		}
	}
	if len(rec.heard) != 0 {
		t.Errorf("%d came too often", len(rec.heard))
	}
}
