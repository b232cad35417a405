package payments_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/payments"
)

// byRail makes the buyer's payment and holds it with the rail's money.
func (w *world) byRail(amount int64, account string) (payments.Payment, error) {
	w.t.Helper()
	p := w.request(amount, payments.ConfirmNone)
	held, err := w.HoldByRail(w.t.Context(), w.as("buyer"), p.ID, account, payments.HoldInput{Version: p.Version})
	if err != nil {
		return p, err
	}
	return held, nil
}

// money says how much a world's accounts have, for tests of payments from buyer to seller.
func (w *world) money() string {
	w.t.Helper()
	return fmt.Sprintf("buyer %d held %d out %d, seller %d, rail %d lost %d", w.available("buyer"), w.posted("user:buyer:held"), w.posted("user:buyer:payout"),
		w.available("seller"), w.posted("rail:"+w.rail()), w.posted("rail:"+w.rail()+":lost"))
}

// rail is the name of the rail that the world has used.
func (w *world) rail() string {
	if w.posted("rail:sandbox") != 0 {
		return "sandbox"
	}
	return "bank"
}

func TestHoldByRail_FollowsTheHoldToItsEnd(t *testing.T) {
	for _, tt := range []struct {
		name   string
		do     func(w *world, p payments.Payment)
		money  string
		orders map[payments.RailAction]int64 // done at the rail
	}{
		{"held", func(*world, payments.Payment) {}, "buyer 0 held 5000 out 0, seller 0, rail -5000 lost 0", nil},
		{"captured", func(w *world, p payments.Payment) { w.must(w.Capture(w.t.Context(), w.as("server"), p.ID, 0)) },
			"buyer 0 held 0 out 0, seller 5000, rail -5000 lost 0", map[payments.RailAction]int64{payments.RailCapture: 5000}},
		{"captured in part", func(w *world, p payments.Payment) { w.must(w.Capture(w.t.Context(), w.as("server"), p.ID, 3000)) },
			"buyer 0 held 0 out 0, seller 3000, rail -3000 lost 0", map[payments.RailAction]int64{payments.RailCapture: 3000}},
		{"captured in two parts", func(w *world, p payments.Payment) {
			w.must(w.CapturePart(w.t.Context(), w.as("server"), p.ID, 1000))
			w.must(w.Capture(w.t.Context(), w.as("server"), p.ID, 1500))
		}, "buyer 0 held 0 out 0, seller 2500, rail -2500 lost 0", map[payments.RailAction]int64{payments.RailCapture: 2500}},
		{"reduced", func(w *world, p payments.Payment) { w.must(w.Reduce(w.t.Context(), w.as("seller"), p.ID, 4000)) },
			"buyer 0 held 4000 out 0, seller 0, rail -4000 lost 0", nil},
		{"voided", func(w *world, p payments.Payment) { w.must(w.Void(w.t.Context(), w.as("buyer"), p.ID)) },
			"buyer 0 held 0 out 0, seller 0, rail 0 lost 0", map[payments.RailAction]int64{payments.RailVoid: 5000}},
		{"expired", func(w *world, _ payments.Payment) {
			w.clock.Advance(8 * 24 * time.Hour)
			if _, err := w.Sweep(w.t.Context()); err != nil {
				w.t.Error(err)
			}
		}, "buyer 0 held 0 out 0, seller 0, rail 0 lost 0", map[payments.RailAction]int64{payments.RailVoid: 5000}},
		{"refunded in part", func(w *world, p payments.Payment) {
			w.must(w.Capture(w.t.Context(), w.as("server"), p.ID, 3000))
			w.must(w.Refund(w.t.Context(), w.as("seller"), p.ID, 1000))
		}, "buyer 0 held 0 out 0, seller 2000, rail -2000 lost 0", map[payments.RailAction]int64{payments.RailCapture: 3000, payments.RailRefund: 1000}},
		{"refunded in parts, all", func(w *world, p payments.Payment) {
			w.must(w.Capture(w.t.Context(), w.as("server"), p.ID, 3000))
			w.must(w.Refund(w.t.Context(), w.as("seller"), p.ID, 1000))
			w.must(w.Refund(w.t.Context(), w.as("seller"), p.ID, 0))
		}, "buyer 0 held 0 out 0, seller 0, rail 0 lost 0", map[payments.RailAction]int64{payments.RailCapture: 3000, payments.RailRefund: 3000}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			outside := newBank(nil)
			eachRail(t, func(*world) payments.Rail { outside = newBank(nil); return outside }, func(t *testing.T, w *world) {
				p, err := w.byRail(5_000, "pm_1")
				if err != nil || p.State != payments.Held {
					t.Fatalf("%+v, %v", p, err)
				}
				tt.do(w, p)
				for range 3 {
					w.ordersAfter(2 * time.Second)
				}
				if got := w.money(); got != tt.money {
					t.Errorf("%s, want %s", got, tt.money)
				}
				for _, action := range []payments.RailAction{payments.RailCapture, payments.RailVoid, payments.RailRefund} {
					if sum, _ := outside.sum(action); sum != tt.orders[action] {
						t.Errorf("%s at the rail: %d, want %d", action, sum, tt.orders[action])
					}
				}
				if len(outside.wrong) > 0 {
					t.Errorf("the rail was asked for what it must not: %v", outside.wrong)
				}
			})
		})
	}
}

