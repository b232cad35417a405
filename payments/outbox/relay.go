package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/clock"
	"parley/internal/sqldb"
)

// Config of a Relay; the zero value works.
type Config struct {
	// Batch bounds the events delivered in one transaction. 0 means 64.
	Batch int
	// Poll is how long a missed doorbell can go unnoticed, and the pause after
	// a failed delivery. 0 means 1 s.
	Poll time.Duration
	// Log hears of failed deliveries. nil discards.
	Log *slog.Logger
	// Metrics takes the relay's counters. nil means none.
	Metrics prometheus.Registerer
}

// Relay hands events to consumers, in order, from where each stopped.
// Register consumers before Run. Several nodes may run the same consumers.
type Relay struct {
	db        *sqldb.DB
	clock     clock.Clock
	cfg       Config
	consumers []*consumer
	delivered *prometheus.CounterVec
	failed    *prometheus.CounterVec
	reached   *prometheus.GaugeVec
	seconds   *prometheus.HistogramVec
}

// consumer has a durable cursor and one of two ways to be told.
type consumer struct {
	name    string
	inTx    func(tx *sqldb.Tx, ev Event) error
	outside func(ctx context.Context, ev Event) error
	bell    chan struct{} // holds at most one ring
}

// NewRelay returns a Relay without consumers.
func NewRelay(db *sqldb.DB, c clock.Clock, cfg Config) *Relay {
	if cfg.Batch == 0 {
		cfg.Batch = 64
	}
	if cfg.Poll == 0 {
		cfg.Poll = time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Relay{db: db, clock: c, cfg: cfg,
		delivered: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_outbox_delivered_total", Help: "Events delivered to a consumer."}, []string{"consumer"}),
		failed:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_outbox_failed_total", Help: "Deliveries that failed and are tried again."}, []string{"consumer"}),
		reached:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "parley_outbox_cursor", Help: "Number of the last event delivered to a consumer."}, []string{"consumer"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "parley_outbox_delivery_seconds", Help: "From an event to its delivery to a consumer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 14)}, []string{"consumer"}),
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(r.delivered, r.failed, r.reached, r.seconds)
	}
	return r
}

// InTx registers a consumer that keeps what it learns in the same database:
// deliver runs in the transaction that moves the cursor, so that each event
// takes effect exactly once. An error undoes the batch and delivery is tried
// again, in order, until it succeeds.
func (r *Relay) InTx(name string, deliver func(tx *sqldb.Tx, ev Event) error) {
	r.add(&consumer{name: name, inTx: deliver})
}

// Outside registers a consumer that is told outside any transaction, at least
// once: after a crash, or from two nodes, an event may come again with the same ID.
func (r *Relay) Outside(name string, deliver func(ctx context.Context, ev Event) error) {
	r.add(&consumer{name: name, outside: deliver})
}

func (r *Relay) add(c *consumer) {
	c.bell = make(chan struct{}, 1)
	r.consumers = append(r.consumers, c)
	r.delivered.WithLabelValues(c.name)
	r.failed.WithLabelValues(c.name)
	r.reached.WithLabelValues(c.name)
	r.seconds.WithLabelValues(c.name)
}

// Wake says that events may have been committed. It never blocks.
func (r *Relay) Wake() {
	for _, c := range r.consumers {
		select {
		case c.bell <- struct{}{}:
		default: // rings already
		}
	}
}

// Run delivers until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, c := range r.consumers {
		wg.Go(func() { r.serve(ctx, c) })
	}
	wg.Wait()
	return nil
}

// serve delivers to one consumer. After a failure it goes one event at a time,
// so that what can be delivered before the event in question is.
func (r *Relay) serve(ctx context.Context, c *consumer) {
	batch := r.cfg.Batch
	for ctx.Err() == nil {
		n, err := r.step(ctx, c, batch)
		r.delivered.WithLabelValues(c.name).Add(float64(n))
		switch {
		case err != nil && ctx.Err() == nil:
			r.failed.WithLabelValues(c.name).Inc()
			r.cfg.Log.Warn("outbox delivery failed, trying again", "consumer", c.name, "error", err)
			if batch == 1 {
				r.pause(ctx, nil)
			}
			batch = 1
		case n == 0:
			batch = r.cfg.Batch
			r.pause(ctx, c.bell)
		}
	}
}

