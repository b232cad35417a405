package stripe

import (
	"fmt"

	"parley/payments"
)

// object is what matters of a PaymentIntent, refund, payout or transfer.
type object struct {
	ID             string            `json:"id"`
	Object         string            `json:"object"`
	Status         string            `json:"status"`
	Amount         int64             `json:"amount"`
	AmountReversed int64             `json:"amount_reversed"` // of a transfer
	TransferGroup  string            `json:"transfer_group"`
	FailureCode    string            `json:"failure_code"`   // of a payout
	FailureReason  string            `json:"failure_reason"` // of a refund
	Metadata       map[string]string `json:"metadata"`
	LastError      *struct {
		Code        string `json:"code"`
		DeclineCode string `json:"decline_code"`
	} `json:"last_payment_error"`
}

// list is a page of objects; NextPage is set by searches.
type list struct {
	Data     []object `json:"data"`
	HasMore  bool     `json:"has_more"`
	NextPage string   `json:"next_page"`
}

// reference is the order that made the object.
func (g *object) reference() string {
	if ref := g.Metadata["reference"]; ref != "" {
		return ref
	}
	return g.TransferGroup
}

// outcome says what an object means for an order.
func (r *Rail) outcome(o payments.RailOrder, amount int64, got object) (payments.RailOutcome, error) {
	out := payments.RailOutcome{ID: got.ID}
	switch {
	case got.ID == "":
		return out, fmt.Errorf("stripe: an answer about %s without an id", o.Reference)
	case o.Action != payments.RailCapture && o.Action != payments.RailVoid && got.Amount != amount:
		return out, fmt.Errorf("stripe: %s of order %s is about %d, want %d", got.ID, o.Reference, got.Amount, amount)
	}
	if got.Object == "transfer" { // has no status: it is made or taken back
		if out.Status = payments.RailDone; got.AmountReversed >= got.Amount {
			out.Status, out.Reason = payments.RailRefused, reasonOther
		}
		return out, nil
	}
	status, ok := meanings[meaning{o.Action, got.Status}]
	if !ok {
		return out, fmt.Errorf("stripe: %s of order %s is %.40q, which %s does not expect", got.ID, o.Reference, got.Status, o.Action)
	}
	out.Status = status
	switch status {
	case payments.RailPending:
		out.Reason = got.Status
	case payments.RailRefused:
		out.Reason = got.reason()
	}
	return out, nil
}

func (g *object) reason() string {
	if g.LastError != nil {
		return reasonOf(g.LastError.DeclineCode, g.LastError.Code)
	}
	return reasonOf(g.FailureCode, g.FailureReason)
}

// meaning is an object's status seen from an order.
type meaning struct {
	action payments.RailAction
	status string
}

