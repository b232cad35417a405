package payments_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
)

// due is a kind of deadline: who makes one, and what the object's events are
// once it has passed, however many nodes have looked.
type due struct {
	name string
	make func(w *world) (object string)
	want []string
}

var dues = []due{
	{"request", func(w *world) string { return w.request(100, payments.ConfirmNone).ID }, []string{"requested", "expired"}},
	{"hold", func(w *world) string { return w.held(100, payments.ConfirmNone).ID }, []string{"requested", "held", "voided"}},
	{"rest of a hold", func(w *world) string {
		p := w.held(100, payments.ConfirmNone)
		return w.must(w.CapturePart(w.t.Context(), w.as("server"), p.ID, 40)).ID
	}, []string{"requested", "held", "part_captured", "released"}},
	{"unanswered dispute", func(w *world) string {
		return w.must(w.Report(w.t.Context(), w.as("buyer"), w.captured(100).ID)).ID
	}, []string{"requested", "held", "captured", "disputed", "refunded"}},
	{"undecided dispute", func(w *world) string {
		p := w.must(w.Report(w.t.Context(), w.as("buyer"), w.captured(100).ID))
		return w.must(w.Answer(w.t.Context(), w.as("seller"), p.ID, "sent")).ID
	}, []string{"requested", "held", "captured", "disputed", "answered", "resolved"}},
	{"late payout", func(w *world) string {
		p, err := w.Payout(w.t.Context(), w.as("buyer"), payments.PayoutInput{Amount: 100, Currency: "EUR", Destination: "sandbox:late_success"})
		if err != nil {
			w.t.Fatal(err)
		}
		return p.ID
	}, []string{"queued", "pending", "done"}},
	{"late top-up that is refused", func(w *world) string {
		p, err := w.TopUp(w.t.Context(), w.as("server"), payments.FundInput{User: "buyer", Amount: 100, Currency: "EUR", Account: "sandbox:late_refusal"})
		if err != nil {
			w.t.Fatal(err)
		}
		return p.ID
	}, []string{"queued", "pending", "refused"}},
}

// TestSweep_TwoNodesOnTheSameDeadlinesTellThemOnce has two nodes, with a
// database connection of their own each, sweep everything that is due at the same time.
func TestSweep_TwoNodesOnTheSameDeadlinesTellThemOnce(t *testing.T) {
	sqldbtest.OnPostgres(t, func(t *testing.T, url string) {
		twoNodes(t, sqldbtest.OpenFile(t, url, schemas()), sqldbtest.OpenFile(t, url, nil))
	})
	t.Run("sqlite", func(t *testing.T) { // nodes of one process share the writer
		db := sqldbtest.Open(t, schemas())
		twoNodes(t, db, db)
	})
}

func twoNodes(t *testing.T, first, second *sqldb.DB) {
	w := newWorld(t, first, payments.Config{IfUndecided: payments.ForPayee}, func(d *payments.Deps) { d.Rail = payments.Sandbox{Clock: d.Clock} })
	other := newWorld(t, second, payments.Config{IfUndecided: payments.ForPayee}, func(d *payments.Deps) { d.Clock, d.Rail = w.clock, payments.Sandbox{Clock: w.clock} })
	w.fund("buyer", 100_000)
	w.fund("seller", 100_000)
	objects := map[string]due{}
	for range 3 {
		for _, d := range dues {
			objects[d.make(w)] = d
		}
	}
	for range 18 { // further than every deadline
		sweepBoth(t, w, other)
		w.clock.Advance(60 * time.Hour)
	}
	for object, d := range objects {
		if got := w.changes(object); !slices.Equal(got, d.want) {
			t.Errorf("%s: %v, want %v", d.name, got, d.want)
		}
	}
	w.check()
	if held := w.posted("user:buyer:held"); held != 0 {
		t.Errorf("%d still held", held)
	}
}

// sweepBoth lets each node look twice, all at once.
func sweepBoth(t *testing.T, nodes ...*world) {
	t.Helper()
	errs := make(chan error, 8)
	var all sync.WaitGroup
	for _, n := range nodes {
		for range 2 {
			all.Go(func() {
				_, err := n.Sweep(t.Context())
				errs <- err
			})
			all.Go(func() {
				_, err := n.SweepOrders(t.Context())
				errs <- err
			})
		}
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(fmt.Errorf("sweep: %w", err))
		}
	}
}
