package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// postgresEngine runs each closure as a READ COMMITTED transaction: stores
// lock what they decide on with Tx.Lock and compare versions when they write.
type postgresEngine struct {
	db *sql.DB
}

// postgresTries bounds how often a closure runs again after a serialization
// failure or a deadlock.
const postgresTries = 8

func openPostgres(ctx context.Context, cfg Config) (*DB, error) {
	db, err := sql.Open("pgx", cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("sqldb: %w", err)
	}
	db.SetMaxOpenConns(4 * cfg.Readers)
	db.SetMaxIdleConns(4 * cfg.Readers)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("sqldb: reach PostgreSQL: %w", err)
	}
	return &DB{cfg: cfg, dialect: Postgres, readers: db, engine: &postgresEngine{db: db}}, nil
}

func (e *postgresEngine) run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (e *postgresEngine) close() error { return e.db.Close() }

func (e *postgresEngine) update(ctx context.Context, fn func(*Tx) error) error {
	var err error
	for range postgresTries {
		if err = e.try(ctx, fn); !retryable(err) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

func (e *postgresEngine) try(ctx context.Context, fn func(*Tx) error) error {
	t, err := e.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	tx := &Tx{ctx: ctx, on: t, dialect: Postgres}
	if err := protect(fn, tx); err != nil {
		_ = t.Rollback() // the closure's error matters more
		return err
	}
	if err := t.Commit(); err != nil {
		if retryable(err) {
			return err
		}
		return fmt.Errorf("%w: commit: %w", ErrUnavailable, err)
	}
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

func lockPostgres(tx *Tx, keys []string) error {
	ids := make([]int64, 0, len(keys))
	for _, k := range keys {
		h := fnv.New64a()
		_, _ = h.Write([]byte(k)) // never fails
		ids = append(ids, int64(h.Sum64()))
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if _, err := tx.Exec("SELECT pg_advisory_xact_lock(?)", id); err != nil {
			return err
		}
	}
	return nil
}
