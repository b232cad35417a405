package turn

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Directions of relayed packets.
const (
	toPeer   = "to_peer"
	toClient = "to_client"
)

// Reasons for dropping a packet without an answer.
const (
	dropMalformed     = "malformed"     // neither STUN nor ChannelData, or a bad FINGERPRINT
	dropUnexpected    = "unexpected"    // a method or class no client sends
	dropOversize      = "oversize"      // larger than maxPacket
	dropNoAllocation  = "no_allocation" // data without an allocation
	dropNoPermission  = "no_permission" // a peer or channel that was not granted
	dropForbidden     = "forbidden"     // a port of this machine, or a leg of another call
	dropBandwidth     = "bandwidth"     // over the allocation's rate
	dropSlowStream    = "slow_stream"   // the stream's queue is full
	dropSocket        = "socket"        // the kernel refused it
	dropUnauthorized  = "unauthorized"  // over the rate of unauthenticated answers
	dropAmplification = "amplification" // the answer would be four times the request
	dropEngineClosed  = "engine_closed" // the server is stopping
)

// Reasons for refusing a stream.
const (
	refusePerIP     = "per_ip"
	refuseTotal     = "total"
	refuseHandshake = "handshake"
	refuseFrame     = "frame"
	refuseSilent    = "silent"
)

var (
	dropReasons = []string{
		dropMalformed, dropUnexpected, dropOversize, dropNoAllocation, dropNoPermission, dropForbidden,
		dropBandwidth, dropSlowStream, dropSocket, dropUnauthorized, dropAmplification, dropEngineClosed,
	}
	streamReasons = []string{refusePerIP, refuseTotal, refuseHandshake, refuseFrame, refuseSilent}
	endings       = []ending{endedByEngine, endedByStream, endedByRevoke, endedByExpiry, endedByFailure}
	codes         = []string{"400", "401", "403", "420", "437", "438", "440", "441", "442", "443", "486", "500", "508"}
)

// metrics counts without any label that names a user or a call.
type metrics struct {
	allocations prometheus.Gauge
	streams     prometheus.Gauge
	made        *prometheus.CounterVec // transport
	over        *prometheus.CounterVec // reason
	errors      *prometheus.CounterVec // code
	drops       *prometheus.CounterVec // reason
	refused     *prometheus.CounterVec // reason
	reloads     *prometheus.CounterVec // result

	packets, bytes map[string]prometheus.Counter // by direction
	dropBy         map[string]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	const ns, sub = "parley", "turn"
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}, []string{label})
	}
	packets := vec("packets_total", "Relayed packets.", "direction")
	bytes := vec("bytes_total", "Relayed payload bytes.", "direction")
	m := &metrics{
		allocations: gauge("allocations", "Allocations in service."),
		streams:     gauge("streams", "Open TCP and TLS connections."),
		made:        vec("allocations_total", "Allocations made.", "transport"),
		over:        vec("allocations_ended_total", "Allocations ended.", "reason"),
		errors:      vec("errors_total", "Error responses.", "code"),
		drops:       vec("drops_total", "Packets dropped without an answer.", "reason"),
		refused:     vec("streams_refused_total", "TCP and TLS connections refused or closed by the server.", "reason"),
		reloads:     vec("certificate_reloads_total", "Certificate reloads.", "result"),
		packets:     map[string]prometheus.Counter{},
		bytes:       map[string]prometheus.Counter{},
		dropBy:      map[string]prometheus.Counter{},
	}
	for _, d := range []string{toPeer, toClient} {
		m.packets[d], m.bytes[d] = packets.WithLabelValues(d), bytes.WithLabelValues(d)
	}
	m.zero()
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.allocations, m.streams, m.made, m.over, m.errors, m.drops, m.refused, m.reloads, packets, bytes} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// zero creates every counter, so that a rate is known from the first scrape.
func (m *metrics) zero() {
	for _, r := range dropReasons {
		m.dropBy[r] = m.drops.WithLabelValues(r)
	}
	for _, r := range streamReasons {
		m.refused.WithLabelValues(r)
	}
	for _, r := range endings {
		m.over.WithLabelValues(string(r))
	}
	for _, c := range codes {
		m.errors.WithLabelValues(c)
	}
	for _, t := range []transport{overUDP, overTCP, overTLS} {
		m.made.WithLabelValues(t.String())
	}
	for _, r := range []string{"ok", "failed"} {
		m.reloads.WithLabelValues(r)
	}
}

func (m *metrics) dropped(reason string) { m.dropBy[reason].Inc() }

func (m *metrics) relayed(direction string, payload int) {
	m.packets[direction].Inc()
	m.bytes[direction].Add(float64(payload))
}

func (m *metrics) began(t transport) {
	m.allocations.Inc()
	m.made.WithLabelValues(t.String()).Inc()
}

func (m *metrics) ended(why ending) {
	m.allocations.Dec()
	m.over.WithLabelValues(string(why)).Inc()
}