// meanings are the documented states of Stripe's objects. One that is not here
// leaves the outcome unknown.
var meanings = map[meaning]payments.RailStatus{
	{payments.RailFund, "succeeded"}:               payments.RailDone,
	{payments.RailFund, "processing"}:              payments.RailPending,
	{payments.RailFund, "requires_action"}:         payments.RailPending,
	{payments.RailFund, "requires_confirmation"}:   payments.RailPending,
	{payments.RailFund, "requires_payment_method"}: payments.RailRefused,
	{payments.RailFund, "canceled"}:                payments.RailRefused,

	{payments.RailAuthorise, "requires_capture"}:        payments.RailDone,
	{payments.RailAuthorise, "succeeded"}:               payments.RailDone,
	{payments.RailAuthorise, "processing"}:              payments.RailPending,
	{payments.RailAuthorise, "requires_action"}:         payments.RailPending,
	{payments.RailAuthorise, "requires_confirmation"}:   payments.RailPending,
	{payments.RailAuthorise, "requires_payment_method"}: payments.RailRefused,
	{payments.RailAuthorise, "canceled"}:                payments.RailRefused,

	{payments.RailCapture, "succeeded"}:        payments.RailDone,
	{payments.RailCapture, "processing"}:       payments.RailPending,
	{payments.RailCapture, "requires_capture"}: payments.RailAbsent,
	{payments.RailCapture, "canceled"}:         payments.RailRefused,

	{payments.RailVoid, "canceled"}:         payments.RailDone,
	{payments.RailVoid, "requires_capture"}: payments.RailAbsent,
	{payments.RailVoid, "processing"}:       payments.RailPending,
	{payments.RailVoid, "succeeded"}:        payments.RailRefused,

	{payments.RailRefund, "succeeded"}:       payments.RailDone,
	{payments.RailRefund, "pending"}:         payments.RailPending,
	{payments.RailRefund, "requires_action"}: payments.RailPending,
	{payments.RailRefund, "failed"}:          payments.RailRefused,
	{payments.RailRefund, "canceled"}:        payments.RailRefused,

	{payments.RailPayout, "paid"}:       payments.RailDone,
	{payments.RailPayout, "pending"}:    payments.RailPending,
	{payments.RailPayout, "in_transit"}: payments.RailPending,
	{payments.RailPayout, "failed"}:     payments.RailRefused,
	{payments.RailPayout, "canceled"}:   payments.RailRefused,
}

// reasonOther is the ISO 20022 reason "not specified, agent generated".
const reasonOther = "MS03"

// reasons has the ISO 20022 reasons (external status reason code set) of
// Stripe's decline, error and failure codes.
var reasons = map[string]string{
	"insufficient_funds": "AM04", "balance_insufficient": "AM04", "insufficient_balance": "AM04",
	"card_velocity_exceeded": "AM14", "withdrawal_count_limit_exceeded": "AM14",
	"amount_too_small": "AM02", "amount_too_large": "AM02", "invalid_amount": "AM02",
	"currency_not_supported": "AM03", "invalid_currency": "AM03",
	"incorrect_number": "AC01", "invalid_number": "AC01", "invalid_account": "AC01", "invalid_account_number": "AC01", "no_account": "AC01", "resource_missing": "AC01",
	"account_closed": "AC04", "bank_account_closed": "AC04",
	"account_frozen": "AC06", "lost_card": "AC06", "stolen_card": "AC06", "pickup_card": "AC06", "restricted_card": "AC06", "lost_or_stolen_card": "AC06",
	"transaction_not_allowed": "AG01", "card_not_supported": "AG01", "bank_account_restricted": "AG01", "debit_not_authorized": "AG01",
	"fraudulent": "FR01", "merchant_blacklist": "FR01",
	"incorrect_account_holder_name": "BE01",
}

// reasonOf returns the reason of the first code that has one.
func reasonOf(codes ...string) string {
	for _, code := range codes {
		if reason, ok := reasons[code]; ok {
			return reason
		}
	}
	return reasonOther
}

// minorUnits is an order's amount as Stripe counts it, or the reason why Stripe
// cannot move it. Source: Stripe's page on currencies, special cases.
func minorUnits(o payments.RailOrder) (amount int64, refused string) {
	const notAllowedCurrency, invalidAmount = "AM03", "AM12"
	amount = o.Amount
	divisible := int64(1)
	switch o.Currency {
	case "ISK", "UGX": // no minor unit, yet written with two digits
		return amount * 100, ""
	case "MGA": // two digits in ISO 4217, none at Stripe
		amount, divisible = amount/100, 100
	case "BHD", "JOD", "KWD", "OMR", "TND": // the third digit must be 0
		divisible = 10
	case "IQD", "LYD":
		return 0, notAllowedCurrency
	case "HUF", "TWD": // two digits, but paid out in whole units
		if o.Action == payments.RailPayout {
			divisible = 100
		}
	}
	if o.Amount%divisible != 0 {
		return 0, invalidAmount
	}
	return amount, ""
}
