package payments_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/payments"
	"parley/payments/ledger"
	"parley/payments/outbox"
)

// Faults are shown by stories: fixed sequences of commands, each under a key of
// its own, whose end is known. Whoever plays a story again, in this process or
// the next, must get the answers of the first time and lead it to the same end.
// So a fault is survived when every answer that was given comes again, and when
// all stories that began have been led to their ends no account has a unit more
// or less than their sum.

// story is one kind of sequence.
type story struct {
	kind string
	play func(p *player)
	// ends are what it leaves in each account, by "account currency".
	ends map[string]int64
}

// The fee is 1 %, taken from the payee.
var stories = []story{
	{"shop", playShop, map[string]int64{
		"rail:sandbox EUR": -1_000, "user:ann:available EUR": 500, "user:bob:available EUR": 495, "fees EUR": 5,
	}},
	{"exchange", playExchange, map[string]int64{
		"rail:sandbox EUR": -1_000, "rail:sandbox USD": -2_000, "exchange:EUR EUR": 1_000, "exchange:USD USD": 915, "user:cem:available USD": 1_085,
	}},
	{"payout", playPayout, map[string]int64{"rail:sandbox EUR": -400, "user:ann:available EUR": 400}},
	{"group", playGroup, map[string]int64{
		"rail:sandbox EUR": -1_000, "user:ann:available EUR": 200, "user:bob:available EUR": 500, "user:dan:available EUR": 297, "fees EUR": 3,
	}},
	{"ledger", playLedger, map[string]int64{"app:world EUR": -15, "app:till EUR": 8, "app:safe EUR": 7}},
	{"dispute", playDispute, map[string]int64{
		"rail:sandbox EUR": -1_000, "user:bob:available EUR": 700, "user:eve:available EUR": 297, "fees EUR": 3,
	}},
}

func playShop(p *player) {
	p.fund("ann", 1_000, "EUR")
	pay := p.request("ann", "bob", 1_000)
	p.payment("hold", func(a payments.Actor) (payments.Payment, error) { return p.n.Hold(p.ctx, as(a, "ann"), pay.ID, 0) })
	p.payment("part", func(a payments.Actor) (payments.Payment, error) { return p.n.CapturePart(p.ctx, a, pay.ID, 300) })
	p.payment("reduce", func(a payments.Actor) (payments.Payment, error) { return p.n.Reduce(p.ctx, as(a, "bob"), pay.ID, 400) })
	p.payment("last", func(a payments.Actor) (payments.Payment, error) { return p.n.Capture(p.ctx, a, pay.ID, 300) })
	p.payment("refund", func(a payments.Actor) (payments.Payment, error) { return p.n.Refund(p.ctx, as(a, "bob"), pay.ID, 100) })
	p.payment("too late", func(a payments.Actor) (payments.Payment, error) { return p.n.Void(p.ctx, as(a, "ann"), pay.ID) })
}

func playExchange(p *player) {
	p.fund("cem", 1_000, "EUR")
	p.fund("cem", 2_000, "USD")
	step(p, "stock", func(a payments.Actor) (payments.BalanceItem, error) {
		return p.n.StockExchange(p.ctx, a, payments.StockInput{User: "cem", Amount: 2_000, Currency: "USD"})
	})
	c := step(p, "quote", func(a payments.Actor) (payments.Conversion, error) {
		return p.n.Quote(p.ctx, a, payments.QuoteInput{User: "cem", From: "EUR", To: "USD", Source: 1_000})
	})
	step(p, "accept", func(a payments.Actor) (payments.Conversion, error) { return p.n.Accept(p.ctx, as(a, "cem"), c.ID) })
}

func playPayout(p *player) {
	p.fund("ann", 1_000, "EUR")
	for name, amount := range map[string]int64{"payout": 600, "too much": payments.MaxAmount / 2} {
		step(p, name, func(a payments.Actor) (payments.Transfer, error) {
			return p.n.Payout(p.ctx, as(a, "ann"), payments.PayoutInput{Amount: amount, Currency: "EUR", Destination: "iban"})
		})
	}
}

