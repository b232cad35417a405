package broker_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"parley/hub/broker"
	"parley/hub/broker/brokertest"
	"parley/internal/redisdb"
	"parley/internal/redisdb/redistest"
)

var buses atomic.Int64

// onRedis makes n brokers on a bus of their own.
func onRedis(t testing.TB, at redisdb.Config, n int, cfg broker.RedisConfig) []*broker.Redis {
	t.Helper()
	cfg.Prefix = fmt.Sprintf("test%d:", buses.Add(1))
	var nodes []*broker.Redis
	for range n {
		cfg.Client = client(t, at)
		nodes = append(nodes, broker.NewRedis(cfg))
	}
	return nodes
}

func client(t testing.TB, at redisdb.Config) redis.UniversalClient {
	t.Helper()
	c, err := redisdb.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func suite(t *testing.T, at redisdb.Config, n int) {
	t.Helper()
	brokertest.Run(t, func(t testing.TB) []broker.Broker {
		var nodes []broker.Broker
		for _, b := range onRedis(t, at, n, broker.RedisConfig{}) {
			nodes = append(nodes, b)
		}
		return nodes
	})
}

func TestRedis(t *testing.T)          { suite(t, redistest.Start(t).Config(), 2) }
func TestRedis_Sentinel(t *testing.T) { suite(t, redistest.StartSentinel(t).Config(), 2) }
func TestRedis_Cluster(t *testing.T)  { suite(t, redistest.StartCluster(t).Config(), 3) }

// listener is a node that notes what reaches it and when it was told of losses.
type listener struct {
	*broker.Redis
	t    testing.TB
	stop func()

	mu      sync.Mutex
	got     map[int64]int
	lost    int
	onLost  func()
	changed chan struct{}
}

func (l *listener) Deliver(_ context.Context, round []*broker.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range round {
		l.got[m.Seq]++
	}
	l.news()
}

func (l *listener) Lost(context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost++
	if l.onLost != nil {
		l.onLost()
	}
	l.news()
}

func (l *listener) news() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func listen(t testing.TB, b *broker.Redis) *listener {
	t.Helper()
	l := &listener{Redis: b, t: t, got: map[int64]int{}, changed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx, l) }()
	l.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(l.stop)
	return l
}

func (l *listener) await(what string, enough func() bool) {
	l.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		l.mu.Lock()
		ok, changed := enough(), l.changed
		l.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			l.t.Fatalf("waited in vain for %s: got %d messages, told of %d losses", what, len(l.got), l.lost)
		}
	}
}

func (l *listener) send(seq int64, topics ...string) error {
	m := &broker.Message{Seq: seq, Frame: []byte("frame")}
	for _, topic := range topics {
		m.To = append(m.To, broker.Target{Topic: topic})
	}
	return l.Publish(m)
}

// subscribe subscribes to as many topics as it takes to be on every lane.
func (l *listener) subscribe(topics ...string) {
	l.t.Helper()
	for _, topic := range topics {
		if err := l.Subscribe(l.t.Context(), topic); err != nil {
			l.t.Fatal(err)
		}
	}
}

// until publishes on from, with numbers from start, until l has one of them:
// the bus is whole again.
func (l *listener) until(from *listener, topic string, start int64) {
	l.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for seq := start; ; seq++ {
		_ = from.send(seq, topic) // may be lost still
		l.mu.Lock()
		ok := false
		for s := start; s <= seq; s++ {
			ok = ok || l.got[s] > 0
		}
		l.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			l.t.Fatalf("nothing published on another node arrives")
		}
	}
}

var quick = broker.RedisConfig{ProbeEvery: 50 * time.Millisecond, ProbeTimeout: time.Second}

// What was published while Redis was away does not arrive, so everybody is told
// of a loss; subscriptions are there again, those made meanwhile too, and the
// node's own sockets missed nothing.
func TestRedis_ComesBack(t *testing.T) {
	server := redistest.Start(t)
	nodes := onRedis(t, server.Config(), 2, quick)
	a, b := listen(t, nodes[0]), listen(t, nodes[1])
	a.subscribe("own", "t")
	b.subscribe("t")
	if err := a.send(1, "own", "t"); err != nil {
		t.Fatal(err)
	}
	b.await("the first", func() bool { return b.got[1] == 1 })
	server.Kill()
	b.subscribe("meanwhile") // does not wait for what may take long
	_ = a.send(2, "own", "t")
	a.await("its own", func() bool { return a.got[2] == 1 })
	b.Unsubscribe("t")
	b.subscribe("t")
	server.Restart()
	b.await("word of the loss", func() bool { return b.lost > 0 })
	a.await("word of the loss", func() bool { return a.lost > 0 })
	b.until(a, "t", 100)
	b.until(a, "meanwhile", 10_000)
}

