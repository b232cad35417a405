package payments

import (
	"errors"
	"time"
)

// ErrOrderUnknown says that there is no payout or order of this id.
var ErrOrderUnknown = errors.New("order unknown")

// OrderState is how an order to a rail stands.
type OrderState string

// The states of orders. Refused and returned are final; done is, unless the
// rail gives the money back later.
const (
	OrderQueued   OrderState = "queued"  // not sent yet
	OrderSent     OrderState = "sent"    // on its way to the rail
	OrderPending  OrderState = "pending" // the rail has it and decides later
	OrderUnknown  OrderState = "unknown" // no answer: the rail is asked until it tells
	OrderDone     OrderState = "done"
	OrderRefused  OrderState = "refused"
	OrderReturned OrderState = "returned" // was done, and the money came back
)

const (
	// orderLease is how long whoever took an order up has for it; then it
	// counts as sent with an unknown outcome. It is longer than railTimeout.
	orderLease = time.Minute
	// railTimeout bounds one question to a rail.
	railTimeout = 25 * time.Second
	// orderAgainFor is how long after it was made an order that the rail has
	// not got is ordered again. Rails keep references for a day.
	orderAgainFor = 23 * time.Hour
	// orderLostAfter is the age at which an order that the rail has never got
	// counts as refused: nothing was sent for an hour, so nothing is on its way.
	orderLostAfter = 24 * time.Hour
	// reasonLost is the reason of such an order (ISO 20022: timeout at the instructed agent).
	reasonLost = "AB06"

	// lookEvery and returnsFor bound how a payout that is done is looked at again.
	lookEvery  = 24 * time.Hour
	returnsFor = 5 * 24 * time.Hour

	firstBackoff = time.Second
	lastBackoff  = 15 * time.Minute
)

// order is an order to a rail as the table has it.
type order struct {
	ID       string
	Rail     string
	Action   RailAction
	User     string
	Amount   int64
	Currency string
	Account  string // destination or payment method at the rail
	Holder   string // the name that was checked
	Checked  NameMatch

	// Payment and Version are what an authorisation is for; Payment is also
	// that of the capture, void or refund that follows it.
	Payment string
	Version int64
	// Authorisation is the order that a capture, void or refund follows, and
	// OfRailID the rail's id of it.
	Authorisation, OfRailID string
	// LeftOver is what an authorisation still promises to a hold that is open.
	LeftOver int64
	// Safety is what an authorisation keeps for the gate.
	Safety string

	State  OrderState
	RailID string
	Reason string
	Tries  int64
	Due    time.Time // zero: nothing to do
	// Waited says that the outcome did not come with the first answer.
	Waited             bool
	Scope, Key         string // who asked, under which idempotency key
	CreatedAt, Updated time.Time
	rev                int64
}

// open reports whether the outcome is still to come.
func (o *order) open() bool {
	switch o.State {
	case OrderQueued, OrderSent, OrderPending, OrderUnknown:
		return true
	}
	return false
}

// outgoing reports whether the money was taken from the user when the order was made.
func (o *order) outgoing() bool { return o.Action == RailPayout || o.Action == RailRefund }

// toRail is the order in the rail's words.
func (o *order) toRail() RailOrder {
	return RailOrder{Action: o.Action, Reference: o.ID, Of: o.OfRailID, User: o.User, Amount: o.Amount, Currency: o.Currency, Account: o.Account, At: o.CreatedAt}
}

// take leases the order for one question to the rail.
func (o *order) take(now time.Time) {
	if o.State == OrderQueued {
		o.State = OrderSent
	}
	o.Tries++
	o.Due, o.Updated = now.Add(orderLease), now
}

// verdict is what an answer means for the money of an order.
type verdict string

const (
	nothingNew verdict = ""
	isDone     verdict = "done"
	isRefused  verdict = "refused"
	isReturned verdict = "returned"
	// contradicts: the rail takes back an outcome that was booked and cannot be undone here.
	contradicts verdict = "contradiction"
)

// after returns the order after an answer of the rail, or after none (asked is why).
// It is pure. What is booked follows from the verdict, and a verdict comes once:
// it is given only with the change of state it belongs to.
func (o order) after(out RailOutcome, asked error, now time.Time) (order, verdict) {
	o.Updated = now
	failed := asked != nil
	wait := backoff(o.Tries)
	var busy *RailBusyError
	if errors.As(asked, &busy) {
		wait = max(wait, busy.After)
	}
	if !failed && out.ID != "" {
		o.RailID = out.ID
	}
	if !o.open() {
		return o.afterEnd(out, failed, now, wait)
	}
	switch {
	case failed || out.Status == RailAbsent && o.State == OrderPending:
		if o.State != OrderPending {
			o.State = OrderUnknown
		}
	case out.Status == RailAbsent && now.Sub(o.CreatedAt) >= orderLostAfter:
		return o.end(OrderRefused, reasonLost), isRefused
	case out.Status == RailAbsent:
		o.State = OrderUnknown
	case out.Status == RailDone:
		next := o.end(OrderDone, "")
		next.lookAgain(now)
		return next, isDone
	case out.Status == RailRefused:
		return o.end(OrderRefused, out.Reason), isRefused
	default:
		o.State, o.Reason = OrderPending, out.Reason
	}
	o.Waited = true
	o.Due = now.Add(wait)
	return o, nothingNew
}

// afterEnd takes what a rail says of an order whose outcome is booked.
func (o order) afterEnd(out RailOutcome, failed bool, now time.Time, wait time.Duration) (order, verdict) {
	o.Due = time.Time{}
	switch {
	case failed: // somebody wanted to know; ask again later
		o.Due = now.Add(wait)
	case o.State == OrderDone && out.Status == RailRefused && o.outgoing():
		return o.end(OrderReturned, out.Reason), isReturned
	case o.State == OrderDone && out.Status == RailRefused, o.State == OrderRefused && out.Status == RailDone:
		return o, contradicts
	default:
		o.lookAgain(now)
	}
	return o, nothingNew
}

// lookAgain has the rail asked once more about a payout that is done, a day
// later and until it is returnsFor old: banks send money back, and the rail's
// own word of it may be lost.
func (o *order) lookAgain(now time.Time) {
	if o.State == OrderDone && o.Action == RailPayout && now.Sub(o.CreatedAt) < returnsFor {
		o.Due = now.Add(lookEvery)
	}
}

func (o order) end(state OrderState, reason string) order {
	o.State, o.Reason, o.Due = state, reason, time.Time{}
	return o
}

// backoff is how long to wait after a number of tries: 1 s, 2 s, 4 s … 15 min.
func backoff(tries int64) time.Duration {
	d := firstBackoff
	for ; tries > 1 && d < lastBackoff; tries-- {
		d *= 2
	}
	return min(d, lastBackoff)
}