// pause waits for the poll interval or the doorbell.
func (r *Relay) pause(ctx context.Context, bell <-chan struct{}) {
	until := r.clock.Now().Add(r.cfg.Poll)
	waiting, stop := context.WithCancel(ctx)
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		_ = r.clock.Wait(waiting, until) // ends early when the bell rings or ctx ends
	}()
	select {
	case <-bell:
	case <-waited:
	}
	stop()
	<-waited
}

// step delivers up to limit events and returns how many.
func (r *Relay) step(ctx context.Context, c *consumer, limit int) (int, error) {
	if c.outside != nil {
		return r.stepOutside(ctx, c, limit)
	}
	var told []Event
	finish, over := finishing(ctx)
	defer over()
	err := r.db.Update(finish, func(tx *sqldb.Tx) error {
		told = nil
		if err := tx.Lock("outbox:consumer:" + c.name); err != nil {
			return err
		}
		from, err := cursor(tx, c.name)
		if err != nil {
			return err
		}
		events, err := read(tx, from, limit)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, ev := range events {
			if err := c.inTx(tx, ev); err != nil {
				return fmt.Errorf("event %s: %w", ev.ID, err)
			}
		}
		told = events
		return moveCursor(tx, c.name, events[len(events)-1].Seq)
	})
	if err != nil {
		return 0, err
	}
	r.told(c, told)
	return len(told), nil
}

// told counts events that a consumer now has.
func (r *Relay) told(c *consumer, events []Event) {
	if len(events) == 0 {
		return
	}
	r.reached.WithLabelValues(c.name).Set(float64(events[len(events)-1].Seq))
	seconds, now := r.seconds.WithLabelValues(c.name), r.clock.Now()
	for i := range events {
		seconds.Observe(max(0, now.Sub(events[i].Time).Seconds()))
	}
}

func (r *Relay) stepOutside(ctx context.Context, c *consumer, limit int) (int, error) {
	var from int64
	var events []Event
	err := r.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		if from, err = cursor(tx, c.name); err != nil {
			return err
		}
		events, err = read(tx, from, limit)
		return err
	})
	if err != nil {
		return 0, err
	}
	done, to := 0, from
	var failure error
	for _, ev := range events {
		if failure = c.outside(ctx, ev); failure != nil {
			failure = fmt.Errorf("event %s: %w", ev.ID, failure)
			break
		}
		done, to = done+1, ev.Seq
	}
	if done > 0 {
		finish, over := finishing(ctx)
		err = r.db.Update(finish, func(tx *sqldb.Tx) error { return moveCursor(tx, c.name, to) })
		over()
		if err == nil {
			r.told(c, events[:done])
		}
	}
	return done, errors.Join(failure, err)
}

// finishTime bounds how long a stopping relay may take to finish the
// transaction it is in.
const finishTime = 5 * time.Second

// finishing returns a context that outlives ctx by at most finishTime, so that
// a clean stop ends after a transaction and not inside one. Call done when the
// transaction is over.
func finishing(ctx context.Context) (inner context.Context, done func()) {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(finishTime):
			cancel()
		case <-inner.Done():
		}
	})
	return inner, func() { stop(); cancel() }
}

func cursor(tx *sqldb.Tx, name string) (seq int64, err error) {
	err = tx.QueryRow("SELECT seq FROM outbox_cursors WHERE consumer = ?", name).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("outbox: cursor: %w", err)
	}
	return seq, nil
}

// moveCursor moves forward only, and leaves a cursor that another node has moved further.
func moveCursor(tx *sqldb.Tx, name string, to int64) error {
	_, err := tx.Exec("INSERT INTO outbox_cursors (consumer, seq) VALUES (?, ?)"+
		" ON CONFLICT (consumer) DO UPDATE SET seq = excluded.seq WHERE outbox_cursors.seq < excluded.seq", name, to)
	if err != nil {
		return fmt.Errorf("outbox: move cursor: %w", err)
	}
	return nil
}
