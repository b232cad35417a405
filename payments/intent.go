package payments

import (
	"errors"
	"fmt"
	"time"
)

// Errors of Apply. Each comes back wrapped with what was wrong.
var (
	// ErrState says that the payment's state does not allow the command.
	ErrState = errors.New("payment state does not allow this")
	// ErrNotParty says that who asks may not do this to the payment.
	ErrNotParty = errors.New("not a party who may do this")
	// ErrVersionStale says that the command speaks of another version than the current one.
	ErrVersionStale = errors.New("payment version is stale")
	// ErrHoldExpired says that the held money is on its way back.
	ErrHoldExpired = errors.New("hold expired")
	// ErrConfirmationExpired says that the time to confirm is over.
	ErrConfirmationExpired = errors.New("confirmation expired")
	// ErrLiveRequired says that only live confirmation by both parties captures.
	ErrLiveRequired = errors.New("live confirmation required")
	// ErrTooMuch says that more was asked than is held, or left to refund.
	ErrTooMuch = errors.New("more than there is")
	// ErrNotDue says that no deadline of the payment has passed.
	ErrNotDue = errors.New("nothing is due")
)

// State of a payment.
type State string

// The states. Expired, declined, cancelled, voided and refunded are final.
const (
	Requested    State = "requested"
	Held         State = "held"
	Confirming   State = "confirming"
	Confirmed    State = "confirmed"
	PartCaptured State = "part_captured" // a part is captured, the rest is still on hold
	Captured     State = "captured"
	PartRefunded State = "part_refunded"
	Refunded     State = "refunded"
	Declined     State = "declined"
	Expired      State = "expired"
	Cancelled    State = "cancelled"
	Voided       State = "voided"
	InReview     State = "review"
	Disputed     State = "disputed"
)

// How a payment is confirmed.
const (
	ConfirmLive = "live" // both parties, in a call, each with a passkey
	ConfirmNone = "none" // the payer or a server key captures
)

// When a payment is captured.
const (
	// CaptureAutomatic captures all of the hold as soon as what Confirm asks for
	// is there: with ConfirmNone right after the hold.
	CaptureAutomatic = "automatic"
	// CaptureManual waits for the command.
	CaptureManual = "manual"
)

// Party is on whose behalf a command is given. Parties can be combined in the transition table.
type Party uint8

// The parties.
const (
	Payer Party = 1 << iota
	Payee
	Server // a server key of the app, or another part of Parley
	Clock  // a deadline
)

