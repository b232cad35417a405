package payments

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"parley/internal/sqldb"
	"parley/payments/ledger"
)

// CreateInput asks for a payment.
type CreateInput struct {
	// Payer and Payee: a server key names both; a user may leave out the one
	// that is themselves, and is the payee when only the payer is named.
	Payer, Payee string
	Amount       int64
	Currency     string
	Conversation string
	Order        string // at most 64 characters
	Memo         string // at most 200 characters
	// ExpiresIn bounds the request, 1 minute to 90 days; 0 takes the service's rule.
	ExpiresIn time.Duration
	// Confirm is ConfirmLive, or ConfirmNone from a server key; empty lets the policy decide.
	Confirm string
	// Capture is CaptureAutomatic or CaptureManual; empty: automatic when both
	// confirm live, manual else.
	Capture string
}

const (
	minExpiresIn = time.Minute
	maxExpiresIn = 90 * 24 * time.Hour
	maxMemo      = 200
	maxOrder     = 64
)

// Create makes a payment in the state requested. It moves and reserves nothing.
func (s *Service) Create(ctx context.Context, a Actor, in CreateInput) (Payment, error) {
	if err := s.complete(&in, a); err != nil {
		return Payment{}, err
	}
	payee, err := s.meet(ctx, in)
	if err != nil {
		return Payment{}, err
	}
	insisted := in.Confirm == ConfirmNone
	if in.Confirm == "" {
		decision, err := s.decide(ctx, in.Payer, in.Payee, in.Amount, in.Currency, payee.NameCheck)
		if err != nil {
			return Payment{}, err
		}
		in.Confirm = decision.Confirm()
	}
	if a.Server && s.joining.Load() { // nothing is counted that others could change meanwhile
		p, err := s.createTogether(ctx, a, in, payee, insisted)
		if !errors.Is(err, ledger.ErrStopped) {
			return p, err
		}
	}
	return once(ctx, s, a, in.request(), func(tx *sqldb.Tx, now time.Time) (Payment, error) {
		ask, err := s.ask(tx, a, in, payee, now)
		if err != nil {
			return Payment{}, err
		}
		ask.Insisted = insisted
		intent, err := s.place(tx, in, payee, ask, now)
		if err != nil {
			return Payment{}, err
		}
		return view(intent), s.announce(tx, intent, "requested", now)
	})
}

// createTogether is Create by a server key, in a commit shared with others.
func (s *Service) createTogether(ctx context.Context, a Actor, in CreateInput, payee Person, insisted bool) (Payment, error) {
	var intent Intent
	return together(ctx, s, joint[Payment]{by: a, req: in.request(),
		decide: func(_ *sqldb.Tx, now time.Time) (none []ledger.Transfer, err error) {
			intent, err = s.begin(in, payee, Ask{By: AskedByServer, PayeeCheck: payee.NameCheck, Insisted: insisted}, now)
			return none, err
		},
		save: func(b *sqldb.Batch, _ []ledger.Entry) (Payment, error) {
			if err := insertIn(b, intent); err != nil {
				return Payment{}, err
			}
			return view(intent), announceIn(b, intent, "requested", intent.CreatedAt)
		},
		after: func() { s.announced("requested") },
	})
}

// place stores the first version of a payment; the event is the caller's.
func (s *Service) place(tx *sqldb.Tx, in CreateInput, payee Person, ask Ask, now time.Time) (Intent, error) {
	intent, err := s.begin(in, payee, ask, now)
	if err != nil {
		return Intent{}, err
	}
	return intent, insert(tx, intent)
}

// begin is the first version of the payment.
func (s *Service) begin(in CreateInput, payee Person, ask Ask, now time.Time) (Intent, error) {
	if in.ExpiresIn == 0 {
		in.ExpiresIn = s.cfg.RequestFor
	}
	intent := Intent{
		ID: newID("pay_", now), State: Requested, Version: 1,
		Payer: in.Payer, Payee: in.Payee, PayeeName: payee.Shown, Amount: in.Amount, Currency: in.Currency,
		Fees: s.cfg.feeRule(in.Currency), Order: in.Order, Memo: in.Memo, Conversation: in.Conversation, Confirm: in.Confirm, Capture: captureMode(in.Capture, in.Confirm),
		Deadline: now.Add(in.ExpiresIn).Truncate(time.Millisecond), CreatedAt: now, UpdatedAt: now, Ask: ask,
	}
	return intent, s.seal(&intent)
}

