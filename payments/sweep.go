package payments

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
)

// sweepPage bounds the payments of one look for passed deadlines.
const sweepPage = 100

// Run lets deadlines take effect until ctx ends: requests expire, held money
// goes back, unfinished confirmations become void. No deadline captures.
// Several nodes may run it.
func (s *Service) Run(ctx context.Context) error {
	for {
		start := time.Now()
		n, err := s.Sweep(ctx)
		s.m.sweeps.Observe(time.Since(start).Seconds())
		s.m.swept.Add(float64(n))
		if err != nil && ctx.Err() == nil {
			s.m.unswept.Inc()
			s.d.Log.Warn("payments: sweep failed, trying again", "error", err)
		}
		if n == sweepPage && err == nil {
			continue
		}
		if err := s.d.Clock.Wait(ctx, s.d.Clock.Now().Add(s.cfg.SweepEvery)); err != nil {
			return nil // ctx has ended
		}
	}
}

// Sweep looks once for passed deadlines and returns how many it found.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	ids, err := s.due(ctx, s.now())
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, id := range ids {
		err := s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
			at, err := loadForUpdate(tx, id)
			if err != nil {
				return err
			}
			tick := Command{Do: DoTick, By: Clock}
			if at.State == Disputed {
				if tick.Available, err = availableOf(tx, availableAccount(at.Payee), at.Currency); err != nil {
					return err
				}
			}
			_, err = s.apply(tx, at, tick, s.now())
			return err
		})
		if err != nil && !errors.Is(err, ErrNotDue) { // another node was faster
			errs = append(errs, fmt.Errorf("payments: sweep %s: %w", id, err))
		}
	}
	n, err := s.sweepLinks(ctx)
	return max(len(ids), n), errors.Join(append(errs, err)...)
}

func (s *Service) due(ctx context.Context, now time.Time) (ids []string, err error) {
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT id FROM payments_intents WHERE due_at > 0 AND due_at <= ? ORDER BY due_at LIMIT ?", now.UnixMilli(), sweepPage)
		if err != nil {
			return fmt.Errorf("payments: due: %w", err)
		}
		defer func() { _ = rows.Close() }() // its error is in rows.Err
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return fmt.Errorf("payments: due: %w", err)
			}
			ids = append(ids, id)
		}
		return rows.Err()
	})
	return ids, err
}
