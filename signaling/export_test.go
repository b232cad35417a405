package signaling

import (
	"context"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// Lose is what a sweep does about a part it found silent a moment ago.
func (s *Service) Lose(ctx context.Context, id wire.CallID, user wire.UserID) error {
	return s.lose(ctx, silent{call: id, user: user})
}

// StoreStale stores two changes made from the same version and returns the second's error.
func StoreStale(ctx context.Context, db *sqldb.DB, id wire.CallID, now time.Time) error {
	var read Call
	change := func(muted bool) error {
		return db.Update(ctx, func(tx *sqldb.Tx) (err error) {
			if read.ID == "" {
				if read, err = load(tx, id); err != nil {
					return err
				}
			}
			next, _, err := read.Apply(Command{Action: ActMute, By: read.From, Muted: muted}, now)
			if err != nil {
				return err
			}
			return update(tx, read, next, now)
		})
	}
	if err := change(true); err != nil {
		return err
	}
	return change(true)
}

// ErrConflict is what a change from a stale version gets.
var ErrConflict = errConflict

// FillRoll is what Run does on a node that is alone with its database.
func (s *Service) FillRoll(ctx context.Context) error { return s.roll.fill(ctx, s.DB) }

// OnRoll reports whether user has a part in a call as far as the roll knows.
func (s *Service) OnRoll(user wire.UserID) bool { return !s.roll.without(user) }
