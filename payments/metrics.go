package payments

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	railMetrics
	changes  *prometheus.CounterVec
	refusals *prometheus.CounterVec
	sweeps   prometheus.Histogram
	swept    prometheus.Counter
	unswept  prometheus.Counter
}

// newMetrics makes the counters, each of their labels at zero.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		railMetrics: newRailMetrics(reg),
		changes:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_payments_changes_total", Help: "Changes of payments by kind."}, []string{"change"}),
		refusals:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_payments_refusals_total", Help: "Commands refused because of a payment's state or funds, by reason."}, []string{"reason"}),
		sweeps: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "parley_payments_sweep_seconds", Help: "Time of a look for passed deadlines.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}),
		swept:   prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_payments_swept_total", Help: "Passed deadlines found."}),
		unswept: prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_payments_sweep_failures_total", Help: "Looks for passed deadlines that failed; they are tried again."}),
	}
	m.changes.WithLabelValues("requested")
	m.changes.WithLabelValues("reminded")
	for _, t := range transitions {
		if t.Change != "" {
			m.changes.WithLabelValues(t.Change)
		}
	}
	for _, r := range refusals {
		m.refusals.WithLabelValues(r.code)
	}
	for reason := range stops {
		m.refusals.WithLabelValues("safety_" + reason)
	}
	if reg != nil {
		reg.MustRegister(m.changes, m.refusals, m.sweeps, m.swept, m.unswept)
	}
	return m
}
