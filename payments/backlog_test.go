package payments_test

import (
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
)

func TestBacklog_CountsDeadlinesUntilTheyTakeEffect(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{HoldFor: time.Hour})
		w.fund("buyer", 5_000)
		w.held(1_000, "none")
		backlog := func() payments.Backlog {
			t.Helper()
			b, err := w.Backlog(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		if b := backlog(); b.Overdue != 0 || b.OldestOverdue != 0 {
			t.Errorf("%+v before the deadline", b)
		}
		w.clock.Advance(time.Hour + 5*time.Minute)
		if b := backlog(); b.Overdue != 1 || b.OldestOverdue < 5*time.Minute || b.OldestOverdue > 6*time.Minute {
			t.Errorf("%+v five minutes after the deadline", b)
		}
		if _, err := w.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b := backlog(); b.Overdue != 0 {
			t.Errorf("%+v after the sweep", b)
		}
	})
}
