package payments_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"parley/payments"
)

// errLine is what a caller sees when the line to the bank breaks.
var errLine = errors.New("line broken")

// bank is an outside world with a memory: it does each reference once, decides
// some orders late, and breaks the line before or after it has done them.
type bank struct {
	mu     sync.Mutex
	random *rand.Rand // nil: everything is done at once
	orders map[string]*banked
	// faulty lets the line break.
	faulty bool
	wrong  []string // what no payments service may ask
}

type banked struct {
	payments.RailOrder
	out  payments.RailOutcome
	plan payments.RailStatus // what a pending one becomes
}

func newBank(random *rand.Rand) *bank { return &bank{random: random, orders: map[string]*banked{}} }

func (b *bank) Name() string { return "bank" }

// chance is true once in n times.
func (b *bank) chance(n int) bool { return b.random != nil && b.random.IntN(n) == 0 }

func (b *bank) Order(_ context.Context, o payments.RailOrder) (payments.RailOutcome, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.faulty && b.chance(4) {
		return payments.RailOutcome{}, errLine
	}
	known := b.orders[o.Reference]
	switch {
	case known == nil:
		known = b.begin(o)
	case known.RailOrder != o:
		b.wrong = append(b.wrong, fmt.Sprintf("%s asked for %+v, then for %+v", o.Reference, known.RailOrder, o))
	}
	if b.faulty && b.chance(4) {
		return payments.RailOutcome{}, errLine
	}
	return known.out, nil
}

// begin takes an order that was not known.
func (b *bank) begin(o payments.RailOrder) *banked {
	x := &banked{RailOrder: o, plan: payments.RailDone}
	if b.chance(4) || !b.possible(o) {
		x.plan = payments.RailRefused
	}
	x.out = payments.RailOutcome{ID: "bank-" + o.Reference, Status: x.plan}
	if b.chance(3) {
		x.out.Status = payments.RailPending
	}
	if x.out.Status == payments.RailRefused {
		x.out.Reason = "AM04"
	}
	b.orders[o.Reference] = x
	return x
}

// possible holds captures, voids and refunds to the authorisation they follow.
func (b *bank) possible(o payments.RailOrder) bool {
	if o.Of == "" {
		return o.Action != payments.RailCapture && o.Action != payments.RailVoid && o.Action != payments.RailRefund
	}
	var authorised, captured, refunded int64
	for _, x := range b.orders {
		switch {
		case x.plan == payments.RailRefused:
		case x.out.ID == o.Of:
			authorised = x.Amount
		case x.Of != o.Of:
		case x.Action == payments.RailCapture, x.Action == payments.RailVoid:
			if captured += x.Amount; o.Action != payments.RailRefund {
				b.wrong = append(b.wrong, fmt.Sprintf("%s of %s after %s", o.Action, o.Of, x.Action))
			}
		case x.Action == payments.RailRefund:
			refunded += x.Amount
		}
	}
	if o.Action == payments.RailRefund {
		if refunded+o.Amount > captured {
			b.wrong = append(b.wrong, fmt.Sprintf("refund of %d, captured %d, refunded %d", o.Amount, captured, refunded))
		}
		return refunded+o.Amount <= captured
	}
	return o.Amount <= authorised
}

func (b *bank) Find(_ context.Context, o payments.RailOrder, _ string) (payments.RailOutcome, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.faulty && b.chance(4) {
		return payments.RailOutcome{}, errLine
	}
	if known := b.orders[o.Reference]; known != nil {
		return known.out, nil
	}
	return payments.RailOutcome{Status: payments.RailAbsent}, nil
}

// decide ends some of what is pending, or all of it.
func (b *bank) decide(all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range b.orders {
		if x.out.Status == payments.RailPending && (all || b.chance(2)) {
			if x.out.Status = x.plan; x.plan == payments.RailRefused {
				x.out.Reason = "AC06"
			}
		}
	}
}

// answer changes what the bank says of an order.
func (b *bank) answer(reference string, status payments.RailStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.orders[reference].out.Status = status
}

// sum adds up what the bank has done of an action.
func (b *bank) sum(action payments.RailAction) (n int64, orders int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range b.orders {
		if x.Action == action {
			orders++
			if x.out.Status == payments.RailDone {
				n += x.Amount
			}
		}
	}
	return n, orders
}

// lost is what the bank refused to capture.
func (b *bank) lost() (n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range b.orders {
		if x.Action == payments.RailCapture && x.out.Status == payments.RailRefused {
			n += x.Amount
		}
	}
	return n
}
