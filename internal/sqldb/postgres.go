package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib" // also the driver "pgx"
)

// postgresEngine runs each closure as a READ COMMITTED transaction: stores
// lock what they decide on with Tx.Lock and compare versions when they write.
type postgresEngine struct {
	db      *sql.DB
	metrics *metrics
}

// postgresTries bounds how often a closure runs again after a serialization
// failure or a deadlock.
const postgresTries = 8

// idleInTransaction is PostgreSQL's bound on a transaction that waits for its
// client: one that was frozen or cut off in the middle must not keep its locks
// from everybody else.
const idleInTransaction = "idle_in_transaction_session_timeout"

func openPostgres(ctx context.Context, cfg Config, m *metrics) (*DB, error) {
	conn, err := pgx.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("sqldb: %w", err)
	}
	if _, given := conn.RuntimeParams[idleInTransaction]; !given {
		conn.RuntimeParams[idleInTransaction] = "5000" // ms
	}
	db := stdlib.OpenDB(*conn)
	db.SetMaxOpenConns(4 * cfg.Readers)
	db.SetMaxIdleConns(4 * cfg.Readers)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("sqldb: reach PostgreSQL: %w", err)
	}
	return &DB{cfg: cfg, dialect: Postgres, readers: db, engine: &postgresEngine{db: db, metrics: m}, metrics: m}, nil
}

func (e *postgresEngine) run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (e *postgresEngine) waiting() (length, capacity int) { return 0, 0 }

func (e *postgresEngine) close() error { return e.db.Close() }

func (e *postgresEngine) update(ctx context.Context, fn func(*Tx) error) error {
	return e.retried(func() error { return e.try(ctx, fn) })
}

// retried runs a transaction until it does not ask for another try.
func (e *postgresEngine) retried(try func() error) error {
	var err error
	for range postgresTries {
		if err = try(); !retryable(err) {
			return err
		}
		e.metrics.retries.Inc()
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

func (e *postgresEngine) try(ctx context.Context, fn func(*Tx) error) error {
	conn, err := e.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer func() { _ = conn.Close() }() // back to the pool
	t, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	tx := &Tx{ctx: ctx, on: t, dialect: Postgres, pipeline: pipelineOn(conn)}
	if err := protect(fn, tx); err != nil {
		_ = t.Rollback() // the closure's error matters more
		return unavailable(err)
	}
	start := time.Now()
	if err := t.Commit(); err != nil {
		if retryable(err) {
			return err
		}
		return fmt.Errorf("%w: commit: %w", ErrUnavailable, err)
	}
	e.metrics.committed(1, start)
	for _, hook := range tx.hooks {
		hook()
	}
	return nil
}

// retryable reports a serialization failure (40001) or a deadlock (40P01):
// the database has undone the transaction and asks for another try.
func retryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// pipelineOn hands out the driver's own connection, which can send many
// statements before it reads the first answer.
func pipelineOn(conn *sql.Conn) func(func(*pgx.Conn) error) error {
	return func(fn func(*pgx.Conn) error) error {
		return conn.Raw(func(raw any) error { return fn(raw.(*stdlib.Conn).Conn()) })
	}
}

func lockID(key string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key)) // never fails
	return int64(h.Sum64())     //nolint:gosec // all 64 bits are wanted
}

// takeLocks takes locks in the order given.
const takeLocks = "SELECT pg_advisory_xact_lock(k) FROM unnest(?::bigint[]) AS k"

// newLocks are those of the keys' locks that the transaction does not hold yet,
// in the order in which everybody takes them; from now on it is said to hold
// them. There are none on SQLite.
func (tx *Tx) newLocks(keys []string) (ids []int64) {
	if tx.dialect != Postgres {
		return nil
	}
	for _, k := range keys {
		if id := lockID(k); !tx.held[id] {
			if tx.held == nil {
				tx.held = map[int64]bool{}
			}
			tx.held[id] = true
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
