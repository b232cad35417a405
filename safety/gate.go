package safety

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/internal/sqldb"
)

// Step is when a decision is made.
type Step string

// The steps.
const (
	StepHold        Step = "hold"        // the payer commits the money
	StepEdit        Step = "edit"        // held money is for another version now
	StepAcknowledge Step = "acknowledge" // the payer answered
	StepApproval    Step = "approval"    // the trusted person decided
)

// Stop is why money may not move now; Go says that it may.
type Stop string

// The results of a decision.
const (
	Go              Stop = "go"
	StopDenied      Stop = "denied"
	StopLimit       Stop = "limit"
	StopAcknowledge Stop = "acknowledge"
	StopPause       Stop = "pause"
	StopApproval    Stop = "approval"
	StopCooling     Stop = "cooling_off"
)

var results = []Stop{Go, StopDenied, StopLimit, StopAcknowledge, StopPause, StopApproval, StopCooling}

// about is the action that a stop comes from.
func (s Stop) about() Action {
	return map[Stop]Action{
		StopDenied: Deny, StopLimit: LimitTo, StopAcknowledge: AskPayer, StopPause: Pause, StopApproval: Require, StopCooling: HoldUntil,
	}[s]
}

// Acknowledgement is the payer's answer to a decision.
type Acknowledgement struct {
	Decision string
	Answers  map[string]string // option by question
}

// Ask is what PassTx decides on.
type Ask struct {
	Facts Facts // Payment, Version and Payer included
	Step  Step
	Actor string // who acts
	// Acknowledge, if not nil, answers an earlier decision.
	Acknowledge *Acknowledgement
	// Insisted says that a server key asked for no live confirmation.
	Insisted bool
}

// Ruling is a decision as it concerns the one who asked.
type Ruling struct {
	Decision string // id; empty when there is none yet
	Stop     Stop
	Outcome  Outcome
	// Explain is the text of the strictest rule.
	Explain string
	// Until is when the pause or the cooling-off is over, or a limit frees
	// enough; zero when waiting does not help.
	Until time.Time
	// CoolUntil is before when held money is not captured; zero: no such time.
	CoolUntil time.Time
	// Left is what a limit leaves: an amount, or a number when it bounds the count.
	Left      int64
	LimitRule string
	Warnings  []Warning
	Questions []Question
	// Approver is the trusted person who is asked; empty when there is none.
	Approver string
	// Live says that only live confirmation captures.
	Live bool
}

// Warning is a text that the payer must have seen.
type Warning struct {
	Rule string `json:"rule"`
	Text string `json:"text"`
}

// Question is put to the payer.
type Question struct {
	ID      string   `json:"id"`
	Text    string   `json:"text"`
	Options []Choice `json:"options"`
}

// Choice is an answer that can be given.
type Choice struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// PassTx decides, in the transaction that commits the money, and keeps the
// decision. When the ruling is not Go, the caller commits what PassTx wrote
// and nothing else: the pause runs, the decision can be answered.
// An acknowledgement that does not fit is ErrAnswers.
func (s *Service) PassTx(tx *sqldb.Tx, ask Ask) (Ruling, error) {
	f := &ask.Facts
	if err := tx.Lock(paymentLock(f.Payment)); err != nil {
		return Ruling{}, err
	}
	now, rules := s.now(), s.rules.Load()
	c, err := openCheck(tx, rules, f, now)
	if err != nil {
		return Ruling{}, err
	}
	if err := s.complete(tx, rules, f, true, now); err != nil {
		return Ruling{}, err
	}
	fresh := rules.Evaluate(*f)
	if ask.Acknowledge != nil {
		if err := c.acknowledge(rules, *ask.Acknowledge); err != nil {
			return Ruling{}, err
		}
	}
	c.join(rules, fresh, now)
	ruling := Ruling{Outcome: c.outcome.Join(fresh)}
	if ask.Step == StepHold { // what is held already was counted then
		if err := s.limits(tx, f, fresh.Limits, true, &ruling, now); err != nil {
			return Ruling{}, err
		}
	}
	if err := s.rule(tx, rules, c, ask, &ruling, now); err != nil {
		return Ruling{}, err
	}
	return ruling, s.keep(tx, c, ask, &ruling, now)
}

