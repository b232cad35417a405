package payments_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
)

// TestRail_RandomOrdersAgainstAModel plays random payouts, top-ups and payments
// by rail against a bank whose line breaks, with two nodes that sweep. At the
// end the balances are what follows from what the bank has done.
func TestRail_RandomOrdersAgainstAModel(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
				random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a seeded test
				outside := newBank(rand.New(rand.NewPCG(seed, 2)))
				w := newWorld(t, db, payments.Config{})
				m := &railModel{world: w, random: random, bank: outside, nodes: []*payments.Service{w.node(outside), w.node(outside)}}
				m.Service = m.nodes[0]
				outside.faulty = true
				for range 70 {
					m.step()
				}
				m.explained() // also in the middle
				m.finish()
				m.compare()
			})
		})
	}
}

// railModel counts what was asked for and accepted.
type railModel struct {
	*world
	random *rand.Rand
	bank   *bank
	nodes  []*payments.Service
	open   []string // payments that may still change
	// accepted orders by action
	funds, payouts, holds int
}

// sweepAll has both nodes look at once.
func (m *railModel) sweepAll() {
	m.t.Helper()
	var both sync.WaitGroup
	for _, n := range m.nodes {
		both.Go(func() {
			if _, err := n.SweepOrders(m.t.Context()); err != nil {
				m.t.Error(err)
			}
		})
	}
	both.Wait()
}

func (m *railModel) step() {
	m.t.Helper()
	amount := 1 + m.random.Int64N(900)
	switch m.random.IntN(9) {
	case 0:
		_, err := m.TopUp(m.t.Context(), m.as("server"), payments.FundInput{User: "buyer", Amount: amount, Currency: "EUR"})
		m.accepted(&m.funds, err)
	case 1: // the same key until it is answered, as a client would
		_, err := m.Fund(m.t.Context(), m.as("server"), payments.FundInput{User: "buyer", Amount: amount, Currency: "EUR"})
		m.accepted(&m.funds, err, payments.ErrInProgress, payments.ErrRail)
		if errors.Is(err, payments.ErrInProgress) || errors.Is(err, payments.ErrRail) {
			m.funds++
		}
	case 2:
		_, err := m.Payout(m.t.Context(), m.as("buyer"), payments.PayoutInput{Amount: amount, Currency: "EUR", Destination: "iban"})
		m.accepted(&m.payouts, err, payments.ErrInsufficientFunds)
	case 3, 4:
		p := m.request(amount, payments.ConfirmNone)
		_, err := m.HoldByRail(m.t.Context(), m.as("buyer"), p.ID, "pm", payments.HoldInput{})
		m.accepted(&m.holds, err, payments.ErrRail)
		if errors.Is(err, payments.ErrRail) {
			m.holds++
		}
		m.open = append(m.open, p.ID)
	case 5, 6:
		m.change(amount)
	case 7:
		m.clock.Advance(time.Duration(m.random.IntN(90)) * time.Second)
		m.sweepAll()
	case 8:
		m.bank.decide(false)
	}
}

// accepted counts a command that went through; only these refusals are right.
func (m *railModel) accepted(n *int, err error, allowed ...error) {
	m.t.Helper()
	if err == nil {
		*n++
		return
	}
	for _, a := range allowed {
		if errors.Is(err, a) {
			return
		}
	}
	m.t.Fatal(err)
}

// change does something to one of the open payments; its state may refuse it.
func (m *railModel) change(amount int64) {
	if len(m.open) == 0 {
		return
	}
	id := m.open[m.random.IntN(len(m.open))]
	var err error
	switch m.random.IntN(6) {
	case 0:
		_, err = m.Void(m.t.Context(), m.as("buyer"), id)
	case 1:
		_, err = m.Capture(m.t.Context(), m.as("server"), id, 0)
	case 2:
		_, err = m.Capture(m.t.Context(), m.as("server"), id, amount)
	case 3:
		_, err = m.CapturePart(m.t.Context(), m.as("server"), id, amount)
	case 4:
		_, err = m.Refund(m.t.Context(), m.as("seller"), id, amount)
	case 5:
		_, err = m.Edit(m.t.Context(), m.as("seller"), id, payments.EditInput{Amount: amount})
	}
	for _, refused := range []error{nil, payments.ErrState, payments.ErrTooMuch, payments.ErrInsufficientFunds} {
		if errors.Is(err, refused) {
			return
		}
	}
	m.t.Fatal(err)
}

// finish repairs the line, ends what is pending, and lets the nodes look until nothing is open.
func (m *railModel) finish() {
	m.t.Helper()
	m.bank.faulty = false
	for range 20 {
		for _, id := range m.open { // what was authorised late is held now
			if _, err := m.Void(m.t.Context(), m.as("buyer"), id); err != nil && !errors.Is(err, payments.ErrState) {
				m.t.Fatal(err)
			}
		}
		m.clock.Advance(20 * time.Minute)
		m.sweepAll()
		m.bank.decide(true)
		if m.posted("user:buyer:held") == 0 && m.count("SELECT COUNT(*) FROM payments_orders WHERE state IN ('queued', 'sent', 'pending', 'unknown')") == 0 {
			return
		}
	}
	m.t.Fatal("orders are still open")
}

// compare holds the ledger to the bank.
func (m *railModel) compare() {
	m.t.Helper()
	m.check()
	m.explained()
	funded, funds := m.bank.sum(payments.RailFund)
	paid, payouts := m.bank.sum(payments.RailPayout)
	captured, _ := m.bank.sum(payments.RailCapture)
	refunded, _ := m.bank.sum(payments.RailRefund)
	_, holds := m.bank.sum(payments.RailAuthorise)
	if funds != m.funds || payouts != m.payouts || holds != m.holds {
		m.t.Errorf("the bank knows %d top-ups, %d payouts, %d authorisations; accepted were %d, %d, %d", funds, payouts, holds, m.funds, m.payouts, m.holds)
	}
	if got, want := m.posted("rail:bank"), paid+refunded-funded-captured; got != want {
		m.t.Errorf("rail has %d, the bank says %d", got, want)
	}
	if held := m.posted("user:buyer:held"); held != 0 {
		m.t.Errorf("%d are still held", held)
	}
	if out := m.posted("user:buyer:payout"); out != 0 {
		m.t.Errorf("%d are still on their way out", out)
	}
	if lost := m.posted("rail:bank:lost"); lost > 0 || -lost > m.bank.lost() {
		m.t.Errorf("lost %d, the bank refused captures of %d", lost, m.bank.lost())
	}
	if people, outside := m.available("buyer")+m.available("seller")+m.posted("fees"), m.posted("rail:bank")+m.posted("rail:bank:lost"); people+outside != 0 {
		m.t.Errorf("people have %d, outside is %d", people, outside)
	}
	for _, w := range m.bank.wrong {
		m.t.Errorf("the bank was asked for what it must not: %s", w)
	}
}
