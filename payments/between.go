package payments

import (
	"context"

	"parley/internal/sqldb"
)

// OpenBetween reports whether a payment between a and b, in either direction,
// is still under way.
func (s *Service) OpenBetween(ctx context.Context, a, b string) (open bool, err error) {
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		var n int
		err := tx.QueryRow("SELECT COUNT(*) FROM (SELECT 1 FROM payments_intents WHERE (payer = ? AND payee = ? OR payer = ? AND payee = ?)"+
			" AND state IN ('requested', 'held', 'confirming', 'confirmed', 'part_captured', 'review', 'disputed') LIMIT 1) AS found", a, b, b, a).Scan(&n)
		open = n > 0
		return err
	})
	return open, err
}
