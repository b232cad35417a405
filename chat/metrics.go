package chat

import "github.com/prometheus/client_golang/prometheus"

// metrics counts what chat does; all start at zero.
type metrics struct {
	appended  prometheus.Counter
	repeated  prometheus.Counter
	sensitive prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		appended:  prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_chat_entries_total", Help: "Entries committed to conversation logs."}),
		repeated:  prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_chat_repeats_total", Help: "Writes that were there already and had no second effect."}),
		sensitive: prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_chat_sensitive_refused_total", Help: "Texts refused because they hold a payment card number."}),
	}
	if reg != nil {
		reg.MustRegister(m.appended, m.repeated, m.sensitive)
	}
	return m
}
