package sqldb

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Results of Updates, as counted by parley_db_transactions_total.
const (
	resultCommitted   = iota
	resultUndone      // the closure returned an error
	resultCancelled   // the caller's context ended first
	resultUnavailable // the database could not be reached, or did not commit
	resultCount
)

var resultNames = [resultCount]string{"committed", "undone", "cancelled", "unavailable"}

// metrics of one DB; every counter is there from the start.
type metrics struct {
	transactions [resultCount]prometheus.Counter
	retries      prometheus.Counter
	group        prometheus.Histogram
	commit, view prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	const prefix = "parley_db_"
	transactions := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "transactions_total",
		Help: "Transactions asked for, by what became of them."}, []string{"result"})
	m := &metrics{
		retries: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "retries_total",
			Help: "Transactions that ran again because PostgreSQL asked for it."}),
		group: prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + "commit_transactions",
			Help: "Transactions that shared one commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 10)}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + "commit_seconds",
			Help: "Time of a commit until it was durable.", Buckets: prometheus.ExponentialBuckets(0.00025, 2, 14)}),
		view: prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + "view_seconds",
			Help: "Time of a read, with the wait for a connection.", Buckets: prometheus.ExponentialBuckets(0.00025, 2, 16)}),
	}
	for i, name := range resultNames {
		m.transactions[i] = transactions.WithLabelValues(name)
	}
	if r != nil {
		r.MustRegister(transactions, m.retries, m.group, m.commit, m.view)
	}
	return m
}

// watch registers what is read from the database's own state.
func (db *DB) watch(r prometheus.Registerer) {
	if r == nil {
		return
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_db_" + name, Help: help}, value)
	}
	r.MustRegister(
		gauge("connections", "Connections in use for reading, and on PostgreSQL for writing.",
			func() float64 { used, _, _ := db.connections(); return float64(used) }),
		gauge("connections_capacity", "The most of them.",
			func() float64 { _, most, _ := db.connections(); return float64(most) }),
		gauge("queue_length", "Transactions that wait for SQLite's one writer.",
			func() float64 { n, _ := db.engine.waiting(); return float64(n) }),
		gauge("queue_capacity", "The most of them; 0 on PostgreSQL, where connections are waited for.",
			func() float64 { _, most := db.engine.waiting(); return float64(most) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "parley_db_connection_wait_seconds_total", Help: "Time spent waiting for a connection."},
			func() float64 { _, _, waited := db.connections(); return waited.Seconds() }))
}

// ended counts an Update that returned err.
func (m *metrics) ended(err error) {
	switch {
	case err == nil:
		m.transactions[resultCommitted].Inc()
	case errors.Is(err, ErrUnavailable):
		m.transactions[resultUnavailable].Inc()
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		m.transactions[resultCancelled].Inc()
	default:
		m.transactions[resultUndone].Inc()
	}
}

// committed tells of a commit of n transactions that began at start.
func (m *metrics) committed(n int, start time.Time) {
	m.group.Observe(float64(n))
	m.commit.Observe(time.Since(start).Seconds())
}
