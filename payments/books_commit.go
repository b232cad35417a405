package payments

import (
	"context"
	"fmt"
	"time"

	"parley/internal/sqldb"
	"parley/payments/ledger"
)

// commitOnce records the app's transfers together with those of other callers,
// once for the actor's key. of is the transfer that they resolve, if any. It
// returns ledger.ErrBusy and ledger.ErrStopped besides.
func commitOnce[T any](ctx context.Context, s *Service, a Actor, req request, of string, group []ledger.Transfer, shape func([]ledger.Entry) T) (T, error) {
	found, reference := false, ""
	return together(ctx, s, joint[T]{by: a, req: req,
		read: func(b *sqldb.Batch) {
			if found = false; of != "" {
				ledger.ReadReference(b, of, func(r string) { found, reference = true, r })
			}
		},
		decide: func(*sqldb.Tx, time.Time) ([]ledger.Transfer, error) {
			switch {
			case of == "":
				return group, nil
			case !found:
				return nil, fmt.Errorf("%w: %.128s", ledger.ErrUnknown, of)
			}
			return group, ofApp(of, reference)
		},
		save: func(_ *sqldb.Batch, entries []ledger.Entry) (T, error) { return shape(entries), nil },
	})
}
