package payments

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
)

// Errors of the gate, each in a *Stop.
var (
	// ErrSafetyDenied says that the rules forbid the payment.
	ErrSafetyDenied = errors.New("payment denied for safety")
	// ErrSafetyLimit says that a limit leaves less than the amount.
	ErrSafetyLimit = errors.New("over a limit")
	// ErrSafetyPause says that the payer has to wait a moment and try again.
	ErrSafetyPause = errors.New("pause before this payment")
	// ErrSafetyAcknowledge says that the payer has to read warnings or answer questions.
	ErrSafetyAcknowledge = errors.New("answers needed before this payment")
	// ErrSafetyApproval says that the payer's trusted person has not approved.
	ErrSafetyApproval = errors.New("a trusted person must approve")
	// ErrSafetyCooling says that the held money may not leave yet.
	ErrSafetyCooling = errors.New("cooling off")
	// ErrSafetyAnswers says that an acknowledgement does not answer what was asked.
	ErrSafetyAnswers = errors.New("answers not acceptable")
)

// stops are the errors by reason.
var stops = map[string]error{
	"denied": ErrSafetyDenied, "limit": ErrSafetyLimit, "pause": ErrSafetyPause,
	"acknowledge": ErrSafetyAcknowledge, "approval": ErrSafetyApproval, "cooling_off": ErrSafetyCooling,
}

// Stop is why the gate does not let a payment go on now. It matches one of the
// errors above.
type Stop struct {
	// Reason is denied, limit, pause, acknowledge, approval or cooling_off.
	Reason   string   `json:"reason"`
	Decision Decision `json:"decision"`
	// RetryAfter is in how many seconds to try again; 0 when waiting does not help.
	RetryAfter int `json:"retry_after,omitempty"`
}

// Error implements error.
func (s *Stop) Error() string {
	if s.Decision.Explain == "" {
		return s.Unwrap().Error()
	}
	return fmt.Sprintf("%v: %s", s.Unwrap(), s.Decision.Explain)
}

// Until is when to try again; nil when waiting does not help.
func (s *Stop) Until() *time.Time {
	for _, until := range []*time.Time{s.Decision.Frees, s.Decision.Until} {
		if until != nil {
			return until
		}
	}
	if s.Reason == "cooling_off" {
		return s.Decision.CoolUntil
	}
	return nil
}

// Unwrap returns the error of the reason.
func (s *Stop) Unwrap() error {
	if err, ok := stops[s.Reason]; ok {
		return err
	}
	return ErrSafetyDenied
}

// final reports whether the answer is kept under the idempotency key. What has
// a named way on (wait, answer, be approved) is not: the same key goes through
// once that is done. A denial or an exhausted limit is, as insufficient funds
// are: a forgotten retry must not succeed days later.
func (s *Stop) final() bool { return s.Reason == "denied" || s.Reason == "limit" }

// Acknowledgement is the payer's answer to a decision.
type Acknowledgement struct {
	Decision string
	Answers  map[string]string // option by question
}

// GateStep is when the gate is asked.
type GateStep string

// The steps.
const (
	GateHold GateStep = "hold" // the payer commits the money
	GateEdit GateStep = "edit" // held money is for another version now; the answer never stops it
)

// GateAsk is what the gate decides on.
type GateAsk struct {
	Step        GateStep
	Facts       Facts
	By          Actor
	Acknowledge *Acknowledgement
	// Insisted says that a server key asked for no live confirmation.
	Insisted bool
}

// GatePass is a gate's consent.
type GatePass struct {
	// Live asks for live confirmation.
	Live bool
	// CoolUntil is before when the money must not be captured; zero: no such time.
	CoolUntil time.Time
}

// Gate is a Policy that is also asked in the transactions in which money is
// committed and leaves.
type Gate interface {
	Policy
	// Look fills in the facts about the two people, outside of any transaction.
	// It names payer and payee.
	Look(ctx context.Context, f Facts) (Facts, error)
	// Locks names what PassTx locks, in the order in which it does.
	Locks(payment, payer string) []string
	// PassTx decides and keeps its decision. A *Stop refuses; what PassTx wrote
	// is committed all the same.
	PassTx(tx *sqldb.Tx, ask GateAsk) (GatePass, error)
	// CheckTx tells whether held money may be confirmed or captured now: nil or
	// a *Stop. It writes nothing.
	CheckTx(tx *sqldb.Tx, payment string, version int64, byPayee bool) error
}

// SafetyInput is what a command brings for the gate.
type SafetyInput struct {
	Acknowledge *Acknowledgement
	Signals     []string
	by          Actor
	looked      Facts // from Gate.Look
}

