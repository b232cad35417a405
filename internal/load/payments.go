package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/sqldb"
	"parley/payments/ledger"
	"parley/wire"
)

// PaymentsConfig of a Payments run.
type PaymentsConfig struct {
	// Database is a postgres:// URL, where a schema of its own is made and
	// dropped. Empty means a new SQLite file that is removed.
	Database string
	// Clients each wait for their acknowledgement before the next transfer. 0 means 50.
	Clients int
	// Accounts that money moves between. 0 means 1000.
	Accounts int
	// Hot has one more account take part in every transfer.
	Hot bool
	// Rows is how many transfers are in the journal before the measurement.
	Rows int
	// Rate of all clients together, in transfers a second; a transfer is then
	// timed from when it was due. 0 means as fast as acknowledgements come.
	Rate float64
	// Seconds of measurement. 0 means 5.
	Seconds float64
}

func (c *PaymentsConfig) defaults() {
	if c.Clients <= 0 {
		c.Clients = 50
	}
	if c.Accounts < 2 {
		c.Accounts = 1000
	}
	if c.Seconds <= 0 {
		c.Seconds = 5
	}
}

// paymentsBench is the ledger core in this process, as a node runs it.
type paymentsBench struct {
	cfg       PaymentsConfig
	db        *sqldb.DB
	committer *ledger.Committer
	written   atomic.Int64 // transfers recorded besides the measured ones
	took      samples

	mu     sync.Mutex
	acked  []string // references
	failed failures
}

// Payments drives the ledger core in this process: each client submits a
// transfer with an idempotency reference between two accounts that must not
// fall below zero, and waits until it is durable. It then finds every
// acknowledged transfer, compares how many there are with how many should be,
// and replays the whole ledger with its check.
func Payments(ctx context.Context, cfg PaymentsConfig) (result Result, err error) {
	cfg.defaults()
	at, drop, err := paymentsDatabase(ctx, cfg.Database)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	b := &paymentsBench{cfg: cfg}
	if b.db, err = sqldb.Open(ctx, sqldb.Config{URL: at}); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, b.db.Close()) }()
	if err := b.db.Migrate(ctx, "ledger", ledger.Schema()); err != nil {
		return result, err
	}
	b.committer = ledger.NewCommitter(b.db, ledger.New(paymentsChart), time.Now, ledger.CommitterConfig{})
	err = b.running(ctx, func() error {
		if err := b.fill(ctx); err != nil {
			return err
		}
		result = b.measure(ctx)
		return b.verify(ctx, &result)
	})
	return result, err
}

// paymentsChart: money comes from the world, and nobody else may owe.
func paymentsChart(id string) (ledger.Terms, bool) {
	if id == "world" {
		return ledger.Terms{Kind: "rail", MayGoNegative: true}, true
	}
	return ledger.Terms{Kind: "user"}, true
}

