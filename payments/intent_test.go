package payments_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/payments"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func requested(confirm string) payments.Intent {
	return payments.Intent{
		ID: "pay_1", State: payments.Requested, Version: 1, Digest: "d1", Payer: "buyer", Payee: "seller", Amount: 12_000, Currency: "EUR",
		Fees: payments.FeeRule{BasisPoints: 133, PaidBy: payments.FeeByPayee, OnRefund: payments.FeeShared}, Confirm: confirm, Capture: payments.CaptureAutomatic, Deadline: start.Add(24 * time.Hour), CreatedAt: start, UpdatedAt: start,
	}
}

var verbs = []payments.Verb{
	payments.DoHold, payments.DoEdit, payments.DoConfirm, payments.DoUnconfirm, payments.DoCapture, payments.DoVoid, payments.DoDecline,
	payments.DoCancel, payments.DoRefund, payments.DoReport, payments.DoAnswer, payments.DoExtend, payments.DoReduce, payments.DoReview, payments.DoResolve, payments.DoTick,
}

// anyCommand draws a command that may or may not fit.
func anyCommand(rt *rapid.T, in payments.Intent, now time.Time) payments.Command {
	c := payments.Command{
		Do:         rapid.SampledFrom(verbs).Draw(rt, "verb"),
		By:         rapid.SampledFrom([]payments.Party{payments.Payer, payments.Payee, payments.Server}).Draw(rt, "by"),
		For:        rapid.SampledFrom([]payments.Party{payments.Payer, payments.Payee}).Draw(rt, "for"),
		Amount:     rapid.SampledFrom([]int64{0, 0, 1, 777, in.Amount - 1, in.Amount, in.Amount + 5}).Draw(rt, "amount"),
		KeepRest:   rapid.Bool().Draw(rt, "keep rest"),
		Call:       "call_1",
		Transcript: rapid.SampledFrom([]string{"t1", "t1", "t2"}).Draw(rt, "transcript"),
		Available:  rapid.Int64Range(0, 20_000).Draw(rt, "available"),
		Until:      now.Add(time.Duration(rapid.IntRange(1, 600).Draw(rt, "until")) * time.Second),
	}
	if rapid.IntRange(0, 3).Draw(rt, "fitting") > 0 { // mostly one that the state knows
		var fitting []payments.Transition
		for _, tr := range payments.Transitions() {
			if slices.Contains(tr.From, in.State) {
				fitting = append(fitting, tr)
			}
		}
		if len(fitting) > 0 {
			tr := rapid.SampledFrom(fitting).Draw(rt, "transition")
			c.Do, c.By = tr.On, lowest(tr.By)
			if tr.By&(payments.Payer|payments.Payee) == payments.Payer|payments.Payee {
				c.By = rapid.SampledFrom([]payments.Party{payments.Payer, payments.Payee}).Draw(rt, "party")
			}
		}
	}
	if c.Do == payments.DoTick {
		c.By = payments.Clock
	}
	return c
}

func lowest(p payments.Party) payments.Party { return p & -p }

// TestIntent_EveryWalkKeepsMoneyAndFinalStates walks the state machine with
// random commands and holds every step to what must be true of any payment.
func TestIntent_EveryWalkKeepsMoneyAndFinalStates(t *testing.T) {
	seen := map[payments.State]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		in := requested(rapid.SampledFrom([]string{payments.ConfirmLive, payments.ConfirmNone}).Draw(rt, "confirm"))
		now := start
		purse := map[string]int64{}
		for range 120 {
			if slices.Contains(final, in.State) && rapid.Bool().Draw(rt, "again") {
				in, purse, now = requested(in.Confirm), map[string]int64{}, start
			}
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, 1, 30, 90, 86_400}).Draw(rt, "wait")) * time.Second)
			c := anyCommand(rt, in, now)
			r, err := in.Apply(c, now)
			if err != nil {
				checkRefusal(rt, err)
				continue
			}
			for _, e := range r.Effects {
				play(purse, e)
			}
			checkStep(rt, in, c, r, purse, now)
			in = r.Next
			seen[in.State] = true
		}
	})
	for _, tr := range payments.Transitions() {
		if !seen[tr.To] && tr.Change != "" {
			t.Errorf("no walk reached %s", tr.To)
		}
	}
}

