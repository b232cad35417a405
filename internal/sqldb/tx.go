package sqldb

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Tx is one transaction. It is valid only inside the closure it was given to
// and not safe for concurrent use.
type Tx struct {
	ctx     context.Context
	on      querier
	dialect Dialect
	hooks   []func()

	pipeline func(func(*pgx.Conn) error) error // nil where statements go one by one
	planned  bool                              // planByIndex was sent
	held     map[int64]bool                    // locks that were taken, or are about to be
}

type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Context returns the context of the transaction.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Exec runs a statement and returns how many rows it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	res, err := tx.on.ExecContext(tx.ctx, tx.rebind(query), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Query runs a query. Close the rows before the next statement.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	return tx.on.QueryContext(tx.ctx, tx.rebind(query), args...)
}

// QueryRow runs a query for at most one row; Scan returns sql.ErrNoRows when there is none.
func (tx *Tx) QueryRow(query string, args ...any) *sql.Row {
	return tx.on.QueryRowContext(tx.ctx, tx.rebind(query), args...)
}

// AfterCommit registers fn to run once the transaction is durable, in the
// order of commits on SQLite. fn must not block and must not call the DB.
func (tx *Tx) AfterCommit(fn func()) { tx.hooks = append(tx.hooks, fn) }

// Lock serialises with other transactions that lock the same key, until the
// end of this one. Lock several keys in one call: they are taken in a fixed
// order, so that two transactions cannot wait for each other. On SQLite, which
// has one writer, it does nothing.
func (tx *Tx) Lock(keys ...string) error {
	ids := tx.newLocks(keys)
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(takeLocks, ids)
	return err
}

// rebind turns ? into $1, $2, … for PostgreSQL. Our SQL has no ? in literals.
func (tx *Tx) rebind(query string) string {
	if tx.dialect != Postgres {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 16)
	n := 0
	for i := range len(query) {
		if query[i] != '?' {
			b.WriteByte(query[i])
			continue
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}
