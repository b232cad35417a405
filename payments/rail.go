package payments

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
	"parley/payments/ledger"
)

// ErrRail says that the outside world refused; the error's text has its reason.
var ErrRail = errors.New("refused by the rail")

// RailAction is what a rail is asked to do.
type RailAction string

// The actions of rails.
const (
	RailFund      RailAction = "fund" // money comes in for a user
	RailAuthorise RailAction = "authorise"
	RailCapture   RailAction = "capture"
	RailRefund    RailAction = "refund"
	RailPayout    RailAction = "payout" // money goes out to a user
)

// RailOrder asks for money to move in the outside world.
type RailOrder struct {
	Action RailAction
	// Reference is the same on every retry; a rail does an order once.
	Reference string
	// Of is the rail's own id of an earlier order, for capture and refund.
	Of       string
	User     string
	Amount   int64
	Currency string
}

// RailStatus is how an order stands.
type RailStatus string

// The outcomes. Pending is decided later: ask again with the same reference.
const (
	RailDone    RailStatus = "done"
	RailPending RailStatus = "pending"
	RailRefused RailStatus = "refused"
)

// RailOutcome is a rail's answer. An error instead means that the outcome is
// unknown: never order again under another reference.
type RailOutcome struct {
	ID     string // the rail's own
	Status RailStatus
	Reason string // an ISO 20022 reason when refused
}

// Rail is a way to the outside world. Its account is "rail:" + Name.
type Rail interface {
	Name() string
	// Order is idempotent by reference.
	Order(ctx context.Context, o RailOrder) (RailOutcome, error)
}

// Sandbox is a rail for trying things out: every order within the bounds of a payment is done at once.
type Sandbox struct{}

// Name implements Rail.
func (Sandbox) Name() string { return "sandbox" }

// Order implements Rail.
func (Sandbox) Order(_ context.Context, o RailOrder) (RailOutcome, error) {
	if o.Amount <= 0 || o.Amount > MaxAmount {
		return RailOutcome{ID: o.Reference, Status: RailRefused, Reason: "AM02"}, nil
	}
	return RailOutcome{ID: o.Reference, Status: RailDone}, nil
}

// runningFor is how long a request that went to a rail counts as running. After
// that a repeated request asks the rail again, under the same reference.
const runningFor = 30 * time.Second

// FundInput asks for money from the rail.
type FundInput struct {
	User     string
	Amount   int64
	Currency string
}

// Fund brings money in from the rail for a user. Only a server key may ask.
// The rail is asked outside any transaction: until it answers, the key is in
// progress; if the answer is lost, a retry with the key asks again and the rail
// does the order once.
func (s *Service) Fund(ctx context.Context, a Actor, in FundInput) (BalanceItem, error) {
	var none BalanceItem
	switch {
	case !a.Server:
		return none, fmt.Errorf("%w: only a server key funds users", ErrNotParty)
	case s.d.Rail == nil:
		return none, ErrNoRail
	case in.User == "":
		return none, fmt.Errorf("%w: user missing", ErrInput)
	}
	if err := CheckAmount(in.Amount, in.Currency); err != nil {
		return none, err
	}
	if _, err := s.d.Names.Person(ctx, in.User); err != nil {
		return none, err
	}
	if err := checkKey(a.Key); err != nil {
		return none, err
	}
	req := request{"operation": "fund", "user": in.User, "amount": fmt.Sprint(in.Amount), "currency": in.Currency}
	answer, done, err := s.startRailOrder(ctx, a, req)
	if done || err != nil {
		return answer, err
	}
	out, err := s.d.Rail.Order(ctx, RailOrder{Action: RailFund, Reference: a.scope() + "/" + a.Key, User: in.User, Amount: in.Amount, Currency: in.Currency})
	if err != nil {
		return none, fmt.Errorf("payments: outcome of the rail unknown: %w", err)
	}
	switch out.Status {
	case RailDone:
		return s.bookFunds(ctx, a, req, in)
	case RailPending:
		return none, ErrInProgress
	}
	refused := fmt.Errorf("%w: %s", ErrRail, out.Reason)
	return refuse[BalanceItem](ctx, s, a, req, refusalOf(refused), refused)
}

// startRailOrder marks the key as running, or answers what is known under it.
func (s *Service) startRailOrder(ctx context.Context, a Actor, req request) (answer BalanceItem, done bool, err error) {
	err = s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		done = false
		k, err := findKey(tx, a)
		if err != nil {
			return err
		}
		now := s.now()
		if k == nil {
			return saveKey(tx, a, req, keyRunning, nil, now)
		}
		if k.status == keyRunning && now.Sub(k.created) >= runningFor && req.differs(k.fingerprint) == "" {
			_, err = tx.Exec("UPDATE payments_keys SET created_at = ? WHERE scope = ? AND key = ?", now.UnixMilli(), a.scope(), a.Key)
			return err
		}
		done = true
		answer, err = replay[BalanceItem](k, req)
		return err
	})
	return answer, done, err
}

// bookFunds posts what the rail has done, once.
func (s *Service) bookFunds(ctx context.Context, a Actor, req request, in FundInput) (answer BalanceItem, err error) {
	err = s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		k, err := findKey(tx, a)
		if err != nil {
			return err
		}
		if k != nil && k.status != keyRunning {
			answer, err = replay[BalanceItem](k, req)
			return err
		}
		now := s.now()
		_, err = s.book.Record(tx, now, ledger.Transfer{
			ID: newID("tr_", now), Reference: "fund/" + a.scope() + "/" + a.Key, Note: "fund " + in.User,
			Legs: []ledger.Leg{
				{Account: railPrefix + s.d.Rail.Name(), Currency: in.Currency, Amount: -in.Amount},
				{Account: availableAccount(in.User), Currency: in.Currency, Amount: in.Amount},
			},
		})
		if err != nil {
			return err
		}
		if answer, err = balanceOf(tx, in.User, in.Currency); err != nil {
			return err
		}
		return saveKey(tx, a, req, keyDone, answer, now)
	})
	return answer, err
}
