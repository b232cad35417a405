package api

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/wire"
)

// calls counts what becomes of the calls of one operation, over both doors.
type calls struct {
	ok, refused, failed prometheus.Counter
	seconds             prometheus.Observer
}

// count gives every operation its counters, each at zero.
func (t *Table) count(r prometheus.Registerer) {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_api_calls_total",
		Help: "Calls of operations over REST and sockets, by result: refused are problems below 500."}, []string{"operation", "result"})
	seconds := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "parley_api_call_seconds",
		Help: "Time of calls over REST and sockets.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)})
	for _, e := range t.order {
		e.calls = calls{
			ok: total.WithLabelValues(e.Name, "ok"), refused: total.WithLabelValues(e.Name, "refused"), failed: total.WithLabelValues(e.Name, "failed"),
			seconds: seconds,
		}
	}
	if r != nil {
		r.MustRegister(total, seconds)
	}
}

// ended counts a call that began at start.
func (c *calls) ended(start time.Time, p *wire.Problem) {
	switch {
	case p == nil:
		c.ok.Inc()
	case p.Status < 500:
		c.refused.Inc()
	default:
		c.failed.Inc()
	}
	c.seconds.Observe(time.Since(start).Seconds())
}