// request is what two creations with one key must have in common. What the
// policy decided is not part of it.
func (in CreateInput) request() request {
	r := request{
		"operation": "create", "payer": in.Payer, "payee": in.Payee, "amount": fmt.Sprint(in.Amount), "currency": in.Currency,
		"conversation": in.Conversation, "order": in.Order, "memo": in.Memo, "expires_in": fmt.Sprint(in.ExpiresIn.Seconds()),
	}
	if in.Capture != "" {
		r["capture"] = in.Capture
	}
	return r
}

// complete fills in who asks and checks the rest.
func (s *Service) complete(in *CreateInput, a Actor) error {
	if !a.Server {
		switch {
		case in.Payee == "" && in.Payer != a.User:
			in.Payee = a.User
		case in.Payer == "":
			in.Payer = a.User
		}
		if in.Payer != a.User && in.Payee != a.User {
			return fmt.Errorf("%w: a user creates payments of their own", ErrNotParty)
		}
		if in.Confirm == ConfirmNone {
			return fmt.Errorf("%w: only a server key may do without live confirmation", ErrNotParty)
		}
	}
	switch {
	case in.Payer == "" || in.Payee == "":
		return fmt.Errorf("%w: payer and payee are needed", ErrInput)
	case in.Payer == in.Payee:
		return ErrSelf
	case in.Confirm != "" && in.Confirm != ConfirmLive && in.Confirm != ConfirmNone:
		return fmt.Errorf("%w: confirm %.16q", ErrInput, in.Confirm)
	case in.Capture != "" && in.Capture != CaptureAutomatic && in.Capture != CaptureManual:
		return fmt.Errorf("%w: capture %.16q", ErrInput, in.Capture)
	case in.ExpiresIn != 0 && (in.ExpiresIn < minExpiresIn || in.ExpiresIn > maxExpiresIn):
		return fmt.Errorf("%w: expires_in must be 60 to %d seconds", ErrInput, int(maxExpiresIn.Seconds()))
	}
	if err := s.checkAmount(in.Amount, in.Currency); err != nil {
		return err
	}
	if err := s.checkText("order", in.Order, maxOrder); err != nil {
		return err
	}
	return s.checkText("memo", in.Memo, maxMemo)
}

// meet asks who the parties are and whether they share the conversation.
func (s *Service) meet(ctx context.Context, in CreateInput) (payee Person, err error) {
	if payee, err = s.d.Names.Person(ctx, in.Payee); err != nil {
		return payee, fmt.Errorf("payee: %w", err)
	}
	if _, err = s.d.Names.Person(ctx, in.Payer); err != nil {
		return payee, fmt.Errorf("payer: %w", err)
	}
	if in.Conversation != "" && s.d.Rooms != nil {
		err = s.d.Rooms.CheckParties(ctx, in.Conversation, in.Payer, in.Payee)
	}
	return payee, err
}

// decide asks the policy about a payment between two users.
func (s *Service) decide(ctx context.Context, payer, payee string, amount int64, currency, nameCheck string) (Decision, error) {
	relation, err := s.relation(ctx, payer, payee)
	if err != nil {
		return Decision{}, err
	}
	f := Facts{Payer: payer, Payee: payee, Amount: amount, Currency: currency, Relation: relation, NameCheck: nameCheck}
	if f.Digits, err = Exponent(currency); err != nil {
		return Decision{}, err
	}
	d, err := s.d.Policy.Decide(ctx, f)
	if err != nil {
		return Decision{}, fmt.Errorf("payments: policy: %w", err)
	}
	return d, nil
}

// relation tells whether the payer has paid the payee before.
func (s *Service) relation(ctx context.Context, payer, payee string) (relation string, err error) {
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		relation, err = relationTx(tx, payer, payee)
		return err
	})
	return relation, err
}

func relationTx(tx *sqldb.Tx, payer, payee string) (string, error) {
	var n int64
	err := tx.QueryRow("SELECT COUNT(*) FROM (SELECT 1 FROM payments_intents WHERE payer = ? AND payee = ? AND captured > 0 LIMIT 1) AS paid", payer, payee).Scan(&n)
	if n > 0 {
		return RelationKnown, err
	}
	return RelationFirst, err
}

// checkText bounds a text that people write and keeps card numbers out.
func (s *Service) checkText(field, text string, most int) error {
	if !utf8.ValidString(text) || utf8.RuneCountInString(text) > most {
		return fmt.Errorf("%w: %s has more than %d characters", ErrInput, field, most)
	}
	for _, r := range text {
		if r < ' ' || r == 0x7f {
			return fmt.Errorf("%w: %s has control characters", ErrInput, field)
		}
	}
	if s.d.Sensitive(text) {
		return fmt.Errorf("%w: in %s", ErrSensitive, field)
	}
	return nil
}
