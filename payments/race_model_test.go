package payments_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
	"parley/payments/ledger"
)

// crowd is many clients of two nodes on one database. What they are told adds
// up to what the accounts have, however their commands met.
type crowd struct {
	*world
	nodes []*payments.Service

	mu     sync.Mutex
	model  model
	intent []string // payments that anybody may act on
	links  []string
	groups []string
	done   map[string]int // successes by command
}

// TestService_ManyClientsEndWhereTheModelDoes lets many clients do random
// things at once, every fourth of them twice with one key, while deadlines pass.
func TestService_ManyClientsEndWhereTheModelDoes(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		c := newCrowd(t, db)
		for range 3 {
			c.clients(8, 30)
			c.clock.Advance(30 * time.Hour)
			for range 2 {
				sweepBoth(t, c.world, &world{Service: c.nodes[1]})
			}
			c.compare()
		}
		if len(c.done) < len(crowdCommands)-8 { // the rarest need luck
			t.Errorf("only these succeeded: %v", c.done)
		}
		c.check()
	})
}

func newCrowd(t *testing.T, db *sqldb.DB) *crowd {
	t.Helper()
	cfg := payments.Config{Fees: modelRules, IfUndecided: payments.ForPayee, Asking: payments.AskLimits{OpenPerPair: 1 << 20, PerDay: 1 << 20}}
	change := func(d *payments.Deps) {
		d.Rail, d.Rates = payments.Sandbox{Clock: d.Clock}, payments.RateTable{"EUR/USD": "1.0853", "EUR/JPY": "160.25"}
	}
	w := newWorld(t, db, cfg, change)
	second := newWorld(t, db, cfg, func(d *payments.Deps) { d.Clock = w.clock; change(d) })
	c := &crowd{world: w, nodes: []*payments.Service{w.Service, second.Service}, model: model{base: map[string]int64{}}, done: map[string]int{}}
	for _, currency := range currencies {
		if _, err := c.Books().Open(t.Context(), c.as("server"), payments.AccountInput{ID: "app:shop", Currency: currency}); err != nil {
			t.Fatal(err)
		}
		for _, who := range people {
			if err := c.fundFor(who, currency, 40_000); err != nil {
				t.Fatal(err)
			}
		}
	}
	return c
}

