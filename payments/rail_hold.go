package payments

import (
	"time"

	"parley/internal/sqldb"
)

// bookAuthorisation puts the promised money on hold for its payment.
func (s *Service) bookAuthorisation(tx *sqldb.Tx, o *order, now time.Time) error {
	return nil
}
