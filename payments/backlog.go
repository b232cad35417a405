package payments

import (
	"context"
	"fmt"
	"time"

	"parley/internal/sqldb"
)

// Backlog is what waits for time to pass or for the rail.
type Backlog struct {
	// Overdue are payments whose deadline has passed and has not taken effect;
	// OldestOverdue is for how long at the most.
	Overdue       int
	OldestOverdue time.Duration
	// Orders have no final answer of the rail.
	Orders int
}

// Backlog counts what waits, over all nodes.
func (s *Service) Backlog(ctx context.Context) (b Backlog, err error) {
	now := s.now()
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		var oldest int64
		err := tx.QueryRow("SELECT COUNT(*), COALESCE(MIN(due_at), 0) FROM payments_intents WHERE due_at > 0 AND due_at <= ?", now.UnixMilli()).Scan(&b.Overdue, &oldest)
		if err != nil {
			return fmt.Errorf("payments: backlog: %w", err)
		}
		if b.OldestOverdue = 0; b.Overdue > 0 {
			b.OldestOverdue = now.Sub(time.UnixMilli(oldest))
		}
		if err := tx.QueryRow("SELECT COUNT(*) FROM payments_orders WHERE due_at > 0").Scan(&b.Orders); err != nil {
			return fmt.Errorf("payments: backlog: %w", err)
		}
		return nil
	})
	return b, err
}
