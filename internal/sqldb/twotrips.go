package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
)

// StatementError says which statement of a sequence failed.
type StatementError struct {
	At  int // counted from 0
	Err error
}

func (e *StatementError) Error() string { return fmt.Sprintf("sqldb: statement %d: %v", e.At, e.Err) }

func (e *StatementError) Unwrap() error { return e.Err }

// IsConflict reports whether err says that a row's key is taken.
func IsConflict(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505" // unique_violation
	}
	const (
		primaryKey = 1555 // SQLITE_CONSTRAINT_PRIMARYKEY
		unique     = 2067 // SQLITE_CONSTRAINT_UNIQUE
	)
	var lite *sqlite.Error
	return errors.As(err, &lite) && (lite.Code() == primaryKey || lite.Code() == unique)
}

// TwoTrips runs a transaction that asks first and then writes, in two round trips
// on PostgreSQL: what read asks for goes with its beginning, and what write adds
// with its end. How many rows a statement of write changes is not looked at, so it
// must fail where it would do the wrong thing; it is then named by a
// *StatementError. An error undoes everything. Both functions may run again.
func (db *DB) TwoTrips(ctx context.Context, read func(b *Batch), write func(add func(query string, args ...any)) error) error {
	err := db.engine.twoTrips(ctx, read, write)
	db.metrics.ended(err)
	return err
}

// twoTrips is a transaction like any other: there are no trips to save.
func (w *sqliteWriter) twoTrips(ctx context.Context, read func(b *Batch), write func(add func(query string, args ...any)) error) error {
	return w.update(ctx, func(tx *Tx) error {
		asked := tx.Batch()
		read(asked)
		if err := asked.Send(); err != nil {
			return err
		}
		var statements []batchItem
		if err := write(func(query string, args ...any) { statements = append(statements, batchItem{query: query, args: args}) }); err != nil {
			return err
		}
		for i, s := range statements {
			if _, err := tx.Exec(s.query, s.args...); err != nil {
				return &StatementError{i, err}
			}
		}
		return nil
	})
}

func (e *postgresEngine) twoTrips(ctx context.Context, read func(b *Batch), write func(add func(query string, args ...any)) error) error {
	return e.retried(func() error { return e.tryTwoTrips(ctx, read, write) })
}

func (e *postgresEngine) tryTwoTrips(ctx context.Context, read func(b *Batch), write func(add func(query string, args ...any)) error) error {
	conn, err := e.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer func() { _ = conn.Close() }() // back to the pool, unless it is broken
	t := trips{ctx: ctx, tx: &Tx{ctx: ctx, dialect: Postgres, planned: true}}
	err = conn.Raw(func(raw any) error {
		t.conn = raw.(*stdlib.Conn).Conn()
		err := t.there(read)
		if err == nil {
			err = t.back(write)
		}
		if err != nil {
			t.undo()
		}
		return err
	})
	switch {
	case err == nil:
		e.metrics.committed(1, t.committing)
		return nil
	case errors.Is(err, sql.ErrConnDone):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return unavailable(err)
}

// trips is a transaction of two round trips on its way.
type trips struct {
	ctx        context.Context
	conn       *pgx.Conn
	tx         *Tx // for the words of PostgreSQL
	committing time.Time
}

// there begins the transaction and asks.
func (t *trips) there(read func(b *Batch)) error {
	asked := t.tx.Batch()
	read(asked)
	var out pgx.Batch
	out.Queue("BEGIN")
	asked.queue(&out)
	results := t.conn.SendBatch(t.ctx, &out)
	_, err := results.Exec()
	if err == nil {
		err = asked.answers(results)
	}
	return errors.Join(err, closing(results, err))
}

// back writes and commits.
func (t *trips) back(write func(add func(query string, args ...any)) error) error {
	var out pgx.Batch
	if err := write(func(query string, args ...any) { out.Queue(t.tx.rebind(query), args...) }); err != nil {
		return err
	}
	n := out.Len()
	out.Queue("COMMIT")
	t.committing = time.Now()
	results := t.conn.SendBatch(t.ctx, &out)
	for i := range n {
		if _, err := results.Exec(); err != nil {
			return errors.Join(&StatementError{i, err}, closing(results, err))
		}
	}
	_, err := results.Exec()
	if err = errors.Join(err, closing(results, err)); err != nil && !retryable(err) {
		return fmt.Errorf("%w: commit: %w", ErrUnavailable, err)
	}
	return err
}

// undoWithin bounds how long a transaction that failed is rolled back: it may be
// the end of its context that it failed of.
const undoWithin = 5 * time.Second

// undo rolls back what was begun; a connection on which that cannot be is closed.
func (t *trips) undo() {
	if t.conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), undoWithin)
	defer cancel()
	if _, err := t.conn.Exec(ctx, "ROLLBACK"); err != nil {
		_ = t.conn.Close(ctx)
	}
}