// rule finds the strictest thing that is not done yet.
func (s *Service) rule(tx *sqldb.Tx, rules *Rules, c *check, ask Ask, r *Ruling, now time.Time) error {
	switch {
	case c.denied():
		r.Stop = StopDenied
	case r.Stop == StopLimit:
	case !c.acknowledged():
		r.Stop = StopAcknowledge
	case c.pauseUntil.After(now):
		r.Stop = StopPause
	case c.outcome.Trusted && c.approval != approvalGiven:
		r.Stop = StopApproval
	default:
		r.Stop = Go
	}
	if c.outcome.Trusted && c.acknowledged() && !c.denied() && c.approval != approvalGiven {
		if err := s.askApprover(tx, c, ask.Facts, r.Outcome, rules, now); err != nil {
			return err
		}
	}
	held := r.Stop == Go && ask.Step == StepHold || ask.Step == StepEdit
	if held && c.outcome.HoldFor > 0 && c.coolUntil.IsZero() {
		c.coolUntil = now.Add(c.outcome.HoldFor)
	}
	if r.Stop == Go && ask.Step == StepHold {
		if err := learnDevice(tx, ask.Facts, now); err != nil {
			return err
		}
	}
	s.describe(rules, c, r)
	r.Live = r.Outcome.Live && !ask.Insisted
	return nil
}

// describe fills in what people are told of a check's state.
func (s *Service) describe(rules *Rules, c *check, r *Ruling) {
	r.Decision, r.Explain, r.CoolUntil, r.Approver = c.decision, rules.explain(r.Outcome, r.Stop.about(), "en"), c.coolUntil, c.approver
	if r.Stop != StopLimit && r.Until.IsZero() && c.pauseUntil.After(s.now()) {
		r.Until = c.pauseUntil
	}
	if c.approval == approvalRefused {
		r.Explain = "The person you trust has said no to this payment."
	}
	for _, name := range c.outcome.Warn {
		if !slices.Contains(c.seen, name) {
			_, _, text := rules.said(name)
			r.Warnings = append(r.Warnings, Warning{name, text.In("en")})
		}
	}
	for _, id := range c.outcome.Ask {
		if _, answered := c.answers[id]; !answered {
			r.Questions = append(r.Questions, rules.questions[id].shown("en"))
		}
	}
}

func (q question) shown(language string) Question {
	out := Question{ID: q.id, Text: q.text.In(language)}
	for _, o := range q.options {
		out.Options = append(out.Options, Choice{o.id, o.text.In(language)})
	}
	return out
}

// CheckTx tells whether held money may be confirmed (byPayer or not) or
// captured now. It changes nothing. A payment that no decision was made about may.
func (s *Service) CheckTx(tx *sqldb.Tx, payment string, version int64, byPayee bool) (Ruling, error) {
	c, err := loadCheck(tx, payment, version)
	if errors.Is(err, ErrUnknown) {
		return Ruling{Stop: Go}, nil
	}
	if err != nil {
		return Ruling{}, err
	}
	now, rules := s.now(), s.rules.Load()
	r := Ruling{Outcome: c.outcome, Stop: Go, Live: c.outcome.Live}
	switch {
	case c.denied():
		r.Stop = StopDenied
	case c.coolUntil.After(now):
		r.Stop, r.Until = StopCooling, c.coolUntil
	case byPayee:
	case !c.acknowledged():
		r.Stop = StopAcknowledge
	case c.pauseUntil.After(now):
		r.Stop = StopPause
	case c.outcome.Trusted && c.approval != approvalGiven:
		r.Stop = StopApproval
	}
	s.describe(rules, c, &r)
	return r, nil
}

// Preview tells what a payment with these facts needs, and what is open of it
// when it was asked for before. It changes nothing.
func (s *Service) Preview(ctx context.Context, f Facts) (r Ruling, err error) {
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		now, rules := s.now(), s.rules.Load()
		c, err := loadCheck(tx, f.Payment, f.Version)
		if errors.Is(err, ErrUnknown) {
			c, err = &check{answers: map[string]string{}}, nil
		}
		if err == nil {
			err = s.complete(tx, rules, &f, false, now)
		}
		if err != nil {
			return err
		}
		fresh := rules.Evaluate(f)
		c.join(rules, fresh, now)
		r = Ruling{Outcome: c.outcome.Join(fresh)}
		if c.result != Go { // else it was counted when it was held
			if err := s.limits(tx, &f, fresh.Limits, false, &r, now); err != nil {
				return err
			}
		}
		s.describe(rules, c, &r)
		r.Live = r.Outcome.Live
		if c.decision == "" && r.Stop != StopLimit {
			r.Until = time.Time{} // the pause begins with the first try
		}
		return nil
	})
	return r, err
}

