package sqldb

import (
	"context"
	"database/sql"
	"sync/atomic"

	"modernc.org/sqlite"
)

// checkpointer moves the write-ahead log into the database file beside the
// writer, which would otherwise do it inside somebody's commit. When it has
// nearly caught up, the writer does the rest between two commits, so that the
// next commit begins the log from its start again: without that the log of a
// busy node would never end. A reader that keeps a snapshot open keeps the log
// growing, which is why DB.View is bounded.
type checkpointer struct {
	db    *sql.DB
	pages int64 // written since the last checkpoint ask for the next

	written atomic.Int64  // pages, since the last checkpoint began
	due     chan struct{} // of 1: a checkpoint is asked for
	finish  atomic.Bool   // the writer is to do the rest
}

// checkpointRounds bounds the attempts to catch up with a writer under load.
const checkpointRounds = 4

func newCheckpointer(path string, pages int) (*checkpointer, error) {
	db, err := sql.Open("sqlite", sqliteDSN(path, false))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return &checkpointer{db: db, pages: int64(pages), due: make(chan struct{}, 1)}, nil
}

// run checkpoints when it is due, until ctx ends.
func (c *checkpointer) run(ctx context.Context) {
	for {
		select {
		case <-c.due:
			c.catchUp(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// catchUp checkpoints until little is left, then leaves that to the writer.
func (c *checkpointer) catchUp(ctx context.Context) {
	for range checkpointRounds {
		c.written.Store(0)
		if err := checkpoint(ctx, c.db); err != nil {
			return // the log stays as it is; the next commits ask again
		}
		if c.written.Load() < c.pages/8 {
			break
		}
	}
	c.finish.Store(true)
}

// committed is told by the writer after each commit.
func (c *checkpointer) committed(conn *sql.Conn) {
	if c.finish.CompareAndSwap(true, false) {
		_ = checkpoint(context.Background(), conn) // the next one will do it
		c.written.Store(0)
	}
	if c.written.Add(pagesWritten(conn)) >= c.pages {
		select {
		case c.due <- struct{}{}:
		default: // one is asked for or under way
		}
	}
}

// pagesWritten is how many pages the connection has written to the log since it was asked last.
func pagesWritten(conn *sql.Conn) (pages int64) {
	_ = conn.Raw(func(raw any) error { // counts nothing when it fails
		n, _, err := raw.(sqlite.DBStatus).Status(sqlite.DBStatusCacheWrite, true)
		pages = int64(n)
		return err
	})
	return pages
}

// checkpoint moves what no reader needs any more, and waits for nobody.
func checkpoint(ctx context.Context, on interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) error {
	var busy, log, moved int64
	return on.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &log, &moved)
}
