package hub

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Results of requests, as counted by parley_hub_requests_total.
const (
	resultOK      = iota
	resultProblem // the operation answered a problem
	resultRefused // over a limit
	resultInvalid // no JSON-RPC
	resultCount
)

var resultNames = [resultCount]string{"ok", "problem", "refused", "invalid"}

// Reasons why something was not delivered, as counted by parley_hub_drops_total.
const (
	dropBus          = iota // the bus was too far behind; found again by comparing heads
	dropLost                // the bus said that it may have lost messages
	dropOld                 // the client had the entry already
	dropHeld                // too many signals while the session opened
	dropEncode              // an event that is no JSON
	dropLogError            // the log could not be read
	dropLogShort            // the log did not have what was published
	dropCheck               // heads were not compared
	dropTopicHeld           // too much of a topic while a session joined it
	dropTopicWaiting        // too much of a topic while its stream was read
	dropTopicGap            // a client was told that it lacks publications of a topic
	dropCount
)

var dropNames = [dropCount]string{"bus", "lost", "old", "held", "encode", "log_error", "log_short", "check", "topic_held", "topic_waiting", "topic_gap"}

// metrics are the hub's own; every counter is there from the start.
type metrics struct {
	opens      prometheus.Counter
	accepted   [len(transports)]prometheus.Counter
	closes     map[string]prometheus.Counter
	refused    *prometheus.CounterVec
	requests   [resultCount]prometheus.Counter
	drops      [dropCount]prometheus.Counter
	messagesIn prometheus.Counter
	published  prometheus.Counter
	delivered  prometheus.Counter
	holes      prometheus.Counter
	recovered  prometheus.Counter

	compared [causeCount]prometheus.Counter
	hops     [hopCount]prometheus.Counter

	callSeconds, fanout, batch, resumed, headReads, lossSeconds prometheus.Histogram
}

func newMetrics(h *Hub) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_hub_" + name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_hub_" + name, Help: help}, []string{label})
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "parley_hub_" + name, Help: help, Buckets: buckets})
	}
	m := &metrics{
		opens:       counter("opens_total", "Sessions opened."),
		closes:      make(map[string]prometheus.Counter),
		refused:     vec("refused_total", "Sockets refused at the handshake.", "code"),
		messagesIn:  counter("messages_in_total", "Messages from clients."),
		published:   counter("published_total", "Events published on this node."),
		delivered:   counter("delivered_total", "Events queued for a socket."),
		holes:       counter("holes_total", "Entries that did not follow on and made a session read the log."),
		recovered:   counter("topic_recovered_total", "Publications of topics that the bus had lost and that were read from what is kept."),
		callSeconds: histogram("call_seconds", "Time of operations called on sockets.", prometheus.ExponentialBuckets(0.0005, 2, 15)),
		fanout:      histogram("fanout_sockets", "Sockets reached by an event.", prometheus.ExponentialBuckets(1, 4, 9)),
		batch:       histogram("batch_messages", "Messages that left together in one write to a socket.", prometheus.ExponentialBuckets(1, 2, 9)),
		lossSeconds: histogram("loss_seconds", "Time from the word that the bus lost messages until every session was compared with the log.", prometheus.ExponentialBuckets(0.25, 2, 8)),
		resumed:     histogram("resume_entries", "Entries read from the log to bring a session up to date.", prometheus.ExponentialBuckets(1, 4, 8)),
		headReads:   histogram("head_read_users", "People whose conversations' heads were read at once, for opening or comparing sessions.", prometheus.ExponentialBuckets(1, 4, 5)),
	}
	closes := vec("closes_total", "Sockets ended, by reason.", "reason")
	for _, r := range reasons {
		m.closes[r] = closes.WithLabelValues(r)
	}
	for code, w := range problems {
		if w.status != 0 && isHandshakeProblem(code) {
			m.refused.WithLabelValues(code)
		}
	}
	m.refused.WithLabelValues("handshake")
	accepted := vec("accepted_total", "Connections accepted, by how they speak: JSON or CBOR over a WebSocket, each with compression or without, or server-sent events.", "transport")
	for f, name := range transports {
		m.accepted[f] = accepted.WithLabelValues(name)
	}
	requests := vec("requests_total", "Requests, by result.", "result")
	for i, name := range resultNames {
		m.requests[i] = requests.WithLabelValues(name)
	}
	drops := vec("drops_total", "What was not delivered, by reason.", "reason")
	for i, name := range dropNames {
		m.drops[i] = drops.WithLabelValues(name)
	}
	compared := vec("heads_compared_total", "Sessions whose positions were compared with the log, by what asked for it.", "cause")
	for i, name := range causeNames {
		m.compared[i] = compared.WithLabelValues(name)
	}
	hops, counters := hopMetrics()
	m.hops = counters
	if r := h.cfg.Metrics; r != nil {
		r.MustRegister(m.opens, accepted, closes, m.refused, m.messagesIn, m.published, m.delivered, m.holes, m.recovered, m.callSeconds, m.fanout,
			m.batch, m.resumed, m.headReads, m.lossSeconds, compared, hops, requests, drops,
			gauge("topics", "Open topics that sessions of this node have joined.", func() float64 { return float64(len(h.audiences.all())) }),
			gauge("sockets", "Sockets on this node.", func() float64 { return float64(h.sockets.Load()) }),
			gauge("sockets_capacity", "The most of them; negative: no limit.", func() float64 { return float64(h.cfg.MaxSockets) }),
			gauge("unopened_capacity", "The most sockets without an open session; negative: no limit.", func() float64 { return float64(h.cfg.MaxUnopened) }),
			gauge("queued_bytes_capacity", "Bytes above which sockets that lag are closed.", func() float64 { return float64(h.budget.max) }),
			gauge("asking", "Sockets whose session.open is under way.", func() float64 { return float64(h.asking.Load()) }),
			gauge("asking_capacity", "How many of them make accepting connections pause.", func() float64 { return crowdedAt }),
			gauge("unopened", "Sockets without an open session.", func() float64 { return float64(h.unopened.Load()) }),
			gauge("queued_bytes", "Bytes that wait for slow sockets.", func() float64 { return float64(h.budget.used.Load()) }))
	}
	return m
}

func gauge(name, help string, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_hub_" + name, Help: help}, value)
}

// isHandshakeProblem reports whether a problem may refuse a handshake.
func isHandshakeProblem(code string) bool {
	switch code {
	case "websocket_required", "subprotocol_required", "origin_not_authorized", "node_draining", "too_many_connections", "node_busy",
		"message_too_large", "message_cut_short":
		return true
	}
	return false
}
