package payments

import (
	"encoding/json"
	"time"
)

// Payment is how a payment is shown to its parties and in events. Amounts are
// minor units of Currency, times UTC.
type Payment struct {
	ID            string     `json:"id" example:"pay_01jd0000000000000000000000"`
	State         State      `json:"state" enum:"requested,held,confirming,confirmed,part_captured,captured,part_refunded,refunded,declined,expired,cancelled,voided,review,disputed"`
	Version       int64      `json:"version" doc:"of what the parties agree on; every edit makes the next one"`
	Digest        string     `json:"digest" doc:"hex SHA-256 of the canonical snapshot of this version"`
	Payer         string     `json:"payer"`
	Payee         string     `json:"payee"`
	PayeeName     string     `json:"payee_name" doc:"as shown to the payer"`
	Amount        int64      `json:"amount" doc:"minor units"`
	Currency      string     `json:"currency" doc:"ISO 4217"`
	Captured      int64      `json:"captured"`
	Refunded      int64      `json:"refunded"`
	Fee           int64      `json:"fee" doc:"what captured has cost so far: a part of it that the payee does not get, or on top of it when the payer pays the fee"`
	FeeRefunded   int64      `json:"fee_refunded" doc:"part of the fee that refunds gave back"`
	FeeRule       FeeRule    `json:"fee_rule" doc:"what the payment costs"`
	FeeExpected   int64      `json:"fee_expected" doc:"the fee if all of the amount is captured"`
	Total         int64      `json:"total" doc:"what the payer pays if all of the amount is captured, and what a hold reserves: the amount, with the fee when the payer pays it"`
	Held          int64      `json:"held" doc:"on hold now, with the fee when the payer pays it"`
	Capturable    int64      `json:"capturable" doc:"how much of the amount can still be captured"`
	Capture       string     `json:"capture" enum:"automatic,manual" doc:"automatic: captured as soon as what confirm asks for is there"`
	Order         string     `json:"order,omitempty"`
	Memo          string     `json:"memo,omitempty"`
	Conversation  string     `json:"conversation,omitempty"`
	Confirm       string     `json:"confirm" enum:"live,none"`
	ConfirmedBy   []string   `json:"confirmed_by" doc:"payer, payee or both"`
	Deadline      *time.Time `json:"deadline,omitempty" doc:"when the request expires"`
	HoldExpires   *time.Time `json:"hold_expires,omitempty"`
	ConfirmBefore *time.Time `json:"confirm_deadline,omitempty"`
	Next          *Next      `json:"next,omitempty" doc:"what happens if nobody does anything"`
	Dispute       *Dispute   `json:"dispute,omitempty"`
	Reserved      int64      `json:"reserved" doc:"kept from the payee for an open dispute"`
	Asked
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Next is what a payment's next deadline brings. No deadline captures.
type Next struct {
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome" enum:"expired,voided,confirmations_void,released,refunded,resolved" doc:"the change that happens then: a request expires, a hold goes back (voided), confirmations become void, the rest of a hold goes back (released), a dispute is decided for the payer (refunded) or the payee (resolved)"`
}

// view shows an intent.
func view(in Intent) Payment {
	p := Payment{
		ID: in.ID, State: in.State, Version: in.Version, Digest: in.Digest,
		Payer: in.Payer, Payee: in.Payee, PayeeName: in.PayeeName,
		Amount: in.Amount, Currency: in.Currency, Captured: in.Captured, Refunded: in.Refunded, Fee: in.Fee,
		Order: in.Order, Memo: in.Memo, Conversation: in.Conversation, Confirm: in.Confirm, ConfirmedBy: []string{},
		FeeRefunded: in.FeeRefunded, FeeRule: in.Fees, FeeExpected: in.Fees.Of(in.Amount), Total: in.Total(),
		Held: in.Held, Capturable: in.Capturable(), Capture: in.Capture, Reserved: in.Reserved,
		Asked:       in.asked(),
		HoldExpires: optional(in.HoldExpires), ConfirmBefore: optional(in.ConfirmDeadline),
		CreatedAt: in.CreatedAt, UpdatedAt: in.UpdatedAt,
	}
	if at, change, ok := in.Due(); ok {
		p.Next = &Next{At: at, Outcome: change}
	}
	if !in.Dispute.OpenedAt.IsZero() {
		p.Dispute = &in.Dispute
	}
	if in.State == Requested {
		p.Deadline = optional(in.Deadline)
	}
	if in.PayerConfirmed {
		p.ConfirmedBy = append(p.ConfirmedBy, "payer")
	}
	if in.PayeeConfirmed {
		p.ConfirmedBy = append(p.ConfirmedBy, "payee")
	}
	return p
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// EventType is the type of every event of this package.
const EventType = "payment.updated"

// EventData is the data of such an event.
type EventData struct {
	Payment Payment `json:"payment"`
	// Change names what happened, for example "captured": the column of the transition table.
	Change string `json:"change"`
}

func eventData(in Intent, change string) (json.RawMessage, error) {
	return json.Marshal(EventData{Payment: view(in), Change: change})
}
