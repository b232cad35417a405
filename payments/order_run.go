package payments

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"parley/internal/sqldb"
)

// orderSlots bounds the orders that one node has under way at a time, so that a
// slow rail costs a bounded number of goroutines.
const orderSlots = 16

// RunOrders takes orders to the rail until ctx ends: those that wait to be
// sent, those whose outcome is pending or unknown. Several nodes may run it;
// each order is leased to one of them at a time, and what ends without an
// answer is asked for again when its lease is over.
func (s *Service) RunOrders(ctx context.Context) error {
	if s.d.Rail == nil {
		<-ctx.Done()
		return nil
	}
	var under sync.WaitGroup
	defer under.Wait()
	slots := make(chan struct{}, orderSlots)
	for {
		orders, err := s.takeDue(ctx, orderSlots-len(slots))
		if err != nil && ctx.Err() == nil {
			s.d.Log.Warn("payments: orders not read, trying again", "error", err)
		}
		for _, o := range orders {
			slots <- struct{}{}
			under.Go(func() {
				defer func() { <-slots }()
				s.logAdvance(ctx, o)
			})
		}
		if err := s.d.Clock.Wait(ctx, s.d.Clock.Now().Add(s.cfg.SweepEvery)); err != nil {
			return nil // ctx has ended
		}
	}
}

func (s *Service) logAdvance(ctx context.Context, o order) {
	if err := s.advance(ctx, o); err != nil && ctx.Err() == nil {
		s.d.Log.Warn("payments: order stays as it is, trying again", "order", o.ID, "error", err)
	}
}

// SweepOrders takes the orders that are due to the rail once, and returns how many there were.
func (s *Service) SweepOrders(ctx context.Context) (int, error) {
	if s.d.Rail == nil {
		return 0, nil
	}
	orders, err := s.takeDue(ctx, orderSlots)
	if err != nil {
		return 0, err
	}
	errs := make([]error, len(orders))
	var under sync.WaitGroup
	for i, o := range orders {
		under.Go(func() { errs[i] = s.advance(ctx, o) })
	}
	under.Wait()
	return len(orders), errors.Join(errs...)
}

// takeDue leases orders that are due. They are returned as they were before.
func (s *Service) takeDue(ctx context.Context, limit int) (taken []order, err error) {
	if limit == 0 {
		return nil, nil
	}
	var due []order
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		due, err = dueOrders(tx, s.d.Rail.Name(), s.now(), limit)
		return err
	})
	for _, o := range due {
		if got, ok, err := s.take(ctx, o.ID); err != nil {
			return taken, err
		} else if ok {
			taken = append(taken, got)
		}
	}
	return taken, err
}

// take leases one order if it is due, of the rail there is, and nobody else has
// it, and returns it as it was before.
func (s *Service) take(ctx context.Context, id string) (o order, ok bool, err error) {
	err = s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		ok = false
		if err := tx.Lock(orderLock(id)); err != nil {
			return err
		}
		if o, err = loadOrder(tx, id); err != nil {
			return err
		}
		now := s.now()
		if o.Due.IsZero() || o.Due.After(now) || o.Rail != s.d.Rail.Name() {
			return nil
		}
		next := o
		if wait, err := s.mustWait(tx, o); err != nil || wait {
			next.Due, next.Updated = now.Add(firstBackoff), now
			return errors.Join(err, updateOrder(tx, next))
		}
		ok = true
		next.take(now)
		o.Tries = next.Tries
		return updateOrder(tx, next)
	})
	return o, ok && err == nil, err
}

// mustWait reports whether a refund comes before its capture is known.
func (s *Service) mustWait(tx *sqldb.Tx, o order) (bool, error) {
	if o.Action != RailRefund || !o.open() {
		return false, nil
	}
	state, err := captureOf(tx, o)
	return (&order{State: state}).open(), err
}

// orderLock is taken after the lock of the order's payment, if it has one.
func orderLock(id string) string { return "payments:order:" + id }

// push takes one order to the rail now if it is due, and returns how it stands then.
func (s *Service) push(ctx context.Context, id string) (order, error) {
	o, ok, err := s.take(ctx, id)
	if err == nil && ok {
		err = s.advance(ctx, o)
	}
	if err != nil {
		return o, err
	}
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		o, err = loadOrder(tx, id)
		return err
	})
	return o, err
}

// advance asks the rail about an order that was taken, outside any transaction,
// and books the answer. o is as it was before it was taken.
func (s *Service) advance(ctx context.Context, o order) error {
	out, err := s.askRail(ctx, o)
	if ctx.Err() != nil {
		return ctx.Err() // the order stays sent; after its lease the rail is asked again
	}
	if err != nil {
		s.d.Log.Warn("payments: outcome at the rail unknown", "order", o.ID, "action", string(o.Action), "error", err)
	}
	return s.settle(ctx, o, out, err)
}

// askRail orders what has never been sent. What may have been sent is looked up
// first and ordered again, under the same reference, only if the rail has not got it.
func (s *Service) askRail(ctx context.Context, o order) (RailOutcome, error) {
	ctx, cancel := context.WithTimeout(ctx, railTimeout)
	defer cancel()
	if refused, err := s.nothingCaptured(ctx, o); refused || err != nil {
		return RailOutcome{Status: RailRefused, Reason: reasonNothing}, err
	}
	if o.State == OrderQueued {
		return s.d.Rail.Order(ctx, o.toRail())
	}
	out, err := s.d.Rail.Find(ctx, o.toRail(), o.RailID)
	if err != nil {
		return out, fmt.Errorf("find: %w", err)
	}
	if again := o.State == OrderSent || o.State == OrderUnknown; again && out.Status == RailAbsent && s.now().Sub(o.CreatedAt) < orderAgainFor {
		return s.d.Rail.Order(ctx, o.toRail())
	}
	return out, nil
}

// reasonNothing is the reason of a refund whose capture was refused: there is
// nothing at the rail to give back. It is ours, not of ISO 20022.
const reasonNothing = "nothing_captured"

// nothingCaptured reports whether an order is the refund of a capture that was refused.
func (s *Service) nothingCaptured(ctx context.Context, o order) (refused bool, err error) {
	if o.Action != RailRefund {
		return false, nil
	}
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		state, err := captureOf(tx, o)
		refused = state == OrderRefused
		return err
	})
	return refused, err
}

// Nudge has the rail asked about an order soon, because something may have
// changed there. It trusts the hint with nothing else. An unknown reference is
// no error: it may belong to somebody else who uses the same account at the rail.
func (s *Service) Nudge(ctx context.Context, reference string) error {
	return s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := tx.Lock(orderLock(reference)); err != nil {
			return err
		}
		o, err := loadOrder(tx, reference)
		if errors.Is(err, ErrOrderUnknown) {
			return nil
		}
		if err != nil {
			return err
		}
		now := s.now()
		if o.State == OrderSent && o.Due.After(now) {
			o.Due = now.Add(firstBackoff) // under way: the answer may be older than the hint
		} else {
			o.Due = now
		}
		o.Updated = now
		return updateOrder(tx, o)
	})
}
