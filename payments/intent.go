package payments

import (
	"errors"
	"fmt"
	"math/bits"
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
	ConfirmNone = "none" // a server key captures
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
	// FeeBasisPoints is the fee rule the payment was made under.
	FeeBasisPoints int64
	Order, Memo    string
	Conversation   string
	Confirm        string // ConfirmLive or ConfirmNone
	// Ask says who asked for the payment and how.
	Ask Ask

	Held        int64 // on hold now
	Captured    int64 // taken from the hold, fee included
	Fee         int64 // of Captured
	Refunded    int64 // of Captured
	FeeRefunded int64 // of Fee
	Reserved    int64 // taken from the payee for an open dispute

	PayerConfirmed, PayeeConfirmed bool
	Call, Transcript               string // what the confirmations were made in

	Deadline        time.Time // of the request; then of nothing
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
	DoVoid      Verb = "void"
	DoDecline   Verb = "decline"
	DoCancel    Verb = "cancel"
	DoRefund    Verb = "refund"
	DoReport    Verb = "report"
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
	// Amount of an edit, capture or refund; 0 means: as it is, all, all that is left.
	Amount int64
	// Memo of an edit; nil keeps it.
	Memo *string
	// Call and Transcript of a confirmation.
	Call, Transcript string
	// Until is the new deadline: of a hold, of the first confirmation, or of
	// the request when an edit asks for a new hold.
	Until time.Time
	// Available is what the payee can give towards a dispute's reserve.
	Available int64
	// Reason of a decline: one of DeclineReasons, or empty.
	Reason string
	// For is who wins a resolved dispute or review: Payer or Payee.
	For Party
}

// Effect is money that moves with a transition. All effects of one transition
// are posted together or not at all.
type Effect struct {
	Kind   EffectKind
	Amount int64
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
	case DoConfirm, DoCapture, DoEdit:
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

// DueAt returns when the next deadline passes, or the zero time when nothing is waited for.
func (in Intent) DueAt() time.Time {
	switch in.State {
	case Requested:
		return in.Deadline
	case Held, Confirmed:
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
	}
	return time.Time{}
}

// past reports whether a deadline that is set has passed.
func past(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// share returns floor(amount * part / whole) for 0 <= part <= whole, whole > 0,
// without overflow. Fees are rounded down, in the payee's favour; a fee given
// back in parts is the share of all refunds so far less what was given back
// before, so that the parts add up to the fee exactly.
func share(amount, part, whole int64) int64 {
	hi, lo := bits.Mul64(uint64(amount), uint64(part))
	q, _ := bits.Div64(hi, lo, uint64(whole)) // quotient <= amount: cannot overflow
	return int64(q)
}
