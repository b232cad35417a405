package payments_test

import (
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
)

// jointWorld is a world in which what is asked while a first request is kept
// waiting shares a commit.
type jointWorld struct {
	*world
	counted *prometheus.Registry
	first   string // the payment whose hold waits
	stands  chan struct{}
	free    chan struct{}
}

func eachJoint(t *testing.T, f func(t *testing.T, w *jointWorld)) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := &jointWorld{counted: prometheus.NewRegistry(), stands: make(chan struct{}), free: make(chan struct{})}
		w.world = newWorld(t, db, payments.Config{FeeBasisPoints: 100}, func(d *payments.Deps) {
			d.Metrics, d.Digester = w.counted, w.digest
		})
		w.fund("buyer", 10_000)
		w.first = w.request(1, payments.ConfirmNone).ID
		f(t, w)
	})
}

// digest stops where the first request is decided.
func (w *jointWorld) digest(s payments.Snapshot) ([]byte, string, error) {
	if s.Payment == w.first {
		close(w.stands)
		<-w.free
	}
	return digest(s)
}

// metric returns a metric of the ledger's committer.
func (w *jointWorld) metric(name string) *dto.Metric {
	w.t.Helper()
	families, err := w.counted.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "parley_ledger_"+name {
			return f.GetMetric()[0]
		}
	}
	w.t.Fatalf("there is no %s", name)
	return nil
}

// together asks all at once and returns in how many commits it was answered.
func (w *jointWorld) together(asked ...func()) uint64 {
	w.t.Helper()
	commits := func() uint64 { return w.metric("commit_groups").GetHistogram().GetSampleCount() }
	var wg sync.WaitGroup
	wg.Go(func() { w.must(w.Hold(w.t.Context(), w.as("buyer"), w.first, 0)) })
	<-w.stands
	before := commits()
	for _, ask := range asked {
		wg.Go(ask)
	}
	await(w.t, func() bool { return w.metric("queue_length").GetGauge().GetValue() == float64(len(asked)) })
	close(w.free)
	wg.Wait()
	return commits() - before - 1
}

// TestTogether_EachGetsItsOwnAnswerAndLeavesTheOthersAlone has commands of many
// kinds in one commit: what happens, what is refused by a state or for the
// funds, a key that comes twice and a payment that is asked for twice. Each
// answer is the one that comes again under its key.
func TestTogether_EachGetsItsOwnAnswerAndLeavesTheOthersAlone(t *testing.T) {
	eachJoint(t, func(t *testing.T, w *jointWorld) {
		a, b, c, e := w.request(1_000, payments.ConfirmNone), w.request(2_000, payments.ConfirmNone), w.held(500, payments.ConfirmNone), w.captured(800)
		poor, err := w.Create(t.Context(), w.as("server"), payments.CreateInput{Payer: "poor", Payee: "seller", Amount: 100, Currency: "EUR", Confirm: payments.ConfirmNone})
		if err != nil {
			t.Fatal(err)
		}
		type call struct {
			key  string
			do   func(a payments.Actor) (payments.Payment, error)
			want error
		}
		hold := func(id string) func(payments.Actor) (payments.Payment, error) {
			return func(a payments.Actor) (payments.Payment, error) { return w.Hold(t.Context(), a, id, 0) }
		}
		create := func(a payments.Actor) (payments.Payment, error) {
			return w.Create(t.Context(), a, payments.CreateInput{Payer: "buyer", Payee: "other", Amount: 7, Currency: "EUR", Confirm: payments.ConfirmNone})
		}
		calls := []call{
			{"a", hold(a.ID), nil},
			{"b", hold(b.ID), nil},
			{"poor", hold(poor.ID), payments.ErrInsufficientFunds},
			{"c", func(a payments.Actor) (payments.Payment, error) { return w.Capture(t.Context(), a, c.ID, 200) }, nil},
			{"void", func(a payments.Actor) (payments.Payment, error) { return w.Void(t.Context(), a, e.ID) }, payments.ErrState},
			{"unknown", hold("pay_unknown"), payments.ErrUnknown},
			{"new", create, nil},
			{"new", create, nil},
		}
		answers, errs := make([]payments.Payment, len(calls)), make([]error, len(calls))
		asked := make([]func(), len(calls))
		for i, c := range calls {
			asked[i] = func() { answers[i], errs[i] = c.do(payments.Actor{Server: true, Key: c.key}) }
		}
		if commits := w.together(asked...); commits != 2 { // the second has only the key that came twice
			t.Errorf("%d commits, want 2", commits)
		}
		w.fund("poor", 1_000) // too late: its refusal is remembered
		for i, c := range calls {
			if !errors.Is(errs[i], c.want) || c.want == nil && errs[i] != nil {
				t.Errorf("%s: %v, want %v", c.key, errs[i], c.want)
			}
			again, err := c.do(payments.Actor{Server: true, Key: c.key})
			if !reflect.DeepEqual(again, answers[i]) || !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("%s again: %+v, %v; at first %+v", c.key, again, err, answers[i])
			}
		}
		if answers[6].ID != answers[7].ID {
			t.Errorf("one key made %s and %s", answers[6].ID, answers[7].ID)
		}
		if got, want := w.available("seller"), int64(792+198); got != want {
			t.Errorf("the seller has %d, want %d", got, want)
		}
		if got, want := w.posted("user:buyer:held"), int64(1+1_000+2_000); got != want {
			t.Errorf("%d are held, want %d", got, want)
		}
		if got := w.changes(c.ID); !slices.Equal(got, []string{"requested", "held", "captured"}) {
			t.Errorf("events %v", got)
		}
		w.check()
	})
}

// TestTogether_TheLastOfTheMoneyGoesOnce has twelve holds in one commit where
// the money is enough for three, and three voids of one hold.
func TestTogether_TheLastOfTheMoneyGoesOnce(t *testing.T) {
	eachJoint(t, func(t *testing.T, w *jointWorld) {
		var held, voided atomic.Int64
		var asked []func()
		for range 12 {
			id := w.request(3_000, payments.ConfirmNone).ID
			asked = append(asked, func() {
				switch _, err := w.Hold(t.Context(), w.as("buyer"), id, 0); {
				case err == nil:
					held.Add(1)
				case !errors.Is(err, payments.ErrInsufficientFunds):
					t.Error(err)
				}
			})
		}
		other := w.held(500, payments.ConfirmNone).ID
		for range 3 {
			asked = append(asked, func() {
				switch _, err := w.Void(t.Context(), w.as("buyer"), other); {
				case err == nil:
					voided.Add(1)
				case !errors.Is(err, payments.ErrState):
					t.Error(err)
				}
			})
		}
		w.together(asked...)
		if held.Load() != 3 || voided.Load() != 1 || w.posted("user:buyer:held") != 9_001 {
			t.Errorf("%d holds and %d voids went through, %d are held", held.Load(), voided.Load(), w.posted("user:buyer:held"))
		}
		w.check()
	})
}
