package payments

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/internal/sqldb"
	"parley/payments/ledger"
	"parley/payments/outbox"
)

// apply lets a command take effect: the next state, the postings and the event
// in the caller's transaction. Nothing is written when nothing changes. What
// follows of itself, an automatic capture, happens in the same transaction. Events are numbered last,
// after the ledger's rows: every transaction takes those two locks in this order.
func (s *Service) apply(tx *sqldb.Tx, at stored, c Command, now time.Time) (stored, error) {
	type news struct {
		in     Intent
		change string
	}
	var heard []news
	before := at.State
	for {
		r, err := at.Apply(c, now)
		if err != nil || r.Change == "" {
			return at, err
		}
		if err := s.pass(tx, at, &r, c, now); err != nil {
			if len(heard) > 0 && errors.Is(err, ErrSafetyCooling) {
				break // the hold stands; it is captured by a command later
			}
			return at, err
		}
		if err := s.bringIn(tx, c, r.Next.Held, now); err != nil {
			return at, err
		}
		if at, err = s.commit(tx, at, r, now); err != nil {
			return at, err
		}
		heard = append(heard, news{at.Intent, r.Change})
		next, more := at.follows(c.Do)
		if !more {
			break
		}
		c = next
	}
	if err := s.settleAsk(tx, before, at.Intent, now); err != nil {
		return at, err
	}
	for _, n := range heard {
		if err := s.announce(tx, n.in, n.change, now); err != nil {
			return at, err
		}
	}
	return at, nil
}

// commit writes the result of one command; what needs the ledger's lock comes
// last, so that others wait for it briefly.
func (s *Service) commit(tx *sqldb.Tx, at stored, r Result, now time.Time) (stored, error) {
	next := stored{r.Next, at.rev + 1}
	if next.Version != at.Version || next.Held > 0 && at.Held == 0 {
		if err := s.seal(&next.Intent); err != nil {
			return at, err
		}
	}
	if err := update(tx, next.Intent, at.rev); err != nil {
		return at, err
	}
	if err := s.post(tx, next.Intent, next.rev, r.Effects, now); err != nil {
		return at, err
	}
	return next, s.mirror(tx, next.Intent, next.rev, r.Effects, now)
}

// seal computes what the parties agree on in this version. It expires with the
// hold once there is one: a version is held at most once, and confirmed only
// when held, so that its digest is final before anyone confirms it.
func (s *Service) seal(in *Intent) error {
	expires := in.Deadline
	if in.Held > 0 {
		expires = in.HoldExpires
	}
	text, digest, err := s.d.Digester(Snapshot{
		V: 1, Payment: in.ID, Version: in.Version, Amount: in.Amount, Fee: in.Fees.onTop(in.Amount), Currency: in.Currency,
		PayeeID: in.Payee, PayeeNameShown: in.PayeeName, Purpose: in.purpose(), Expires: expires.UTC().Format(time.RFC3339),
	})
	if err != nil {
		return fmt.Errorf("payments: digest: %w", err)
	}
	in.Snapshot, in.Digest = string(text), digest
	return nil
}

// purpose is what the payment is for, as the parties confirm it.
func (in *Intent) purpose() string {
	var parts []string
	if in.Order != "" {
		parts = append(parts, "order "+in.Order)
	}
	if in.Memo != "" {
		parts = append(parts, in.Memo)
	}
	return strings.Join(parts, ": ")
}

// post records the effects, linked: all or none. References are unique per
// revision of the payment, so that no revision can ever post twice.
func (s *Service) post(tx *sqldb.Tx, in Intent, rev int64, effects []Effect, now time.Time) error {
	if len(effects) == 0 {
		return nil
	}
	transfers := make([]ledger.Transfer, len(effects))
	for i, e := range effects {
		transfers[i] = ledger.Transfer{
			ID: newID("tr_", now), Legs: legs(in, e),
			Reference: in.ID + "/" + strconv.FormatInt(rev, 10) + "/" + string(e.Kind),
			Note:      string(e.Kind) + " " + in.ID,
		}
	}
	_, err := s.book.Record(tx, now, transfers...)
	return err
}

// legs says which accounts an effect moves money between.
func legs(in Intent, e Effect) []ledger.Leg {
	leg := func(account string, amount int64) ledger.Leg {
		return ledger.Leg{Account: account, Currency: in.Currency, Amount: amount}
	}
	var all []ledger.Leg
	switch e.Kind {
	case EffectHold:
		all = []ledger.Leg{leg(availableAccount(in.Payer), -e.Amount), leg(heldAccount(in.Payer), e.Amount)}
	case EffectRelease:
		all = []ledger.Leg{leg(heldAccount(in.Payer), -e.Amount), leg(availableAccount(in.Payer), e.Amount)}
	case EffectCapture:
		all = []ledger.Leg{leg(heldAccount(in.Payer), -e.Amount), leg(availableAccount(in.Payee), e.Amount-e.Fee), leg(feesAccount, e.Fee)}
	case EffectRefund:
		all = []ledger.Leg{leg(disputedAccount(in.Payee), -e.Reserve), leg(availableAccount(in.Payee), -(e.Amount - e.Fee - e.Reserve)),
			leg(feesAccount, -e.Fee), leg(availableAccount(in.Payer), e.Amount)}
	case EffectReserve:
		all = []ledger.Leg{leg(availableAccount(in.Payee), -e.Amount), leg(disputedAccount(in.Payee), e.Amount)}
	case EffectUnreserve:
		all = []ledger.Leg{leg(disputedAccount(in.Payee), -e.Amount), leg(availableAccount(in.Payee), e.Amount)}
	}
	moved := all[:0]
	for _, l := range all {
		if l.Amount != 0 {
			moved = append(moved, l)
		}
	}
	return moved
}

// announce appends the event about a change, in the same transaction.
func (s *Service) announce(tx *sqldb.Tx, in Intent, change string, now time.Time) error {
	data, err := eventData(in, change)
	if err != nil {
		return fmt.Errorf("payments: event: %w", err)
	}
	_, err = outbox.Append(tx, outbox.Event{
		ID: newID("evt_", now), Type: EventType, Object: in.ID, Time: now, Data: data,
		Audience: outbox.Audience{Conversation: in.Conversation, Users: []string{in.Payer, in.Payee}},
	})
	if err != nil {
		return err
	}
	tx.AfterCommit(func() {
		s.m.changes.WithLabelValues(change).Inc()
		s.d.Wake()
	})
	return nil
}
