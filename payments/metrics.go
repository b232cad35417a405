package payments

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	railMetrics
	changes  *prometheus.CounterVec
	refusals *prometheus.CounterVec
}

// newMetrics makes the counters, each of their labels at zero.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		railMetrics: newRailMetrics(reg),
		changes:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_payments_changes_total", Help: "Changes of payments by kind."}, []string{"change"}),
		refusals:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_payments_refusals_total", Help: "Commands refused because of a payment's state or funds, by reason."}, []string{"reason"}),
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
		reg.MustRegister(m.changes, m.refusals)
	}
	return m
}
