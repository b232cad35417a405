package ledger

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
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
	// ErrApart says that a submission would have to be undone alone, which a commit
	// with others cannot; nothing was recorded or kept. Do it in a transaction of its own.
	ErrApart = errors.New("not together with others")
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
	over  []*order // left over from the last commit; Run's own

	mu      sync.RWMutex // held for reading while an order is put into queue
	stopped bool

	busy            prometheus.Counter
	groups, seconds prometheus.Histogram
}

// Submission is a group of linked transfers with what its caller keeps in the
// same commit, such as an idempotency key and the answer to it. Its functions
// are called one at a time, before Commit returns, and again when a commit
// failed and is tried anew. They run before the chain is locked, except Save.
type Submission struct {
	Transfers []Transfer
	// Locks are keys that no two submissions of a commit share; those that do are
	// committed in the order they came. They are locked as by Tx.Lock before
	// Read, so that what Read sees stays as it is until the commit: the first of
	// every submission, then the second of every one, and so on. Name them in the
	// order in which transactions of their own lock the same.
	Locks []string
	// Read adds queries to those that are run before anything is decided.
	Read func(b *sqldb.Batch)
	// Decide tells, from what was read, what is recorded in place of Transfers:
	// nothing, too, if the submission keeps something else. With an error nothing
	// is, and Commit returns it. It may query tx, and what it writes there is
	// committed whatever becomes of the transfers, unless Undo says no.
	Decide func(tx *sqldb.Tx) ([]Transfer, error)
	// Undo reports whether what Decide wrote is not to be kept now that the group
	// is refused. Then nothing of the submission is written, and Commit returns
	// ErrApart. nil keeps it.
	Undo func(refused error) bool
	// Save adds statements to those that record the group, or, when refused is
	// not nil, to those of the other groups of the commit.
	Save func(b *sqldb.Batch, entries []Entry, refused error) error
}

// order is one submission on its way.
type order struct {
	Submission
	keyed    bool        // it answers for its own repetition
	taken    atomic.Bool // by the committer, or by a caller who gave up
	recorded []Recorded
	entries  []Entry
	err      error
	done     chan struct{}
}

func (o *order) answer(a answer) {
	o.recorded, o.entries, o.err = a.recorded, a.entries, a.err
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
		db: db, book: book, now: now, cfg: cfg, queue: make(chan *order, cfg.QueueMax),
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
	if len(transfers) == 0 {
		return nil, nil
	}
	o := &order{Submission: Submission{Transfers: transfers}, done: make(chan struct{})}
	err := c.wait(ctx, o)
	return o.recorded, err
}

// Commit is Submit with what the submission carries, and returns the transfers
// as they stand in the journal. Whether the group happened before is for the
// submission's Read and Decide to say: an id or reference that is used, also for
// the same, is refused with ErrDuplicate.
func (c *Committer) Commit(ctx context.Context, s Submission) ([]Entry, error) {
	o := &order{Submission: s, keyed: true, done: make(chan struct{})}
	err := c.wait(ctx, o)
	return o.entries, err
}

// wait puts an order into the queue and returns its error once it is answered.
// When ctx ends before it is taken up, it never will be.
func (c *Committer) wait(ctx context.Context, o *order) error {
	if err := checkGroup(o.Transfers); err != nil {
		return err
	}
	if err := c.enqueue(o); err != nil {
		return err
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		if o.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-o.done
	}
	return o.err
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
	for ctx.Err() == nil {
		c.commit(lasting, c.collect(ctx.Done()))
	}
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	for len(c.queue) > 0 || len(c.over) > 0 {
		c.commit(lasting, c.collect(ctx.Done()))
	}
	return nil
}

// collect waits for an order and takes what else is there. Those who have just
// been answered get a chance to come back first: they are better served in this
// commit than in the next. An order with a lock of another one is left over.
func (c *Committer) collect(done <-chan struct{}) []*order {
	waiting := c.over
	if c.over = nil; len(waiting) == 0 {
		select {
		case o := <-c.queue:
			waiting = append(waiting, o)
		case <-done:
			return nil
		}
	}
	for before := -1; before < len(c.queue); {
		before = len(c.queue)
		runtime.Gosched()
	}
	var batch []*order
	keys := map[string]bool{}
	take := func(o *order) {
		switch {
		case slices.ContainsFunc(o.Locks, func(k string) bool { return keys[k] }):
			c.over = append(c.over, o)
		case o.taken.CompareAndSwap(false, true):
			batch = append(batch, o)
		}
		for _, k := range o.Locks { // of what is left over too, so that nobody overtakes it
			keys[k] = true
		}
	}
	for _, o := range waiting {
		take(o)
	}
	for len(batch)+len(c.over) < c.cfg.GroupMax {
		select {
		case o := <-c.queue:
			take(o)
		default:
			return batch
		}
	}
	return batch
}