func playGroup(p *player) {
	p.fund("ann", 500, "EUR")
	p.fund("bob", 500, "EUR")
	r := step(p, "ask", func(a payments.Actor) (payments.GroupRequest, error) {
		return p.n.CreateGroup(p.ctx, a, payments.GroupInput{Payee: "dan", Currency: "EUR", Shares: []payments.Share{{Payer: "ann", Amount: 300}, {Payer: "bob", Amount: 200}}})
	})
	i := slices.IndexFunc(r.Items, func(share payments.Payment) bool { return share.Payer == "ann" })
	if i < 0 {
		p.stop()
		return
	}
	held := p.payment("hold", func(a payments.Actor) (payments.Payment, error) {
		return p.n.Hold(p.ctx, as(a, "ann"), r.Items[i].ID, 0)
	})
	for _, user := range []string{"dan", "ann"} { // the second captures
		p.payment("confirm "+user, func(a payments.Actor) (payments.Payment, error) { return p.n.confirm(p.ctx, as(a, user), held) })
	}
	step(p, "cancel", func(a payments.Actor) (payments.GroupRequest, error) { return p.n.CancelGroup(p.ctx, a, r.ID) })
}

// playLedger goes through the committer: two linked transfers, a hold and its post in part.
func playLedger(p *player) {
	submit := func(name string, transfers ...ledger.Transfer) {
		for i := range transfers {
			transfers[i].Reference = fmt.Sprintf("app/%s/%s/%d", p.name, name, i)
		}
		step(p, name, func(payments.Actor) ([]ledger.Recorded, error) { return p.n.committer.Submit(p.ctx, transfers...) })
	}
	id := func(name string) string { return "tr_" + strings.ReplaceAll(p.name, ":", "_") + "_" + name }
	legs := func(from, to string, amount int64) []ledger.Leg {
		return []ledger.Leg{{Account: from, Currency: "EUR", Amount: -amount}, {Account: to, Currency: "EUR", Amount: amount}}
	}
	submit("linked", ledger.Transfer{ID: id("1"), Legs: legs("app:world", "app:till", 11)}, ledger.Transfer{ID: id("2"), Legs: legs("app:till", "app:safe", 7)})
	submit("hold", ledger.Transfer{ID: id("3"), Kind: ledger.Pending, Legs: legs("app:world", "app:till", 9)})
	submit("post", ledger.Transfer{ID: id("4"), Kind: ledger.Post, Resolves: id("3"), Legs: legs("app:world", "app:till", 4)})
}

func playDispute(p *player) {
	p.fund("bob", 1_000, "EUR")
	pay := p.request("bob", "eve", 1_000)
	p.payment("hold", func(a payments.Actor) (payments.Payment, error) { return p.n.Hold(p.ctx, as(a, "bob"), pay.ID, 0) })
	p.payment("capture", func(a payments.Actor) (payments.Payment, error) { return p.n.Capture(p.ctx, a, pay.ID, 1_000) })
	p.payment("refund", func(a payments.Actor) (payments.Payment, error) { return p.n.Refund(p.ctx, as(a, "eve"), pay.ID, 700) })
	p.payment("report", func(a payments.Actor) (payments.Payment, error) { return p.n.Report(p.ctx, as(a, "bob"), pay.ID) })
	p.payment("decide", func(a payments.Actor) (payments.Payment, error) {
		return p.n.Resolve(p.ctx, a, pay.ID, payments.Payee)
	})
}

func as(a payments.Actor, user string) payments.Actor { return payments.Actor{User: user, Key: a.Key} }

// player leads one story to its end.
type player struct {
	ctx  context.Context
	n    *faultNode
	name string // "kind:anything unique", without spaces
	// heard is told of each step's answer; it may be nil.
	heard func(step, answer string)
	// until, if not nil, tells that nobody was told of the step, so that the story ends before it.
	until   func(step string) bool
	stopped bool
	err     error
}

// stop ends the story here.
func (p *player) stop() { p.stopped = true }

