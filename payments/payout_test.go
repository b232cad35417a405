package payments_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
)

// eachRail runs f on every database with a rail made for the world's clock.
func eachRail(t *testing.T, rail func(w *world) payments.Rail, f func(t *testing.T, w *world)) {
	t.Helper()
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{})
		w.Service = w.node(rail(w))
		f(t, w)
		w.check()
		w.explained()
	})
}

// explained holds payments and orders to their transfers.
func (w *world) explained() {
	w.t.Helper()
	if err := w.db.View(w.t.Context(), payments.ExplainTx); err != nil {
		w.t.Error(err)
	}
}

// TestExplain_FindsAnOrderThatIsGone: money on its way out without an order is named.
func TestExplain_FindsAnOrderThatIsGone(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{})
		w.fund("buyer", 1_000)
		p := w.payout(600, "iban")
		w.explained()
		err := w.db.Update(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec("DELETE FROM payments_orders WHERE id = ?", p.ID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var unexplained *payments.Unexplained
		if err := w.db.View(t.Context(), payments.ExplainTx); !errors.As(err, &unexplained) || unexplained.What != "account user:buyer:payout EUR" {
			t.Errorf("%v", err)
		}
	})
}

// node is another service on the same database and clock.
func (w *world) node(rail payments.Rail) *payments.Service {
	w.t.Helper()
	return newWorld(w.t, w.db, payments.Config{}, func(d *payments.Deps) { d.Rail, d.Clock = rail, w.clock }).Service
}

func sandbox(w *world) payments.Rail { return payments.Sandbox{Clock: w.clock} }

// ordersAfter lets d pass and takes the orders that are due then.
func (w *world) ordersAfter(d time.Duration) {
	w.t.Helper()
	w.clock.Advance(d)
	if _, err := w.SweepOrders(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) payout(amount int64, destination string) payments.Transfer {
	w.t.Helper()
	p, err := w.Payout(w.t.Context(), w.as("buyer"), payments.PayoutInput{Amount: amount, Currency: "EUR", Destination: destination})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) transfer(p payments.Transfer) payments.Transfer {
	w.t.Helper()
	got, err := w.GetTransfer(w.t.Context(), payments.Actor{User: p.User}, p.Kind, p.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// TestPayout_EachOutcomeOfTheSandbox follows a payout of 4000 out of 10000 over time.
func TestPayout_EachOutcomeOfTheSandbox(t *testing.T) {
	type step struct {
		after  time.Duration
		state  payments.OrderState
		reason string
	}
	moments := func(steps ...step) []step { return steps }
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"done", moments(step{0, "done", ""})},
		{"insufficient_funds", moments(step{0, "refused", "AM04"})},
		{"review", moments(step{0, "pending", "review"}, step{time.Hour, "done", ""})},
		{"review_refused", moments(step{0, "pending", "review"}, step{time.Hour, "refused", "RR04"})},
		{"late_success", moments(step{0, "pending", ""}, step{31 * time.Second, "done", ""})},
		{"late_refusal", moments(step{0, "pending", ""}, step{31 * time.Second, "refused", "AC06"})},
		{"tomorrow", moments(step{0, "pending", ""}, step{12 * time.Hour, "pending", ""}, step{12 * time.Hour, "done", ""})},
		{"timeout_done", moments(step{0, "unknown", ""}, step{5 * time.Second, "done", ""})},
		{"timeout_refused", moments(step{0, "unknown", ""}, step{5 * time.Second, "refused", "AM04"})},
		{"timeout_lost", moments(step{0, "unknown", ""}, step{5 * time.Second, "unknown", ""}, step{6 * time.Second, "done", ""})},
		{"timeout_nothing", moments(step{0, "unknown", ""}, step{12 * time.Hour, "unknown", ""}, step{13 * time.Hour, "refused", "AB06"})},
		{"returned", moments(step{0, "done", ""}, step{25 * time.Hour, "returned", "AC04"})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachRail(t, sandbox, func(t *testing.T, w *world) {
				w.fund("buyer", 10_000)
				p := w.payout(4_000, "sandbox:"+tt.name)
				if p.State != payments.OrderQueued || w.available("buyer") != 6_000 || w.posted("user:buyer:payout") != 4_000 {
					t.Fatalf("placed: %+v, available %d", p, w.available("buyer"))
				}
				for _, s := range tt.steps {
					w.ordersAfter(s.after)
					got := w.transfer(p)
					if got.State != s.state || got.Reason != s.reason {
						t.Errorf("after %v: %s %q, want %s %q", s.after, got.State, got.Reason, s.state, s.reason)
					}
					w.holdsTo(t, got)
				}
			})
		})
	}
}

// holdsTo says where the money of a payout of 4000 out of 10000 is in each state.
func (w *world) holdsTo(t *testing.T, p payments.Transfer) {
	t.Helper()
	want := map[payments.OrderState][3]int64{ // available, on its way, outside
		"done": {6_000, 0, -6_000}, "refused": {10_000, 0, -10_000}, "returned": {10_000, 0, -10_000},
	}
	balances, ok := want[p.State]
	if !ok {
		balances = [3]int64{6_000, 4_000, -10_000}
	}
	if got := [3]int64{w.available("buyer"), w.posted("user:buyer:payout"), w.posted("rail:sandbox")}; got != balances {
		t.Errorf("%s: available, on its way, outside are %v, want %v", p.State, got, balances)
	}
}

