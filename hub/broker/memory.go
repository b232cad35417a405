package broker

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// MemoryConfig configures a Memory broker; its zero value works.
type MemoryConfig struct {
	// MaxBytes bounds the frames under way; a message over it is dropped and
	// counted, and the receiver told. Default 64 MiB.
	MaxBytes int
	// Metrics takes the broker's metrics; nil for none.
	Metrics prometheus.Registerer
}

// Memory is the bus of a single node. Publishing appends to a list; the one
// goroutine in Run takes all that has gathered and delivers it as one round, so
// that under load many messages share a round. After a round that took long the next
// one begins a sixteenth of that time later, at most 5 ms.
type Memory struct {
	maxBytes int
	dropped  prometheus.Counter
	messages prometheus.Counter
	round    prometheus.Histogram
	lag      prometheus.Histogram
	wake     chan struct{} // of capacity 1

	mu     sync.Mutex
	topics map[string]int // interests by topic
	queue  []*Message
	bytes  int
	since  time.Time // when the first of queue came
	lost   bool
}

// messageOverhead is what a message counts besides its frame.
const messageOverhead = 256

// NewMemory makes a Memory broker. Nothing is delivered before Run.
func NewMemory(cfg MemoryConfig) *Memory {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 64 << 20
	}
	m := &Memory{
		maxBytes: cfg.MaxBytes,
		wake:     make(chan struct{}, 1),
		topics:   make(map[string]int),
		messages: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_broker_messages_total", Help: "Messages accepted for topics somebody listens to."}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "parley_broker_dropped_total", Help: "Messages dropped because too many bytes were under way.",
			ConstLabels: prometheus.Labels{"reason": "overflow"}}),
		round: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_broker_round_messages", Help: "Messages delivered in one round.", Buckets: prometheus.ExponentialBuckets(1, 4, 8)}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_broker_lag_seconds", Help: "Time from publishing a round's first message on this node, or its arrival there, until the round was queued for its sockets.",
			Buckets: prometheus.ExponentialBuckets(0.00001, 4, 11)}),
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(m.messages, m.dropped, m.round, m.lag, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "parley_broker_queued_bytes", Help: "Bytes of messages under way."}, m.queuedBytes),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "parley_broker_queued_bytes_capacity", Help: "The most of them; more are dropped."}, func() float64 { return float64(m.maxBytes) }))
	}
	return m
}

func (m *Memory) queuedBytes() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return float64(m.bytes)
}

// Publish implements Broker.
func (m *Memory) Publish(msg *Message) error {
	size := len(msg.Frame) + messageOverhead + len(msg.To)*48
	m.mu.Lock()
	msg = m.wanted(msg)
	if msg == nil {
		m.mu.Unlock()
		return nil
	}
	if m.bytes > 0 && m.bytes+size > m.maxBytes {
		m.lost = true
		m.mu.Unlock()
		m.dropped.Inc()
		m.poke()
		return ErrOverflow
	}
	if len(m.queue) == 0 {
		m.since = time.Now()
	}
	m.queue = append(m.queue, msg)
	m.bytes += size
	m.mu.Unlock()
	m.messages.Inc()
	m.poke()
	return nil
}

// wanted returns msg with the targets somebody listens to, or nil; the caller holds mu.
func (m *Memory) wanted(msg *Message) *Message {
	n := 0
	for i := range msg.To {
		if m.topics[msg.To[i].Topic] > 0 {
			n++
		}
	}
	if n == len(msg.To) || n == 0 {
		if n == 0 {
			return nil
		}
		return msg
	}
	narrowed := *msg
	narrowed.To = make([]Target, 0, n)
	for _, t := range msg.To {
		if m.topics[t.Topic] > 0 {
			narrowed.To = append(narrowed.To, t)
		}
	}
	return &narrowed
}

// lose has the receiver told that messages may be lost.
func (m *Memory) lose() {
	m.mu.Lock()
	m.lost = true
	m.mu.Unlock()
	m.poke()
}

func (m *Memory) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Subscribe implements Broker. It never fails.
func (m *Memory) Subscribe(_ context.Context, topic string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.topics[topic]++
	return nil
}

// Unsubscribe implements Broker.
func (m *Memory) Unsubscribe(topic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.topics[topic]; n > 1 {
		m.topics[topic] = n - 1
	} else {
		delete(m.topics, topic)
	}
}

// After a round that took long, the next one begins no sooner than a fraction of
// that time later, and gathers meanwhile: a broadcast to thousands costs a write
// to each whether it carries one message or many.
const (
	gatherShare = 16
	gatherLeast = 50 * time.Microsecond // below, a timer costs more than it saves
	gatherMost  = 5 * time.Millisecond
)

// gather waits until a round may begin when the last one took so long and has ended then.
func gather(ctx context.Context, took time.Duration, ended time.Time) {
	wait := min(took/gatherShare, gatherMost)
	if wait >= gatherLeast {
		wait -= time.Since(ended)
	}
	if wait < gatherLeast {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Run implements Broker. What is under way when ctx ends is given up.
func (m *Memory) Run(ctx context.Context, r Receiver) error {
	var round []*Message
	var took time.Duration // by the last one
	var ended time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.wake:
		}
		gather(ctx, took, ended)
		var lost bool
		var since time.Time
		round, since, lost = m.take(round)
		if lost {
			r.Lost(ctx)
		}
		if len(round) > 0 {
			begun := time.Now()
			r.Deliver(ctx, round)
			ended = time.Now()
			took = ended.Sub(begun)
			m.round.Observe(float64(len(round)))
			m.lag.Observe(time.Since(since).Seconds())
			clear(round)
		}
	}
}

// take swaps the queue for the empty round and reports when its first message
// came and whether something was dropped.
func (m *Memory) take(round []*Message) (taken []*Message, since time.Time, lost bool) {
	const keep = 1024
	if cap(round) > keep {
		round = nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	taken, since, lost = m.queue, m.since, m.lost
	m.queue, m.bytes, m.lost = round[:0], 0, false
	return taken, since, lost
}
