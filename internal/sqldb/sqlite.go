package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// sqliteWriter is the one connection that writes. Closures wait in queue; the
// writer takes what is there, runs each in a savepoint, commits once, and hands
// the group to the announcer, which runs the hooks in commit order.
type sqliteWriter struct {
	db       *sql.DB
	groupMax int
	queue    chan *job
	groups   chan []*job
	wal      *checkpointer
	metrics  *metrics
	stopped  chan struct{} // closed when run returns

	mu      sync.RWMutex // held for reading while a job is put into queue
	closing bool
}

// job is one closure on its way through the writer.
type job struct {
	ctx  context.Context
	fn   func(*Tx) error
	tx   *Tx
	err  error
	done chan struct{}
}

// group is what is committed together. lost says why its transaction is gone before.
type group struct {
	jobs []*job
	lost error
}

func openSQLite(ctx context.Context, cfg Config, m *metrics) (*DB, error) {
	path := strings.TrimPrefix(cfg.URL, "sqlite:")
	if path == "" {
		return nil, errors.New("sqldb: no database file given")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("sqldb: make folder for the database: %w", err)
	}
	writer, err := sql.Open("sqlite", sqliteDSN(path, false))
	if err != nil {
		return nil, fmt.Errorf("sqldb: %w", err)
	}
	writer.SetMaxOpenConns(1)
	if err := writer.PingContext(ctx); err != nil {
		_ = writer.Close()
		return nil, fmt.Errorf("sqldb: open %s: %w", path, err)
	}
	readers, err := sql.Open("sqlite", sqliteDSN(path, true))
	if err != nil {
		_ = writer.Close()
		return nil, fmt.Errorf("sqldb: %w", err)
	}
	readers.SetMaxOpenConns(cfg.Readers)
	readers.SetMaxIdleConns(cfg.Readers)
	wal, err := newCheckpointer(path, cfg.CheckpointPages)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqldb: %w", err), writer.Close(), readers.Close())
	}
	w := &sqliteWriter{
		wal: wal, db: writer, metrics: m, groupMax: cfg.GroupMax,
		queue: make(chan *job, cfg.QueueMax), groups: make(chan []*job, 64),
		stopped: make(chan struct{}),
	}
	return &DB{cfg: cfg, dialect: SQLite, readers: readers, viewers: newViewers(readers, cfg.Readers), engine: w, metrics: m}, nil
}