func TestHoldByRail_LateAuthorisation(t *testing.T) {
	eachRail(t, sandbox, func(t *testing.T, w *world) {
		p, err := w.byRail(5_000, "sandbox:late_success")
		if err != nil || p.State != payments.Requested {
			t.Fatalf("%+v, %v", p, err)
		}
		_, err = w.HoldByRail(t.Context(), w.as("buyer"), p.ID, "sandbox:done", payments.HoldInput{})
		wantErr(t, err, payments.ErrState) // one authorisation at a time
		w.ordersAfter(time.Minute)
		if p = w.must(w.Get(t.Context(), server, p.ID)); p.State != payments.Held {
			t.Errorf("%s, want held", p.State)
		}
		if got, want := w.changes(p.ID), []string{"requested", "held"}; !slices.Equal(got, want) {
			t.Errorf("told %v, want %v", got, want)
		}
	})
}

func TestHoldByRail_RefusedLeavesTheRequestOpen(t *testing.T) {
	eachRail(t, sandbox, func(t *testing.T, w *world) {
		p := w.request(5_000, payments.ConfirmNone)
		a := w.as("buyer")
		for range 2 { // and again under the same key
			_, err := w.HoldByRail(t.Context(), a, p.ID, "sandbox:insufficient_funds", payments.HoldInput{})
			wantErr(t, err, payments.ErrRail)
		}
		held, err := w.HoldByRail(t.Context(), w.as("buyer"), p.ID, "sandbox:done", payments.HoldInput{})
		if err != nil || held.State != payments.Held {
			t.Errorf("another card: %+v, %v", held, err)
		}
	})
}

