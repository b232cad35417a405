package payments

import "github.com/prometheus/client_golang/prometheus"

// railMetrics count what rails answer.
type railMetrics struct {
	outcomes       *prometheus.CounterVec
	contradictions prometheus.Counter
}

func newRailMetrics(reg prometheus.Registerer) railMetrics {
	m := railMetrics{
		outcomes:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_payments_rail_answers_total", Help: "Answers of the rail by action and status; unknown is no answer."}, []string{"action", "status"}),
		contradictions: prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_payments_rail_contradictions_total", Help: "Outcomes that the rail took back after they were booked."}),
	}
	for _, action := range []RailAction{RailFund, RailAuthorise, RailCapture, RailVoid, RailRefund, RailPayout} {
		for _, status := range []string{string(RailDone), string(RailPending), string(RailRefused), string(RailAbsent), "unknown"} {
			m.outcomes.WithLabelValues(string(action), status)
		}
	}
	if reg != nil {
		reg.MustRegister(m.outcomes, m.contradictions)
	}
	return m
}

func (m railMetrics) rail(action RailAction, out RailOutcome, failed bool) {
	status := string(out.Status)
	if failed {
		status = "unknown"
	}
	m.outcomes.WithLabelValues(string(action), status).Inc()
}
