package payments

import (
	"fmt"
	"time"
)

// What rows of the table do. They leave State to the table.

func hold(in *Intent, c Command, now time.Time) ([]Effect, error) {
	in.Limit, in.Held = in.Amount, in.Total()
	in.HeldAt, in.HoldExpires = now, c.Until
	return []Effect{{Kind: EffectHold, Amount: in.Held}}, nil
}

// edit makes the next version; what is held beyond the new amount goes back.
func edit(in *Intent, c Command, _ time.Time) ([]Effect, error) {
	if c.Amount != 0 {
		if err := CheckAmount(c.Amount, in.Currency); err != nil {
			return nil, err
		}
		in.Amount = c.Amount
		if in.Total() > MaxAmount {
			return nil, fmt.Errorf("%w: %d with the fee", ErrAmount, in.Total())
		}
	}
	if c.Memo != nil {
		in.Memo = *c.Memo
	}
	in.Version++
	in.clearConfirmations()
	if in.Held == 0 || c.Amount == 0 {
		return nil, nil
	}
	extra := in.Held - in.Total()
	in.Limit, in.Held = in.Amount, in.Total()
	if extra == 0 {
		return nil, nil
	}
	return []Effect{{Kind: EffectRelease, Amount: extra}}, nil
}

// editAbove gives the hold back: the payer has to agree to the higher amount.
func editAbove(in *Intent, c Command, now time.Time) ([]Effect, error) {
	effects := in.releaseAll()
	in.Limit = 0
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

// capture takes an amount from the hold, with what its fee costs on top.
func capture(in *Intent, c Command, _ time.Time) ([]Effect, error) {
	amount := c.Amount
	if amount == 0 {
		amount = in.Capturable()
	}
	if amount > in.Capturable() {
		return nil, fmt.Errorf("%w: capture of %d, %d are on hold", ErrTooMuch, amount, in.Capturable())
	}
	before := in.Held
	fee := in.Fees.Of(in.Captured+amount) - in.Fee
	in.Captured += amount
	in.Fee += fee
	in.Held = in.holdFor(in.Limit)
	return []Effect{{Kind: EffectCapture, Amount: before - in.Held, Fee: fee}}, nil
}

// captureLast captures and gives the rest back.
func captureLast(in *Intent, c Command, now time.Time) ([]Effect, error) {
	effects, err := capture(in, c, now)
	if err != nil {
		return nil, err
	}
	return append(effects, in.closeHold()...), nil
}

// closeRest gives back what is on hold besides what was captured.
func closeRest(in *Intent, _ Command, _ time.Time) ([]Effect, error) {
	return in.closeHold(), nil
}

// closeHold gives the hold back; nothing more can be captured.
func (in *Intent) closeHold() []Effect {
	in.Limit, in.ConfirmDeadline = in.Captured, time.Time{}
	return in.releaseAll()
}

// extend lets the hold last until a later time.
func extend(in *Intent, c Command, _ time.Time) ([]Effect, error) {
	if !c.Until.After(in.HoldExpires) {
		return nil, fmt.Errorf("%w: the hold lasts until %s already", ErrInput, in.HoldExpires.Format(time.RFC3339))
	}
	in.HoldExpires = c.Until
	return nil, nil
}

// extendVersion extends a hold that is not confirmed by both yet. How long the
// offer stands is part of what they confirm: it makes the next version.
func extendVersion(in *Intent, c Command, now time.Time) ([]Effect, error) {
	if _, err := extend(in, c, now); err != nil {
		return nil, err
	}
	in.Version++
	in.clearConfirmations()
	return nil, nil
}

// reduce gives a part of the hold back, so that only c.Amount can still be
// captured. The version stays: it says what is agreed on at most, and who gives
// up a part of it is the payee.
func reduce(in *Intent, c Command, _ time.Time) ([]Effect, error) {
	switch {
	case c.Amount == 0:
		return nil, fmt.Errorf("%w: a hold is reduced to 1 or more, or voided", ErrAmount)
	case c.Amount >= in.Capturable():
		return nil, fmt.Errorf("%w: reduction to %d, %d are on hold", ErrTooMuch, c.Amount, in.Capturable())
	}
	before := in.Held
	in.Limit = in.Captured + c.Amount
	in.Held = in.holdFor(in.Limit)
	return []Effect{{Kind: EffectRelease, Amount: before - in.Held}}, nil
}

func release(in *Intent, _ Command, _ time.Time) ([]Effect, error) {
	in.clearConfirmations()
	return in.closeHold(), nil
}

func (in *Intent) releaseAll() []Effect {
	amount := in.Held
	in.Held, in.HoldExpires = 0, time.Time{}
	if amount == 0 {
		return nil
	}
	return []Effect{{Kind: EffectRelease, Amount: amount}}
}

// refund gives back a part or all of what is left, with the fee's share of it
// if the rule says so; out of an open dispute's reserve first.
func refund(in *Intent, c Command, _ time.Time) ([]Effect, error) {
	left := in.Captured - in.Refunded
	amount := c.Amount
	if amount == 0 {
		amount = left
	}
	if amount > left || left == 0 {
		return nil, fmt.Errorf("%w: refund of %d, %d are left", ErrTooMuch, amount, left)
	}
	fee := in.feeBack(amount)
	payee := in.fromPayee(amount)
	in.Refunded += amount
	in.FeeRefunded += fee
	reserve := min(in.Reserved, payee)
	in.Reserved -= reserve
	effects := []Effect{{Kind: EffectRefund, Amount: payee + fee, Fee: fee, Reserve: reserve}}
	return append(effects, in.unreserveAll()...), nil
}

// feeBack is the part of the fee that a refund of amount gives back: the share
// of all refunds so far less what was given back before. A later capture can
// make the fee's share of earlier refunds smaller; nothing is taken back then.
func (in *Intent) feeBack(amount int64) int64 {
	if in.Fees.OnRefund == FeeKept || amount == 0 {
		return 0
	}
	return max(0, share(in.Fee, in.Refunded+amount, in.Captured)-in.FeeRefunded)
}

// fromPayee is what a refund of amount takes from the payee.
func (in *Intent) fromPayee(amount int64) int64 {
	if in.Fees.PaidBy == FeeByPayer {
		return amount
	}
	return amount - in.feeBack(amount)
}

func review(in *Intent, _ Command, _ time.Time) ([]Effect, error) {
	in.clearConfirmations()
	return nil, nil
}
