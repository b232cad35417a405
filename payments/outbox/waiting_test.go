package outbox_test

import (
	"testing"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments/outbox"
)

func TestWaiting_IsWhatAConsumerHasNotHeard(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		relay := outbox.NewRelay(db, clock.System{}, outbox.Config{})
		relay.InTx("inbox", keep)
		want := func(n int64) {
			t.Helper()
			got, err := relay.Waiting(t.Context())
			if err != nil || len(got) != 1 || got["inbox"] != n {
				t.Fatalf("%v, %v, want %d for inbox", got, err, n)
			}
		}
		want(0)
		for n := range 5 {
			write(t, db, nil, event("pay_1", n))
		}
		want(5)
		stop := running(t, relay)
		for len(kept(t, db)) < 5 {
			relay.Wake()
		}
		stop()
		want(0)
	})
}