// Intent is a payment with all that decides what may happen to it next.
// It is a value: Apply returns the next one and changes nothing.
type Intent struct {
	ID      string
	State   State
	Version int64 // of what the parties agree on; an edit makes the next one
	// Digest and Snapshot say what is agreed on in this version; the service
	// sets them through its Digester.
	Digest   string
	Snapshot string

	Payer, Payee string
	PayeeName    string // as shown to the payer
	Amount       int64  // minor units
	Currency     string
	Fees         FeeRule // the payment was made under
	Order, Memo  string
	Conversation string
	Confirm      string // ConfirmLive or ConfirmNone
	Capture      string // CaptureAutomatic or CaptureManual
	// Ask says who asked for the payment and how.
	Ask Ask

	Held        int64 // on hold now, with what a fee on top of the rest costs
	Limit       int64 // of Captured: the amount when it was held, less when the hold was reduced
	Captured    int64 // of Amount, without a fee on top
	Fee         int64 // of Captured when the payee pays it, else besides it
	Refunded    int64 // of Captured
	FeeRefunded int64 // of Fee
	Reserved    int64 // taken from the payee for an open dispute
	Dispute     Dispute

	PayerConfirmed, PayeeConfirmed bool
	Call, Transcript               string // what the confirmations were made in

	Deadline        time.Time // of the request; then of nothing
	HeldAt          time.Time // when the hold that is there, or was the last, began
	HoldExpires     time.Time
	ConfirmDeadline time.Time
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// Verb names a command.
type Verb string

// The commands.
const (
	DoHold    Verb = "hold"
	DoEdit    Verb = "edit"
	DoConfirm Verb = "confirm"
	// DoUnconfirm makes confirmations void, because the call's keys changed.
	DoUnconfirm Verb = "unconfirm"
	DoCapture   Verb = "capture"
	// DoExtend lets the hold last longer, DoReduce gives a part of it back.
	DoExtend  Verb = "extend"
	DoReduce  Verb = "reduce"
	DoVoid    Verb = "void"
	DoDecline Verb = "decline"
	DoCancel  Verb = "cancel"
	DoRefund  Verb = "refund"
	DoReport  Verb = "report"
	// DoAnswer is the payee's answer to a dispute.
	DoAnswer Verb = "answer"
	// DoReview stops a payment until it is resolved, for example because the words differ.
	DoReview  Verb = "review"
	DoResolve Verb = "resolve"
	// DoTick lets passed deadlines take effect.
	DoTick Verb = "tick"
)

// Command asks an Intent for a transition.
type Command struct {
	Do Verb
	By Party
	// Version it speaks of; 0 means whatever is current.
	Version int64
	// Digest of a confirmation; empty is not compared.
	Digest string
	// Amount of an edit, capture or refund; 0 means: as it is, all, all that is
	// left. Of a reduced hold: what can still be captured afterwards.
	Amount int64
	// KeepRest of a capture leaves what it does not take on hold, for captures that follow.
	KeepRest bool
	// Memo of an edit or the text of an answer; nil keeps it.
	Memo *string
	// Call and Transcript of a confirmation.
	Call, Transcript string
	// Until is the new deadline: of a hold, of the first confirmation, of the
	// request when an edit asks for a new hold, of the decision about a dispute
	// when it is answered.
	Until time.Time
	// Available is what the payee can give towards a dispute's reserve, or
	// towards its outcome when a deadline passes.
	Available int64
	// Dispute has the deadlines of the dispute that a report opens.
	Dispute Dispute
	// Reason of a decline: one of DeclineReasons, or empty.
	Reason string
	// For is who wins a resolved dispute or review: Payer or Payee.
	For Party
	// Safety is what comes with it for the gate; Apply does not look at it.
	Safety *SafetyInput
	// promised is the authorisation by a rail that a hold is made with; Apply does not look at it.
	promised *order
}

// Effect is money that moves with a transition. All effects of one transition
// are posted together or not at all.
type Effect struct {
	Kind   EffectKind
	Amount int64 // what leaves or reaches the payer, a fee on top included
	// Fee is the part of a capture that goes to the fee account, or of a refund
	// that comes from there.
	Fee int64
	// Reserve is the part of a refund that comes from the dispute's reserve.
	Reserve int64
}

// EffectKind says from where to where an effect moves money.
type EffectKind string

// The effects.
const (
	EffectHold      EffectKind = "hold"      // payer available -> payer held
	EffectRelease   EffectKind = "release"   // payer held -> payer available
	EffectCapture   EffectKind = "capture"   // payer held -> payee available, fees
	EffectRefund    EffectKind = "refund"    // payee available or disputed, fees -> payer available
	EffectReserve   EffectKind = "reserve"   // payee available -> payee disputed
	EffectUnreserve EffectKind = "unreserve" // payee disputed -> payee available
)

// Result is what a command did.
type Result struct {
	Next    Intent
	Effects []Effect
	// Change names what happened, for the event; empty when nothing did.
	Change string
}

// Apply returns what c does to the payment at now, or one of the package's
// errors. It is pure: the same arguments give the same result.
func (in Intent) Apply(c Command, now time.Time) (Result, error) {
	if c.Version != 0 && c.Version != in.Version {
		return Result{}, fmt.Errorf("%w: it is version %d", ErrVersionStale, in.Version)
	}
	if c.Amount < 0 {
		return Result{}, fmt.Errorf("%w: %d", ErrAmount, c.Amount)
	}
	t, err := in.transition(c, now)
	if err != nil {
		return Result{}, err
	}
	if err := in.inTime(c, now); err != nil {
		return Result{}, err
	}
	r := Result{Next: in, Change: t.Change}
	if t.do != nil {
		if r.Effects, err = t.do(&r.Next, c, now); err != nil {
			return Result{}, err
		}
	}
	if t.Change != "" {
		r.Next.UpdatedAt = now
	}
	r.Next.State = t.To
	return r, nil
}

// inTime refuses what comes after a deadline that has not been swept yet.
func (in Intent) inTime(c Command, now time.Time) error {
	switch c.Do {
	case DoHold:
		if in.State == Requested && past(in.Deadline, now) {
			return fmt.Errorf("%w: the request expired", ErrState)
		}
	case DoConfirm, DoCapture, DoEdit, DoExtend, DoReduce:
		if past(in.HoldExpires, now) && in.Held > 0 {
			return ErrHoldExpired
		}
		if c.Do == DoConfirm && in.State == Confirming && past(in.ConfirmDeadline, now) {
			return ErrConfirmationExpired
		}
		if c.Do == DoEdit && in.State == Requested && past(in.Deadline, now) {
			return fmt.Errorf("%w: the request expired", ErrState)
		}
	}
	return nil
}

// Total is what the payer pays for all of the amount: with the fee when it comes on top.
func (in Intent) Total() int64 { return in.Amount + in.Fees.onTop(in.Amount) }

// Capturable is how much of the amount can still be captured from the hold.
func (in Intent) Capturable() int64 {
	if in.Held == 0 {
		return 0
	}
	return in.Limit - in.Captured
}

// holdFor is what must be on hold so that limit can be captured in all.
func (in Intent) holdFor(limit int64) int64 {
	paid := int64(0)
	if in.Fees.PaidBy == FeeByPayer {
		paid = in.Fee
	}
	return limit - in.Captured + in.Fees.onTop(limit) - paid
}

// follows returns the command that a payment gives itself after did: a capture
// when nothing is missing for it. A deadline is followed by nothing.
func (in Intent) follows(did Verb) (Command, bool) {
	ready := in.State == Confirmed || in.State == Held && in.Confirm == ConfirmNone
	switch did {
	case DoHold, DoConfirm, DoResolve:
		return Command{Do: DoCapture, By: Server}, ready && in.Capture == CaptureAutomatic
	}
	return Command{}, false
}

// DueAt returns when the next deadline passes, or the zero time when nothing is waited for.
func (in Intent) DueAt() time.Time {
	switch in.State {
	case Requested:
		return in.Deadline
	case Held, Confirmed, PartCaptured:
		return in.HoldExpires
	case Confirming:
		if in.ConfirmDeadline.Before(in.HoldExpires) {
			return in.ConfirmDeadline
		}
		return in.HoldExpires
	case InReview:
		if in.Held > 0 {
			return in.HoldExpires
		}
		return in.Deadline
	case Disputed:
		return in.Dispute.dueAt()
	}
	return time.Time{}
}

// Due returns when the next deadline passes and what will happen then, in the
// words of an event's change; false when nothing is waited for.
func (in Intent) Due() (at time.Time, change string, ok bool) {
	if at = in.DueAt(); at.IsZero() {
		return at, "", false
	}
	r, err := in.Apply(Command{Do: DoTick, By: Clock, Available: MaxAmount}, at)
	return at, r.Change, err == nil
}

// past reports whether a deadline that is set has passed.
func past(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }
