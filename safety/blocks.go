package safety

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/internal/clock"
	"parley/internal/sqldb"
)

// Errors of blocking.
var (
	// ErrBlockSelf says that nobody can block themselves.
	ErrBlockSelf = errors.New("you cannot block yourself")
	// ErrBlockLimit says that a list of blocked people is full.
	ErrBlockLimit = errors.New("too many people are blocked")
)

// BlocksMax is how many people one person can block.
const BlocksMax = 10_000

// Block is one person who is kept out.
type Block struct {
	User      string    `json:"user"`
	BlockedAt time.Time `json:"blocked_at"`
}

// Blocks are the lists of people who were blocked. Whoever is blocked is not
// told; the features that ask must refuse as they refuse a stranger.
type Blocks struct {
	db    *sqldb.DB
	clock clock.Clock
}

// NewBlocks returns the lists in db, which has this package's schema.
func NewBlocks(db *sqldb.DB, c clock.Clock) *Blocks { return &Blocks{db: db, clock: c} }

// Block keeps other away from user. Blocking again changes nothing. Errors:
// ErrBlockSelf, ErrBlockLimit.
func (b *Blocks) Block(ctx context.Context, user, other string) (Block, error) {
	if user == other {
		return Block{}, ErrBlockSelf
	}
	at := b.clock.Now().UTC().Truncate(time.Millisecond)
	err := b.db.Update(ctx, func(tx *sqldb.Tx) error {
		if err := tx.Lock("safety:blocks:" + user); err != nil {
			return err
		}
		var n int64
		if err := tx.QueryRow("SELECT COUNT(*) FROM safety_blocks WHERE blocker = ? AND blocked <> ?", user, other).Scan(&n); err != nil {
			return err
		}
		if n >= BlocksMax {
			return ErrBlockLimit
		}
		var ms int64
		err := tx.QueryRow("INSERT INTO safety_blocks (blocker, blocked, at) VALUES (?, ?, ?)"+
			" ON CONFLICT (blocker, blocked) DO UPDATE SET at = safety_blocks.at RETURNING at", user, other, at.UnixMilli()).Scan(&ms)
		at = time.UnixMilli(ms).UTC()
		return err
	})
	if err != nil {
		return Block{}, fmt.Errorf("safety: block: %w", err)
	}
	return Block{User: other, BlockedAt: at}, nil
}

// Unblock lets other in again. It is not an error if nobody kept them out.
func (b *Blocks) Unblock(ctx context.Context, user, other string) error {
	err := b.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec("DELETE FROM safety_blocks WHERE blocker = ? AND blocked = ?", user, other)
		return err
	})
	if err != nil {
		return fmt.Errorf("safety: unblock: %w", err)
	}
	return nil
}

// List returns whom user has blocked, in the order of ids, after cursor (the
// last id of the page before, or ""), at most limit of them: 1 to 500, 0 means 100.
func (b *Blocks) List(ctx context.Context, user, cursor string, limit int) (list []Block, next string, err error) {
	if limit <= 0 || limit > 500 {
		limit = 100
	}
	err = b.db.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT blocked, at FROM safety_blocks WHERE blocker = ? AND blocked > ? ORDER BY blocked LIMIT ?", user, cursor, limit+1)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // its error is in rows.Err
		for rows.Next() {
			var one Block
			var ms int64
			if err := rows.Scan(&one.User, &ms); err != nil {
				return err
			}
			one.BlockedAt = time.UnixMilli(ms).UTC()
			list = append(list, one)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, "", fmt.Errorf("safety: blocks: %w", err)
	}
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].User
	}
	return list, next, nil
}

// Blocked reports whether user has blocked other.
func (b *Blocks) Blocked(ctx context.Context, user, other string) (blocked bool, err error) {
	err = b.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		blocked, err = b.BlockedTx(tx, user, other)
		return err
	})
	return blocked, err
}

// BlockedTx is Blocked in the caller's transaction.
func (b *Blocks) BlockedTx(tx *sqldb.Tx, user, other string) (bool, error) {
	var n int64
	if err := tx.QueryRow("SELECT COUNT(*) FROM safety_blocks WHERE blocker = ? AND blocked = ?", user, other).Scan(&n); err != nil {
		return false, fmt.Errorf("safety: blocked: %w", err)
	}
	return n > 0, nil
}