// HoldInput is what the payer commits money with.
type HoldInput struct {
	// Version is what the payer has seen, 0 for the current one.
	Version int64
	// Acknowledge answers the decision of a hold that was refused before. Like
	// Version it is no part of what one idempotency key stands for.
	Acknowledge *Acknowledgement
	// Signals of pressure that the device noticed, for example screen_sharing.
	Signals []string
}

// HoldWith reserves the amount from the payer's balance, if the gate lets it.
// A refusal is a *Stop.
func (s *Service) HoldWith(ctx context.Context, a Actor, id string, in HoldInput) (Payment, error) {
	return s.command(ctx, a, id, Command{Do: DoHold, Version: in.Version, Safety: &SafetyInput{Acknowledge: in.Acknowledge, Signals: in.Signals}}, nil,
		func(_ *sqldb.Tx, _ stored, c *Command, now time.Time) error {
			c.Until = now.Add(s.cfg.HoldFor)
			return nil
		})
}

// look gathers what the gate must know of the people before the transaction
// begins, for commands that commit money or change what it is committed to.
func (s *Service) look(ctx context.Context, a Actor, id string, c Command) (Command, error) {
	if s.d.Gate == nil || c.Do != DoHold && c.Do != DoEdit && c.Do != DoExtend {
		return c, nil
	}
	var people Facts
	err := s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT payer, payee FROM payments_intents WHERE id = ?", id).Scan(&people.Payer, &people.Payee)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return c, nil // the command itself says so
	}
	if err != nil {
		return c, fmt.Errorf("payments: gate: %w", err)
	}
	in := SafetyInput{by: a}
	if c.Safety != nil {
		in.Acknowledge, in.Signals = c.Safety.Acknowledge, c.Safety.Signals
	}
	in.looked, err = s.d.Gate.Look(ctx, people)
	if err != nil {
		return c, fmt.Errorf("payments: gate: %w", err)
	}
	c.Safety = &in
	return c, nil
}

// coolingSlack is how much longer than a cooling-off a hold lasts at least.
const coolingSlack = 24 * time.Hour

// pass asks the gate about what a command would do, before any of it is
// written. It may make the next state stricter.
func (s *Service) pass(tx *sqldb.Tx, at stored, r *Result, c Command, now time.Time) error {
	next := &r.Next
	switch {
	case s.d.Gate == nil:
		return nil
	case c.Do == DoHold:
		return s.passHold(tx, at, next, c, now)
	case c.Do == DoConfirm || c.Do == DoCapture && at.State != Confirmed:
		return s.d.Gate.CheckTx(tx, at.ID, at.Version, c.By == Payee)
	case next.Version != at.Version && next.Held > 0:
		_, err := s.askGate(tx, at, *next, c, GateEdit, now)
		return err
	}
	return nil
}

func (s *Service) passHold(tx *sqldb.Tx, at stored, next *Intent, c Command, now time.Time) error {
	pass, err := s.askGate(tx, at, *next, c, GateHold, now)
	if err != nil {
		return err
	}
	if pass.Live && next.Confirm != ConfirmLive {
		next.Confirm = ConfirmLive
		if _, err := tx.Exec("UPDATE payments_intents SET confirm = ? WHERE id = ?", ConfirmLive, at.ID); err != nil {
			return fmt.Errorf("payments: gate: %w", err)
		}
	}
	if until := pass.CoolUntil.Add(coolingSlack); !pass.CoolUntil.IsZero() && next.HoldExpires.Before(until) {
		next.HoldExpires = until
	}
	return nil
}

// askGate completes the facts within the transaction and asks.
func (s *Service) askGate(tx *sqldb.Tx, at stored, next Intent, c Command, step GateStep, now time.Time) (GatePass, error) {
	in := c.Safety
	if in == nil {
		in = &SafetyInput{looked: Facts{NameCheck: "unavailable", Related: true}}
	}
	changed := now
	if step == GateHold {
		changed = at.UpdatedAt
	}
	f, err := s.factsOf(tx, next, in.looked, now.Sub(changed))
	if err != nil {
		return GatePass{}, err
	}
	if f.Signals = in.Signals; in.by.User == next.Payer {
		f.Device = in.by.Device
	}
	return s.d.Gate.PassTx(tx, GateAsk{Step: step, Facts: f, By: in.by, Acknowledge: in.Acknowledge, Insisted: at.Ask.Insisted})
}

// factsOf puts the facts of a payment, which was last changed so long ago, to
// those about its people.
func (s *Service) factsOf(tx *sqldb.Tx, in Intent, f Facts, since time.Duration) (Facts, error) {
	relation, err := relationTx(tx, in.Payer, in.Payee)
	if err != nil {
		return f, err
	}
	f.Payment, f.Version, f.Payer, f.Payee, f.PayeeName = in.ID, in.Version, in.Payer, in.Payee, in.PayeeName
	f.Amount, f.Currency, f.Relation = in.Total(), in.Currency, relation
	if f.Digits, err = Exponent(in.Currency); err != nil {
		return f, err
	}
	if in.Version > 1 {
		since = max(0, since)
		f.SinceEdit = &since
	}
	return f, nil
}

