package payments_test

import (
	"errors"
	"fmt"
	"maps"
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
		Fees: payments.FeeRule{BasisPoints: 133, PaidBy: payments.FeeByPayee, OnRefund: payments.FeeShared}, Confirm: confirm,
		Capture: payments.CaptureManual, Deadline: start.Add(24 * time.Hour), CreatedAt: start, UpdatedAt: start,
	}
}

// anyFees draws a fee rule of any kind.
func anyFees(rt *rapid.T) payments.FeeRule {
	return payments.FeeRule{
		Fixed: rapid.SampledFrom([]int64{0, 0, 25, 20_000}).Draw(rt, "fixed"), BasisPoints: rapid.SampledFrom([]int64{0, 133, 10_000}).Draw(rt, "basis points"),
		Min: rapid.SampledFrom([]int64{0, 0, 40}).Draw(rt, "min"), Max: rapid.SampledFrom([]int64{0, 0, 60}).Draw(rt, "max"),
		PaidBy:   rapid.SampledFrom([]string{payments.FeeByPayee, payments.FeeByPayer}).Draw(rt, "paid by"),
		OnRefund: rapid.SampledFrom([]string{payments.FeeShared, payments.FeeShared, payments.FeeKept}).Draw(rt, "on refund"),
	}
}

// favours are the ways in which a dispute's deadline can be decided.
var favours = []string{payments.ForPayer, payments.ForPayee, payments.ForNobody}

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
	if c.KeepRest && c.Amount == in.Amount {
		c.Amount = max(1, in.Capturable()-rapid.Int64Range(0, 3).Draw(rt, "all but"))
	}
	c.Dispute = payments.Dispute{
		OpenedAt: now, AnswerBy: c.Until, IfUnanswered: rapid.SampledFrom(favours).Draw(rt, "unanswered"), IfUndecided: rapid.SampledFrom(favours).Draw(rt, "undecided"),
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
	switch c.Do {
	case payments.DoTick:
		c.By = payments.Clock
	case payments.DoConfirm:
		c.Until = now.Add(20 * time.Second)
	}
	return c
}

func lowest(p payments.Party) payments.Party { return p & -p }

// TestIntent_EveryWalkKeepsMoneyAndFinalStates walks the state machine with
// random commands and holds every step to what must be true of any payment. The
// walks together use every row of the table.
func TestIntent_EveryWalkKeepsMoneyAndFinalStates(t *testing.T) {
	used := map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		w := &walk{rt: rt, used: used}
		w.begin()
		for range 200 {
			if slices.Contains(final, w.in.State) && rapid.Bool().Draw(rt, "again") {
				w.begin()
			}
			w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, 1, 30, 90, 86_400}).Draw(rt, "wait")) * time.Second)
			w.take(anyCommand(rt, w.in, w.now))
		}
	})
	for _, row := range payments.Transitions() {
		taken := slices.ContainsFunc(row.From, func(from payments.State) bool {
			return used[walked{from, row.On, row.To, row.Refuses()}.String()]
		})
		if !taken {
			t.Errorf("no walk took %v, %s, %s to %q", row.From, row.On, row.When, row.To)
		}
	}
}

// walk is one payment on its way.
type walk struct {
	rt    *rapid.T
	used  map[string]bool
	in    payments.Intent
	now   time.Time
	purse map[string]int64
}

// opening leads quickly to where random commands seldom come: a hold, so many
// confirmations when they are needed, then commands after a wait.
type opening struct {
	confirms int
	wait     time.Duration
	then     []payments.Command
}

var (
	part     = payments.Command{Do: payments.DoCapture, By: payments.Server, Amount: 5_000, KeepRest: true}
	back     = payments.Command{Do: payments.DoRefund, By: payments.Payee, Amount: 100}
	allBack  = payments.Command{Do: payments.DoRefund, By: payments.Payee}
	doubt    = payments.Command{Do: payments.DoReview, By: payments.Server}
	tick     = payments.Command{Do: payments.DoTick, By: payments.Clock}
	longer   = payments.Command{Do: payments.DoExtend, By: payments.Server, Until: start.Add(2 * time.Minute)}
	less     = payments.Command{Do: payments.DoReduce, By: payments.Payee, Amount: 5_000}
	openings = []opening{
		{confirms: 1}, {confirms: 1, wait: 40 * time.Second, then: []payments.Command{tick}}, {confirms: 1, then: []payments.Command{{Do: payments.DoUnconfirm, By: payments.Server}}},
		{confirms: 2}, {confirms: 2, then: []payments.Command{longer}}, {confirms: 2, then: []payments.Command{less}},
		{confirms: 2, then: []payments.Command{part}}, {confirms: 2, then: []payments.Command{part, back}}, {confirms: 2, then: []payments.Command{part, allBack}},
		{confirms: 2, then: []payments.Command{part, doubt}}, {confirms: 2, then: []payments.Command{part, back, doubt}}, {confirms: 2, then: []payments.Command{part, allBack, doubt}},
	}
)

// begin starts with another payment, in every other case a request.
func (w *walk) begin() {
	confirm := rapid.SampledFrom([]string{payments.ConfirmLive, payments.ConfirmNone}).Draw(w.rt, "confirm")
	w.in, w.now, w.purse = requested(confirm), start, map[string]int64{}
	w.in.Fees = anyFees(w.rt)
	if rapid.Bool().Draw(w.rt, "from the start") {
		return
	}
	open := rapid.SampledFrom(openings).Draw(w.rt, "opening")
	w.take(payments.Command{Do: payments.DoHold, By: payments.Payer, Until: w.now.Add(time.Minute)})
	for _, by := range []payments.Party{payments.Payer, payments.Payee}[:open.confirms] {
		w.take(payments.Command{Do: payments.DoConfirm, By: by, Until: w.now.Add(30 * time.Second)})
	}
	w.now = w.now.Add(open.wait)
	for _, c := range open.then {
		w.take(c)
	}
}