// patience bounds the time that one step may take to succeed.
const patience = 60 * time.Second

// step takes one step of a story, again and again with the same key while it is
// not known whether it happened, and returns its answer. After the first error
// and where the story is to stop it does nothing.
func step[T any](p *player, name string, do func(a payments.Actor) (T, error)) (answer T) {
	if p.stopped || p.err != nil || p.until != nil && p.until(name) {
		p.stop()
		return answer
	}
	name = strings.ReplaceAll(name, " ", "_")
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	var err error
	for again := true; again; {
		if errors.Is(err, payments.ErrUnavailable) {
			p.n.unavailable.Add(1)
		}
		answer, err = do(payments.Actor{Server: true, Key: p.name + "/" + name})
		if again = unknown(err) && ctx.Err() == nil; again {
			again = p.n.pause(ctx) == nil
		}
	}
	text := "refused: " + reason(err)
	switch {
	case err == nil:
		var b []byte
		if b, err = json.Marshal(answer); err != nil {
			p.err = err
		}
		text = string(b)
	case reason(err) == "":
		p.err = fmt.Errorf("%s, %s: %w", p.name, name, err)
		return answer
	}
	if p.heard != nil {
		p.heard(name, fmt.Sprintf("%.12x", sha256.Sum256([]byte(text))))
	}
	return answer
}

// unknown reports that it is not known whether a step happened, or that it is under way.
func unknown(err error) bool {
	return errors.Is(err, payments.ErrUnavailable) || errors.Is(err, payments.ErrInProgress)
}

// reason names a refusal that belongs to a story, "" any other error.
func reason(err error) string {
	switch {
	case errors.Is(err, payments.ErrState):
		return "state"
	case errors.Is(err, payments.ErrInsufficientFunds):
		return "funds"
	}
	return ""
}

func (p *player) fund(user string, amount int64, currency string) {
	step(p, "fund "+user+" "+currency, func(a payments.Actor) (payments.BalanceItem, error) {
		return p.n.Fund(p.ctx, a, payments.FundInput{User: user, Amount: amount, Currency: currency})
	})
}

func (p *player) request(payer, payee string, amount int64) payments.Payment {
	return p.payment("request", func(a payments.Actor) (payments.Payment, error) {
		return p.n.Create(p.ctx, a, payments.CreateInput{Payer: payer, Payee: payee, Amount: amount, Currency: "EUR", Confirm: payments.ConfirmNone})
	})
}

func (p *player) payment(name string, do func(a payments.Actor) (payments.Payment, error)) payments.Payment {
	return step(p, name, do)
}

func kindOf(name string) *story {
	kind, _, _ := strings.Cut(name, ":")
	for i := range stories {
		if stories[i].kind == kind {
			return &stories[i]
		}
	}
	panic("no story " + name)
}

// faultNode is what a node has to do with money, on a database of its own.
type faultNode struct {
	*payments.Service
	db        *sqldb.DB
	committer *ledger.Committer
	relay     *outbox.Relay
	clock     *clock.Shifted
	stop      func() error
	// unavailable counts the answers that left it open whether a step happened.
	unavailable atomic.Int64
}

// inbox is what a consumer keeps; without a key, so that a second delivery shows.
var inbox = fstest.MapFS{"00001_inbox.sql": {Data: []byte("-- +goose Up\nCREATE TABLE inbox (seq BIGINT NOT NULL, object TEXT NOT NULL, object_seq BIGINT NOT NULL);\n")}}

