package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// viewers lends SQLite's reading connections to Views. Each keeps the
// statements it has run prepared, where database/sql would have every query
// parsed anew: for the short queries of a node that was most of their cost.
// On PostgreSQL the driver keeps statements itself.
type viewers struct {
	db     *sql.DB
	places chan struct{} // as many as may be lent at once
	waited atomic.Int64  // nanoseconds that Views have waited for a place

	mu     sync.Mutex
	idle   []*viewer // the one used last at the end: its pages are still cached
	closed bool
}

func newViewers(db *sql.DB, most int) *viewers {
	return &viewers{db: db, places: make(chan struct{}, most)}
}

// viewer is one connection, inside a transaction while it is lent.
type viewer struct {
	*stmtCache
	open []*sql.Rows // given out in this transaction
}

// QueryContext implements querier.
func (v *viewer) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := v.stmtCache.QueryContext(ctx, query, args...)
	if err == nil {
		v.open = append(v.open, rows)
	}
	return rows, err
}

// view runs fn on a snapshot.
func (vs *viewers) view(ctx context.Context, fn func(*Tx) error) error {
	v, err := vs.lend(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer vs.takeBack(v)
	return fn(&Tx{ctx: ctx, on: v, dialect: SQLite})
}

// lend waits for a connection and begins a transaction on it.
func (vs *viewers) lend(ctx context.Context) (*viewer, error) {
	if err := vs.place(ctx); err != nil {
		return nil, err
	}
	v, err := vs.get(ctx)
	if err == nil {
		if _, err = v.ExecContext(context.Background(), "BEGIN"); err == nil {
			return v, nil
		}
		v.discard()
	}
	<-vs.places
	return nil, err
}

func (vs *viewers) place(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case vs.places <- struct{}{}:
		return nil
	default:
	}
	start := time.Now()
	defer func() { vs.waited.Add(int64(time.Since(start))) }()
	select {
	case vs.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (vs *viewers) get(ctx context.Context) (*viewer, error) {
	vs.mu.Lock()
	if n := len(vs.idle); n > 0 {
		v := vs.idle[n-1]
		vs.idle = vs.idle[:n-1]
		vs.mu.Unlock()
		return v, nil
	}
	vs.mu.Unlock()
	conn, err := vs.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &viewer{stmtCache: &stmtCache{conn: conn, stmts: map[string]*sql.Stmt{}}}, nil
}

// takeBack ends the transaction. A connection on which that fails is not used
// again, nor one with so many statements that the next View might have to close
// some under its own rows.
func (vs *viewers) takeBack(v *viewer) {
	defer func() { <-vs.places }()
	for _, rows := range v.open { // a statement that is still open must not be there for the next
		_ = rows.Close() // nothing was written
	}
	clear(v.open)
	v.open = v.open[:0]
	_, err := v.ExecContext(context.Background(), "ROLLBACK")
	vs.mu.Lock()
	keep := err == nil && !vs.closed && len(v.stmts) <= stmtCacheMax/2
	if keep {
		vs.idle = append(vs.idle, v)
	}
	vs.mu.Unlock()
	if !keep {
		v.discard()
	}
}

// close ends the idle connections; those that are lent end when they come back.
func (vs *viewers) close() error {
	vs.mu.Lock()
	idle := vs.idle
	vs.idle, vs.closed = nil, true
	vs.mu.Unlock()
	for _, v := range idle {
		v.discard()
	}
	return vs.db.Close()
}

// discard closes the connection, whatever state it is in.
func (v *viewer) discard() {
	_ = v.stmtCache.close()
	_ = v.conn.Raw(func(any) error { return driver.ErrBadConn }) // so that it does not go back to the pool
	_ = v.conn.Close()
}
