package media

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"parley/wire"
)

// metrics of one SFU. Packets are counted by feeds and slots and carried over
// at each tick, so that the media path touches nothing shared.
type metrics struct {
	rooms, participants prometheus.Gauge
	in, out, failed     prometheus.Counter
	muted, flooded      prometheus.Counter
	refused             *prometheus.CounterVec
	answer              prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_media_" + name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "parley_media_" + name, Help: help})
	}
	m := &metrics{
		rooms:        gauge("rooms", "Rooms with somebody in them."),
		participants: gauge("participants", "Participants in all rooms."),
		in:           counter("packets_in_total", "Voice packets received."),
		out:          counter("packets_out_total", "Voice packets forwarded, one per listener."),
		failed:       counter("packets_failed_total", "Voice packets that the transport refused."),
		muted:        counter("packets_muted_total", "Voice packets dropped because the server muted the talker."),
		flooded:      counter("packets_flooded_total", "Voice packets dropped because the talker sent more than any voice does."),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_media_joins_refused_total", Help: "Joins refused, by reason.",
		}, []string{"reason"}),
		answer: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_media_answer_seconds", Help: "Time from an offer to its answer.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .5},
		}),
	}
	for _, reason := range []string{"offer", "room_full"} {
		m.refused.WithLabelValues(reason)
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.rooms, m.participants, m.in, m.out, m.failed, m.muted, m.flooded, m.refused, m.answer} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("media: metrics: %w", err)
		}
	}
	return m, nil
}

// counted is how much of a peer's counts the metrics have already.
type counted struct{ in, out, failed, muted, flooded uint64 }

// count carries over what p has counted since the last time. The SFU's mutex must be held.
func (m *metrics) count(p *peer) {
	now := counted{in: p.feed.packets.Load(), muted: p.feed.dropped.Load(), flooded: p.feed.flooded.Load()}
	for _, s := range p.slots {
		now.out += s.packets.Load()
		now.failed += s.failed.Load()
	}
	m.in.Add(float64(now.in - p.counted.in))
	m.muted.Add(float64(now.muted - p.counted.muted))
	m.flooded.Add(float64(now.flooded - p.counted.flooded))
	m.out.Add(float64(now.out - p.counted.out))
	m.failed.Add(float64(now.failed - p.counted.failed))
	p.counted = now
}

func (m *metrics) size(rooms map[wire.CallID]*room) {
	people := 0
	for _, r := range rooms {
		people += len(r.peers)
	}
	m.rooms.Set(float64(len(rooms)))
	m.participants.Set(float64(people))
}