func TestPayout_TellsItsUserEachChange(t *testing.T) {
	eachRail(t, sandbox, func(t *testing.T, w *world) {
		w.fund("buyer", 10_000)
		p := w.payout(4_000, "sandbox:late_refusal")
		w.ordersAfter(0)
		w.ordersAfter(time.Minute)
		w.ordersAfter(time.Minute) // nothing is left to do
		if got, want := w.changes(p.ID), []string{"queued", "pending", "refused"}; !slices.Equal(got, want) {
			t.Errorf("told %v, want %v", got, want)
		}
	})
}

func TestPayout_NameOfTheHolder(t *testing.T) {
	eachRail(t, sandbox, func(t *testing.T, w *world) {
		w.fund("buyer", 10_000)
		in := payments.PayoutInput{Amount: 100, Currency: "EUR", Destination: "sandbox:close_name", Holder: "A. Buyer"}
		a := w.as("buyer")
		_, err := w.Payout(t.Context(), a, in)
		var mismatch *payments.NameMismatchError
		if !errors.As(err, &mismatch) || mismatch.Match != payments.NameClose || mismatch.Registered != "A. Buyer Ltd" {
			t.Errorf("close name: %v", err)
		}
		in.AcceptName = true // the refusal was no answer: the same key goes on
		p, err := w.Payout(t.Context(), a, in)
		if err != nil || p.NameCheck != payments.NameClose {
			t.Errorf("accepted: %+v, %v", p, err)
		}
		in.AcceptName = false
		again, err := w.Payout(t.Context(), a, in)
		if err != nil || again.ID != p.ID {
			t.Errorf("the same key: %+v, %v", again, err)
		}
		for destination, want := range map[string]error{"sandbox:wrong_name": payments.ErrNameMismatch, "sandbox:no_name_check": nil, "sandbox:iban": nil} {
			in.Destination = destination
			_, err := w.Payout(t.Context(), w.as("buyer"), in)
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", destination, err, want)
			}
		}
	})
}

func TestPayout_OnlyOneselfOrAServerAndOnlyWhatThereIs(t *testing.T) {
	eachRail(t, sandbox, func(t *testing.T, w *world) {
		w.fund("buyer", 1_000)
		in := payments.PayoutInput{User: "buyer", Amount: 600, Currency: "EUR", Destination: "sandbox:done"}
		_, err := w.Payout(t.Context(), w.as("seller"), in)
		wantErr(t, err, payments.ErrNotParty)
		p, err := w.Payout(t.Context(), w.as("server"), in)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Payout(t.Context(), w.as("buyer"), in)
		wantErr(t, err, payments.ErrInsufficientFunds)
		_, err = w.GetTransfer(t.Context(), payments.Actor{User: "seller"}, payments.RailPayout, p.ID)
		wantErr(t, err, payments.ErrOrderUnknown)
		_, err = w.GetTransfer(t.Context(), server, payments.RailFund, p.ID)
		wantErr(t, err, payments.ErrOrderUnknown)
		in.Destination = ""
		_, err = w.Payout(t.Context(), w.as("buyer"), in)
		wantErr(t, err, payments.ErrInput)
		in.Destination = "4111 1111 1111 1111"
		_, err = w.Payout(t.Context(), w.as("buyer"), in)
		wantErr(t, err, payments.ErrSensitive)
	})
}

// TestNudge_AsksBeforeItsTime: a hint makes the rail be asked now, whatever it says.
func TestNudge_AsksBeforeItsTime(t *testing.T) {
	outside := newBank(nil)
	eachRail(t, func(*world) payments.Rail { outside = newBank(nil); return outside }, func(t *testing.T, w *world) {
		w.fund("buyer", 1_000)
		p := w.payout(600, "iban")
		w.ordersAfter(0)
		outside.answer(p.ID, payments.RailRefused) // the bank sent it back
		w.ordersAfter(time.Minute)
		if got := w.transfer(p); got.State != payments.OrderDone {
			t.Fatalf("%+v: asked before anybody said so", got)
		}
		for _, reference := range []string{p.ID, p.ID, "somebody-else"} {
			if err := w.Nudge(t.Context(), reference); err != nil {
				t.Fatal(err)
			}
		}
		w.ordersAfter(0)
		if got := w.transfer(p); got.State != payments.OrderReturned || w.available("buyer") != 1_000 {
			t.Errorf("%+v, available %d", got, w.available("buyer"))
		}
	})
}

