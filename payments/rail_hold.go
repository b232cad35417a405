package payments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
)

// HoldByRail puts the amount on hold with money that the rail promises for it,
// instead of the payer's balance: the rail authorises it first, and what
// becomes of the hold is done there as well, in this way:
//
//	authorised         rail -> payer available -> payer held
//	released           payer held -> payer available -> rail; the promise lapses or is voided
//	captured           payer held -> payee; the rail is told to capture once the hold is over
//	refunded           payee -> payer available -> payer payout -> rail; refused: payer available
//	capture refused    rail:lost -> rail, so that the hole is seen; a refund then fills it
//
// The answer is the payment as it is then: still requested while the rail has
// not decided. A refusal is an ErrRail. account is the payer's payment method
// at the rail. The authorisation must last as long as holds do.
func (s *Service) HoldByRail(ctx context.Context, a Actor, id, account string, in HoldInput) (Payment, error) {
	if s.d.Rail == nil {
		return Payment{}, ErrNoRail
	}
	if err := s.checkText("account", account, maxDestination); err != nil {
		return Payment{}, err
	}
	c, err := s.look(ctx, a, id, Command{Do: DoHold, Version: in.Version, Safety: &SafetyInput{Acknowledge: in.Acknowledge, Signals: in.Signals}})
	if err != nil {
		return Payment{}, err
	}
	var fresh order
	req := request{"operation": string(DoHold), "payment": id, "source": "rail", "account": account}
	placed, err := once(ctx, s, a, req, func(tx *sqldb.Tx, now time.Time) (placedOrder, error) {
		o, err := s.placeAuthorisation(tx, a, id, account, c, now)
		fresh = o
		return placedOrder{o.ID}, err
	})
	if err != nil {
		return Payment{}, err
	}
	var o order
	if fresh.ID == placed.Order {
		if err := s.advance(ctx, fresh); err != nil {
			s.d.Log.Warn("payments: authorisation stays as it is, trying again", "order", fresh.ID, "error", err)
		}
	}
	if o, err = s.push(ctx, placed.Order); err != nil {
		return Payment{}, err
	}
	if o.State == OrderRefused {
		return Payment{}, o.refusal()
	}
	return s.Get(ctx, a, id)
}

// placedOrder is what a key holds whose answer is how an order stands.
type placedOrder struct {
	Order string `json:"order"`
}

// placeAuthorisation checks that the payment could be held now, asks the gate,
// and makes the order, taken.
func (s *Service) placeAuthorisation(tx *sqldb.Tx, a Actor, id, account string, c Command, now time.Time) (order, error) {
	at, err := loadForUpdate(tx, id)
	if err != nil {
		return order{}, err
	}
	if c.By, err = at.partyOf(a); err != nil {
		return order{}, err
	}
	c.Until = now.Add(s.cfg.HoldFor)
	r, err := at.Apply(c, now)
	if err != nil {
		return order{}, err
	}
	if err := s.pass(tx, at, &r, c, now); err != nil {
		return order{}, err
	}
	busy, err := queryOrders(tx, ofPayment+" AND action = 'authorise' AND (left_over > 0 OR state IN ('queued', 'sent', 'pending', 'unknown'))", id)
	if err != nil {
		return order{}, err
	}
	if len(busy) > 0 {
		return order{}, fmt.Errorf("%w: the rail is asked to authorise it already", ErrState)
	}
	o := s.newOrder(a, "auth_", RailAuthorise, at.Payer, r.Next.Held, at.Currency, now)
	o.Account, o.Payment, o.Version = account, id, at.Version
	if o.Safety, err = c.Safety.keep(a); err != nil {
		return order{}, err
	}
	return o, s.insertTaken(tx, o, now)
}

// keptSafety is what an authorisation keeps for the gate until the rail has decided.
type keptSafety struct {
	By      Actor
	Signals []string
	Looked  Facts
}

func (in *SafetyInput) keep(a Actor) (string, error) {
	a.Key = ""
	text, err := json.Marshal(keptSafety{By: a, Signals: in.Signals, Looked: in.looked})
	return string(text), err
}

// hold is the command that an authorisation allows.
func (o *order) hold(until time.Time) (Command, error) {
	var kept keptSafety
	if err := json.Unmarshal([]byte(o.Safety), &kept); err != nil {
		return Command{}, fmt.Errorf("payments: what was kept with %s: %w", o.ID, err)
	}
	return Command{Do: DoHold, By: Payer, Version: o.Version, Until: until, promised: o,
		Safety: &SafetyInput{Signals: kept.Signals, by: kept.By, looked: kept.Looked}}, nil
}

// bookAuthorisation puts the promised money on hold for its payment.
func (s *Service) bookAuthorisation(tx *sqldb.Tx, o *order, now time.Time) error {
	at, err := load(tx, o.Payment)
	if err != nil {
		return err
	}
	c, err := o.hold(now.Add(s.cfg.HoldFor))
	if err != nil {
		return err
	}
	_, err = s.apply(tx, at, c, now)
	return err
}

