package payments_test

import (
	"slices"
	"testing"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
)

func TestLive_SecondConfirmationCapturesInOneTransaction(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{FeeBasisPoints: 100})
		w.fund("buyer", 50_000)
		p := w.held(12_000, "")
		if p.State != payments.Held || p.Version != 1 || p.HoldExpires == nil || w.available("buyer") != 38_000 || w.posted("user:buyer:held") != 12_000 {
			t.Fatalf("after hold: %+v", p)
		}
		first := w.must(w.confirm(w.as("buyer"), p, "t1"))
		if first.State != payments.Confirming || !slices.Equal(first.ConfirmedBy, []string{"payer"}) || first.ConfirmBefore == nil {
			t.Fatalf("after the first: %+v", first)
		}
		second := w.must(w.confirm(w.as("seller"), p, "t1"))
		if second.State != payments.Captured || second.Captured != 12_000 || second.Fee != 120 {
			t.Fatalf("after the second: %+v", second)
		}
		if w.available("seller") != 11_880 || w.posted("fees") != 120 || w.posted("user:buyer:held") != 0 {
			t.Error("money is not where it should be")
		}
		want := []string{"requested", "held", "confirming", "confirmed", "captured"}
		if got := w.changes(p.ID); !slices.Equal(got, want) {
			t.Errorf("events %v, want %v", got, want)
		}
		w.check()
	})
}
