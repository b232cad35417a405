package outbox

import (
	"context"
	"fmt"

	"parley/internal/sqldb"
)

// Waiting returns how many events each consumer has not been told of, over all nodes.
func (r *Relay) Waiting(ctx context.Context) (map[string]int64, error) {
	waiting := make(map[string]int64, len(r.consumers))
	err := r.db.View(ctx, func(tx *sqldb.Tx) error {
		var last int64
		if err := tx.QueryRow("SELECT COALESCE(MAX(seq), 0) FROM outbox_events").Scan(&last); err != nil {
			return fmt.Errorf("outbox: last event: %w", err)
		}
		for _, c := range r.consumers {
			at, err := cursor(tx, c.name)
			if err != nil {
				return err
			}
			waiting[c.name] = last - at
		}
		return nil
	})
	return waiting, err
}
