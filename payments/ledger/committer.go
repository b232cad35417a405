package ledger

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/sqldb"
)

// Errors of Committer.Submit besides those of Record.
var (
	// ErrBusy says that as many groups wait as may; nothing was recorded, try again later.
	ErrBusy = errors.New("ledger busy")
	// ErrStopped says that the committer does not run any more; nothing was recorded.
	ErrStopped = errors.New("ledger stopped")
)

// CommitterConfig bounds a Committer. Its zero value works.
type CommitterConfig struct {
	// QueueMax bounds the groups that wait; above it Submit returns ErrBusy. 0 means 4096.
	QueueMax int
	// GroupMax bounds the groups of one commit. 0 means 500.
	GroupMax int
	// Tries is how often a commit is tried while the database cannot be reached. 0 means 4.
	Tries int
	// Pause is waited before the second try, and twice as long before each
	// further one. 0 means 50 ms.
	Pause time.Duration
	// Metrics may be nil.
	Metrics prometheus.Registerer
}

// Committer records groups of linked transfers for many callers: it takes what
// waits, decides it in the order it came and commits it as one transaction,
// so that a hundred callers cost two round trips and one fsync. Several
// committers, in several nodes, may work on one database.
type Committer struct {
	db    *sqldb.DB
	book  *Book
	now   func() time.Time
	cfg   CommitterConfig
	queue chan *order
	ended chan struct{} // closed when Run returns

	mu      sync.RWMutex // held for reading while an order is put into queue
	stopped bool

	busy            prometheus.Counter
	groups, seconds prometheus.Histogram
}

// order is one group on its way.
type order struct {
	group    []Transfer
	taken    atomic.Bool // by the committer, or by a caller who gave up
	recorded []Recorded
	err      error
	done     chan struct{}
}

func (o *order) answer(recorded []Recorded, err error) {
	o.recorded, o.err = recorded, err
	close(o.done)
}

// NewCommitter returns a Committer that records under the book's chart, at the
// time that now tells. Call Run to make it work.
func NewCommitter(db *sqldb.DB, book *Book, now func() time.Time, cfg CommitterConfig) *Committer {
	if cfg.QueueMax == 0 {
		cfg.QueueMax = 4096
	}
	if cfg.GroupMax == 0 {
		cfg.GroupMax = 500
	}
	if cfg.Tries == 0 {
		cfg.Tries = 4
	}
	if cfg.Pause == 0 {
		cfg.Pause = 50 * time.Millisecond
	}
	c := &Committer{
		db: db, book: book, now: now, cfg: cfg, queue: make(chan *order, cfg.QueueMax), ended: make(chan struct{}),
		busy:   prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_ledger_busy_total", Help: "Groups of transfers refused because too many waited."}),
		groups: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "parley_ledger_commit_groups", Help: "Groups of transfers in one commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 10)}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "parley_ledger_commit_seconds", Help: "Time to decide and commit a batch of groups, with what it waited for the database.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}),
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(c.busy, c.groups, c.seconds,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_ledger_queue_length", Help: "Groups of transfers that wait to be recorded."},
				func() float64 { return float64(len(c.queue)) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_ledger_queue_capacity", Help: "The most of them; more are refused."},
				func() float64 { return float64(cap(c.queue)) }))
	}
	return c
}

// Submit records linked transfers, all or none, and returns after the commit
// is durable, or with the error that Record would have given. A group that is
// recorded already, with the same content under the same references (or ids,
// where there is no reference), gets the answer of the first time and nothing
// happens; with other content it gets ErrDuplicate, naming what differs. After
// ErrUnavailable of sqldb it is not known whether it was recorded: submit it
// again. When ctx ends before the group is taken up, nothing is recorded.
func (c *Committer) Submit(ctx context.Context, transfers ...Transfer) ([]Recorded, error) {
	o := &order{group: transfers, done: make(chan struct{})}
	if len(transfers) == 0 {
		return nil, nil
	}
	if err := checkGroup(o.group); err != nil {
		return nil, err
	}
	if err := c.enqueue(o); err != nil {
		return nil, err
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		if o.taken.CompareAndSwap(false, true) {
			return nil, ctx.Err()
		}
		<-o.done
	}
	return o.recorded, o.err
}