// A publisher that could not reach Redis tells the others once it can, even
// though their own connections were never gone.
func TestRedis_PublisherOwnsUpToItsGaps(t *testing.T) {
	server := redistest.Start(t)
	cfg := quick
	cfg.MaxBytes = 2000
	nodes := onRedis(t, server.Config(), 2, cfg)
	a, b := listen(t, nodes[0]), listen(t, nodes[1])
	b.subscribe("t")
	overflowed := 0
	for seq := range int64(2000) {
		if a.send(seq+1, "t") != nil {
			overflowed++
		}
	}
	if overflowed == 0 {
		t.Fatal("the queue took 2,000 messages into 2,000 bytes")
	}
	b.await("word of the loss", func() bool { return b.lost > 0 })
	if a.lost > 0 {
		t.Error("the publisher was told of its own gap, which its sockets do not have")
	}
}

// split subscribes at one server and publishes at another, as happens to
// a node that a failover left behind, until it is healed.
type split struct {
	redis.UniversalClient
	stale  redis.UniversalClient
	healed atomic.Bool
}

func (s *split) Subscribe(ctx context.Context, channels ...string) *redis.PubSub {
	if s.healed.Load() {
		return s.UniversalClient.Subscribe(ctx, channels...)
	}
	return s.stale.Subscribe(ctx, channels...)
}

// A subscription that is open, and even carries something, but not what is
// published, is noticed by the missing probe.
func TestRedis_NoticesADeadSubscription(t *testing.T) {
	stale := client(t, redistest.Start(t).Config())
	at := &split{UniversalClient: client(t, redistest.Start(t).Config()), stale: stale}
	reg := prometheus.NewRegistry()
	a := listen(t, broker.NewRedis(broker.RedisConfig{Client: at, Prefix: "t:", ProbeEvery: 20 * time.Millisecond, ProbeTimeout: 200 * time.Millisecond, Metrics: reg}))
	a.subscribe("t")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for value(t, reg, "parley_broker_redis_breaks_total") == 0 {
		for lane := range 2 { // keeps the connections from being silent
			if err := stale.Publish(t.Context(), fmt.Sprintf("t:{%d}#gaps", lane), "x").Err(); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the dead subscription was not noticed")
		}
	}
	at.healed.Store(true)
	b := listen(t, broker.NewRedis(broker.RedisConfig{Client: at, Prefix: "t:"}))
	a.until(b, "t", 1)
}

// A server that keeps its connections but answers nothing is noticed, too.
func TestRedis_NoticesAFrozenServer(t *testing.T) {
	server := redistest.Start(t)
	cfg := quick
	cfg.ProbeTimeout = 300 * time.Millisecond
	a := listen(t, onRedis(t, server.Config(), 1, cfg)[0])
	a.subscribe("t")
	server.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := a.Subscribe(ctx, "late"); err != nil { // waits until the connection is given up
		t.Fatal(err)
	}
	server.Thaw()
	a.await("word of the loss", func() bool { return a.lost > 0 })
}

// value is a counter's.
func value(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

// The replica takes over: subscriptions move there and everybody is told.
func TestRedis_SentinelFailover(t *testing.T) {
	sentinel := redistest.StartSentinel(t)
	nodes := onRedis(t, sentinel.Config(), 2, quick)
	a, b := listen(t, nodes[0]), listen(t, nodes[1])
	b.subscribe("t")
	b.until(a, "t", 1)
	sentinel.Master.Kill()
	b.await("word of the loss", func() bool { return b.lost > 0 })
	b.until(a, "t", 10_000)
}

// One master of a Cluster dies and comes back: its lanes follow, the others never stop.
func TestRedis_ClusterNodeRestarts(t *testing.T) {
	cluster := redistest.StartCluster(t)
	nodes := onRedis(t, cluster.Config(), 2, quick)
	a, b := listen(t, nodes[0]), listen(t, nodes[1])
	var topics []string
	for i := range 100 {
		topics = append(topics, fmt.Sprint("t", i))
	}
	b.subscribe(topics...)
	cluster.Servers[2].Kill()
	cluster.Servers[2].Restart()
	b.await("word of the loss", func() bool { return b.lost > 0 })
	for i, topic := range topics {
		b.until(a, topic, int64(1+i)*10_000)
	}
}

// Under load with Redis going down and up, every message arrives at most once,
// and when one does not, a loss is told after it was published.
func TestRedis_NothingIsLostSilently(t *testing.T) {
	server := redistest.Start(t)
	nodes := onRedis(t, server.Config(), 2, quick)
	a, b := listen(t, nodes[0]), listen(t, nodes[1])
	var last, excused atomic.Int64
	b.onLost = func() { excused.Store(last.Load()) }
	b.subscribe("t", "probe")
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			for range 20 {
				_ = a.send(last.Add(1), "t") // may be lost
			}
			<-tick.C
		}
	})
	for i := range 3 {
		server.Kill()
		server.Restart()
		b.until(a, "probe", int64(i+1)<<40)
	}
	for from := last.Load(); last.Load() < from+1000; {
		b.until(a, "probe", int64(10)<<40)
	}
	stop()
	load.Wait()
	b.until(a, "t", int64(20)<<40)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost == 0 {
		t.Error("no loss was told")
	}
	for seq := int64(1); seq <= last.Load(); seq++ {
		if n := b.got[seq]; n > 1 || n == 0 && seq > excused.Load() {
			t.Fatalf("%d of %d arrived %d times; losses were told up to %d", seq, last.Load(), n, excused.Load())
		}
	}
}
