package app

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// backlogEvery is how often the database is asked what waits in it. A scrape
// does not ask: whoever reaches /metrics must not be able to make it work.
const backlogEvery = 10 * time.Second

// backlog shows what waits in the database, the same on every node.
type backlog struct {
	parts *parts

	failures                       prometheus.Counter
	events                         *prometheus.GaugeVec
	pending, oldest, dead          prometheus.Gauge
	overdue, oldestOverdue, orders prometheus.Gauge
}

func (p *parts) newBacklog() *backlog {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "parley_" + name, Help: help})
	}
	b := &backlog{
		parts:         p,
		failures:      prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_backlog_failures_total", Help: "Times the database could not tell what waits in it; the figures are then old."}),
		events:        prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "parley_outbox_waiting", Help: "Events a consumer has not been told of."}, []string{"consumer"}),
		pending:       gauge("webhook_pending", "Webhook deliveries that have not succeeded yet."),
		oldest:        gauge("webhook_oldest_due_seconds", "How long the webhook delivery that is due longest has waited."),
		dead:          gauge("webhook_dead", "Webhook deliveries that failed at every attempt."),
		overdue:       gauge("payments_overdue", "Payments whose deadline has passed and has not taken effect."),
		oldestOverdue: gauge("payments_oldest_overdue_seconds", "For how long the first of these deadlines has passed."),
		orders:        gauge("payments_rail_orders", "Orders to the rail without a final answer."),
	}
	p.registry.MustRegister(b.failures, b.events, b.pending, b.oldest, b.dead, b.overdue, b.oldestOverdue, b.orders)
	return b
}

// Run asks until ctx ends.
func (b *backlog) Run(ctx context.Context) error {
	ticks := time.NewTicker(backlogEvery) // also while a test holds the clock of the features
	defer ticks.Stop()
	for {
		if err := b.sample(ctx); err != nil && ctx.Err() == nil {
			b.failures.Inc()
			b.parts.log.Warn("what waits in the database is not known", "err", err)
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (b *backlog) sample(ctx context.Context) error {
	waiting, err := b.parts.relay.Waiting(ctx)
	for consumer, n := range waiting {
		b.events.WithLabelValues(consumer).Set(float64(n))
	}
	hooks, hooksErr := b.parts.webhooks.Backlog(ctx)
	if hooksErr == nil {
		b.pending.Set(float64(hooks.Pending))
		b.oldest.Set(hooks.OldestDue.Seconds())
		b.dead.Set(float64(hooks.Dead))
	}
	money, moneyErr := b.parts.payments.Backlog(ctx)
	if moneyErr == nil {
		b.overdue.Set(float64(money.Overdue))
		b.oldestOverdue.Set(money.OldestOverdue.Seconds())
		b.orders.Set(float64(money.Orders))
	}
	return errors.Join(err, hooksErr, moneyErr)
}
