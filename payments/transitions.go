package payments

import (
	"fmt"
	"time"
)

// Transition is one row of the table of everything that can happen to a payment.
type Transition struct {
	From   []State
	On     Verb
	By     Party
	To     State
	Change string // of the event; empty: nothing changes
	// When tells in words which of several rows with the same From and On applies.
	When string

	when func(in *Intent, c Command, now time.Time) bool
	do   func(in *Intent, c Command, now time.Time) ([]Effect, error)
	// refuse is the error of a row that exists to say why not.
	refuse error
}

// Transitions returns the table. Rows are tried from the top; the first that
// fits state, verb and condition decides.
func Transitions() []Transition { return transitions }

var (
	onHold    = []State{Held, Confirming}
	taken     = []State{Captured, PartRefunded}
	undecided = []State{Requested, Held, Confirming, Confirmed}
)

var transitions = []Transition{
	{From: []State{Requested}, On: DoHold, By: Payer | Server, To: Held, Change: "held", do: hold},

	{From: []State{Requested}, On: DoEdit, By: Payee, To: Requested, Change: "edited", do: edit},
	{From: onHold, On: DoEdit, By: Payee, When: "within the hold", when: withinHold, To: Held, Change: "edited", do: edit},
	{From: onHold, On: DoEdit, By: Payee, When: "above the hold", To: Requested, Change: "edited", do: editAbove},

	{From: onHold, On: DoConfirm, By: Payer | Payee, When: "not live", when: notLive, refuse: ErrState},
	{From: []State{Held}, On: DoConfirm, By: Payer | Payee, To: Confirming, Change: "confirming", do: confirmFirst},
	{From: []State{Confirming}, On: DoConfirm, By: Payer | Payee, When: "again by the same", when: sameAgain, To: Confirming},
	{From: []State{Confirming}, On: DoConfirm, By: Payer | Payee, When: "in another call or with other keys", when: otherKeys, To: Confirming, Change: "confirming", do: confirmAlone},
	{From: []State{Confirming}, On: DoConfirm, By: Payer | Payee, When: "the second of two", To: Confirmed, Change: "confirmed", do: confirmSecond},
	{From: []State{Confirming}, On: DoUnconfirm, By: Server, To: Held, Change: "confirmations_void", do: unconfirm},

	{From: []State{Confirmed}, On: DoCapture, By: Server, To: Captured, Change: "captured", do: capture},
	{From: onHold, On: DoCapture, By: Payer | Server, When: "live", when: isLive, refuse: ErrLiveRequired},
	{From: []State{Held}, On: DoCapture, By: Payer | Server, To: Captured, Change: "captured", do: capture},

	{From: []State{Held, Confirming, Confirmed, InReview}, On: DoVoid, By: Payer | Server, To: Voided, Change: "voided", do: release},
	{From: []State{Requested}, On: DoDecline, By: Payer, To: Declined, Change: "declined", do: decline},
	{From: []State{Requested, Held, Confirming, InReview}, On: DoCancel, By: Payee, To: Cancelled, Change: "cancelled", do: release},

	{From: taken, On: DoRefund, By: Payee | Server, When: "of all that is left", when: refundsAll, To: Refunded, Change: "refunded", do: refund},
	{From: taken, On: DoRefund, By: Payee | Server, When: "of a part", To: PartRefunded, Change: "refunded", do: refund},

	{From: undecided, On: DoReport, By: Payer, To: InReview, Change: "review", do: review},
	{From: taken, On: DoReport, By: Payer, To: Disputed, Change: "disputed", do: dispute},
	{From: undecided, On: DoReview, By: Server, To: InReview, Change: "review", do: review},
	{From: []State{InReview}, On: DoResolve, By: Server, When: "for the payer", when: forPayer, To: Voided, Change: "voided", do: release},
	{From: []State{InReview}, On: DoResolve, By: Server, When: "for the payee, money held", when: holdsMoney, To: Held, Change: "resolved"},
	{From: []State{InReview}, On: DoResolve, By: Server, When: "for the payee, nothing held", To: Requested, Change: "resolved"},
	{From: []State{Disputed}, On: DoResolve, By: Server, When: "for the payer", when: forPayer, To: Refunded, Change: "refunded", do: refund},
	{From: []State{Disputed}, On: DoResolve, By: Server, When: "for the payee, refunded in part", when: partRefunded, To: PartRefunded, Change: "resolved", do: unreserve},
	{From: []State{Disputed}, On: DoResolve, By: Server, When: "for the payee", To: Captured, Change: "resolved", do: unreserve},

	{From: []State{Requested}, On: DoTick, By: Clock, When: "request expires", when: requestPast, To: Expired, Change: "expired"},
	{From: []State{Held, Confirming, Confirmed}, On: DoTick, By: Clock, When: "hold expires", when: holdPast, To: Voided, Change: "voided", do: release},
	{From: []State{Confirming}, On: DoTick, By: Clock, When: "time to confirm is over", when: confirmPast, To: Held, Change: "confirmations_void", do: unconfirm},
	{From: []State{InReview}, On: DoTick, By: Clock, When: "hold expires", when: holdPast, To: Voided, Change: "voided", do: release},
	{From: []State{InReview}, On: DoTick, By: Clock, When: "request expires, nothing held", when: requestPast, To: Expired, Change: "expired"},
}