// TestHoldByRail_PaymentGoneMeanwhile: what is authorised too late is voided, and moves nothing.
func TestHoldByRail_PaymentGoneMeanwhile(t *testing.T) {
	for name, spoil := range map[string]func(w *world, p payments.Payment){
		"cancelled": func(w *world, p payments.Payment) { w.must(w.Cancel(w.t.Context(), w.as("seller"), p.ID)) },
		"edited": func(w *world, p payments.Payment) {
			w.must(w.Edit(w.t.Context(), w.as("seller"), p.ID, payments.EditInput{Amount: 4_000}))
		},
		"edited in words only": func(w *world, p payments.Payment) {
			memo := "another bike"
			w.must(w.Edit(w.t.Context(), w.as("seller"), p.ID, payments.EditInput{Memo: &memo}))
		},
		"held from the balance": func(w *world, p payments.Payment) {
			w.fund("buyer", 5_000)
			w.must(w.Hold(w.t.Context(), w.as("buyer"), p.ID, 0))
			w.must(w.Void(w.t.Context(), w.as("buyer"), p.ID))
			w.payout(5_000, "sandbox:done")
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachRail(t, sandbox, func(t *testing.T, w *world) {
				p, err := w.byRail(5_000, "sandbox:late_success")
				if err != nil {
					t.Fatal(err)
				}
				spoil(w, p)
				w.ordersAfter(time.Minute)
				w.ordersAfter(time.Minute)
				if got := w.posted("rail:sandbox"); got != 0 || w.available("buyer") != 0 {
					t.Errorf("rail %d, buyer %d", got, w.available("buyer"))
				}
				if n := w.count("SELECT COUNT(*) FROM payments_orders WHERE payment = ? AND action = 'void' AND state = 'done'", p.ID); n != 1 {
					t.Errorf("%d voids", n)
				}
			})
		})
	}
}

// TestHoldByRail_RefusedCaptureIsSeenAndFilled: the payee is paid, the hole has
// an account, and a refund goes there instead of to a payer who never paid.
func TestHoldByRail_RefusedCaptureIsSeenAndFilled(t *testing.T) {
	outside := newBank(nil)
	eachRail(t, func(*world) payments.Rail { outside = newBank(nil); return outside }, func(t *testing.T, w *world) {
		p, err := w.byRail(5_000, "pm_1")
		if err != nil {
			t.Fatal(err)
		}
		outside.forget()
		w.must(w.Capture(t.Context(), w.as("server"), p.ID, 0))
		w.must(w.Refund(t.Context(), w.as("seller"), p.ID, 1_000)) // waits for the capture
		for range 3 {
			w.ordersAfter(2 * time.Second)
		}
		if got, want := w.money(), "buyer 0 held 0 out 0, seller 4000, rail 0 lost -4000"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		w.must(w.Refund(t.Context(), w.as("seller"), p.ID, 0))
		if got, want := w.money(), "buyer 0 held 0 out 0, seller 0, rail 0 lost 0"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// TestHoldByRail_EndsWhereTheRailIsNotAnyMore: a promise never becomes the
// payer's money, and orders to one rail are not taken to another.
func TestHoldByRail_EndsWhereTheRailIsNotAnyMore(t *testing.T) {
	eachRail(t, sandbox, func(t *testing.T, w *world) {
		p, err := w.byRail(5_000, "sandbox:done")
		if err != nil {
			t.Fatal(err)
		}
		bare := newWorld(t, w.db, payments.Config{}, func(d *payments.Deps) { d.Rail, d.Clock = nil, w.clock })
		if _, err := bare.Void(t.Context(), w.as("buyer"), p.ID); err != nil {
			t.Fatal(err)
		}
		if w.available("buyer") != 0 || w.posted("rail:sandbox") != 0 {
			t.Errorf("buyer %d, rail %d", w.available("buyer"), w.posted("rail:sandbox"))
		}
		other := newBank(nil)
		if n, err := w.node(other).SweepOrders(t.Context()); err != nil || n != 0 || len(other.orders) != 0 {
			t.Errorf("another rail was asked: %d orders, %v", n, err)
		}
		w.ordersAfter(time.Second)
		if n := w.count("SELECT COUNT(*) FROM payments_orders WHERE action = 'void' AND state = 'done'"); n != 1 {
			t.Errorf("%d voids", n)
		}
	})
}

// forget makes the bank lose its authorisations.
func (b *bank) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range b.orders {
		x.plan = payments.RailRefused
	}
}

// count answers a query for one number.
func (w *world) count(query string, args ...any) (n int) {
	w.t.Helper()
	if err := w.db.View(w.t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(query, args...).Scan(&n) }); err != nil {
		w.t.Fatal(err)
	}
	return n
}
