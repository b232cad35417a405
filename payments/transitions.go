package payments

import (
	"fmt"
	"slices"
	"strings"
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

	when condition
	do   func(in *Intent, c Command, now time.Time) ([]Effect, error)
	// refuse is the error of a row that exists to say why not.
	refuse error
}

// Refuses is the error of a row that exists to say why not, nil for the others.
func (t Transition) Refuses() error { return t.refuse }

// condition tells whether a row fits.
type condition = func(in *Intent, c Command, now time.Time) bool

// Transitions returns the table. Rows are tried from the top; the first that
// fits state, verb and condition decides.
func Transitions() []Transition { return transitions }

var (
	onHold    = []State{Held, Confirming}
	taken     = []State{Captured, PartRefunded}
	undecided = []State{Requested, Held, Confirming, Confirmed}
)

var transitions = slices.Concat([]Transition{
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

	{From: onHold, On: DoCapture, By: Payer | Server, When: "live, not confirmed by both", when: isLive, refuse: ErrLiveRequired},
	{From: []State{Held, Confirmed, PartCaptured}, On: DoCapture, By: Payer | Server, When: "of a part, the rest stays on hold", when: keepsRest, To: PartCaptured, Change: "part_captured", do: capture},
	{From: []State{PartCaptured}, On: DoCapture, By: Payer | Server, When: "the last, refunded in part", when: partRefunded, To: PartRefunded, Change: "captured", do: captureLast},
	{From: []State{Held, Confirmed, PartCaptured}, On: DoCapture, By: Payer | Server, When: "the last", To: Captured, Change: "captured", do: captureLast},

	{From: []State{Held, Confirming}, On: DoExtend, By: Payer | Server, To: Held, Change: "extended", do: extendVersion},
	{From: []State{Confirmed}, On: DoExtend, By: Payer | Server, To: Confirmed, Change: "extended", do: extend},
	{From: []State{PartCaptured}, On: DoExtend, By: Payer | Server, To: PartCaptured, Change: "extended", do: extend},
	{From: onHold, On: DoReduce, By: Payee | Server, When: "live, not confirmed by both: edit the amount", when: isLive, refuse: ErrState},
	{From: []State{Held}, On: DoReduce, By: Payee | Server, To: Held, Change: "reduced", do: reduce},
	{From: []State{Confirmed}, On: DoReduce, By: Payee | Server, To: Confirmed, Change: "reduced", do: reduce},
	{From: []State{PartCaptured}, On: DoReduce, By: Payee | Server, To: PartCaptured, Change: "reduced", do: reduce},
},
	closing([]State{PartCaptured, InReview}, DoVoid, Payer|Server, "", nil),
	closing([]State{PartCaptured, InReview}, DoCancel, Payee, "", nil),
	closing([]State{InReview}, DoResolve, Server, "for the payer", forPayer),
	closing([]State{PartCaptured, InReview}, DoTick, Clock, "hold expires", holdPast),
	[]Transition{
		{From: []State{Held, Confirming, Confirmed, InReview}, On: DoVoid, By: Payer | Server, To: Voided, Change: "voided", do: release},
		{From: []State{Requested}, On: DoDecline, By: Payer, To: Declined, Change: "declined", do: decline},
		{From: []State{Requested, Held, Confirming, Confirmed, InReview}, On: DoCancel, By: Payee, To: Cancelled, Change: "cancelled", do: release},

		{From: []State{PartCaptured}, On: DoRefund, By: Payee | Server, To: PartCaptured, Change: "refunded", do: refund},
		{From: taken, On: DoRefund, By: Payee | Server, When: "of all that is left", when: refundsAll, To: Refunded, Change: "refunded", do: refund},
		{From: taken, On: DoRefund, By: Payee | Server, When: "of a part", To: PartRefunded, Change: "refunded", do: refund},
		{From: []State{Disputed}, On: DoRefund, By: Payee | Server, When: "of all that is left", when: refundsAll, To: Refunded, Change: "refunded", do: lose},

		{From: undecided, On: DoReport, By: Payer, To: InReview, Change: "review", do: review},
		{From: []State{Captured, PartRefunded}, On: DoReport, By: Payer, To: Disputed, Change: "disputed", do: dispute},
		{From: []State{PartCaptured}, On: DoReport, By: Payer, When: "not all refunded", when: somethingLeft, To: Disputed, Change: "disputed", do: dispute},
		{From: undecided, On: DoReview, By: Server, To: InReview, Change: "review", do: review},
		{From: []State{PartCaptured}, On: DoReview, By: Server, To: InReview, Change: "review"},
		{From: []State{Disputed}, On: DoAnswer, By: Payee, When: "in time, once", when: unanswered, To: Disputed, Change: "answered", do: answer},
		{From: []State{Disputed}, On: DoAnswer, By: Payee, When: "late, or again", refuse: ErrState},

		{From: []State{InReview}, On: DoResolve, By: Server, When: "for the payer", when: forPayer, To: Voided, Change: "voided", do: release},
		{From: []State{InReview}, On: DoResolve, By: Server, When: "for the payee, captured in part", when: partTaken, To: PartCaptured, Change: "resolved"},
		{From: []State{InReview}, On: DoResolve, By: Server, When: "for the payee, money held", when: holdsMoney, To: Held, Change: "resolved"},
		{From: []State{InReview}, On: DoResolve, By: Server, When: "for the payee, nothing held", To: Requested, Change: "resolved"},
		{From: []State{Disputed}, On: DoResolve, By: Server, When: "for the payer", when: forPayer, To: Refunded, Change: "refunded", do: lose},
		{From: []State{Disputed}, On: DoResolve, By: Server, When: "for the payee, refunded in part", when: partRefunded, To: PartRefunded, Change: "resolved", do: win},
		{From: []State{Disputed}, On: DoResolve, By: Server, When: "for the payee", To: Captured, Change: "resolved", do: win},

		{From: []State{Requested}, On: DoTick, By: Clock, When: "request expires", when: requestPast, To: Expired, Change: "expired"},
		{From: []State{Held, Confirming, Confirmed}, On: DoTick, By: Clock, When: "hold expires", when: holdPast, To: Voided, Change: "voided", do: release},
		{From: []State{Confirming}, On: DoTick, By: Clock, When: "time to confirm is over", when: confirmPast, To: Held, Change: "confirmations_void", do: unconfirm},
		{From: []State{InReview}, On: DoTick, By: Clock, When: "hold expires", when: holdPast, To: Voided, Change: "voided", do: release},
		{From: []State{InReview}, On: DoTick, By: Clock, When: "request expires, nothing held", when: requestPast, To: Expired, Change: "expired"},
		{From: []State{Disputed}, On: DoTick, By: Clock, When: "dispute decided for the payer, all covered", when: forfeitsAll, To: Refunded, Change: "refunded", do: forfeit},
		{From: []State{Disputed}, On: DoTick, By: Clock, When: "dispute decided for the payer, a part covered", when: forfeitsPart, To: PartRefunded, Change: "refunded", do: forfeit},
		{From: []State{Disputed}, On: DoTick, By: Clock, When: "dispute decided for the payer, nothing covered", when: forfeitsNothing, To: Captured, Change: "resolved", do: forfeit},
		{From: []State{Disputed}, On: DoTick, By: Clock, When: "dispute decided for the payee, refunded in part", when: keptPart, To: PartRefunded, Change: "resolved", do: win},
		{From: []State{Disputed}, On: DoTick, By: Clock, When: "dispute decided for the payee", when: keptAll, To: Captured, Change: "resolved", do: win},
	})