func checkRefusal(rt *rapid.T, err error) {
	for _, known := range []error{payments.ErrState, payments.ErrNotParty, payments.ErrVersionStale, payments.ErrHoldExpired, payments.ErrConfirmationExpired,
		payments.ErrLiveRequired, payments.ErrTooMuch, payments.ErrAmount, payments.ErrInput, payments.ErrNotDue} {
		if errors.Is(err, known) {
			return
		}
	}
	rt.Fatalf("unknown refusal %v", err)
}

// play keeps a naive purse: what each account has got.
func play(purse map[string]int64, e payments.Effect) {
	move := func(from, to string, n int64) { purse[from] -= n; purse[to] += n }
	switch e.Kind {
	case payments.EffectHold:
		move("payer", "held", e.Amount)
	case payments.EffectRelease:
		move("held", "payer", e.Amount)
	case payments.EffectCapture:
		move("held", "payee", e.Amount-e.Fee)
		move("held", "fees", e.Fee)
	case payments.EffectRefund:
		move("payee", "payer", e.Amount-e.Fee-e.Reserve)
		move("reserve", "payer", e.Reserve)
		move("fees", "payer", e.Fee)
	case payments.EffectReserve:
		move("payee", "reserve", e.Amount)
	case payments.EffectUnreserve:
		move("reserve", "payee", e.Amount)
	}
}

var final = []payments.State{payments.Refunded, payments.Declined, payments.Expired, payments.Cancelled, payments.Voided}

func checkStep(rt *rapid.T, before payments.Intent, c payments.Command, r payments.Result, purse map[string]int64, now time.Time) {
	in := r.Next
	switch {
	case slices.Contains(final, before.State):
		rt.Fatalf("%s left the final state %s", c.Do, before.State)
	case purse["held"] != in.Held || purse["reserve"] != in.Reserved || purse["fees"] != in.Fee-in.FeeRefunded:
		rt.Fatalf("%s: purse %v, intent %+v", c.Do, purse, in)
	case purse["payer"] != -in.Held-in.Captured+in.Refunded:
		rt.Fatalf("%s: payer has %d, intent %+v", c.Do, purse["payer"], in)
	case in.Refunded > in.Captured || in.Captured > in.Amount || in.FeeRefunded > in.Fee || in.Held > in.Amount:
		rt.Fatalf("%s: amounts out of order: %+v", c.Do, in)
	case in.Refunded == in.Captured && in.FeeRefunded != in.Fee:
		rt.Fatalf("%s: all refunded, but of the fee %d only %d", c.Do, in.Fee, in.FeeRefunded)
	case c.By == payments.Clock && in.Captured != before.Captured:
		rt.Fatalf("a deadline captured: %+v", in)
	case in.Captured > before.Captured && in.Confirm == payments.ConfirmLive && !(before.State == payments.Confirmed && before.PayerConfirmed && before.PayeeConfirmed):
		rt.Fatalf("captured without both confirmations: %+v", before)
	case in.Version != before.Version && (in.PayerConfirmed || in.PayeeConfirmed):
		rt.Fatalf("confirmations survived an edit: %+v", in)
	case slices.Contains(final, in.State) && in.Held != 0:
		rt.Fatalf("%s with money on hold: %+v", in.State, in)
	case in.Held > 0 && in.DueAt().IsZero():
		rt.Fatalf("money on hold without a deadline: %+v", in)
	}
	if due := in.DueAt(); !due.IsZero() {
		if _, err := in.Apply(payments.Command{Do: payments.DoTick, By: payments.Clock}, due); err != nil {
			rt.Fatalf("%s is due at %v, but: %v", in.State, due, err)
		}
		if early := due.Add(-time.Millisecond); !early.Before(now) {
			if _, err := in.Apply(payments.Command{Do: payments.DoTick, By: payments.Clock}, early); !errors.Is(err, payments.ErrNotDue) {
				rt.Fatalf("%s ticked before it was due: %v", in.State, err)
			}
		}
	}
}