// bringIn makes promised money the payer's, for the hold that follows at once.
func (s *Service) bringIn(tx *sqldb.Tx, c Command, held int64, now time.Time) error {
	o := c.promised
	if o == nil {
		return nil
	}
	if held != o.Amount {
		return fmt.Errorf("%w: %d authorised for %d", ErrState, o.Amount, held)
	}
	return s.move(tx, o, "done", railPrefix+o.Rail, availableAccount(o.User), o.Amount, now)
}

// noHold reports whether an authorised payment cannot be held any more: it was
// edited, cancelled, held otherwise or stopped by the gate meanwhile.
func noHold(err error) bool {
	var stop *Stop
	return errors.As(err, &stop) || refusalOf(err) != nil
}

// mirror lets the rail do what becomes of a hold that it authorised, in the
// transaction in which it becomes so; also where that rail is not configured
// any more, because its promise is not the payer's money. The orders then wait for it.
func (s *Service) mirror(tx *sqldb.Tx, in Intent, rev int64, effects []Effect, now time.Time) error {
	var released, returned int64
	over := false
	for _, e := range effects {
		switch e.Kind {
		case EffectRelease:
			released, over = released+e.Amount, in.Held == 0
		case EffectCapture:
			over = in.Held == 0
		case EffectRefund:
			returned += e.Amount
		}
	}
	if released == 0 && returned == 0 && !over {
		return nil
	}
	auth, found, err := authorisationOf(tx, in.ID)
	if err != nil || !found {
		return err
	}
	if auth.LeftOver > 0 {
		if err := s.mirrorHold(tx, auth, released, over, rev, now); err != nil {
			return err
		}
	}
	if returned > 0 {
		return s.mirrorRefund(tx, auth, returned, rev, now)
	}
	return nil
}

// authorisationOf returns the newest authorisation that a payment was held with.
func authorisationOf(tx *sqldb.Tx, payment string) (order, bool, error) {
	list, err := queryOrders(tx, ofPayment+" AND action = 'authorise' AND state = 'done' ORDER BY id DESC LIMIT 1", payment)
	if err != nil || len(list) == 0 {
		return order{}, false, err
	}
	if err := tx.Lock(orderLock(list[0].ID)); err != nil {
		return order{}, false, err
	}
	o, err := loadOrder(tx, list[0].ID)
	return o, err == nil, err
}

// mirrorHold gives back what is released, and ends the authorisation with the
// hold: by one capture of all that was taken from it, or by a void.
func (s *Service) mirrorHold(tx *sqldb.Tx, auth order, released int64, over bool, rev int64, now time.Time) error {
	if back := min(released, auth.LeftOver); back > 0 {
		if err := s.move(tx, &auth, fmt.Sprint("released/", rev), availableAccount(auth.User), railPrefix+auth.Rail, back, now); err != nil {
			return err
		}
		auth.LeftOver -= back
	}
	if over {
		o := follow(auth, RailVoid, auth.Amount, now)
		if auth.LeftOver > 0 {
			o = follow(auth, RailCapture, auth.LeftOver, now)
		}
		if err := insertOrder(tx, o); err != nil {
			return err
		}
		auth.LeftOver = 0
	}
	return updateOrder(tx, auth)
}

// follow is the order that ends or undoes an authorisation.
func follow(auth order, action RailAction, amount int64, now time.Time) order {
	return order{ID: newID("ord_", now), Rail: auth.Rail, Action: action, User: auth.User, Amount: amount, Currency: auth.Currency,
		Payment: auth.Payment, Version: auth.Version, Authorisation: auth.ID, OfRailID: auth.RailID,
		State: OrderQueued, Due: now, Scope: auth.Scope, CreatedAt: now, Updated: now}
}

// mirrorRefund sends a refund on to where the money came from, as far as the
// rail captured it. The rest stays in the payer's balance.
func (s *Service) mirrorRefund(tx *sqldb.Tx, auth order, returned, rev int64, now time.Time) error {
	after, err := queryOrders(tx, ofPayment+" AND authorisation = ?", auth.Payment, auth.ID)
	if err != nil {
		return err
	}
	var left int64
	for _, o := range after {
		switch {
		case o.State == OrderRefused && o.Action == RailCapture: // the payer's money never came in
			back := min(returned, o.Amount)
			return s.move(tx, &o, fmt.Sprint("recovered/", rev), availableAccount(o.User), lostAccount(o.Rail), back, now)
		case o.State == OrderRefused || o.State == OrderReturned:
		case o.Action == RailCapture:
			left += o.Amount
		case o.Action == RailRefund:
			left -= o.Amount
		}
	}
	amount := min(returned, left)
	if amount <= 0 {
		return nil
	}
	o := follow(auth, RailRefund, amount, now)
	if err := s.move(tx, &o, "placed", availableAccount(o.User), payoutAccount(o.User), o.Amount, now); err != nil {
		return err
	}
	return insertOrder(tx, o)
}

// captureOf tells how the capture stands that a refund gives back.
func captureOf(tx *sqldb.Tx, refund order) (OrderState, error) {
	list, err := queryOrders(tx, ofPayment+" AND authorisation = ? AND action = 'capture'", refund.Payment, refund.Authorisation)
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "", fmt.Errorf("payments: refund %s follows no capture", refund.ID)
	}
	return list[0].State, nil
}
