package payments_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 30*time.Second)
}

func TestKey_FiftyAtOnceAreOnePayment(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := payments.Actor{User: "seller", Key: "one"}
		answers := make([]payments.Payment, 50)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				p, err := w.Create(t.Context(), a, payments.CreateInput{Payer: "buyer", Amount: 700, Currency: "EUR"})
				if err != nil {
					t.Error(err)
				}
				answers[i] = p
			})
		}
		wg.Wait()
		for _, p := range answers {
			if p.ID != answers[0].ID || p.Digest != answers[0].Digest {
				t.Fatalf("two answers to one key: %+v and %+v", p, answers[0])
			}
		}
		if all, _, err := w.List(t.Context(), server, payments.Filter{}); err != nil || len(all) != 1 {
			t.Errorf("%d payments, %v", len(all), err)
		}
	})
}

func TestKey_DoubleTapOfTheLastConfirmationCapturesOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.held(12_000, "")
		w.must(w.confirm(w.as("seller"), p, "t1"))
		a := w.as("buyer")
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				got, err := w.confirm(a, p, "t1")
				if err != nil || got.State != payments.Captured {
					t.Errorf("%+v, %v", got, err)
				}
			})
		}
		wg.Wait()
		if w.available("seller") != 11_880 {
			t.Errorf("seller has %d", w.available("seller"))
		}
	})
}

func TestKey_ReusedForSomethingElseNamesTheField(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.captured(12_000)
		a := payments.Actor{User: "seller", Key: "k"}
		w.must(w.Refund(t.Context(), a, p.ID, 100))
		for field, try := range map[string]func() (payments.Payment, error){
			"amount":    func() (payments.Payment, error) { return w.Refund(t.Context(), a, p.ID, 101) },
			"payment":   func() (payments.Payment, error) { return w.Refund(t.Context(), a, "pay_other", 100) },
			"operation": func() (payments.Payment, error) { return w.Cancel(t.Context(), a, p.ID) },
		} {
			_, err := try()
			var reused *payments.KeyReusedError
			if !errors.As(err, &reused) || reused.Field != field || !errors.Is(err, payments.ErrKeyReused) {
				t.Errorf("got %v, want the field %s", err, field)
			}
		}
		if got := w.must(w.Refund(t.Context(), a, p.ID, 100)); got.Refunded != 100 {
			t.Errorf("the same again: %+v", got)
		}
		// Another caller's key of the same name is another key.
		if got := w.must(w.Refund(t.Context(), payments.Actor{Server: true, Key: "k"}, p.ID, 100)); got.Refunded != 200 {
			t.Errorf("by a server key: %+v", got)
		}
	})
}

func TestKey_IsNeededAndMustBePrintable(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, schemas()), payments.Config{})
	p := w.request(100, "")
	for key, want := range map[string]error{"": payments.ErrKeyMissing, "a b": payments.ErrKeyInvalid, "ü": payments.ErrKeyInvalid, strings.Repeat("x", 256): payments.ErrKeyInvalid} {
		_, err := w.Decline(t.Context(), payments.Actor{User: "buyer", Key: key}, p.ID)
		wantErr(t, err, want)
	}
}

func TestKey_RefusalsThatDependOnStateAreRememberedOthersNot(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.must(w.Create(t.Context(), w.as("server"), payments.CreateInput{Payer: "poor", Payee: "seller", Amount: 100, Currency: "EUR"}))
		a := payments.Actor{User: "poor", Key: "k1"}
		_, err := w.Hold(t.Context(), a, p.ID, 0)
		wantErr(t, err, payments.ErrInsufficientFunds)
		w.fund("poor", 100)
		_, err = w.Hold(t.Context(), a, p.ID, 0)
		wantErr(t, err, payments.ErrInsufficientFunds)
		var again *payments.Refusal
		if !errors.As(err, &again) || again.Code != "insufficient_funds" {
			t.Errorf("the same key after funding: %v", err)
		}
		w.must(w.Hold(t.Context(), payments.Actor{User: "poor", Key: "k2"}, p.ID, 0))

		// A request that could never have worked leaves its key free.
		b := payments.Actor{User: "seller", Key: "k3"}
		in := payments.CreateInput{Payer: "poor", Amount: -1, Currency: "EUR"}
		_, err = w.Create(t.Context(), b, in)
		wantErr(t, err, payments.ErrAmount)
		in.Amount = 5
		w.must(w.Create(t.Context(), b, in))
	})
}

// slowRail answers when told to, and counts orders by reference.
type slowRail struct {
	asked  chan payments.RailOrder
	answer chan error
}

func (slowRail) Name() string { return "slow" }

func (r slowRail) Order(_ context.Context, o payments.RailOrder) (payments.RailOutcome, error) {
	r.asked <- o
	return payments.RailOutcome{Status: payments.RailDone}, <-r.answer
}

// Find implements payments.Rail: nothing got through.
func (slowRail) Find(context.Context, payments.RailOrder, string) (payments.RailOutcome, error) {
	return payments.RailOutcome{Status: payments.RailAbsent}, nil
}

func TestFund_KeyIsInProgressUntilTheRailAnswers(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		rail := slowRail{make(chan payments.RailOrder, 4), make(chan error, 4)}
		w := newWorld(t, db, payments.Config{}, func(d *payments.Deps) { d.Rail = rail })
		a := payments.Actor{Server: true, Key: "k"}
		fund := func() error {
			_, err := w.Fund(t.Context(), a, payments.FundInput{User: "buyer", Amount: 900, Currency: "EUR"})
			return err
		}
		first := make(chan error, 1)
		go func() { first <- fund() }()
		order := <-rail.asked
		wantErr(t, fund(), payments.ErrInProgress)
		rail.answer <- errors.New("connection lost")
		if err := <-first; err == nil {
			t.Error("an unknown outcome was answered as done")
		}
		wantErr(t, fund(), payments.ErrInProgress)

		// The same key asks again later, under the same reference, and books once.
		w.clock.Advance(time.Minute)
		rail.answer <- nil
		if err := fund(); err != nil {
			t.Fatal(err)
		}
		if again := <-rail.asked; again != order {
			t.Errorf("asked for %+v, then for %+v", order, again)
		}
		if err := fund(); err != nil || w.available("buyer") != 900 {
			t.Errorf("%v, buyer has %d", err, w.available("buyer"))
		}
		w.check()
	})
}

func TestFund_OnlyByServerKeysAndWithARail(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, schemas()), payments.Config{})
	_, err := w.Fund(t.Context(), w.as("buyer"), payments.FundInput{User: "buyer", Amount: 1, Currency: "EUR"})
	wantErr(t, err, payments.ErrNotParty)
	none := newWorld(t, w.db, payments.Config{}, func(d *payments.Deps) { d.Rail = nil })
	_, err = none.Fund(t.Context(), w.as("server"), payments.FundInput{User: "buyer", Amount: 1, Currency: "EUR"})
	wantErr(t, err, payments.ErrNoRail)
}