func TestIntent_Refusals(t *testing.T) {
	held := requested(payments.ConfirmLive)
	held.State, held.Held, held.HoldExpires = payments.Held, 12_000, start.Add(time.Hour)
	confirming := held
	confirming.State, confirming.PayerConfirmed, confirming.Call, confirming.Transcript, confirming.ConfirmDeadline = payments.Confirming, true, "call_1", "t1", start.Add(120*time.Second)
	captured := held
	captured.State, captured.Held, captured.Captured = payments.Captured, 0, 12_000
	confirm := payments.Command{Do: payments.DoConfirm, By: payments.Payee, Call: "call_1", Transcript: "t1"}
	with := func(c payments.Command, change func(*payments.Command)) payments.Command { change(&c); return c }
	for _, c := range []struct {
		name string
		in   payments.Intent
		c    payments.Command
		at   time.Duration
		want error
	}{
		{"stale version", held, with(confirm, func(c *payments.Command) { c.Version = 2 }), 0, payments.ErrVersionStale},
		{"other digest", held, with(confirm, func(c *payments.Command) { c.Digest = "d2" }), 0, payments.ErrVersionStale},
		{"server confirms", held, with(confirm, func(c *payments.Command) { c.By = payments.Server }), 0, payments.ErrNotParty},
		{"hold over", held, confirm, time.Hour, payments.ErrHoldExpired},
		{"time to confirm over", confirming, confirm, 120 * time.Second, payments.ErrConfirmationExpired},
		{"live capture by server", held, payments.Command{Do: payments.DoCapture, By: payments.Server}, 0, payments.ErrLiveRequired},
		{"live capture half confirmed", confirming, payments.Command{Do: payments.DoCapture, By: payments.Payer}, 0, payments.ErrLiveRequired},
		{"request over", requested(payments.ConfirmLive), payments.Command{Do: payments.DoHold, By: payments.Payer}, 24 * time.Hour, payments.ErrState},
		{"payee holds", requested(payments.ConfirmLive), payments.Command{Do: payments.DoHold, By: payments.Payee}, 0, payments.ErrNotParty},
		{"refund above captured", captured, payments.Command{Do: payments.DoRefund, By: payments.Payee, Amount: 12_001}, 0, payments.ErrTooMuch},
		{"negative refund", captured, payments.Command{Do: payments.DoRefund, By: payments.Payee, Amount: -1}, 0, payments.ErrAmount},
		{"payer refunds", captured, payments.Command{Do: payments.DoRefund, By: payments.Payer}, 0, payments.ErrNotParty},
		{"void after capture", captured, payments.Command{Do: payments.DoVoid, By: payments.Payer}, 0, payments.ErrState},
		{"payer edits", held, payments.Command{Do: payments.DoEdit, By: payments.Payer, Amount: 1}, 0, payments.ErrNotParty},
	} {
		if _, err := c.in.Apply(c.c, start.Add(c.at)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestIntent_OtherKeysLeaveOnlyTheLastConfirmation(t *testing.T) {
	in := requested(payments.ConfirmLive)
	in.State, in.Held, in.HoldExpires = payments.Held, 12_000, start.Add(time.Hour)
	step := func(by payments.Party, transcript string) {
		t.Helper()
		r, err := in.Apply(payments.Command{Do: payments.DoConfirm, By: by, Call: "call_1", Transcript: transcript, Until: start.Add(120 * time.Second)}, start)
		if err != nil {
			t.Fatal(err)
		}
		in = r.Next
	}
	step(payments.Payer, "t1")
	step(payments.Payee, "t2")
	if in.State != payments.Confirming || in.PayerConfirmed || !in.PayeeConfirmed {
		t.Fatalf("after another transcript: %+v", in)
	}
	step(payments.Payer, "t2")
	if in.State != payments.Confirmed {
		t.Fatalf("after both in the new call: %+v", in)
	}
}