// paymentsDatabase makes an empty place and returns what removes it.
func paymentsDatabase(ctx context.Context, server string) (at string, drop func() error, err error) {
	if server == "" {
		dir, err := os.MkdirTemp("", "parley-load-")
		return filepath.Join(dir, "ledger.db"), func() error { return os.RemoveAll(dir) }, err
	}
	schema := strings.ToLower(wire.NewID[string]("load_", time.Now()))
	u, err := url.Parse(server)
	if err != nil {
		return "", nil, fmt.Errorf("load: database: %w", err)
	}
	statement := func(ctx context.Context, query string) error {
		admin, err := sqldb.Open(ctx, sqldb.Config{URL: server})
		if err != nil {
			return err
		}
		err = admin.Update(ctx, func(tx *sqldb.Tx) error { _, err := tx.Exec(query); return err })
		return errors.Join(err, admin.Close())
	}
	if err := statement(ctx, `CREATE SCHEMA "`+schema+`"`); err != nil {
		return "", nil, fmt.Errorf("load: %w", err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String(), func() error { return statement(context.WithoutCancel(ctx), `DROP SCHEMA "`+schema+`" CASCADE`) }, nil
}

// running runs the database and the committer around fn.
func (b *paymentsBench) running(ctx context.Context, fn func() error) error {
	dbCtx, stopDB := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 2)
	go func() { ended <- b.db.Run(dbCtx) }()
	committing, stop := context.WithCancel(dbCtx)
	committed := make(chan error, 1)
	go func() { committed <- b.committer.Run(committing) }()
	err := fn()
	stop()
	err = errors.Join(err, <-committed)
	stopDB()
	return errors.Join(err, <-ended)
}

func (b *paymentsBench) transfer(from, to string, amount int64) ledger.Transfer {
	now := time.Now()
	return ledger.Transfer{
		ID: wire.NewID[string]("tr_", now), Reference: wire.NewID[string]("req_", now),
		Legs: []ledger.Leg{{Account: from, Currency: "EUR", Amount: -amount}, {Account: to, Currency: "EUR", Amount: amount}},
	}
}

func accountName(n int) string { return fmt.Sprintf("user/%06d/available", n) }

const hotAccount = "shop/hot/available"

// pair is who pays whom next: in a hot run the hot account is one of them.
func (b *paymentsBench) pair() (from, to string) {
	n := rand.IntN(b.cfg.Accounts)
	from, to = accountName(n), accountName((n+1+rand.IntN(b.cfg.Accounts-1))%b.cfg.Accounts)
	if b.cfg.Hot {
		to = hotAccount
		if rand.IntN(2) == 0 {
			from, to = to, from
		}
	}
	return from, to
}

// linked is how many transfers go together while the journal is filled.
const linked = 100

// fill gives every account money, then fills the journal with transfers.
func (b *paymentsBench) fill(ctx context.Context) error {
	names := []string{hotAccount}
	for n := range b.cfg.Accounts {
		names = append(names, accountName(n))
	}
	var groups [][]ledger.Transfer
	for len(names) > 0 {
		n := min(linked, len(names))
		var group []ledger.Transfer
		for _, name := range names[:n] {
			group = append(group, b.transfer("world", name, 1_000_000_000))
		}
		groups, names = append(groups, group), names[n:]
	}
	if err := b.submit(ctx, groups); err != nil {
		return err
	}
	for left := b.cfg.Rows; left > 0; {
		groups = groups[:0]
		for len(groups) < 16 && left > 0 {
			group := make([]ledger.Transfer, min(linked, left))
			for i := range group {
				from, to := b.pair()
				group[i] = b.transfer(from, to, 1)
			}
			groups, left = append(groups, group), left-len(group)
		}
		if err := b.submit(ctx, groups); err != nil {
			return err
		}
	}
	return nil
}

// submit records groups at once and waits for all of them.
func (b *paymentsBench) submit(ctx context.Context, groups [][]ledger.Transfer) error {
	errs := make([]error, len(groups))
	var wg sync.WaitGroup
	for i, g := range groups {
		wg.Go(func() {
			_, errs[i] = b.committer.Submit(ctx, g...)
			b.written.Add(int64(len(g)))
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (b *paymentsBench) measure(ctx context.Context) Result {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(b.cfg.Seconds*float64(time.Second)))
	defer cancel()
	m := newMeter(os.Getpid())
	var wg sync.WaitGroup
	for i := range b.cfg.Clients {
		wg.Go(func() { b.client(ctx, i) })
	}
	wg.Wait()
	result := Result{Bench: "payments", Units: int64(len(b.acked))}
	result.Errors, result.ErrorsSaid = b.failed.take()
	m.finish(&result)
	result.P50MS, result.P99MS = b.took.at(0.50), b.took.at(0.99)
	return result
}

// client submits one transfer after the other until ctx ends.
func (b *paymentsBench) client(ctx context.Context, i int) {
	var acked []string
	var took []time.Duration
	due := newPace(b.cfg.Rate/float64(b.cfg.Clients), float64(i)/float64(b.cfg.Clients))
	for begun, ok := due.wait(ctx); ok; begun, ok = due.wait(ctx) {
		from, to := b.pair()
		t := b.transfer(from, to, 1)
		if _, err := b.committer.Submit(context.WithoutCancel(ctx), t); err != nil {
			b.failed.add(plain(err))
			continue
		}
		took = append(took, time.Since(begun))
		acked = append(acked, t.Reference)
	}
	b.mu.Lock()
	b.acked = append(b.acked, acked...)
	b.mu.Unlock()
	for _, d := range took {
		b.took.add(d)
	}
}

// pace tells when the next unit is due.
type pace struct {
	every time.Duration // 0: at once
	next  time.Time
}

// newPace begins after the given part of the first interval, so that clients do not march in step.
func newPace(rate, part float64) pace {
	p := pace{next: time.Now()}
	if rate > 0 {
		p.every = time.Duration(float64(time.Second) / rate)
		p.next = p.next.Add(time.Duration(part * float64(p.every)))
	}
	return p
}

// wait returns when the unit was due, or false when ctx has ended.
func (p *pace) wait(ctx context.Context) (due time.Time, ok bool) {
	if p.every == 0 {
		return time.Now(), ctx.Err() == nil
	}
	due, p.next = p.next, p.next.Add(p.every)
	if pause := time.Until(due); pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return due, false
		}
	}
	return due, ctx.Err() == nil
}

// verify looks every acknowledged transfer up and replays the ledger. Clients
// whose transfer failed do not know whether it was recorded, so that as many
// rows more than acknowledged are no doubles.
func (b *paymentsBench) verify(ctx context.Context, r *Result) error {
	for rest := b.acked; len(rest) > 0; {
		n := min(500, len(rest))
		err := b.db.View(ctx, func(tx *sqldb.Tx) error {
			for _, reference := range rest[:n] {
				_, found, err := ledger.Find(tx, reference)
				if err != nil {
					return err
				}
				if !found {
					r.Lost++
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	report, err := ledger.Check(ctx, b.db, nil)
	if err != nil {
		return err
	}
	transfers := report.Rows - report.Accounts // each account has a row that opens it
	r.Doubled = max(0, transfers-b.written.Load()-r.Units-r.Errors)
	return nil
}