// transition finds the row for c.
func (in *Intent) transition(c Command, now time.Time) (*Transition, error) {
	known := false
	for i := range transitions {
		t := &transitions[i]
		if t.On != c.Do || !contains(t.From, in.State) {
			continue
		}
		known = true
		if t.By&c.By == 0 || t.when != nil && !t.when(in, c, now) {
			continue
		}
		if t.refuse != nil {
			return nil, fmt.Errorf("%w: %s of a payment that is %s", t.refuse, c.Do, in.State)
		}
		return t, nil
	}
	switch {
	case c.Do == DoTick:
		return nil, ErrNotDue
	case known:
		return nil, fmt.Errorf("%w: %s", ErrNotParty, c.Do)
	}
	return nil, fmt.Errorf("%w: %s of a payment that is %s", ErrState, c.Do, in.State)
}

func contains(states []State, s State) bool {
	for _, x := range states {
		if x == s {
			return true
		}
	}
	return false
}

// Conditions.

func withinHold(in *Intent, c Command, _ time.Time) bool { return c.Amount <= in.Held }
func isLive(in *Intent, _ Command, _ time.Time) bool     { return in.Confirm != ConfirmNone }
func notLive(in *Intent, _ Command, _ time.Time) bool    { return in.Confirm == ConfirmNone }
func forPayer(_ *Intent, c Command, _ time.Time) bool    { return c.For == Payer }

func holdsMoney(in *Intent, _ Command, _ time.Time) bool   { return in.Held > 0 }
func partRefunded(in *Intent, _ Command, _ time.Time) bool { return in.Refunded > 0 }
func requestPast(in *Intent, _ Command, now time.Time) bool {
	return in.Held == 0 && past(in.Deadline, now)
}
func holdPast(in *Intent, _ Command, now time.Time) bool {
	return in.Held > 0 && past(in.HoldExpires, now)
}
func confirmPast(in *Intent, _ Command, now time.Time) bool { return past(in.ConfirmDeadline, now) }
func otherKeys(in *Intent, c Command, _ time.Time) bool {
	return c.Call != in.Call || c.Transcript != in.Transcript
}
func refundsAll(in *Intent, c Command, _ time.Time) bool {
	return c.Amount == 0 || c.Amount == in.Captured-in.Refunded
}
func sameAgain(in *Intent, c Command, now time.Time) bool {
	return (c.By == Payer && in.PayerConfirmed || c.By == Payee && in.PayeeConfirmed) && !otherKeys(in, c, now)
}

// What rows do. They leave State to the table.

func hold(in *Intent, c Command, _ time.Time) ([]Effect, error) {
	in.Held, in.HoldExpires = in.Amount, c.Until
	return []Effect{{Kind: EffectHold, Amount: in.Amount}}, nil
}

// edit makes the next version; what is held beyond the new amount goes back.
func edit(in *Intent, c Command, _ time.Time) ([]Effect, error) {
	if c.Amount != 0 {
		if err := CheckAmount(c.Amount, in.Currency); err != nil {
			return nil, err
		}
		in.Amount = c.Amount
	}
	if c.Memo != nil {
		in.Memo = *c.Memo
	}
	in.Version++
	in.clearConfirmations()
	if extra := in.Held - in.Amount; in.Held > 0 && extra > 0 {
		in.Held = in.Amount
		return []Effect{{Kind: EffectRelease, Amount: extra}}, nil
	}
	return nil, nil
}

// editAbove gives the hold back: the payer has to agree to the higher amount.
func editAbove(in *Intent, c Command, now time.Time) ([]Effect, error) {
	effects := in.releaseAll()
	if _, err := edit(in, c, now); err != nil {
		return nil, err
	}
	if in.Deadline.Before(c.Until) {
		in.Deadline = c.Until
	}
	return effects, nil
}