// closing are the rows that end the hold of a payment of which a part is
// captured: the rest goes back, and the state says what was captured and refunded.
func closing(from []State, on Verb, by Party, why string, when condition) []Transition {
	row := func(what string, also condition, to State) Transition {
		return Transition{
			From: from, On: on, By: by, When: strings.TrimPrefix(why+", "+what, ", "), To: to, Change: "released", do: closeRest,
			when: func(in *Intent, c Command, now time.Time) bool {
				return in.Captured > 0 && (when == nil || when(in, c, now)) && also(in, c, now)
			},
		}
	}
	return []Transition{
		row("captured in part, all of it refunded", allRefunded, Refunded),
		row("captured and refunded in part", partRefunded, PartRefunded),
		row("captured in part", partTaken, Captured),
	}
}

// transition finds the row for c.
func (in *Intent) transition(c Command, now time.Time) (*Transition, error) {
	known, party := false, false
	for i := range transitions {
		t := &transitions[i]
		if t.On != c.Do || !slices.Contains(t.From, in.State) {
			continue
		}
		known = true
		if t.By&c.By == 0 {
			continue
		}
		party = true
		if t.when != nil && !t.when(in, c, now) {
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
	case known && !party:
		return nil, fmt.Errorf("%w: %s", ErrNotParty, c.Do)
	}
	return nil, fmt.Errorf("%w: %s of a payment that is %s", ErrState, c.Do, in.State)
}

// Conditions.

func withinHold(in *Intent, c Command, _ time.Time) bool {
	return c.Amount+in.Fees.onTop(c.Amount) <= in.Held
}
func isLive(in *Intent, _ Command, _ time.Time) bool  { return in.Confirm != ConfirmNone }
func notLive(in *Intent, _ Command, _ time.Time) bool { return in.Confirm == ConfirmNone }
func forPayer(_ *Intent, c Command, _ time.Time) bool { return c.For == Payer }

func holdsMoney(in *Intent, _ Command, _ time.Time) bool   { return in.Held > 0 }
func partTaken(in *Intent, _ Command, _ time.Time) bool    { return in.Captured > 0 }
func partRefunded(in *Intent, _ Command, _ time.Time) bool { return in.Refunded > 0 }
func allRefunded(in *Intent, _ Command, _ time.Time) bool  { return in.Refunded == in.Captured }
func somethingLeft(in *Intent, _ Command, _ time.Time) bool {
	return in.Refunded < in.Captured
}
func keepsRest(in *Intent, c Command, _ time.Time) bool {
	return c.KeepRest && c.Amount != 0 && c.Amount < in.Capturable()
}
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
