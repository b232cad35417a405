package webhook_test

import (
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/webhook"
)

func TestBacklog_TellsWhatWaitsAndForHowLong(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		k := newKit(t, db, webhook.Config{})
		hook := k.create("http://127.0.0.1:1/")
		want := func(pending int, atLeast, atMost time.Duration) {
			t.Helper()
			b, err := k.Backlog(t.Context())
			if err != nil || b.Pending != pending || b.OldestDue < atLeast || b.OldestDue > atMost || b.Dead != 0 {
				t.Errorf("%+v, %v; want %d pending, the oldest for %v to %v", b, err, pending, atLeast, atMost)
			}
		}
		want(0, 0, 0)
		k.emit(k.event("pay_1", 1), k.event("pay_1", 2), k.event("pay_2", 1))
		k.clock.Advance(time.Minute)
		want(3, time.Minute, 2*time.Minute)
		off := true
		if _, err := k.Update(t.Context(), server, hook.ID, webhook.Change{Disabled: &off}); err != nil {
			t.Fatal(err)
		}
		want(3, 0, 0) // nothing is due to a disabled endpoint
	})
}
