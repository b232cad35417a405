package payments

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"parley/internal/sqldb"
	"parley/payments/ledger"
	"parley/payments/outbox"
)

// settle lets a rail's answer take effect: the order's next state, the postings
// that belong to it and the event, in one transaction.
func (s *Service) settle(ctx context.Context, taken order, out RailOutcome, asked error) error {
	v, err := s.settleOnce(ctx, taken, out, asked, false)
	if taken.Action == RailAuthorise && noHold(err) {
		v, err = s.settleOnce(ctx, taken, out, asked, true)
	}
	if err != nil {
		return err
	}
	s.m.rail(taken.Action, out, asked != nil)
	if v == contradicts {
		s.m.contradictions.Inc()
		s.d.Log.Error("payments: the rail takes back an outcome that is booked; look at it", "order", taken.ID, "rail", taken.Rail, "now", string(out.Status))
	}
	return nil
}

// settleOnce is settle; unwanted says that the payment of an authorisation cannot be held any more.
func (s *Service) settleOnce(ctx context.Context, taken order, out RailOutcome, asked error, unwanted bool) (v verdict, err error) {
	err = s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if taken.Payment != "" {
			if err := tx.Lock(paymentLock(taken.Payment)); err != nil {
				return err
			}
		}
		if err := tx.Lock(orderLock(taken.ID)); err != nil {
			return err
		}
		o, err := loadOrder(tx, taken.ID)
		if err != nil {
			return err
		}
		now := s.now()
		var next order
		next, v = o.after(out, asked, now)
		if v == isDone && o.Action == RailAuthorise && !unwanted {
			next.LeftOver = next.Amount
		}
		if err := updateOrder(tx, next); err != nil {
			return err
		}
		if err := s.bookVerdict(tx, &next, v, now); err != nil {
			return err
		}
		if next.State == o.State && next.Reason == o.Reason {
			return nil
		}
		return s.announceOrder(tx, next, now)
	})
	return v, err
}

// bookVerdict books what became of an order.
func (s *Service) bookVerdict(tx *sqldb.Tx, o *order, v verdict, now time.Time) error {
	if v == nothingNew || v == contradicts {
		return nil
	}
	switch o.Action {
	case RailFund:
		return s.bookFund(tx, o, v, now)
	case RailPayout, RailRefund:
		return s.bookOutgoing(tx, o, v, now)
	case RailAuthorise:
		switch {
		case v == isDone && o.LeftOver > 0:
			return s.bookAuthorisation(tx, o, now)
		case v == isDone:
			return insertOrder(tx, follow(*o, RailVoid, o.Amount, now))
		}
	case RailCapture:
		if v == isRefused {
			return s.bookLoss(tx, o, now)
		}
	}
	return nil // a refused void: the promise ends by itself
}

// bookOutgoing ends what was reserved when the order was made, or takes back
// what came back. A refund of what was never captured fills the hole it left.
func (s *Service) bookOutgoing(tx *sqldb.Tx, o *order, v verdict, now time.Time) error {
	switch v {
	case isDone:
		return s.move(tx, o, "done", payoutAccount(o.User), railPrefix+o.Rail, o.Amount, now)
	case isRefused:
		if o.Reason == reasonNothing && o.Action == RailRefund {
			return s.move(tx, o, "recovered", payoutAccount(o.User), lostAccount(o.Rail), o.Amount, now)
		}
		return s.move(tx, o, "refused", payoutAccount(o.User), availableAccount(o.User), o.Amount, now)
	}
	return s.move(tx, o, "returned", railPrefix+o.Rail, availableAccount(o.User), o.Amount, now)
}

// bookFund gives the user what came in, and answers the request that waits for it under its key.
func (s *Service) bookFund(tx *sqldb.Tx, o *order, v verdict, now time.Time) error {
	if v != isDone {
		return s.answerFund(tx, o, keyRefused, refusalOf(o.refusal()), now)
	}
	if err := s.move(tx, o, "done", railPrefix+o.Rail, availableAccount(o.User), o.Amount, now); err != nil {
		return err
	}
	balance, err := balanceOf(tx, o.User, o.Currency)
	if err != nil {
		return err
	}
	return s.answerFund(tx, o, keyDone, balance, now)
}

// refusal is the error of a refused order.
func (o *order) refusal() error { return fmt.Errorf("%w: %s", ErrRail, o.Reason) }

// answerFund replaces the running mark of Fund by the answer. Where the key has
// been answered already, it stays as it is.
func (s *Service) answerFund(tx *sqldb.Tx, o *order, status string, answer any, now time.Time) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("payments: idempotency answer: %w", err)
	}
	_, err = tx.Exec("UPDATE payments_keys SET status = ?, answer = ?, created_at = ? WHERE scope = ? AND key = ? AND status = 'running'",
		status, string(text), now.UnixMilli(), o.Scope, o.Key)
	return err
}

// bookLoss makes the hole visible that a capture leaves which the rail refuses
// after the payee was paid: it is no longer owed by the rail but lost with it.
func (s *Service) bookLoss(tx *sqldb.Tx, o *order, now time.Time) error {
	s.d.Log.Error("payments: the rail refused to capture what it had authorised", "order", o.ID, "payment", o.Payment, "reason", o.Reason)
	return s.move(tx, o, "lost", lostAccount(o.Rail), railPrefix+o.Rail, o.Amount, now)
}

// lostAccount says how much was paid out that a rail had promised and did not bring.
func lostAccount(rail string) string { return railPrefix + rail + ":lost" }

// payoutAccount holds what is on its way out of a user's balance.
func payoutAccount(user string) string { return userPrefix + user + ":payout" }

// move posts one transfer of an order. The reference keeps each step of it from being posted twice.
func (s *Service) move(tx *sqldb.Tx, o *order, step, from, to string, amount int64, now time.Time) error {
	_, err := s.book.Record(tx, now, ledger.Transfer{
		ID: newID("tr_", now), Reference: o.ID + "/" + step, Note: string(o.Action) + " " + step + " " + o.ID,
		Legs: []ledger.Leg{{Account: from, Currency: o.Currency, Amount: -amount}, {Account: to, Currency: o.Currency, Amount: amount}},
	})
	return err
}

// orderEvents are the types of the events about orders, for the user's own conversation.
var orderEvents = map[RailAction]string{
	RailPayout: "payout.updated", RailFund: "topup.updated", RailAuthorise: "authorisation.updated", RailRefund: "rail_refund.updated",
}

// announceOrder appends the event about an order. Money that comes in at once
// is answered, not announced; captures and voids are shown by their payment.
func (s *Service) announceOrder(tx *sqldb.Tx, o order, now time.Time) error {
	kind, ok := orderEvents[o.Action]
	if !ok || o.Action == RailFund && !o.Waited {
		return nil
	}
	data, err := json.Marshal(OrderEvent{Order: viewOrder(o), Change: string(o.State)})
	if err != nil {
		return fmt.Errorf("payments: event: %w", err)
	}
	_, err = outbox.Append(tx, outbox.Event{
		ID: newID("evt_", now), Type: kind, Object: o.ID, Time: now, Data: data, Audience: outbox.Audience{Users: []string{o.User}},
	})
	if err == nil {
		tx.AfterCommit(s.d.Wake)
	}
	return err
}