// commit records a batch and answers every order in it.
func (c *Committer) commit(ctx context.Context, batch []*order) {
	if len(batch) == 0 {
		return
	}
	start := time.Now()
	answers, err := c.try(ctx, batch)
	c.seconds.Observe(time.Since(start).Seconds())
	var apart *apartError
	if errors.As(err, &apart) {
		c.commit(ctx, apart.leave(batch))
		return
	}
	if err != nil && len(batch) > 1 && !errors.Is(err, sqldb.ErrUnavailable) {
		for i := range batch { // the database refuses one of them: the others must not suffer
			c.commit(ctx, batch[i:i+1])
		}
		return
	}
	c.groups.Observe(float64(len(batch)))
	for i, o := range batch {
		if err != nil {
			o.answer(answer{err: err})
		} else {
			o.answer(answers[i])
		}
	}
}

// answer is what a group of a batch led to.
type answer struct {
	recorded []Recorded
	entries  []Entry // where the group is keyed
	err      error
}

// apartError says which orders of a batch have to be undone.
type apartError struct{ orders []*order }

// Error implements error.
func (e *apartError) Error() string { return ErrApart.Error() }

// leave answers those orders and returns the rest of the batch.
func (e *apartError) leave(batch []*order) (rest []*order) {
	for _, o := range batch {
		if slices.Contains(e.orders, o) {
			o.answer(answer{err: ErrApart})
		} else {
			rest = append(rest, o)
		}
	}
	return rest
}

// kept reports in an apartError which orders were refused whose Decide wrote
// what must not stay.
func kept(batch []*order, answers []answer) error {
	var undo []*order
	for i, o := range batch {
		if err := answers[i].err; err != nil && o.Undo != nil && o.Undo(err) {
			undo = append(undo, o)
		}
	}
	if undo == nil {
		return nil
	}
	return &apartError{undo}
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

// recordAll decides the groups in order and writes those that may happen. The
// chain is locked only once it is known what is to be recorded, and if anything is.
func (b *Book) recordAll(tx *sqldb.Tx, at time.Time, batch []*order) ([]answer, error) {
	if err := readAll(tx, batch); err != nil {
		return nil, err
	}
	answers := make([]answer, len(batch))
	groups := make([][]Transfer, len(batch))
	moves := false
	for i, o := range batch {
		groups[i], answers[i].err = o.group(tx)
		moves = moves || len(groups[i]) > 0
	}
	if err := kept(batch, answers); err != nil {
		return nil, err
	}
	w := newWriter(tx, b.chart, at)
	if moves {
		if err := w.load(true, groups...); err != nil {
			return nil, err
		}
	}
	for i, o := range batch {
		if answers[i].err != nil {
			continue
		}
		var err error
		if answers[i], err = w.decide(groups[i], o.keyed); err != nil {
			return nil, err
		}
	}
	if err := kept(batch, answers); err != nil {
		return nil, err
	}
	return answers, w.saveWith(func(saves *sqldb.Batch) error { return keepAll(saves, batch, answers) })
}

// readAll locks what the submissions want locked and runs their queries, in one round trip.
func readAll(tx *sqldb.Tx, batch []*order) error {
	b := tx.Batch()
	for rank, more := 0, true; more; rank++ {
		var locks []string
		for _, o := range batch {
			if rank < len(o.Locks) {
				locks = append(locks, o.Locks[rank])
			}
		}
		b.Lock(locks...)
		more = len(locks) > 0
	}
	for _, o := range batch {
		if o.Read != nil {
			o.Read(b)
		}
	}
	if err := b.Send(); err != nil {
		return fmt.Errorf("ledger: read: %w", err)
	}
	return nil
}

// group is what the order asks to be recorded.
func (o *order) group(tx *sqldb.Tx) ([]Transfer, error) {
	if o.Decide == nil {
		return o.Transfers, nil
	}
	group, err := o.Decide(tx)
	if err != nil {
		return nil, err
	}
	return group, checkGroup(group)
}

// decide tells what a group leads to; an error of its own means that nothing
// can be decided. One that is keyed answers for its own repetition.
func (w *writer) decide(group []Transfer, keyed bool) (a answer, err error) {
	if keyed {
		first := len(w.rows)
		if a.recorded, a.err = w.record(group); a.err == nil {
			a.entries = entriesOf(w.rows[first:])
		}
		return a, nil
	}
	a.recorded, a.err = w.recordedBefore(group)
	if a.err != nil && !errors.Is(a.err, ErrDuplicate) {
		return a, a.err
	}
	if a.recorded == nil && a.err == nil {
		a.recorded, a.err = w.record(group)
	}
	return a, nil
}

// keepAll lets the submissions add what they keep.
func keepAll(saves *sqldb.Batch, batch []*order, answers []answer) error {
	for i, o := range batch {
		if o.Save == nil {
			continue
		}
		if err := o.Save(saves, answers[i].entries, answers[i].err); err != nil {
			return err
		}
	}
	return nil
}
