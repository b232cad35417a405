package chat

import (
	"context"
	"maps"
	"slices"
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
	users, at := make([]string, 0, len(seen)), make([]int64, 0, len(seen))
	for _, u := range slices.Sorted(maps.Keys(seen)) { // in one order, so that two nodes cannot wait for each other
		users, at = append(users, string(u)), append(at, seen[u].UnixMilli())
	}
	return s.db.Update(ctx, func(tx *sqldb.Tx) error {
		b := tx.Batch()
		b.DoSet(saveSeen, users, at)
		return b.Send()
	})
}

// saveSeen keeps the newest time. (Without WHERE, SQLite takes ON for a join.)
var saveSeen = sqldb.Over(`INSERT INTO last_seen (user_id, at) SELECT * FROM ({set}) AS seen WHERE true
	ON CONFLICT (user_id) DO UPDATE SET at = excluded.at WHERE last_seen.at < excluded.at`, sqldb.Text, sqldb.BigInt)

// LoadSeen returns when people were last reachable; those never seen are left out.
func (s *Service) LoadSeen(ctx context.Context, users []wire.UserID) (map[wire.UserID]time.Time, error) {
	seen := make(map[wire.UserID]time.Time, len(users))
	names := make([]string, len(users))
	for i, u := range users {
		names[i] = string(u)
	}
	err := s.db.View(ctx, func(tx *sqldb.Tx) error {
		b := tx.Batch()
		b.QuerySet(loadSeen, func(row sqldb.Row) error {
			var u wire.UserID
			var at int64
			err := row.Scan(&u, &at)
			seen[u] = fromMillis(at)
			return err
		}, names)
		return b.Send()
	})
	return seen, err
}

var loadSeen = sqldb.Over(`WITH u(id) AS ({set}) SELECT s.user_id, s.at FROM u JOIN last_seen s ON s.user_id = u.id`, sqldb.Text)