// take gives one command and checks what it did.
func (w *walk) take(c payments.Command) {
	r, err := w.in.Apply(c, w.now)
	if err != nil {
		checkRefusal(w.rt, err)
		w.used[walked{w.in.State, c.Do, "", errors.Unwrap(err)}.String()] = true
		return
	}
	had := maps.Clone(w.purse)
	for _, e := range r.Effects {
		play(w.purse, e)
	}
	checkStep(w.rt, w.in, c, r, had, w.purse, w.now)
	w.used[walked{w.in.State, c.Do, r.Next.State, nil}.String()] = true
	w.in = r.Next
}

// walked is what a walk did.
type walked struct {
	from    payments.State
	do      payments.Verb
	to      payments.State
	refused error
}

func (s walked) String() string { return fmt.Sprint(s.from, " ", s.do, " ", s.to, " ", s.refused) }

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

func checkStep(rt *rapid.T, before payments.Intent, c payments.Command, r payments.Result, had, purse map[string]int64, now time.Time) {
	in := r.Next
	agreed := before.State == payments.PartCaptured || before.State == payments.Confirmed && before.PayerConfirmed && before.PayeeConfirmed
	switch {
	case slices.Contains(final, before.State):
		rt.Fatalf("%s left the final state %s", c.Do, before.State)
	case in.Refunded > in.Captured || in.Captured+in.Capturable() > in.Amount || in.FeeRefunded > in.Fee:
		rt.Fatalf("%s: amounts out of order: %+v", c.Do, in)
	case c.By == payments.Clock && (in.Captured != before.Captured || purse["payer"] < had["payer"]):
		rt.Fatalf("a deadline captured: %+v", in)
	case in.Captured > before.Captured && in.Confirm == payments.ConfirmLive && !agreed:
		rt.Fatalf("captured without both confirmations: %+v", before)
	case agreed && (in.Amount != before.Amount || in.Version != before.Version):
		rt.Fatalf("%s changed what was agreed on: %+v", c.Do, in)
	case in.Version != before.Version && (in.PayerConfirmed || in.PayeeConfirmed):
		rt.Fatalf("confirmations survived a new version: %+v", in)
	case slices.Contains(final, in.State) && in.Held != 0:
		rt.Fatalf("%s with money on hold: %+v", in.State, in)
	case in.Held > 0 && in.DueAt().IsZero():
		rt.Fatalf("money on hold without a deadline: %+v", in)
	case (in.State == payments.PartCaptured) != (in.Captured > 0 && in.Held > 0) && in.State != payments.InReview:
		rt.Fatalf("%s does not fit: %+v", in.State, in)
	case in.State == payments.Disputed && in.Held != 0 || in.State != payments.Disputed && in.Reserved != 0:
		rt.Fatalf("%s with %d in reserve and %d on hold", in.State, in.Reserved, in.Held)
	}
	checkPurse(rt, c, in, purse)
	checkFee(rt, c, in)
	checkDue(rt, in, now)
}

// checkPurse explains every account by the payment's own figures.
func checkPurse(rt *rapid.T, c payments.Command, in payments.Intent, purse map[string]int64) {
	fee := in.Fee - in.FeeRefunded
	onTop, within := int64(0), fee
	if in.Fees.PaidBy == payments.FeeByPayer {
		onTop, within = fee, 0
	}
	for account, should := range map[string]int64{
		"payer": in.Refunded - in.Held - in.Captured - onTop, "payee": in.Captured - in.Refunded - within - in.Reserved,
		"held": in.Held, "reserve": in.Reserved, "fees": fee,
	} {
		if purse[account] != should {
			rt.Fatalf("%s: %s has %d, want %d: %+v", c.Do, account, purse[account], should, in)
		}
	}
}

// checkFee holds the fee to its rule: several captures cost what one costs, the
// hold covers the rest with its fee, and refunds give back all or nothing of it.
func checkFee(rt *rapid.T, c payments.Command, in payments.Intent) {
	onTop := int64(0)
	if in.Fees.PaidBy == payments.FeeByPayer {
		onTop = in.Fees.Of(in.Captured+in.Capturable()) - in.Fee
	}
	switch {
	case in.Fee != in.Fees.Of(in.Captured):
		rt.Fatalf("%s: fee %d of %d, want %d", c.Do, in.Fee, in.Captured, in.Fees.Of(in.Captured))
	case in.Held > 0 && in.Held != in.Capturable()+onTop:
		rt.Fatalf("%s: %d on hold for %d and a fee of %d", c.Do, in.Held, in.Capturable(), onTop)
	case in.Fees.OnRefund == payments.FeeKept && in.FeeRefunded != 0:
		rt.Fatalf("%s: of a fee that is kept %d went back", c.Do, in.FeeRefunded)
	case in.Fees.OnRefund == payments.FeeShared && in.Refunded == in.Captured && in.FeeRefunded != in.Fee:
		rt.Fatalf("%s: all refunded, but of the fee %d only %d", c.Do, in.Fee, in.FeeRefunded)
	}
}

func checkDue(rt *rapid.T, in payments.Intent, now time.Time) {
	if due := in.DueAt(); !due.IsZero() {
		r, err := in.Apply(payments.Command{Do: payments.DoTick, By: payments.Clock, Available: payments.MaxAmount}, due)
		if err != nil {
			rt.Fatalf("%s is due at %v, but: %v", in.State, due, err)
		}
		if at, change, ok := in.Due(); !ok || at != due || change != r.Change {
			rt.Fatalf("%s promises %s at %v, but does %s at %v", in.State, change, at, r.Change, due)
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
