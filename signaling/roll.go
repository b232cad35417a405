package signaling

import (
	"context"
	"fmt"
	"sync"

	"parley/internal/sqldb"
	"parley/wire"
)

// roll is who has a part in a call that has not ended. It spares a session that
// opens a query which nearly always finds nothing. Only a node that is alone
// with its database, as every node on SQLite is, keeps one: the changes of
// others do not reach it.
type roll struct {
	mu    sync.Mutex            // guards parts
	parts map[wire.UserID]int64 // of who has any; nil until the roll is filled
}

// fill reads the roll in a transaction that writes nothing: its place among the
// commits, whose hooks run in their order, says which changes it has seen.
func (r *roll) fill(ctx context.Context, db *sqldb.DB) error {
	err := db.Update(ctx, func(tx *sqldb.Tx) error {
		parts := map[wire.UserID]int64{}
		rows, err := tx.Query("SELECT user_id, count(*) FROM call_members WHERE part >= 1 GROUP BY user_id")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // its error is in rows.Err
		for rows.Next() {
			var user wire.UserID
			var n int64
			if err := rows.Scan(&user, &n); err != nil {
				return err
			}
			parts[user] = n
		}
		tx.AfterCommit(func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.parts = parts
		})
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("signaling: who is in calls: %w", err)
	}
	return nil
}

// note takes the change from prev to next, once tx has committed.
func (r *roll) note(tx *sqldb.Tx, prev, next Call) {
	tx.AfterCommit(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.parts == nil {
			return
		}
		for _, p := range next.Participants {
			var before int
			if old, ok := prev.Find(p.User); ok {
				before = partOf(prev, old)
			}
			r.count(p.User, min(partOf(next, p), 1)-min(before, 1))
		}
	})
}

func (r *roll) count(user wire.UserID, more int) {
	if more == 0 {
		return
	}
	if n := r.parts[user] + int64(more); n > 0 {
		r.parts[user] = n
	} else {
		delete(r.parts, user)
	}
}

// without reports that user is known to have no part in any call.
func (r *roll) without(user wire.UserID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.parts != nil && r.parts[user] == 0
}