// complete fills in the facts that are known here: the device, and what has to
// be counted; exactly, if no other payment of the payer may get in between.
func (s *Service) complete(tx *sqldb.Tx, rules *Rules, f *Facts, exactly bool, now time.Time) (err error) {
	if f.NewDevice, err = newDevice(tx, f.Payer, f.Device); err != nil {
		return err
	}
	wants := rules.wants(*f)
	if len(wants) == 0 {
		return nil
	}
	if exactly && (wants["payer_sum_24h"] || wants["payer_sum_30d"] || wants["payer_count_24h"]) {
		if err := lockPayer(tx, f.Payer); err != nil {
			return err
		}
	}
	var n Counted
	day := Count{Payer: f.Payer, Currency: f.Currency, Except: f.Payment, Since: now.Add(-24 * time.Hour)}
	if wants["payer_sum_24h"] || wants["payer_count_24h"] {
		if n.PayerSum24h, n.PayerCount24h, err = s.d.Counts.SumTx(tx, day); err != nil {
			return err
		}
	}
	if wants["payer_sum_30d"] {
		month := day
		month.Since = now.Add(-30 * 24 * time.Hour)
		if n.PayerSum30d, _, err = s.d.Counts.SumTx(tx, month); err != nil {
			return err
		}
	}
	if wants["requests_by_payee_24h"] {
		if n.PayeeRequests24, err = s.d.Counts.RequestsTx(tx, f.Payee, day.Since); err != nil {
			return err
		}
	}
	f.Counted = &n
	return nil
}

// lockPayer makes decisions that count what a payer commits wait for each
// other. It is taken after the payment's lock.
func lockPayer(tx *sqldb.Tx, payer string) error { return tx.Lock(payerLock(payer)) }

func paymentLock(payment string) string { return "safety:payment:" + payment }
func payerLock(payer string) string     { return "safety:payer:" + payer }

// Locks names what PassTx locks, in the order in which it does: the payment,
// and the payer if something is counted.
func Locks(payment, payer string) []string { return []string{paymentLock(payment), payerLock(payer)} }

// limits checks each limit against what the payer has committed so far;
// exactly, the payer stays locked until the money is committed, so that two
// payments cannot both take the last of a limit.
func (s *Service) limits(tx *sqldb.Tx, f *Facts, limits []Limit, exactly bool, r *Ruling, now time.Time) error {
	if exactly && len(limits) > 0 {
		if err := lockPayer(tx, f.Payer); err != nil {
			return err
		}
	}
	for _, l := range limits {
		c := Count{Payer: f.Payer, Currency: f.Currency, Except: f.Payment, Since: now.Add(-l.Window)}
		if l.PerPayee {
			c.Payee = f.Payee
		}
		sum, number, err := s.d.Counts.SumTx(tx, c)
		if err != nil {
			return fmt.Errorf("safety: limit %s: %w", l.Rule, err)
		}
		if l.Amount > 0 && f.Amount > l.Amount-sum {
			err = s.exceeded(tx, c, l, r, max(0, l.Amount-sum), sum+f.Amount-l.Amount, false, now)
		} else if l.Count > 0 && number >= l.Count {
			err = s.exceeded(tx, c, l, r, 0, number+1-l.Count, true, now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// spendsShown bounds how far back exceeded looks for when a limit frees.
const spendsShown = 1000

// exceeded notes a limit that does not leave enough, and when it will: once
// what must leave the window has left it. Of several, the last counts.
func (s *Service) exceeded(tx *sqldb.Tx, c Count, l Limit, r *Ruling, left, tooMuch int64, byCount bool, now time.Time) error {
	first := r.Stop != StopLimit
	r.Stop = StopLimit
	spends, err := s.d.Counts.SpendsTx(tx, c, spendsShown)
	if err != nil {
		return err
	}
	var free time.Time
	for _, spend := range spends {
		if byCount {
			tooMuch--
		} else {
			tooMuch -= spend.Amount
		}
		if tooMuch <= 0 {
			free = spend.At.Add(l.Window)
			break
		}
	}
	if first || free.IsZero() || !r.Until.IsZero() && free.After(r.Until) {
		r.Left, r.LimitRule, r.Until = left, l.Rule, free
	}
	return nil
}
