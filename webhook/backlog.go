package webhook

import (
	"context"
	"fmt"
	"time"

	"parley/internal/sqldb"
)

// Backlog is what was not delivered.
type Backlog struct {
	// Pending deliveries wait for their turn, their time or their endpoint.
	Pending int
	// OldestDue is for how long the delivery that is first in its row and due
	// longest has waited; 0 when none is due.
	OldestDue time.Duration
	// Dead deliveries have failed at every attempt and can be replayed.
	Dead int
}

// Backlog counts deliveries over all nodes. Those of disabled endpoints are
// pending but never due.
func (s *Service) Backlog(ctx context.Context) (b Backlog, err error) {
	now := s.now()
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		for state, n := range map[State]*int{Pending: &b.Pending, Dead: &b.Dead} {
			if err := tx.QueryRow("SELECT COUNT(*) FROM webhook_deliveries WHERE state = ?", string(state)).Scan(n); err != nil {
				return fmt.Errorf("webhook: backlog: %w", err)
			}
		}
		var oldest int64
		err := tx.QueryRow("SELECT COALESCE(MIN(d.due), 0) FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint"+
			" WHERE d.state = ? AND d.head = 1 AND e.disabled = 0 AND d.due <= ?", string(Pending), now.UnixMilli()).Scan(&oldest)
		if err != nil {
			return fmt.Errorf("webhook: backlog: %w", err)
		}
		if b.OldestDue = 0; oldest > 0 {
			b.OldestDue = now.Sub(time.UnixMilli(oldest))
		}
		return nil
	})
	return b, err
}
