package signaling

import "github.com/prometheus/client_golang/prometheus"

// metrics are the counters of calls, created at zero.
type metrics struct {
	started   *prometheus.CounterVec
	ended     *prometheus.CounterVec
	signals   *prometheus.CounterVec
	answer    prometheus.Histogram
	rtt       prometheus.Histogram
	loss      prometheus.Histogram
	conflicts prometheus.Counter
	moved     prometheus.Counter
	sweeps    prometheus.Counter
	sweeping  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		started: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_calls_started_total", Help: "Calls started, by kind."}, []string{"kind"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_calls_ended_total", Help: "Calls ended, by reason."}, []string{"reason"}),
		signals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_call_signals_total", Help: "Signals passed between devices in calls, by kind."}, []string{"kind"}),
		answer: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_call_connect_seconds", Help: "From the answer to media on both ends of direct calls.",
			Buckets: []float64{.05, .1, .2, .3, .5, .75, 1, 2, 5, 10, 20}}),
		rtt: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_call_rtt_seconds", Help: "Round trips that devices in calls report.",
			Buckets: []float64{.02, .05, .1, .15, .2, .3, .5, 1, 2}}),
		loss: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_call_loss_ratio", Help: "Shares of lost packets that devices in calls report.",
			Buckets: []float64{0, .01, .02, .05, .1, .2, .5}}),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_call_conflicts_total", Help: "Changes of a call that ran again because another was faster."}),
		moved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_call_rooms_moved_total", Help: "Rooms of calls that this node moved from a node that could not hold them any longer to another."}),
		sweeps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_call_sweep_failures_total", Help: "Sweeps over call deadlines that failed; they are tried again."}),
		sweeping: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_call_sweep_seconds", Help: "Time of a sweep over call deadlines.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}),
	}
	for _, k := range []Kind{Direct, Group} {
		m.started.WithLabelValues(string(k))
	}
	for _, r := range Reasons() {
		m.ended.WithLabelValues(string(r))
	}
	for _, k := range SignalKinds() {
		m.signals.WithLabelValues(string(k))
	}
	if reg != nil {
		reg.MustRegister(m.started, m.ended, m.signals, m.answer, m.rtt, m.loss, m.conflicts, m.moved, m.sweeps, m.sweeping)
	}
	return m
}
