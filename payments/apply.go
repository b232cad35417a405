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

// change is one transition of a payment that was decided.
type change struct {
	Result
	rev int64 // of the payment before it
}

// plan decides a command and what follows of itself, an automatic capture. No
// change means that nothing happens. pass is asked before each; what it writes
// is all that is written.
func (s *Service) plan(at stored, c Command, now time.Time, pass func(at stored, r *Result, c Command) error) (changes []change, err error) {
	for more := true; more; {
		r, err := at.Apply(c, now)
		if err != nil || r.Change == "" {
			return nil, err
		}
		if err := pass(at, &r, c); err != nil {
			if len(changes) > 0 && errors.Is(err, ErrSafetyCooling) {
				break // the hold stands; it is captured by a command later
			}
			return nil, err
		}
		if r.Next.Version != at.Version || r.Next.Held > 0 && at.Held == 0 {
			if err := s.seal(&r.Next); err != nil {
				return nil, err
			}
		}
		changes = append(changes, change{r, at.rev})
		at = stored{r.Next, at.rev + 1}
		c, more = at.follows(c.Do)
	}
	return changes, nil
}

// apply lets a command take effect: the next state, the postings and the event
// in the caller's transaction. Nothing is written when nothing changes. What
// follows of itself happens in the same transaction. Events are numbered last,
// after the ledger's rows: every transaction takes those two locks in this order.
func (s *Service) apply(tx *sqldb.Tx, at stored, c Command, now time.Time) (stored, error) {
	changes, err := s.plan(at, c, now, func(at stored, r *Result, c Command) error { return s.pass(tx, at, r, c, now) })
	if err != nil || len(changes) == 0 {
		return at, err
	}
	if err := s.bringIn(tx, c, changes[0].Next.Held, now); err != nil {
		return at, err
	}
	before := at.State
	for _, ch := range changes {
		if err := s.commit(tx, ch, now); err != nil {
			return at, err
		}
		at = stored{ch.Next, ch.rev + 1}
	}
	if err := s.settleAsk(tx, before, at.Intent, now); err != nil {
		return at, err
	}
	for _, ch := range changes {
		if err := s.announce(tx, ch.Next, ch.Change, now); err != nil {
			return at, err
		}
	}
	return at, nil
}

// commit writes one change; what needs the ledger's lock comes last, so that
// others wait for it briefly.
func (s *Service) commit(tx *sqldb.Tx, ch change, now time.Time) error {
	if err := update(tx, ch.Next, ch.rev); err != nil {
		return err
	}
	if transfers := ch.transfers(now); len(transfers) > 0 {
		if _, err := s.book.Record(tx, now, transfers...); err != nil {
			return err
		}
	}
	return s.mirror(tx, ch.Next, ch.rev+1, ch.Effects, now)
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

// transfers are the effects of a change, linked: all or none. References are
// unique per revision of the payment, so that no revision can ever post twice.
func (ch change) transfers(now time.Time) []ledger.Transfer {
	in, transfers := ch.Next, make([]ledger.Transfer, len(ch.Effects))
	for i, e := range ch.Effects {
		transfers[i] = ledger.Transfer{
			ID: newID("tr_", now), Legs: legs(in, e),
			Reference: in.ID + "/" + strconv.FormatInt(ch.rev+1, 10) + "/" + string(e.Kind),
			Note:      string(e.Kind) + " " + in.ID,
		}
	}
	return transfers
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
	b := tx.Batch()
	if err := announceIn(b, in, change, now); err != nil {
		return err
	}
	if err := b.Send(); err != nil {
		return fmt.Errorf("payments: event: %w", err)
	}
	tx.AfterCommit(func() { s.announced(change) })
	return nil
}

// announceIn is announce as statements of a batch; once they are committed, the
// caller calls announced.
func announceIn(b *sqldb.Batch, in Intent, change string, now time.Time) error {
	data, err := eventData(in, change)
	if err != nil {
		return fmt.Errorf("payments: event: %w", err)
	}
	return outbox.AppendIn(b, &outbox.Event{
		ID: newID("evt_", now), Type: EventType, Object: in.ID, Time: now, Data: data,
		Audience: outbox.Audience{Conversation: in.Conversation, Users: []string{in.Payer, in.Payee}},
	})
}

// announced counts a change that was committed, and rings for its event.
func (s *Service) announced(change string) {
	s.m.changes.WithLabelValues(change).Inc()
	s.d.Wake()
}
