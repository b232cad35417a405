package payments_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
	"parley/payments/ledger"
)

// model is what every account should have, computed as naively as can be: what
// came in and what was converted, then every payment's own figures again and again.
type model struct {
	base map[string]int64 // by "account currency": without payments
	all  []payments.Payment
}

// modelRules charge in each currency in another way.
var modelRules = map[string]payments.FeeRule{
	"EUR": {BasisPoints: 250, Fixed: 7, Max: 90},
	"USD": {BasisPoints: 250, Fixed: 7, Min: 30, PaidBy: payments.FeeByPayer},
	"JPY": {BasisPoints: 1_000, OnRefund: payments.FeeKept},
}

var (
	people     = []string{"ann", "bob", "cem"}
	currencies = []string{"EUR", "USD", "JPY"}
)

// TestService_ConservesMoneyAgainstANaiveModel plays random operations of
// random people in three currencies on one database and, after every step,
// compares every account with the model.
func TestService_ConservesMoneyAgainstANaiveModel(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{Fees: modelRules, IfUndecided: payments.ForPayee}, func(d *payments.Deps) {
			d.Rail, d.Rates = payments.Sandbox{Clock: d.Clock}, payments.RateTable{"EUR/USD": "1.0853", "EUR/JPY": "160.25"}
		})
		m := &model{base: map[string]int64{}}
		rapid.Check(t, func(rt *rapid.T) {
			for range 6 {
				m.step(rt, w)
				m.compare(rt, w)
			}
		})
		w.check()
	})
}

// step does one thing; what is refused must have moved nothing.
func (m *model) step(rt *rapid.T, w *world) {
	amount := rapid.Int64Range(1, 5_000).Draw(rt, "amount")
	who := rapid.SampledFrom(people).Draw(rt, "who")
	currency := rapid.SampledFrom(currencies).Draw(rt, "currency")
	do := rapid.SampledFrom([]string{"fund", "create", "create", "convert", "stock", "wait"}).Draw(rt, "do")
	if len(m.all) > 0 && rapid.IntRange(0, 3).Draw(rt, "a payment") > 0 {
		do = rapid.SampledFrom(modelCommands).Draw(rt, "command")
	}
	switch do {
	case "fund":
		_, err := w.Fund(w.t.Context(), w.as("server"), payments.FundInput{User: who, Amount: amount, Currency: currency})
		m.move(rt, err, currency, "rail:sandbox", available(who), amount)
	case "stock":
		_, err := w.StockExchange(w.t.Context(), w.as("server"), payments.StockInput{User: who, Amount: amount, Currency: currency})
		m.move(rt, err, currency, available(who), "exchange:"+currency, amount)
	case "create":
		payee := people[(rapid.IntRange(1, 2).Draw(rt, "payee")+slices.Index(people, who))%3]
		capture := rapid.SampledFrom([]string{"", payments.CaptureAutomatic}).Draw(rt, "capture")
		p, err := w.Create(w.t.Context(), w.as("server"), payments.CreateInput{Payer: who, Payee: payee, Amount: amount, Currency: currency, Confirm: payments.ConfirmNone, Capture: capture})
		if err != nil {
			rt.Fatal(err)
		}
		m.all = append(m.all, p)
	case "convert":
		m.convert(rt, w, payments.QuoteInput{User: who, From: "EUR", To: rapid.SampledFrom(currencies[1:]).Draw(rt, "to"), Source: amount})
	case "wait":
		w.clock.Advance(time.Duration(rapid.IntRange(0, 50).Draw(rt, "hours")) * time.Hour)
		w.sweep()
		for i, p := range m.all {
			m.all[i] = w.get(p.ID)
		}
	default:
		i := rapid.IntRange(max(0, len(m.all)-6), len(m.all)-1).Draw(rt, "which")
		after, err := modelCommand(w, do, m.all[i], amount)
		if err == nil {
			m.all[i] = after
		}
	}
}

var modelCommands = []string{
	"hold", "hold", "hold", "capture", "part", "part", "part", "extend", "reduce", "void", "cancel", "edit", "refund", "refund", "report", "answer", "review", "win", "lose",
}

