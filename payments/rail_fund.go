package payments

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"parley/internal/sqldb"
)

// FundInput asks for money from the rail.
type FundInput struct {
	User     string
	Amount   int64
	Currency string
	// Account is the payment method at the rail; the sandbox needs none.
	Account string
}

// Fund brings money in from the rail for a user and answers with the balance.
// Only a server key may ask. While the outcome is not known the key is in
// progress; a retry with it asks for the outcome, and the rail does the order once.
func (s *Service) Fund(ctx context.Context, a Actor, in FundInput) (BalanceItem, error) {
	if err := s.checkFund(ctx, a, in); err != nil {
		return BalanceItem{}, err
	}
	place := func() (answer BalanceItem, o order, fresh, known bool, err error) {
		err = s.d.DB.Update(ctx, func(tx *sqldb.Tx) (err error) {
			answer, o, fresh, known, err = s.placeFund(tx, a, in)
			return err
		})
		return answer, o, fresh, known, err
	}
	answer, o, fresh, known, err := place()
	if known || err != nil {
		return answer, err
	}
	if fresh {
		err = s.advance(ctx, o)
	} else {
		_, err = s.push(ctx, o.ID)
	}
	if err != nil {
		return answer, err
	}
	answer, _, _, known, err = place()
	if err == nil && !known {
		err = ErrInProgress
	}
	return answer, err
}

// TopUp is Fund for callers that do not wait: the answer is the order, and its
// outcome is an event.
func (s *Service) TopUp(ctx context.Context, a Actor, in FundInput) (Transfer, error) {
	if err := s.checkFund(ctx, a, in); err != nil {
		return Transfer{}, err
	}
	return once(ctx, s, a, in.request("topup"), func(tx *sqldb.Tx, now time.Time) (Transfer, error) {
		o := s.newOrder(a, "tup_", RailFund, in.User, in.Amount, in.Currency, now)
		o.Account, o.Waited = in.Account, true
		if err := insertOrder(tx, o); err != nil {
			return Transfer{}, err
		}
		return viewOrder(o), s.announceOrder(tx, o, now)
	})
}

func (in FundInput) request(operation string) request {
	return request{"operation": operation, "user": in.User, "amount": fmt.Sprint(in.Amount), "currency": in.Currency, "account": in.Account}
}

func (s *Service) checkFund(ctx context.Context, a Actor, in FundInput) error {
	switch {
	case !a.Server:
		return fmt.Errorf("%w: only a server key funds users", ErrNotParty)
	case s.d.Rail == nil:
		return ErrNoRail
	case in.User == "":
		return fmt.Errorf("%w: user missing", ErrInput)
	}
	if err := CheckAmount(in.Amount, in.Currency); err != nil {
		return err
	}
	if err := s.checkText("account", in.Account, maxDestination); err != nil {
		return err
	}
	if _, err := s.d.Names.Person(ctx, in.User); err != nil {
		return err
	}
	return checkKey(a.Key)
}

// placeFund finds what the key stands for: an answer (known), an order under
// way, or a new one, which is taken already (fresh).
func (s *Service) placeFund(tx *sqldb.Tx, a Actor, in FundInput) (answer BalanceItem, o order, fresh, known bool, err error) {
	req := in.request("fund")
	k, err := findKey(tx, a)
	if err != nil {
		return answer, o, false, false, err
	}
	if k == nil {
		now := s.now()
		o = s.newOrder(a, "tup_", RailFund, in.User, in.Amount, in.Currency, now)
		o.Account = in.Account
		if err = saveKey(tx, a, req, keyRunning, placedOrder{o.ID}, now); err != nil {
			return answer, o, false, false, err
		}
		return answer, o, true, false, s.insertTaken(tx, o, now)
	}
	if k.status != keyRunning || req.differs(k.fingerprint) != "" {
		answer, err = replay[BalanceItem](k, req)
		return answer, o, false, true, err
	}
	var at placedOrder
	if err = json.Unmarshal([]byte(k.answer), &at); err != nil || at.Order == "" {
		return answer, o, false, false, ErrInProgress // begun by an older version
	}
	o, err = loadOrder(tx, at.Order)
	return answer, o, false, false, err
}

// insertTaken inserts an order that whoever inserts it takes to the rail at once.
func (s *Service) insertTaken(tx *sqldb.Tx, o order, now time.Time) error {
	o.take(now)
	return insertOrder(tx, o)
}