// openNode opens a database and runs what works on it, later than its clock
// says: what a dead node had leased is free then.
func openNode(cfg sqldb.Config, later time.Duration) (*faultNode, error) {
	ctx, cancel := context.WithCancel(context.Background())
	db, err := sqldb.Open(ctx, cfg)
	if err != nil {
		cancel()
		return nil, err
	}
	all := schemas()
	all["inbox"] = inbox
	for owner, files := range all {
		if err := db.Migrate(ctx, owner, files); err != nil {
			cancel()
			return nil, errors.Join(err, db.Close())
		}
	}
	n := &faultNode{db: db, clock: &clock.Shifted{}}
	n.clock.Advance(later)
	n.relay = outbox.NewRelay(db, n.clock, outbox.Config{Poll: 20 * time.Millisecond})
	n.relay.InTx("inbox", func(tx *sqldb.Tx, ev outbox.Event) error {
		_, err := tx.Exec("INSERT INTO inbox (seq, object, object_seq) VALUES (?, ?, ?)", ev.Seq, ev.Object, ev.ObjectSeq)
		return err
	})
	n.Service, err = payments.New(payments.Config{FeeBasisPoints: 100, QuoteFor: 24 * time.Hour, ConfirmFor: 24 * time.Hour, SweepEvery: 20 * time.Millisecond, Asking: payments.AskLimits{OpenPerPair: 1 << 20, PerDay: 1 << 20}},
		payments.Deps{DB: db, Clock: n.clock, Digester: digest, Rail: payments.Sandbox{Clock: n.clock}, Rates: payments.RateTable{"EUR/USD": "1.0853"}, Wake: n.relay.Wake,
			Sensitive: func(string) bool { return false }})
	if err != nil {
		cancel()
		return nil, errors.Join(err, db.Close())
	}
	n.committer = ledger.NewCommitter(db, ledger.New(appChart), n.clock.Now, ledger.CommitterConfig{Pause: time.Millisecond})
	n.run(ctx, cancel)
	return n, nil
}

// confirm submits what one of both says in their call.
func (n *faultNode) confirm(ctx context.Context, by payments.Actor, share payments.Payment) (p payments.Payment, err error) {
	err = n.db.Update(ctx, func(tx *sqldb.Tx) error {
		p, err = n.ConfirmTx(tx, payments.Confirmation{By: by, Payment: share.ID, Version: share.Version, Digest: share.Digest, Call: "call_1", Transcript: "t1"})
		return err
	})
	return p, err
}

func appChart(id string) (ledger.Terms, bool) {
	return ledger.Terms{Kind: "app", MayGoNegative: id == "app:world"}, strings.HasPrefix(id, "app:")
}

// run starts the parts; the database is the last to stop.
func (n *faultNode) run(ctx context.Context, cancel context.CancelFunc) {
	working, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- n.db.Run(ctx) }()
	var parts sync.WaitGroup
	for _, part := range []func(context.Context) error{n.committer.Run, n.relay.Run, n.Service.Run, n.RunOrders, n.RunTransfers} {
		parts.Go(func() { _ = part(working) }) // they end with working only
	}
	n.stop = sync.OnceValue(func() error {
		end()
		parts.Wait()
		cancel()
		return errors.Join(<-ended, n.db.Close())
	})
}

// pause waits a moment before a step is tried again; by the clock it is a
// second, so that leases end.
func (n *faultNode) pause(ctx context.Context) error {
	n.clock.Advance(time.Second)
	timer := time.NewTimer(5 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ledgers of what stories said and to whom.
type witness struct {
	mu    sync.Mutex
	began []string
	// acks are answers by story and step.
	acks map[string]map[string]string
}

func newWitness() *witness { return &witness{acks: map[string]map[string]string{}} }

// begin notes that a story is about to do its first step.
func (w *witness) begin(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began = append(w.began, name)
	w.acks[name] = map[string]string{}
}

// ack notes an answer, which must be the one of before if there was one.
func (w *witness) ack(t testing.TB, name, step, answer string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if before, ok := w.acks[name][step]; ok && before != answer {
		t.Errorf("%s, %s: answered %s first and %s now", name, step, before, answer)
	}
	w.acks[name][step] = answer
}

// count tells how many answers there are.
func (w *witness) count() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, steps := range w.acks {
		n += len(steps)
	}
	return n
}

// await waits until something has happened.
func await(t testing.TB, happened func() bool) {
	t.Helper()
	poll, deadline := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer poll.Stop()
	for !happened() {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatal("waited in vain")
		}
	}
}