// TestRail_TakesBackWhatCannotBeTakenBack: income that the rail denies after it
// was booked stays booked, and is counted for people to look at.
func TestRail_TakesBackWhatCannotBeTakenBack(t *testing.T) {
	outside := newBank(nil)
	counted := prometheus.NewRegistry()
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		outside, counted = newBank(nil), prometheus.NewRegistry()
		w := newWorld(t, db, payments.Config{}, func(d *payments.Deps) { d.Rail, d.Metrics = outside, counted })
		p, err := w.TopUp(t.Context(), w.as("server"), payments.FundInput{User: "buyer", Amount: 600, Currency: "EUR"})
		if err != nil {
			t.Fatal(err)
		}
		w.ordersAfter(0)
		outside.answer(p.ID, payments.RailRefused)
		if err := w.Nudge(t.Context(), p.ID); err != nil {
			t.Fatal(err)
		}
		w.ordersAfter(0)
		if w.available("buyer") != 600 {
			t.Errorf("available %d", w.available("buyer"))
		}
		if err := testutil.GatherAndCompare(counted, strings.NewReader("# HELP parley_payments_rail_contradictions_total Outcomes that the rail took back after they were booked.\n"+
			"# TYPE parley_payments_rail_contradictions_total counter\nparley_payments_rail_contradictions_total 1\n"), "parley_payments_rail_contradictions_total"); err != nil {
			t.Error(err)
		}
		w.check()
	})
}

func TestListTransfers_PagesOfOnesOwn(t *testing.T) {
	eachRail(t, sandbox, func(t *testing.T, w *world) {
		w.fund("buyer", 1_000)
		var placed []string
		for range 5 {
			placed = append(placed, w.payout(10, "sandbox:done").ID)
			w.clock.Advance(time.Millisecond)
		}
		var seen []string
		f := payments.TransferFilter{Kind: payments.RailPayout, Limit: 2}
		for {
			page, next, err := w.ListTransfers(t.Context(), payments.Actor{User: "buyer"}, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page {
				seen = append(seen, p.ID)
			}
			if next == "" {
				break
			}
			f.Cursor = next
		}
		slices.Reverse(seen)
		if !slices.Equal(seen, placed) {
			t.Errorf("%v, want %v", seen, placed)
		}
		none, _, err := w.ListTransfers(t.Context(), payments.Actor{User: "seller"}, payments.TransferFilter{Kind: payments.RailPayout})
		if err != nil || len(none) != 0 {
			t.Errorf("another user sees %v, %v", none, err)
		}
		_, _, err = w.ListTransfers(t.Context(), payments.Actor{User: "seller"}, payments.TransferFilter{Kind: payments.RailPayout, User: "buyer"})
		wantErr(t, err, payments.ErrNotParty)
	})
}

func TestTopUp_IsInTheBalanceOnceDone(t *testing.T) {
	eachRail(t, sandbox, func(t *testing.T, w *world) {
		p, err := w.TopUp(t.Context(), w.as("server"), payments.FundInput{User: "buyer", Amount: 700, Currency: "EUR", Account: "sandbox:late_success"})
		if err != nil {
			t.Fatal(err)
		}
		w.ordersAfter(0)
		if got := w.transfer(p); got.State != payments.OrderPending || w.available("buyer") != 0 {
			t.Errorf("%+v, available %d", got, w.available("buyer"))
		}
		w.ordersAfter(time.Minute)
		if got := w.transfer(p); got.State != payments.OrderDone || w.available("buyer") != 700 {
			t.Errorf("%+v, available %d", got, w.available("buyer"))
		}
		if got, want := w.changes(p.ID), []string{"queued", "pending", "done"}; !slices.Equal(got, want) {
			t.Errorf("told %v, want %v", got, want)
		}
	})
}

// TestFund_LateOutcomeAnswersTheKey: a request that was told to wait gets the
// outcome under its key, and the same for ever.
func TestFund_LateOutcomeAnswersTheKey(t *testing.T) {
	eachRail(t, sandbox, func(t *testing.T, w *world) {
		late := payments.FundInput{User: "buyer", Amount: 700, Currency: "EUR", Account: "sandbox:late_success"}
		no := payments.FundInput{User: "buyer", Amount: 700, Currency: "EUR", Account: "sandbox:late_refusal"}
		yesKey, noKey := w.as("server"), w.as("server")
		for a, in := range map[payments.Actor]payments.FundInput{yesKey: late, noKey: no} {
			_, err := w.Fund(t.Context(), a, in)
			wantErr(t, err, payments.ErrInProgress)
		}
		w.ordersAfter(time.Minute)
		for range 2 {
			got, err := w.Fund(t.Context(), yesKey, late)
			if err != nil || got.Available != 700 {
				t.Errorf("%+v, %v", got, err)
			}
			_, err = w.Fund(t.Context(), noKey, no)
			wantErr(t, err, payments.ErrRail)
		}
		if w.available("buyer") != 700 {
			t.Errorf("available %d", w.available("buyer"))
		}
	})
}

func TestOrderEvent_HasNoMoreThanItsUserMaySee(t *testing.T) {
	text, err := json.Marshal(payments.OrderEvent{Order: payments.Transfer{ID: "pout_1", State: payments.OrderDone}, Change: "done"})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"transfer":{"id":"pout_1","user":"","kind":"","amount":0,"currency":"","state":"done","created_at":"0001-01-01T00:00:00Z","updated_at":"0001-01-01T00:00:00Z"},"change":"done"}`
	if string(text) != want {
		t.Errorf("%s", text)
	}
}
