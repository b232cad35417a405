package chat

import "github.com/prometheus/client_golang/prometheus"

// metrics counts what chat does; all start at zero.
type metrics struct {
	appended  prometheus.Counter
	repeated  prometheus.Counter
	sensitive prometheus.Counter
	together  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		appended:  prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_chat_entries_total", Help: "Entries committed to conversation logs."}),
		repeated:  prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_chat_repeats_total", Help: "Writes that were there already and had no second effect."}),
		sensitive: prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_chat_sensitive_refused_total", Help: "Texts refused because they hold a payment card number."}),
	}
	m.together = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "parley_chat_commit_messages", Help: "Messages that shared a commit on PostgreSQL.", Buckets: prometheus.ExponentialBuckets(1, 2, 7)})
	if reg != nil {
		reg.MustRegister(m.appended, m.repeated, m.sensitive, m.together)
	}
	return m
}