// play leads stories to their ends, several at a time, and notes what they hear.
func (w *witness) play(t testing.TB, n *faultNode, names []string) {
	t.Helper()
	next := make(chan string)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for name := range next {
				p := &player{ctx: t.Context(), n: n, name: name, heard: func(step, answer string) { w.ack(t, name, step, answer) }}
				kindOf(name).play(p)
				if p.err != nil {
					t.Error(p.err)
				}
			}
		})
	}
	for _, name := range names {
		next <- name
	}
	close(next)
	wg.Wait()
}

// settle waits until no order is on its way and every event was delivered.
func (n *faultNode) settle(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		var orders, events int64
		err := n.db.View(ctx, func(tx *sqldb.Tx) error {
			err := tx.QueryRow("SELECT COUNT(*) FROM payments_orders WHERE state NOT IN ('done', 'refused', 'returned')").Scan(&orders)
			return errors.Join(err, tx.QueryRow("SELECT (SELECT COUNT(*) FROM outbox_events) - (SELECT COUNT(*) FROM inbox)").Scan(&events))
		})
		switch {
		case err == nil && orders == 0 && events <= 0:
			return
		case ctx.Err() != nil:
			t.Fatalf("%d orders are on their way, %d events not delivered: %v", orders, events, err)
		}
		_ = n.pause(ctx) // ctx is asked above
	}
}

// whole verifies that nothing is half there: the ledger is exact, its payments
// are explained, events have no holes and were delivered once, in order.
func (n *faultNode) whole(t testing.TB) {
	t.Helper()
	if _, err := ledger.Check(t.Context(), n.db, nil); err != nil {
		t.Error(err)
	}
	if _, err := payments.Explain(t.Context(), n.db, nil); err != nil {
		t.Error(err)
	}
	for what, query := range map[string]string{
		"events with a hole before them":        "SELECT COUNT(*) FROM outbox_events e WHERE e.seq > 1 AND NOT EXISTS (SELECT 1 FROM outbox_events b WHERE b.seq = e.seq - 1)",
		"events of objects with a hole":         "SELECT COUNT(*) FROM (SELECT object FROM outbox_events GROUP BY object HAVING COUNT(*) <> MAX(object_seq)) x",
		"events that do not go with a state":    "SELECT COUNT(*) FROM payments_intents i WHERE i.rev <> (SELECT COUNT(*) FROM outbox_events e WHERE e.object = i.id)",
		"events delivered twice":                "SELECT COUNT(*) FROM (SELECT seq FROM inbox GROUP BY seq HAVING COUNT(*) > 1) x",
		"events delivered that there are not":   "SELECT COUNT(*) FROM inbox WHERE NOT EXISTS (SELECT 1 FROM outbox_events e WHERE e.seq = inbox.seq)",
		"events not delivered before later one": "SELECT COUNT(*) FROM outbox_events e WHERE e.seq < (SELECT MAX(seq) FROM inbox) AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.seq = e.seq)",
	} {
		var count int64
		err := n.db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(query).Scan(&count) })
		if err != nil || count != 0 {
			t.Errorf("%d %s: %v", count, what, err)
		}
	}
}

// exact compares every account with the ends of the stories.
func (n *faultNode) exact(t testing.TB, names []string) {
	t.Helper()
	want := map[string]int64{}
	for _, name := range names {
		for account, amount := range kindOf(name).ends {
			want[account] += amount
		}
	}
	for account, has := range (&world{t: t, db: n.db}).accounts() {
		if has != want[account] {
			t.Errorf("%s has %d, the stories leave %d", account, has, want[account])
		}
		delete(want, account)
	}
	for account, amount := range want {
		if amount != 0 {
			t.Errorf("%s is not there, the stories leave %d", account, amount)
		}
	}
}

// survived verifies a node after a fault: whole as it was found, every answer
// the same again, and exact once all stories have ended.
func (n *faultNode) survived(t testing.TB, w *witness) {
	t.Helper()
	n.whole(t)
	w.play(t, n, w.began)
	n.settle(t)
	n.whole(t)
	n.exact(t, w.began)
}