func confirmFirst(in *Intent, c Command, now time.Time) ([]Effect, error) {
	in.ConfirmDeadline = c.Until
	return confirmAlone(in, c, now)
}

// confirmAlone keeps only this confirmation; the deadline is not extended.
func confirmAlone(in *Intent, c Command, _ time.Time) ([]Effect, error) {
	if err := in.checkDigest(c); err != nil {
		return nil, err
	}
	in.PayerConfirmed, in.PayeeConfirmed = c.By == Payer, c.By == Payee
	in.Call, in.Transcript = c.Call, c.Transcript
	return nil, nil
}

func confirmSecond(in *Intent, c Command, _ time.Time) ([]Effect, error) {
	if err := in.checkDigest(c); err != nil {
		return nil, err
	}
	in.PayerConfirmed, in.PayeeConfirmed = true, true
	in.ConfirmDeadline = time.Time{}
	return nil, nil
}

func (in *Intent) checkDigest(c Command) error {
	if c.Digest != "" && c.Digest != in.Digest {
		return fmt.Errorf("%w: the digest is another one", ErrVersionStale)
	}
	return nil
}

func unconfirm(in *Intent, _ Command, _ time.Time) ([]Effect, error) {
	in.clearConfirmations()
	return nil, nil
}

func (in *Intent) clearConfirmations() {
	in.PayerConfirmed, in.PayeeConfirmed = false, false
	in.Call, in.Transcript, in.ConfirmDeadline = "", "", time.Time{}
}

// capture takes the amount, or a part of it, from the hold and gives the rest back.
func capture(in *Intent, c Command, _ time.Time) ([]Effect, error) {
	amount := c.Amount
	if amount == 0 {
		amount = in.Held
	}
	if amount > in.Held {
		return nil, fmt.Errorf("%w: capture of %d from a hold of %d", ErrTooMuch, amount, in.Held)
	}
	rest := in.Held - amount
	in.Captured, in.Fee, in.Held = amount, share(amount, in.FeeBasisPoints, 10_000), 0
	in.HoldExpires, in.ConfirmDeadline = time.Time{}, time.Time{}
	effects := []Effect{{Kind: EffectCapture, Amount: amount, Fee: in.Fee}}
	if rest > 0 {
		effects = append(effects, Effect{Kind: EffectRelease, Amount: rest})
	}
	return effects, nil
}

func release(in *Intent, _ Command, _ time.Time) ([]Effect, error) {
	in.clearConfirmations()
	return in.releaseAll(), nil
}

func (in *Intent) releaseAll() []Effect {
	amount := in.Held
	in.Held, in.HoldExpires = 0, time.Time{}
	if amount == 0 {
		return nil
	}
	return []Effect{{Kind: EffectRelease, Amount: amount}}
}

// refund gives back a part or all of what is left, with the fee's share of it;
// out of an open dispute's reserve first.
func refund(in *Intent, c Command, _ time.Time) ([]Effect, error) {
	left := in.Captured - in.Refunded
	amount := c.Amount
	if amount == 0 {
		amount = left
	}
	if amount > left {
		return nil, fmt.Errorf("%w: refund of %d, %d are left", ErrTooMuch, amount, left)
	}
	in.Refunded += amount
	fee := share(in.Fee, in.Refunded, in.Captured) - in.FeeRefunded
	in.FeeRefunded += fee
	reserve := min(in.Reserved, amount-fee)
	effects := []Effect{{Kind: EffectRefund, Amount: amount, Fee: fee, Reserve: reserve}}
	in.Reserved -= reserve
	return append(effects, in.unreserveAll()...), nil
}

func review(in *Intent, _ Command, _ time.Time) ([]Effect, error) {
	in.clearConfirmations()
	return nil, nil
}

// dispute reserves what the payee still has of the money.
func dispute(in *Intent, c Command, _ time.Time) ([]Effect, error) {
	at := in.Captured - in.Refunded - (in.Fee - in.FeeRefunded)
	in.Reserved = max(0, min(at, c.Available))
	if in.Reserved == 0 {
		return nil, nil
	}
	return []Effect{{Kind: EffectReserve, Amount: in.Reserved}}, nil
}

func unreserve(in *Intent, _ Command, _ time.Time) ([]Effect, error) {
	return in.unreserveAll(), nil
}

func (in *Intent) unreserveAll() []Effect {
	amount := in.Reserved
	in.Reserved = 0
	if amount == 0 {
		return nil
	}
	return []Effect{{Kind: EffectUnreserve, Amount: amount}}
}