func modelCommand(w *world, do string, p payments.Payment, amount int64) (payments.Payment, error) {
	ctx := w.t.Context()
	switch do {
	case "hold":
		return w.Hold(ctx, w.as(p.Payer), p.ID, 0)
	case "capture":
		return w.Capture(ctx, w.as("server"), p.ID, amount)
	case "part":
		return w.CapturePart(ctx, w.as("server"), p.ID, amount/4+1)
	case "extend":
		return w.Extend(ctx, w.as(p.Payer), p.ID, time.Duration(200+amount/10)*time.Hour)
	case "reduce":
		return w.Reduce(ctx, w.as(p.Payee), p.ID, amount/2+1)
	case "void":
		return w.Void(ctx, w.as(p.Payer), p.ID)
	case "cancel":
		return w.Cancel(ctx, w.as(p.Payee), p.ID)
	case "edit":
		return w.Edit(ctx, w.as(p.Payee), p.ID, payments.EditInput{Amount: amount})
	case "refund":
		return w.Refund(ctx, w.as(p.Payee), p.ID, amount/4+1)
	case "report":
		return w.Report(ctx, w.as(p.Payer), p.ID)
	case "answer":
		return w.Answer(ctx, w.as(p.Payee), p.ID, "sent")
	case "review":
		if err := w.Review(ctx, p.ID); err != nil {
			return p, err
		}
		return w.Get(ctx, server, p.ID)
	case "win":
		return w.Resolve(ctx, w.as("server"), p.ID, payments.Payee)
	default:
		return w.Resolve(ctx, w.as("server"), p.ID, payments.Payer)
	}
}

func (m *model) convert(rt *rapid.T, w *world, in payments.QuoteInput) {
	c, err := w.Quote(w.t.Context(), w.as("server"), in)
	if errors.Is(err, payments.ErrAmount) {
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	_, err = w.Accept(w.t.Context(), w.as(in.User), c.ID)
	m.move(rt, err, c.From, available(in.User), "exchange:"+c.From, c.Source)
	m.move(rt, err, c.To, "exchange:"+c.To, available(in.User), c.Target)
}

func available(user string) string { return "user:" + user + ":available" }

// move follows a transfer unless it was refused for want of money.
func (m *model) move(rt *rapid.T, err error, currency, from, to string, amount int64) {
	if errors.Is(err, payments.ErrInsufficientFunds) || errors.Is(err, payments.ErrExchangeEmpty) {
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	m.base[from+" "+currency] -= amount
	m.base[to+" "+currency] += amount
}

// compare explains every account by the model, and every payment by its rule.
func (m *model) compare(rt interface{ Fatalf(string, ...any) }, w *world) {
	want := map[string]int64{}
	for account, n := range m.base {
		want[account] += n
	}
	for _, p := range m.all {
		rule := modelRules[p.Currency]
		if fee := rule.Of(p.Captured); p.Fee != fee && (rule.PaidBy == payments.FeeByPayer || p.Fee != min(fee, p.Captured)) {
			rt.Fatalf("fee of %+v", p)
		}
		if p.Refunded > p.Captured || p.Captured+p.Capturable > p.Amount || (p.Held > 0) != (p.HoldExpires != nil) {
			rt.Fatalf("%+v", p)
		}
		fee := p.Fee - p.FeeRefunded
		onTop, within := int64(0), fee
		if rule.PaidBy == payments.FeeByPayer {
			onTop, within = fee, 0
		}
		want[available(p.Payer)+" "+p.Currency] += p.Refunded - p.Held - p.Captured - onTop
		want["user:"+p.Payer+":held "+p.Currency] += p.Held
		want[available(p.Payee)+" "+p.Currency] += p.Captured - p.Refunded - within - p.Reserved
		want["user:"+p.Payee+":disputed "+p.Currency] += p.Reserved
		want["fees "+p.Currency] += fee
	}
	sums := map[string]int64{}
	for account, has := range w.accounts() {
		if has != want[account] {
			rt.Fatalf("%s has %d, model says %d", account, has, want[account])
		}
		sums[account[len(account)-3:]] += has
		delete(want, account)
	}
	for account, n := range want {
		if n != 0 {
			rt.Fatalf("model says %d for %s, which is not there", n, account)
		}
	}
	for currency, sum := range sums {
		if sum != 0 {
			rt.Fatalf("%s sums to %d", currency, sum)
		}
	}
}

// accounts reads what every account has, by "account currency".
func (w *world) accounts() map[string]int64 {
	w.t.Helper()
	all := map[string]int64{}
	err := w.db.View(w.t.Context(), func(tx *sqldb.Tx) error {
		page, err := ledger.Accounts(tx, "", "", 100)
		for _, a := range page {
			all[a.ID+" "+a.Currency] = a.Posted
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}
