package payments

import (
	"encoding/json"
	"fmt"
	"time"
)

// What becomes of a dispute when one of its deadlines passes.
const (
	// ForPayer gives back what the reserve and the payee's balance cover.
	ForPayer = "payer"
	// ForPayee gives the reserve back to the payee; what was captured stays captured.
	ForPayee = "payee"
	// ForNobody leaves the dispute open until a server key resolves it.
	ForNobody = "wait"
)

// Dispute is the payer's claim that a captured payment was wrong. The money
// that the payee still had of it is kept in reserve meanwhile.
type Dispute struct {
	OpenedAt time.Time `json:"opened_at"`
	// AnswerBy is when the payee must have answered; then IfUnanswered applies.
	AnswerBy     time.Time `json:"answer_by,omitzero" doc:"until when the payee can answer; no deadline if left out"`
	IfUnanswered string    `json:"if_unanswered" enum:"payer,payee,wait" doc:"who gets the money when the payee does not answer in time"`
	AnsweredAt   time.Time `json:"answered_at,omitzero"`
	Answer       string    `json:"answer,omitempty" doc:"what the payee said"`
	// DecideBy is when an answered dispute must be resolved; then IfUndecided applies.
	DecideBy    time.Time `json:"decide_by,omitzero" doc:"until when an answered dispute is decided; no deadline if left out"`
	IfUndecided string    `json:"if_undecided" enum:"payer,payee,wait" doc:"who gets the money when nobody decides in time"`
	Outcome     string    `json:"outcome,omitempty" enum:"payer,payee" doc:"in whose favour it ended"`
	ClosedAt    time.Time `json:"closed_at,omitzero"`
	// Uncollected is what the payer should have got but the payee no longer had.
	Uncollected int64 `json:"uncollected,omitempty" doc:"minor units that the payer should have got back but the payee no longer had"`
}

// answered reports whether the payee has answered.
func (d *Dispute) answered() bool { return !d.AnsweredAt.IsZero() }

// dueAt is the deadline that an open dispute waits for, if any.
func (d *Dispute) dueAt() time.Time {
	switch {
	case !d.answered() && d.IfUnanswered != ForNobody:
		return d.AnswerBy
	case d.answered() && d.IfUndecided != ForNobody:
		return d.DecideBy
	}
	return time.Time{}
}

// favours tells who wins when the dispute's next deadline passes.
func (d *Dispute) favours() string {
	if d.answered() {
		return d.IfUndecided
	}
	return d.IfUnanswered
}

// text is the dispute as it is stored: empty when there never was one.
func (d Dispute) text() (string, error) {
	if d.OpenedAt.IsZero() {
		return "", nil
	}
	b, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("payments: dispute: %w", err)
	}
	return string(b), nil
}

// disputeTerms are the deadlines of a dispute that begins now.
func (c *Config) disputeTerms(now time.Time) Dispute {
	return Dispute{
		OpenedAt: now, AnswerBy: now.Add(c.AnswerFor), IfUnanswered: c.IfUnanswered, IfUndecided: c.IfUndecided,
	}
}

// checkDisputes fills in the defaults of disputes.
func (c *Config) checkDisputes() error {
	orDefault(&c.AnswerFor, 7*24*time.Hour)
	orDefault(&c.DecideFor, 30*24*time.Hour)
	if c.IfUnanswered == "" {
		c.IfUnanswered = ForPayer
	}
	if c.IfUndecided == "" {
		c.IfUndecided = ForNobody
	}
	for _, favours := range []string{c.IfUnanswered, c.IfUndecided} {
		if favours != ForPayer && favours != ForPayee && favours != ForNobody {
			return fmt.Errorf("payments: a dispute decided for %.16q, want payer, payee or wait", favours)
		}
	}
	return nil
}

// Conditions of disputes.

func disputePast(in *Intent, now time.Time) bool { return past(in.Dispute.dueAt(), now) }

func forfeited(in *Intent, now time.Time) bool {
	return disputePast(in, now) && in.Dispute.favours() == ForPayer
}

func forfeitsAll(in *Intent, c Command, now time.Time) bool {
	return forfeited(in, now) && in.coverable(c.Available) == in.Captured-in.Refunded
}

func forfeitsPart(in *Intent, c Command, now time.Time) bool {
	return forfeited(in, now) && in.Refunded+in.coverable(c.Available) > 0
}

func forfeitsNothing(in *Intent, _ Command, now time.Time) bool { return forfeited(in, now) }

func keptPart(in *Intent, _ Command, now time.Time) bool {
	return disputePast(in, now) && in.Refunded > 0
}

func keptAll(in *Intent, _ Command, now time.Time) bool { return disputePast(in, now) }

func unanswered(in *Intent, _ Command, now time.Time) bool {
	return !in.Dispute.answered() && !disputePast(in, now)
}

// What rows of disputes do.

// dispute reserves what the payee still has of the money, and gives back what
// is still on hold: nothing more of it can be captured.
func dispute(in *Intent, c Command, _ time.Time) ([]Effect, error) {
	in.Dispute = c.Dispute
	effects := in.closeHold()
	in.Reserved = max(0, min(in.fromPayee(in.Captured-in.Refunded), c.Available))
	if in.Reserved > 0 {
		effects = append(effects, Effect{Kind: EffectReserve, Amount: in.Reserved})
	}
	return effects, nil
}

// answer keeps the payee's answer; from then on the app has to decide.
func answer(in *Intent, c Command, now time.Time) ([]Effect, error) {
	if c.Memo != nil {
		in.Dispute.Answer = *c.Memo
	}
	in.Dispute.AnsweredAt, in.Dispute.DecideBy = now, c.Until
	return nil, nil
}

// lose ends a dispute for the payer with everything that is left.
func lose(in *Intent, c Command, now time.Time) ([]Effect, error) {
	in.Dispute.Outcome, in.Dispute.ClosedAt = ForPayer, now
	return refund(in, Command{Amount: in.Captured - in.Refunded}, now)
}

// win ends a dispute for the payee.
func win(in *Intent, _ Command, now time.Time) ([]Effect, error) {
	in.Dispute.Outcome, in.Dispute.ClosedAt = ForPayee, now
	return in.unreserveAll(), nil
}

// forfeit ends a dispute for the payer with as much as the reserve and the
// payee's balance cover.
func forfeit(in *Intent, c Command, now time.Time) ([]Effect, error) {
	amount := in.coverable(c.Available)
	in.Dispute.Outcome, in.Dispute.ClosedAt = ForPayer, now
	in.Dispute.Uncollected = in.Captured - in.Refunded - amount
	if amount == 0 {
		return in.unreserveAll(), nil
	}
	return refund(in, Command{Amount: amount}, now)
}

// coverable is the largest refund that takes no more from the payee than the
// reserve and available. What a refund takes never falls as the refund grows.
func (in *Intent) coverable(available int64) int64 {
	has := in.Reserved + max(0, available)
	low, high := int64(0), in.Captured-in.Refunded
	for low < high {
		middle := low + (high-low+1)/2
		if in.fromPayee(middle) <= has {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

func (in *Intent) unreserveAll() []Effect {
	amount := in.Reserved
	in.Reserved = 0
	if amount == 0 {
		return nil
	}
	return []Effect{{Kind: EffectUnreserve, Amount: amount}}
}
