package payments

import (
	"context"
	"errors"
	"time"
)

// ErrRail says that the outside world refused; the error's text has its reason.
var ErrRail = errors.New("refused by the rail")

// RailAction is what a rail is asked to do.
type RailAction string

// The actions of rails.
const (
	RailFund      RailAction = "fund"      // money comes in for a user
	RailAuthorise RailAction = "authorise" // money is promised for a payment
	RailCapture   RailAction = "capture"   // promised money comes in; what is not captured is released
	RailVoid      RailAction = "void"      // a promise is given back
	RailRefund    RailAction = "refund"    // captured money goes back to where it came from
	RailPayout    RailAction = "payout"    // money goes out to a user's own account
)

// RailOrder asks for money to move in the outside world.
type RailOrder struct {
	Action RailAction
	// Reference is the same on every retry; a rail does an order once.
	Reference string
	// Of is the rail's own id of the authorisation that a capture, void or refund is about.
	Of       string
	User     string
	Amount   int64 // minor units of Currency
	Currency string
	// Account is the user's, in the rail's words: the destination of a payout,
	// the payment method of a fund or authorise. Never a card number.
	Account string
	// At is when the order was made, the same on every retry.
	At time.Time
}

// RailStatus is how an order stands.
type RailStatus string

// The outcomes.
const (
	RailDone    RailStatus = "done"
	RailPending RailStatus = "pending" // decided later: find out with Find
	RailRefused RailStatus = "refused"
	// RailAbsent is an answer of Find only: the rail has no order of this
	// reference. Within a day of the order that may be premature, because it is
	// then given again under the same reference; after a day it must be certain,
	// because the money goes back.
	RailAbsent RailStatus = "absent"
)

// RailOutcome is a rail's answer.
type RailOutcome struct {
	ID     string // the rail's own
	Status RailStatus
	// Reason is an ISO 20022 reason when refused (AM04: insufficient funds), or
	// what is waited for when pending ("review").
	Reason string
}

// Rail is a way to the outside world. Its account in the ledger is "rail:" +
// Name. An error of either method means that the outcome is unknown: it is
// found out by Find, or by the same order again, never by another one.
type Rail interface {
	Name() string
	// Order has the rail do what o asks. It is idempotent by reference for a
	// day: the same order again gives the outcome of the first.
	Order(ctx context.Context, o RailOrder) (RailOutcome, error)
	// Find tells how o stands and changes nothing. id is the rail's own, or
	// empty when it has not told one.
	Find(ctx context.Context, o RailOrder, id string) (RailOutcome, error)
}

// RailBusyError is an unknown outcome of which the rail says when to ask again.
type RailBusyError struct {
	After time.Duration
	Err   error
}

// Error implements error.
func (e *RailBusyError) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e *RailBusyError) Unwrap() error { return e.Err }

// NameMatch is what a rail says of an account holder's name.
type NameMatch string

// The answers of Confirmation of Payee.
const (
	NameMatches     NameMatch = "match"
	NameClose       NameMatch = "close_match" // the registered name is told
	NameNoMatch     NameMatch = "no_match"
	NameUnavailable NameMatch = "unavailable"
)

// NameChecker is a rail that can compare a name with the holder of an account.
type NameChecker interface {
	// CheckName returns how well holder fits and, for a close match only, the registered name.
	CheckName(ctx context.Context, account, holder string) (NameMatch, string, error)
}
