package chat

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// SaveSeen stores when people were last reachable, in one transaction. A time
// before the stored one is ignored.
func (s *Service) SaveSeen(ctx context.Context, seen map[wire.UserID]time.Time) error {
	if len(seen) == 0 {
		return nil
	}
	return s.db.Update(ctx, func(tx *sqldb.Tx) error {
		for u, at := range seen {
			_, err := tx.Exec(`INSERT INTO last_seen (user_id, at) VALUES (?, ?)
				ON CONFLICT (user_id) DO UPDATE SET at = excluded.at WHERE last_seen.at < excluded.at`, u, at.UnixMilli())
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// LoadSeen returns when people were last reachable; those never seen are left out.
func (s *Service) LoadSeen(ctx context.Context, users []wire.UserID) (map[wire.UserID]time.Time, error) {
	seen := make(map[wire.UserID]time.Time, len(users))
	err := s.db.View(ctx, func(tx *sqldb.Tx) error {
		for _, u := range users {
			var at int64
			err := tx.QueryRow(`SELECT at FROM last_seen WHERE user_id = ?`, u).Scan(&at)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			seen[u] = fromMillis(at)
		}
		return nil
	})
	return seen, err
}