func (c *Committer) enqueue(o *order) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.stopped {
		return ErrStopped
	}
	select {
	case c.queue <- o:
		return nil
	default:
		c.busy.Inc()
		return fmt.Errorf("%w: %d groups wait", ErrBusy, cap(c.queue))
	}
}

// Run commits until ctx ends, then what was accepted before, and returns.
// The database must run longer.
func (c *Committer) Run(ctx context.Context) error {
	lasting := context.WithoutCancel(ctx)
	for {
		select {
		case o := <-c.queue:
			c.commit(lasting, c.collect(o))
			continue
		case <-ctx.Done():
		}
		break
	}
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	for {
		select {
		case o := <-c.queue:
			c.commit(lasting, c.collect(o))
		default:
			return nil
		}
	}
}

// collect takes what waits. Those who have just been answered get a chance to
// come back first: they are better served in this commit than in the next.
func (c *Committer) collect(first *order) []*order {
	for waiting := -1; waiting < len(c.queue); {
		waiting = len(c.queue)
		runtime.Gosched()
	}
	batch := make([]*order, 0, min(len(c.queue)+1, c.cfg.GroupMax))
	for o := first; ; {
		if o.taken.CompareAndSwap(false, true) {
			batch = append(batch, o)
		}
		if len(batch) == c.cfg.GroupMax {
			return batch
		}
		select {
		case o = <-c.queue:
		default:
			return batch
		}
	}
}

// commit records a batch and answers every order in it.
func (c *Committer) commit(ctx context.Context, batch []*order) {
	if len(batch) == 0 {
		return
	}
	start := time.Now()
	answers, err := c.try(ctx, batch)
	c.seconds.Observe(time.Since(start).Seconds())
	if err != nil && len(batch) > 1 && !errors.Is(err, sqldb.ErrUnavailable) {
		for i := range batch { // the database refuses one of them: the others must not suffer
			c.commit(ctx, batch[i:i+1])
		}
		return
	}
	c.groups.Observe(float64(len(batch)))
	for i, o := range batch {
		if err != nil {
			o.answer(nil, err)
		} else {
			o.answer(answers[i].recorded, answers[i].err)
		}
	}
}

// answer is what a group of a batch led to.
type answer struct {
	recorded []Recorded
	err      error
}

// try commits the batch, again while the database cannot be reached. An
// earlier try may have been committed all the same: its groups are then found
// recorded and get that answer.
func (c *Committer) try(ctx context.Context, batch []*order) ([]answer, error) {
	pause := c.cfg.Pause
	for n := 1; ; n++ {
		var answers []answer
		err := c.db.Update(ctx, func(tx *sqldb.Tx) (err error) {
			answers, err = c.book.recordAll(tx, c.now(), batch)
			return err
		})
		if err == nil || n >= c.cfg.Tries || !errors.Is(err, sqldb.ErrUnavailable) {
			return answers, err
		}
		timer := time.NewTimer(pause)
		<-timer.C
		pause *= 2
	}
}

// recordAll decides the groups in order and writes those that may happen.
func (b *Book) recordAll(tx *sqldb.Tx, at time.Time, batch []*order) ([]answer, error) {
	groups := make([][]Transfer, len(batch))
	for i, o := range batch {
		groups[i] = o.group
	}
	w := newWriter(tx, b.chart, at)
	if err := w.load(true, groups...); err != nil {
		return nil, err
	}
	answers := make([]answer, len(groups))
	for i, g := range groups {
		before, err := w.recordedBefore(g)
		if err != nil && !errors.Is(err, ErrDuplicate) {
			return nil, err
		}
		if before == nil && err == nil {
			before, err = w.record(g)
		}
		answers[i] = answer{before, err}
	}
	return answers, w.save()
}