// clients have each do a number of things, all at the same time.
func (c *crowd) clients(clients, each int) {
	names := make([]string, 0, len(crowdCommands))
	for name := range crowdCommands {
		names = append(names, name)
	}
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range each {
				name := names[rand.IntN(len(names))] //nolint:gosec // a test's dice
				err := crowdCommands[name](c, roll())
				switch {
				case err == nil:
					c.mu.Lock()
					c.done[name]++
					c.mu.Unlock()
				case !crowdRefusal(err):
					c.t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	wg.Wait()
}

// errNothing says that there is nothing yet to do something with.
var errNothing = errors.New("nothing there")

// crowdRefusal reports whether an error is one that the deeds of others explain.
func crowdRefusal(err error) bool {
	return slices.ContainsFunc([]error{
		payments.ErrState, payments.ErrTooMuch, payments.ErrInput, payments.ErrInsufficientFunds, payments.ErrVersionStale, payments.ErrHoldExpired,
		payments.ErrExchangeEmpty, payments.ErrAmount, payments.ErrLinkUsed, payments.ErrLinkClosed, payments.ErrSelf, payments.ErrLiveRequired, errNothing,
	}, func(known error) bool { return errors.Is(err, known) })
}

// moves notes what an answer has said.
func (c *crowd) moves(currency, from, to string, amount int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.model.base[from+" "+currency] -= amount
	c.model.base[to+" "+currency] += amount
}

// keep notes ids that others may use.
func (c *crowd) keep(list *[]string, ids ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*list = append(*list, ids...)
}

// one returns one of the latest ids of a list.
func (c *crowd) one(list *[]string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(*list)
	if n == 0 {
		return "", errNothing
	}
	return (*list)[n-1-rand.IntN(min(n, 8))], nil //nolint:gosec // a test's dice
}

// send sends a command to a node, and every fourth time with the same key to
// the other one as well: both must say the same.
func send[T any](c *crowd, by payments.Actor, do func(s *payments.Service, a payments.Actor) (T, error)) (T, error) {
	first := rand.IntN(2)  //nolint:gosec // a test's dice
	if rand.IntN(4) != 0 { //nolint:gosec // a test's dice
		return do(c.nodes[first], by)
	}
	var other T
	var otherErr error
	var wg sync.WaitGroup
	wg.Go(func() { other, otherErr = do(c.nodes[1-first], by) })
	answer, err := do(c.nodes[first], by)
	wg.Wait()
	one, _ := json.Marshal(answer) // what we answer can be
	two, _ := json.Marshal(other)
	if (err == nil) != (otherErr == nil) || err == nil && string(one) != string(two) {
		c.t.Errorf("one key, two answers: %s, %v and %s, %v", one, err, two, otherErr)
	}
	return answer, err
}

// compare explains every account by what the clients were told and what has become of the payments.
func (c *crowd) compare() {
	c.t.Helper()
	c.model.all = nil
	err := c.db.View(c.t.Context(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT id FROM payments_intents")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // its error is in rows.Err
		for rows.Next() {
			var p payments.Payment
			if err := rows.Scan(&p.ID); err != nil {
				return err
			}
			c.model.all = append(c.model.all, p)
		}
		return rows.Err()
	})
	if err != nil {
		c.t.Fatal(err)
	}
	for i, p := range c.model.all {
		c.model.all[i] = c.get(p.ID)
	}
	c.model.compare(c.t, c.world)
}

// dice are what a command is about.
type dice struct {
	who, other, currency string
	amount               int64
}

func roll() dice {
	i := rand.IntN(len(people)) //nolint:gosec // a test's dice
	return dice{
		who: people[i], other: people[(i+1+rand.IntN(len(people)-1))%len(people)], //nolint:gosec // a test's dice
		currency: currencies[rand.IntN(len(currencies))], amount: 1 + rand.Int64N(3_000), //nolint:gosec // a test's dice
	}
}

// crowdCommands are what clients do, by name.
var crowdCommands = map[string]func(c *crowd, d dice) error{
	"fund":    func(c *crowd, d dice) error { return c.fundFor(d.who, d.currency, d.amount) },
	"payout":  (*crowd).payout,
	"stock":   (*crowd).stock,
	"convert": (*crowd).convert,
	"move":    (*crowd).move,
	"request": (*crowd).ask, "request more": (*crowd).ask,
	"link": (*crowd).link, "pay link": (*crowd).payLink, "cancel link": (*crowd).cancelLink,
	"group": (*crowd).group, "cancel group": (*crowd).cancelGroup,
	"hold": acts("hold"), "hold more": acts("hold"), "hold yet more": acts("hold"), "capture": acts("capture"), "part": acts("part"), "void": acts("void"),
	"extend": acts("extend"), "reduce": acts("reduce"), "edit": acts("edit"), "cancel": acts("cancel"), "refund": acts("refund"),
	"report": acts("report"), "answer": acts("answer"), "win": acts("win"), "lose": acts("lose"),
}

func (c *crowd) fundFor(who, currency string, amount int64) error {
	_, err := c.nodes[0].Fund(c.t.Context(), c.as("server"), payments.FundInput{User: who, Amount: amount, Currency: currency})
	if err == nil {
		c.moves(currency, "rail:sandbox", available(who), amount)
	}
	return err
}

func (c *crowd) payout(d dice) error {
	_, err := send(c, c.as(d.who), func(s *payments.Service, a payments.Actor) (payments.Transfer, error) {
		return s.Payout(c.t.Context(), a, payments.PayoutInput{Amount: d.amount, Currency: d.currency, Destination: "iban"})
	})
	if err == nil { // the sandbox does all of these when deadlines are looked at
		c.moves(d.currency, available(d.who), "rail:sandbox", d.amount)
	}
	return err
}

func (c *crowd) stock(d dice) error {
	_, err := send(c, c.as("server"), func(s *payments.Service, a payments.Actor) (payments.BalanceItem, error) {
		return s.StockExchange(c.t.Context(), a, payments.StockInput{User: d.who, Amount: d.amount, Currency: d.currency})
	})
	if err == nil {
		c.moves(d.currency, available(d.who), "exchange:"+d.currency, d.amount)
	}
	return err
}

func (c *crowd) convert(d dice) error {
	q, err := send(c, c.as("server"), func(s *payments.Service, a payments.Actor) (payments.Conversion, error) {
		return s.Quote(c.t.Context(), a, payments.QuoteInput{User: d.who, From: "EUR", To: currencies[1+d.amount%2], Source: d.amount})
	})
	if err != nil {
		return err
	}
	_, err = send(c, c.as(d.who), func(s *payments.Service, a payments.Actor) (payments.Conversion, error) {
		return s.Accept(c.t.Context(), a, q.ID)
	})
	if err == nil {
		c.moves(q.From, available(d.who), "exchange:"+q.From, q.Source)
		c.moves(q.To, "exchange:"+q.To, available(d.who), q.Target)
	}
	return err
}

// move is the app's own: a user pays the shop and the shop the other, or none of it.
func (c *crowd) move(d dice) error {
	legs := func(from, to string, amount int64) []ledger.Posting {
		return []ledger.Posting{{Account: from, Currency: d.currency, Amount: -amount}, {Account: to, Currency: d.currency, Amount: amount}}
	}
	_, err := send(c, c.as("server"), func(s *payments.Service, a payments.Actor) (int, error) {
		entries, err := s.Books().Move(c.t.Context(), a, []payments.Movement{{Legs: legs(available(d.who), "app:shop", d.amount)}, {Legs: legs("app:shop", available(d.other), d.amount/2+1)}})
		return len(entries), err
	})
	if err == nil {
		c.moves(d.currency, available(d.who), "app:shop", d.amount)
		c.moves(d.currency, "app:shop", available(d.other), d.amount/2+1)
	}
	return err
}

func (c *crowd) ask(d dice) error {
	p, err := send(c, c.as("server"), func(s *payments.Service, a payments.Actor) (payments.Payment, error) {
		return s.Create(c.t.Context(), a, payments.CreateInput{Payer: d.who, Payee: d.other, Amount: d.amount, Currency: d.currency, Confirm: payments.ConfirmNone})
	})
	if err == nil {
		c.keep(&c.intent, p.ID)
	}
	return err
}

func (c *crowd) link(d dice) error {
	uses := d.amount % 4
	l, err := send(c, c.as("server"), func(s *payments.Service, a payments.Actor) (payments.Link, error) {
		return s.CreateLink(c.t.Context(), a, payments.LinkInput{Payee: d.who, Amount: d.amount, Currency: d.currency, Uses: &uses, Confirm: payments.ConfirmNone})
	})
	if err == nil {
		c.keep(&c.links, l.ID)
	}
	return err
}

func (c *crowd) payLink(d dice) error {
	id, err := c.one(&c.links)
	if err != nil {
		return err
	}
	p, err := send(c, c.as(d.who), func(s *payments.Service, a payments.Actor) (payments.Payment, error) {
		return s.PayLink(c.t.Context(), a, id, 0)
	})
	if err == nil {
		c.keep(&c.intent, p.ID)
	}
	return err
}

func (c *crowd) cancelLink(dice) error {
	id, err := c.one(&c.links)
	if err != nil {
		return err
	}
	_, err = send(c, c.as("server"), func(s *payments.Service, a payments.Actor) (payments.Link, error) {
		return s.CancelLink(c.t.Context(), a, id)
	})
	return err
}

func (c *crowd) group(d dice) error {
	var shares []payments.Share
	for _, payer := range people {
		if payer != d.who {
			shares = append(shares, payments.Share{Payer: payer, Amount: d.amount})
		}
	}
	r, err := send(c, c.as("server"), func(s *payments.Service, a payments.Actor) (payments.GroupRequest, error) {
		return s.CreateGroup(c.t.Context(), a, payments.GroupInput{Payee: d.who, Shares: shares, Currency: d.currency})
	})
	if err != nil {
		return err
	}
	c.keep(&c.groups, r.ID)
	for _, share := range r.Items {
		c.keep(&c.intent, share.ID)
	}
	return nil
}

func (c *crowd) cancelGroup(dice) error {
	id, err := c.one(&c.groups)
	if err != nil {
		return err
	}
	_, err = send(c, c.as("server"), func(s *payments.Service, a payments.Actor) (payments.GroupRequest, error) {
		return s.CancelGroup(c.t.Context(), a, id)
	})
	return err
}

// acts gives one of the model's commands to one of the latest payments.
func acts(command string) func(c *crowd, d dice) error {
	return func(c *crowd, d dice) error {
		id, err := c.one(&c.intent)
		if err != nil {
			return err
		}
		w := &world{Service: c.nodes[d.amount%2], t: c.t, db: c.db, clock: c.clock, keys: c.keys}
		_, err = modelCommand(w, command, c.get(id), d.amount)
		return err
	}
}