func sqliteDSN(path string, readOnly bool) string {
	q := url.Values{}
	for _, p := range []string{"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "busy_timeout(5000)", "wal_autocheckpoint(0)"} {
		q.Add("_pragma", p)
	}
	if readOnly {
		q.Add("_pragma", "query_only(1)")
	} else {
		q.Set("_txlock", "immediate")
		q.Add("_pragma", "journal_size_limit(67108864)") // a log that has grown shrinks when it begins anew
		q.Add("_pragma", "temp_store(memory)")           // what a savepoint may have to restore stays off the disk
		q.Add("_pragma", "cache_size(-32768)")           // 32 MiB of pages, which take twice that in memory
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

func (w *sqliteWriter) update(ctx context.Context, fn func(*Tx) error) error {
	j := &job{ctx: ctx, fn: fn, done: make(chan struct{})}
	if err := w.enqueue(ctx, j); err != nil {
		return err
	}
	select {
	case <-j.done:
		return j.err
	case <-w.stopped:
		select {
		case <-j.done:
			return j.err
		default:
			return ErrUnavailable
		}
	}
}

func (w *sqliteWriter) enqueue(ctx context.Context, j *job) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closing {
		return ErrUnavailable
	}
	select {
	case w.queue <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stopped:
		return ErrUnavailable
	}
}

func (w *sqliteWriter) run(ctx context.Context) error {
	conn, err := w.db.Conn(context.WithoutCancel(ctx))
	if err != nil {
		close(w.stopped)
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	announced := make(chan struct{})
	go func() {
		defer close(announced)
		for jobs := range w.groups {
			announce(jobs)
		}
	}()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	checkpointed := make(chan struct{})
	go func() {
		defer close(checkpointed)
		w.wal.run(background)
	}()
	cached := &stmtCache{conn: conn, stmts: map[string]*sql.Stmt{}}
	w.serve(ctx, cached)
	close(w.groups)
	<-announced
	stop()
	<-checkpointed
	close(w.stopped)
	return errors.Join(cached.close(), conn.Close())
}

func (w *sqliteWriter) waiting() (length, capacity int) { return len(w.queue), cap(w.queue) }

func (w *sqliteWriter) close() error { return errors.Join(w.wal.db.Close(), w.db.Close()) }

// serve commits groups until ctx ends and the queue is empty.
func (w *sqliteWriter) serve(ctx context.Context, conn *stmtCache) {
	for {
		select {
		case j := <-w.queue:
			w.commit(conn, w.collect(conn, j))
			continue
		case <-ctx.Done():
		}
		break
	}
	// Writers that hold the read lock may still be putting jobs into a full queue: take them while waiting for the lock.
	locked := make(chan struct{})
	go func() {
		w.mu.Lock()
		w.closing = true
		w.mu.Unlock()
		close(locked)
	}()
	for {
		select {
		case j := <-w.queue:
			w.commit(conn, w.collect(conn, j))
			continue
		case <-locked:
		}
		break
	}
	for {
		select {
		case j := <-w.queue:
			w.commit(conn, w.collect(conn, j))
		default:
			return
		}
	}
}

// collect begins a transaction and runs j and whatever waits behind it. No jobs
// means that the transaction could not begin; j has its error.
func (w *sqliteWriter) collect(conn *stmtCache, j *job) group {
	if _, err := conn.ExecContext(context.Background(), "BEGIN IMMEDIATE"); err != nil {
		j.err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		close(j.done)
		return group{}
	}
	g := group{jobs: []*job{j}, lost: j.first(conn)}
	for g.lost == nil && len(g.jobs) < w.groupMax {
		select {
		case next := <-w.queue:
			g.jobs = append(g.jobs, next)
			g.lost = next.run(conn)
		default:
			return g
		}
	}
	return g
}

// commit makes a group durable, or undoes it: SQLite ends a transaction by
// itself when its disk fails, and what ran in it before is undone too.
func (w *sqliteWriter) commit(conn *stmtCache, g group) {
	if len(g.jobs) == 0 {
		return
	}
	start := time.Now()
	err := g.lost
	if err == nil {
		_, err = conn.ExecContext(context.Background(), "COMMIT")
	}
	if err != nil {
		_, _ = conn.ExecContext(context.Background(), "ROLLBACK") // may be rolled back already
		for _, j := range g.jobs {
			if j.err == nil {
				j.err = fmt.Errorf("%w: commit: %w", ErrUnavailable, err)
			}
		}
	}
	w.metrics.committed(len(g.jobs), start)
	w.groups <- g.jobs
	w.wal.committed(conn.conn)
}

// announce runs the hooks of what was committed and wakes the callers.
func announce(jobs []*job) {
	for _, j := range jobs {
		if j.err == nil {
			for _, hook := range j.tx.hooks {
				hook()
			}
		}
		close(j.done)
	}
}

// begin makes the closure's Tx, unless its caller has gone. The caller's
// cancellation is not passed on: SQLite would roll back the group.
func (j *job) begin(conn *stmtCache) (context.Context, bool) {
	if j.err = j.ctx.Err(); j.err != nil {
		return nil, false
	}
	ctx := context.WithoutCancel(j.ctx)
	j.tx = &Tx{ctx: ctx, on: conn, dialect: SQLite}
	return ctx, true
}

// first executes the closure that begins a transaction, and returns why the
// transaction is lost if it is. It has no savepoint, which would keep a copy of
// every page that the closure changes: to undo it is to begin anew.
func (j *job) first(conn *stmtCache) (lost error) {
	ctx, ok := j.begin(conn)
	if !ok {
		return nil
	}
	if j.err = unavailable(protect(j.fn, j.tx)); j.err == nil {
		return nil
	}
	_, _ = conn.ExecContext(ctx, "ROLLBACK") // may be rolled back already
	_, lost = conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	return lost
}

// run executes the closure in a savepoint of the open transaction, and returns
// why the transaction is lost if it is.
func (j *job) run(conn *stmtCache) (lost error) {
	ctx, ok := j.begin(conn)
	if !ok {
		return nil
	}
	if _, lost = conn.ExecContext(ctx, "SAVEPOINT j"); lost != nil {
		return lost
	}
	if j.err = unavailable(protect(j.fn, j.tx)); j.err != nil {
		if _, lost = conn.ExecContext(ctx, "ROLLBACK TO j"); lost != nil {
			return lost
		}
	}
	_, lost = conn.ExecContext(ctx, "RELEASE j")
	return lost
}

// protect turns a panic in fn into an error, so that one closure cannot take the writer down.
func protect(fn func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("sqldb: panic in transaction: %v", p)
		}
	}()
	return fn(tx)
}

// stmtCache prepares each statement text once on its connection.
type stmtCache struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// stmtCacheMax bounds the prepared statements; ours are a fixed few hundred.
const stmtCacheMax = 1024

func (c *stmtCache) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	if len(c.stmts) >= stmtCacheMax {
		if err := c.close(); err != nil {
			return nil, err
		}
	}
	s, err := c.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = s
	return s, nil
}

func (c *stmtCache) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := c.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

func (c *stmtCache) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := c.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

func (c *stmtCache) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	s, err := c.prepare(ctx, query)
	if err != nil {
		return c.conn.QueryRowContext(ctx, query, args...) // carries the error
	}
	return s.QueryRowContext(ctx, args...)
}

func (c *stmtCache) close() error {
	var errs []error
	for q, s := range c.stmts {
		errs = append(errs, s.Close())
		delete(c.stmts, q)
	}
	return errors.Join(errs...)
}
