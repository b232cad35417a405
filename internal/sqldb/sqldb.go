// Package sqldb is the one door to SQL: SQLite by default, PostgreSQL when
// several nodes share the truth.
//
// Stores hand it closures. On SQLite one writer runs the closures that wait,
// each in a savepoint, and commits them as a group with one fsync; on
// PostgreSQL each closure is a transaction of its own, retried when the
// database asks for it. Either way Update returns only after the commit is
// durable, and one SQL text with ? for parameters serves both.
//
// It knows no table of any feature.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrUnavailable says that the database cannot be reached or is closing.
// Whether an Update that returns it has happened is unknown: look it up by key.
var ErrUnavailable = errors.New("database unavailable")

// Dialect names the SQL spoken.
type Dialect string

// The dialects.
const (
	SQLite   Dialect = "sqlite3"
	Postgres Dialect = "postgres"
)

// Config of a DB.
type Config struct {
	// URL is a file path (or "sqlite:path") for SQLite, or "postgres://…".
	URL string
	// Readers bounds concurrent View transactions. 0 means 8.
	Readers int
	// GroupMax bounds the closures in one SQLite commit. 0 means 512.
	GroupMax int
	// QueueMax bounds the closures waiting for the SQLite writer; Update blocks
	// at the bound until there is room or its context ends. 0 means 4096.
	QueueMax int
	// CheckpointPages is how many 4 KiB pages SQLite's write-ahead log takes
	// before they are moved to the database file. 0 means 8192.
	CheckpointPages int
	// ViewMax bounds the time of one View: while a snapshot is open the
	// write-ahead log cannot begin anew. 0 means 10 s.
	ViewMax time.Duration
	// Metrics takes the database's metrics. nil means none.
	Metrics prometheus.Registerer
}

// DB is an open database. Its methods are safe for concurrent use.
type DB struct {
	cfg     Config
	dialect Dialect
	readers *sql.DB
	viewers *viewers // of SQLite, over readers; nil on PostgreSQL
	engine  engine
	metrics *metrics
}

// engine commits closures.
type engine interface {
	update(ctx context.Context, fn func(*Tx) error) error
	twoTrips(ctx context.Context, read func(b *Batch), write func(add func(query string, args ...any)) error) error
	run(ctx context.Context) error
	waiting() (length, capacity int)
	close() error
}

// Open connects and checks the connection. Call Run to serve Updates.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Readers == 0 {
		cfg.Readers = 8
	}
	if cfg.GroupMax == 0 {
		cfg.GroupMax = 512
	}
	if cfg.QueueMax == 0 {
		cfg.QueueMax = 4096
	}
	if cfg.CheckpointPages == 0 {
		cfg.CheckpointPages = 8192
	}
	if cfg.ViewMax == 0 {
		cfg.ViewMax = 10 * time.Second
	}
	open := openSQLite
	if strings.HasPrefix(cfg.URL, "postgres://") || strings.HasPrefix(cfg.URL, "postgresql://") {
		open = openPostgres
	}
	db, err := open(ctx, cfg, newMetrics(cfg.Metrics))
	if err != nil {
		return nil, err
	}
	db.watch(cfg.Metrics)
	return db, nil
}

// Dialect tells which SQL the database speaks.
func (db *DB) Dialect() Dialect { return db.dialect }

// Run serves Updates until ctx ends, then finishes what was accepted,
// and returns after everything it started has ended.
func (db *DB) Run(ctx context.Context) error { return db.engine.run(ctx) }

// Close releases the connections. Call it after Run has returned, or instead of Run.
func (db *DB) Close() error {
	readers := db.readers.Close
	if db.viewers != nil {
		readers = db.viewers.close
	}
	return errors.Join(readers(), db.engine.close())
}

// Update runs fn in a transaction and returns after it is durable, or with
// fn's error after undoing what fn did. fn must have no effect outside the
// transaction other than through Tx.AfterCommit, since it may run again; it
// must not call Update or View of the same DB.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	err := db.engine.update(ctx, fn)
	db.metrics.ended(err)
	return err
}

// View runs fn on a snapshot that sees every Update that returned before.
// Keep it short: a long reader lets the write-ahead log grow, and after
// Config.ViewMax it is ended with context.DeadlineExceeded.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) (err error) {
	start := time.Now()
	defer func() {
		err = unavailable(err)
		db.metrics.view.Observe(time.Since(start).Seconds())
	}()
	ctx, cancel := context.WithTimeout(ctx, db.cfg.ViewMax)
	defer cancel()
	if db.viewers != nil {
		return db.viewers.view(ctx, fn)
	}
	t, err := db.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer func() { _ = t.Rollback() }() // nothing to undo: read only
	return fn(&Tx{ctx: ctx, on: t, dialect: db.dialect})
}

// connections tells how many connections are in use, the most there may be,
// and how long they were waited for.
func (db *DB) connections() (used, most int, waited time.Duration) {
	if vs := db.viewers; vs != nil {
		return len(vs.places), cap(vs.places), time.Duration(vs.waited.Load())
	}
	stats := db.readers.Stats()
	return stats.InUse, stats.MaxOpenConnections, stats.WaitDuration
}

// Migrate brings the schema that owner keeps in files (goose format,
// NNNNN_name.sql at the root) up to date, under a lock on PostgreSQL. Call it
// before Run; owners are independent of each other.
func (db *DB) Migrate(ctx context.Context, owner string, files fs.FS) error {
	return migrate(ctx, db, owner, files)
}
