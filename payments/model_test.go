package payments_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
	"parley/payments/ledger"
)

// purses is what each account should have, and each disputed payment in
// reserve, kept as naively as can be.
type purses map[string]int64

func (m purses) move(from, to string, n int64) { m[from] -= n; m[to] += n }

// TestService_ConservesMoneyAgainstANaiveModel plays random operations of
// random people on one database and, after every step, compares every account
// with a map that moves numbers about.
func TestService_ConservesMoneyAgainstANaiveModel(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{FeeBasisPoints: 250})
		m := purses{}
		var open []payments.Payment
		rapid.Check(t, func(rt *rapid.T) {
			for range 6 {
				before := len(open)
				step(rt, w, m, &open)
				m.compare(rt, w)
				if len(open) < before {
					rt.Fatal("a payment was lost")
				}
			}
		})
		w.check()
	})
}

var people = []string{"ann", "bob", "cem"}

func step(rt *rapid.T, w *world, m purses, open *[]payments.Payment) {
	ctx := w.t.Context()
	amount := rapid.Int64Range(1, 5_000).Draw(rt, "amount")
	do := rapid.SampledFrom([]string{"fund", "create", "hold", "hold", "capture", "capture", "void", "cancel", "edit", "refund", "report", "resolve"}).Draw(rt, "do")
	who := rapid.SampledFrom(people).Draw(rt, "who")
	switch do {
	case "fund":
		if _, err := w.Fund(ctx, w.as("server"), payments.FundInput{User: who, Amount: amount, Currency: "EUR"}); err != nil {
			rt.Fatal(err)
		}
		m.move("rail:sandbox", "user:"+who+":available", amount)
		return
	case "create":
		payee := people[(rapid.IntRange(1, 2).Draw(rt, "payee")+indexOf(who))%3]
		p, err := w.Create(ctx, w.as("server"), payments.CreateInput{Payer: who, Payee: payee, Amount: amount, Currency: "EUR", Confirm: payments.ConfirmNone})
		if err != nil {
			rt.Fatal(err)
		}
		*open = append(*open, p)
		return
	}
	if len(*open) == 0 {
		return
	}
	i := rapid.IntRange(max(0, len(*open)-8), len(*open)-1).Draw(rt, "which")
	p := (*open)[i]
	after, err := command(w, do, p, amount)
	if err != nil {
		return // refused: the comparison shows that nothing moved
	}
	m.follow(p, after, do)
	(*open)[i] = after
}

func command(w *world, do string, p payments.Payment, amount int64) (payments.Payment, error) {
	ctx := w.t.Context()
	switch do {
	case "hold":
		return w.Hold(ctx, w.as(p.Payer), p.ID, 0)
	case "capture":
		return w.Capture(ctx, w.as("server"), p.ID, amount)
	case "void":
		return w.Void(ctx, w.as(p.Payer), p.ID)
	case "cancel":
		return w.Cancel(ctx, w.as(p.Payee), p.ID)
	case "edit":
		return w.Edit(ctx, w.as(p.Payee), p.ID, payments.EditInput{Amount: amount})
	case "refund":
		return w.Refund(ctx, w.as(p.Payee), p.ID, amount)
	case "report":
		return w.Report(ctx, w.as(p.Payer), p.ID)
	default:
		return w.Resolve(ctx, w.as("server"), p.ID, payments.Payer)
	}
}

// follow moves what a change of p must have moved, seen from the payment alone.
func (m purses) follow(p, after payments.Payment, do string) {
	available, held := "user:"+p.Payer+":available", "user:"+p.Payer+":held"
	payee, reserve := "user:"+p.Payee+":available", "user:"+p.Payee+":disputed"
	wasHeld := p.HoldExpires != nil
	switch {
	case do == "hold":
		m.move(available, held, after.Amount)
	case do == "capture":
		m.move(held, payee, after.Captured-after.Fee)
		m.move(held, "fees", after.Fee)
		m.move(held, available, p.Amount-after.Captured)
	case do == "edit" && wasHeld:
		m.move(held, available, p.Amount)
		if after.HoldExpires != nil {
			m.move(available, held, after.Amount)
		}
	case wasHeld && after.HoldExpires == nil:
		m.move(held, available, p.Amount)
	case do == "report" && after.State == payments.Disputed:
		net := p.Captured - p.Refunded - (p.Fee - p.Fee*p.Refunded/p.Captured)
		m[p.ID] = min(m[payee], net)
		m.move(payee, reserve, m[p.ID])
	case after.Refunded > p.Refunded:
		fee := p.Fee*after.Refunded/p.Captured - p.Fee*p.Refunded/p.Captured
		m.move("fees", available, fee)
		net := after.Refunded - p.Refunded - fee
		if p.State == payments.Disputed {
			m.move(reserve, payee, m[p.ID])
		}
		m.move(payee, available, net)
	}
}

func (m purses) compare(rt *rapid.T, w *world) {
	var sum int64
	all := w.accounts()
	for _, account := range accounts() {
		sum += all[account]
		if all[account] != m[account] {
			rt.Fatalf("%s has %d, model says %d", account, all[account], m[account])
		}
	}
	if sum != 0 {
		rt.Fatalf("accounts sum to %d", sum)
	}
}

// accounts reads what every account has.
func (w *world) accounts() map[string]int64 {
	w.t.Helper()
	all := map[string]int64{}
	err := w.db.View(w.t.Context(), func(tx *sqldb.Tx) error {
		page, err := ledger.Accounts(tx, "", "", 100)
		for _, a := range page {
			all[a.ID] = a.Posted
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func accounts() []string {
	all := []string{"fees", "rail:sandbox"}
	for _, p := range people {
		for _, kind := range []string{"available", "held", "disputed"} {
			all = append(all, fmt.Sprintf("user:%s:%s", p, kind))
		}
	}
	return all
}

func indexOf(who string) int {
	for i, p := range people {
		if p == who {
			return i
		}
	}
	return -1
}