// stopped returns the gate's refusal in err, kept under the key when it is
// final, or err: then the transaction is to be undone.
func (s *Service) stopped(tx *sqldb.Tx, a Actor, req request, err error, now time.Time) (*Stop, error) {
	var stop *Stop
	if !errors.As(err, &stop) {
		return nil, err
	}
	s.m.refusals.WithLabelValues("safety_" + stop.Reason).Inc()
	if !stop.final() {
		return stop, nil
	}
	return stop, saveKey(tx, a, req, keyRefused, stop.refusal(), now)
}

// Committed asks what a payer has committed since a time.
type Committed struct {
	Payer, Currency string
	Payee           string // empty: to anybody
	Since           time.Time
	Except          string // a payment that does not count
}

// where is the condition (held_at > 0 lets the index be used): what is on hold or captured counts, what was given
// back before its capture does not, and a refund does not make room.
func (c Committed) where() (string, []any) {
	text := " FROM payments_intents WHERE payer = ? AND currency = ? AND held_at > 0 AND held_at > ? AND held + captured > 0 AND id <> ?"
	args := []any{c.Payer, c.Currency, c.Since.UnixMilli(), c.Except}
	if c.Payee != "" {
		text, args = text+" AND payee = ?", append(args, c.Payee)
	}
	return text, args
}

// CommittedTx returns the sum and number of what was committed; a fee that came
// on top of a captured amount is not in it any more.
func (s *Service) CommittedTx(tx *sqldb.Tx, c Committed) (sum, number int64, err error) {
	where, args := c.where()
	err = tx.QueryRow("SELECT CAST(COALESCE(SUM(held + captured), 0) AS BIGINT), COUNT(*)"+where, args...).Scan(&sum, &number)
	if err != nil {
		err = fmt.Errorf("payments: committed: %w", err)
	}
	return sum, number, err
}

// CommittedListTx calls each with time and amount of what was committed, the
// oldest first, at most limit times.
func (s *Service) CommittedListTx(tx *sqldb.Tx, c Committed, limit int, each func(at time.Time, amount int64)) error {
	where, args := c.where()
	rows, err := tx.Query("SELECT held_at, held + captured"+where+" ORDER BY held_at LIMIT ?", append(args, limit)...)
	if err != nil {
		return fmt.Errorf("payments: committed: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		var at, amount int64
		if err := rows.Scan(&at, &amount); err != nil {
			return fmt.Errorf("payments: committed: %w", err)
		}
		each(fromMillis(at), amount)
	}
	return rows.Err()
}

// RequestedTx returns how many payments to payee were made since a time.
func (s *Service) RequestedTx(tx *sqldb.Tx, payee string, since time.Time) (n int64, err error) {
	err = tx.QueryRow("SELECT COUNT(*) FROM payments_intents WHERE payee = ? AND id >= ? AND created_at >= ?", payee, idFloor("pay_", since), since.UnixMilli()).Scan(&n)
	if err != nil {
		err = fmt.Errorf("payments: requested: %w", err)
	}
	return n, err
}

// refusal is how a final stop is stored under a key.
func (s *Stop) refusal() *Refusal {
	return &Refusal{Code: "safety_" + s.Reason, Detail: s.Error(), Stop: s}
}

// restore makes the refusal that was stored under a key.
func (r *Refusal) restore() error {
	if r.Stop != nil {
		return r.Stop
	}
	return r
}

// policyOf is the decision as the one who asks may see it.
func (s *Service) policyOf(ctx context.Context, a Actor, in Intent, payee Person) (Decision, error) {
	if s.d.Gate == nil {
		if in.Confirm == ConfirmNone {
			return byServer, nil
		}
		return s.decide(ctx, in.Payer, in.Payee, in.Amount, in.Currency, payee.NameCheck)
	}
	f, err := s.d.Gate.Look(ctx, Facts{Payer: in.Payer, Payee: in.Payee})
	if err != nil {
		return Decision{}, fmt.Errorf("payments: gate: %w", err)
	}
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		f, err = s.factsOf(tx, in, f, s.now().Sub(in.UpdatedAt))
		return err
	})
	if err != nil {
		return Decision{}, err
	}
	if a.User == in.Payer {
		f.Device = a.Device
	}
	d, err := s.d.Policy.Decide(ctx, f)
	switch {
	case err != nil:
		return d, fmt.Errorf("payments: policy: %w", err)
	case in.Confirm == ConfirmNone:
		d = d.notLive()
	}
	if a.User == in.Payee {
		d = d.forPayee()
	}
	return d, nil
}
