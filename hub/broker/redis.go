package broker

import (
	"context"
	"crypto/rand"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// RedisConfig configures a Redis broker; all but Client has a default.
type RedisConfig struct {
	// Client reaches the Redis that all nodes share. A *redis.ClusterClient makes
	// the broker use sharded channels (SPUBLISH and SSUBSCRIBE, Redis 7).
	Client redis.UniversalClient
	// Prefix begins every channel's name, the same on all nodes. Default "parley:".
	Prefix string
	// Lanes is over how many connections topics are spread, the same on all
	// nodes. Default 16 for a Cluster, where each lane is a hash slot, else 2.
	Lanes int
	// MaxBytes bounds what waits to be published, and what has arrived and waits
	// to be delivered. Default 64 MiB each.
	MaxBytes int
	// ProbeEvery is how often each lane sends a message to itself through Redis,
	// and ProbeTimeout without one counts the lane's subscription as dead.
	// Defaults 1 s and 4 s.
	ProbeEvery, ProbeTimeout time.Duration
	// Metrics and Log may be nil.
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// Redis is the bus of several nodes, over Redis' publish and subscribe.
//
// What a node publishes for its own sockets goes straight to them; Redis
// carries it to the other nodes. So a node goes on alone while Redis is away.
// Redis keeps nothing: when a connection was gone, a publication failed or was
// dropped, every node's Receiver is told with Lost once Redis answers again.
//
// Topics are spread over lanes. A lane is one connection that subscribes, and
// one queue whose waiting messages are published in one pipeline.
type Redis struct {
	cfg     RedisConfig
	self    string // tells this node's own messages from others'
	sharded bool
	local   *Memory // interests of this node, and the round under way
	lanes   []*lane
	metrics *redisMetrics
}

// selfSize is the length of what begins every message: its publisher.
const selfSize = 8

// NewRedis makes a Redis broker. Nothing is connected before Run.
func NewRedis(cfg RedisConfig) *Redis {
	_, sharded := cfg.Client.(*redis.ClusterClient)
	if cfg.Prefix == "" {
		cfg.Prefix = "parley:"
	}
	if cfg.Lanes == 0 {
		cfg.Lanes = 2
		if sharded {
			cfg.Lanes = 16
		}
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 64 << 20
	}
	if cfg.ProbeEvery == 0 {
		cfg.ProbeEvery = time.Second
	}
	if cfg.ProbeTimeout == 0 {
		cfg.ProbeTimeout = 4 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	var self [selfSize]byte
	_, _ = rand.Read(self[:]) // never fails since Go 1.24
	r := &Redis{
		cfg: cfg, self: string(self[:]), sharded: sharded,
		local: NewMemory(MemoryConfig{MaxBytes: cfg.MaxBytes, Metrics: cfg.Metrics}),
	}
	r.metrics = newRedisMetrics(r)
	for i := range cfg.Lanes {
		r.lanes = append(r.lanes, newLane(r, fmt.Sprintf("%s{%d}", cfg.Prefix, i)))
	}
	return r
}

func (r *Redis) lane(topic string) *lane {
	h := fnv.New32a()
	_, _ = h.Write([]byte(topic))
	return r.lanes[h.Sum32()%uint32(len(r.lanes))] //nolint:gosec // a few lanes
}

// Publish implements Broker. ErrOverflow means that other nodes, or this one,
// did not get m.
func (r *Redis) Publish(m *Message) error {
	err := r.local.Publish(m)
	for i := range m.To {
		l := r.lane(m.To[i].Topic)
		if !l.queue.put(outgoing{l.channel(m.To[i].Topic), r.envelope(m, i)}) {
			r.metrics.dropped[dropOverflow].Inc()
			err = ErrOverflow
		}
	}
	return err
}

// envelope is m for its i-th target only, behind the name of this node.
func (r *Redis) envelope(m *Message, i int) []byte {
	b := make([]byte, 0, selfSize+encodedSize(m)+64)
	return appendMessage(append(b, r.self...), m, m.To[i:i+1])
}

// Subscribe implements Broker. It waits until Redis has confirmed; while Redis
// is away it returns nil at once, and Lost follows when Redis is back.
func (r *Redis) Subscribe(ctx context.Context, topic string) error {
	if err := r.local.Subscribe(ctx, topic); err != nil {
		return err
	}
	if err := r.lane(topic).subs.add(ctx, topic); err != nil {
		r.local.Unsubscribe(topic)
		return fmt.Errorf("broker: subscribe: %w", err)
	}
	return nil
}

// Unsubscribe implements Broker.
func (r *Redis) Unsubscribe(topic string) {
	r.local.Unsubscribe(topic)
	r.lane(topic).subs.remove(topic)
}

// Run implements Broker.
func (r *Redis) Run(ctx context.Context, receiver Receiver) error {
	var lanes sync.WaitGroup
	for _, l := range r.lanes {
		lanes.Go(func() { l.listen(ctx) })
		lanes.Go(func() { l.publish(ctx) })
	}
	defer lanes.Wait()
	return r.local.Run(ctx, receiver)
}

// arrive takes what another node published for topic.
func (r *Redis) arrive(topic, payload string) {
	if len(payload) < selfSize || payload[:selfSize] == r.self {
		return
	}
	if payload[:selfSize] == streamSelf {
		r.arriveStream(topic, payload[selfSize:])
		return
	}
	m, err := Decode([]byte(payload[selfSize:]))
	if err != nil {
		r.metrics.dropped[dropUndecoded].Inc()
		r.local.lose()
		return
	}
	_ = r.local.Publish(m) // over the bound it is counted and the receiver told
}

// Reasons why messages did not go out or come in, as counted by parley_broker_redis_dropped_total.
const (
	dropOverflow  = iota // the lane's queue was full
	dropFailed           // Redis did not take it
	dropUndecoded        // what came is no message
	dropReasons
)

var dropNames = [dropReasons]string{"overflow", "failed", "undecoded"}

type redisMetrics struct {
	published, breaks prometheus.Counter
	dropped           [dropReasons]prometheus.Counter
	batch, lag        prometheus.Histogram
}

func newRedisMetrics(r *Redis) *redisMetrics {
	const prefix = "parley_broker_redis_"
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "dropped_total",
		Help: "Messages that did not reach other nodes or came from them unreadable, by reason."}, []string{"reason"})
	m := &redisMetrics{
		published: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "published_total", Help: "Messages that Redis took."}),
		breaks: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "breaks_total",
			Help: "Subscribed connections that broke, could not be made, or did not carry the probe."}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + "batch_messages", Help: "Messages of one pipeline.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 6)}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + "lag_seconds", Help: "Time of a probe from this node through Redis and back.",
			Buckets: prometheus.ExponentialBuckets(0.00025, 2, 15)}),
	}
	for i, name := range dropNames {
		m.dropped[i] = dropped.WithLabelValues(name)
	}
	if reg := r.cfg.Metrics; reg != nil {
		reg.MustRegister(m.published, m.breaks, m.batch, m.lag, dropped,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + "queued_bytes", Help: "Bytes that wait to be published."},
				func() float64 { return r.sum(func(l *lane) int { return l.queue.size() }) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + "queued_bytes_capacity", Help: "The most of them over all lanes; more are dropped."},
				func() float64 { return float64(r.cfg.MaxBytes) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + "topics", Help: "Topics this node has subscribed to."},
				func() float64 { return r.sum(func(l *lane) int { return l.subs.size() }) }))
	}
	return m
}

func (r *Redis) sum(of func(*lane) int) float64 {
	n := 0
	for _, l := range r.lanes {
		n += of(l)
	}
	return float64(n)
}
