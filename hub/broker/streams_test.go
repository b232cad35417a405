package broker_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"parley/hub/broker"
	"parley/hub/broker/brokertest"
	"parley/internal/redisdb"
	"parley/internal/redisdb/redistest"
)

func streamSuite(t *testing.T, at redisdb.Config, n int) {
	t.Helper()
	brokertest.RunStreams(t, func(t testing.TB) []brokertest.StreamNode {
		var nodes []brokertest.StreamNode
		for i, b := range onRedis(t, at, n, broker.RedisConfig{}) {
			nodes = append(nodes, brokertest.StreamNode{Broker: b, Streams: broker.NewRedisStreams(b, fmt.Sprint("node", i))})
		}
		return nodes
	})
}

func TestRedisStreams(t *testing.T)         { streamSuite(t, redistest.Start(t).Config(), 2) }
func TestRedisStreams_Cluster(t *testing.T) { streamSuite(t, redistest.StartCluster(t).Config(), 3) }

func TestMemoryStreams(t *testing.T) {
	brokertest.RunStreams(t, func(testing.TB) []brokertest.StreamNode {
		bus := broker.NewMemory(broker.MemoryConfig{})
		return []brokertest.StreamNode{{Broker: bus, Streams: broker.NewMemoryStreams(bus, broker.MemoryStreamsConfig{})}}
	})
}

func TestRedisStreams_SayWhenRedisIsAway(t *testing.T) {
	redis := redistest.Start(t)
	s := broker.NewRedisStreams(onRedis(t, redis.Config(), 1, broker.RedisConfig{})[0], "n")
	redis.Kill()
	_, appended := s.Append(t.Context(), broker.Draft{Topic: "t"})
	_, read := s.Read(t.Context(), "t", 0, 1)
	_, counted := s.Elsewhere(t.Context(), "t")
	for _, err := range []error{appended, read, counted, s.Renew(t.Context(), "t", "e"), s.Report(t.Context(), map[string]int{"t": 1})} {
		if !errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	}
}

// Over its bounds the quietest stream goes, and then the oldest of the one that
// is published to; each is counted.
func TestMemoryStreams_BoundWhatTheyKeep(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	s := broker.NewMemoryStreams(broker.NewMemory(broker.MemoryConfig{}), broker.MemoryStreamsConfig{MaxBytes: 4000, MaxStreams: 3, Metrics: reg})
	publish := func(topic string, size int) broker.Place {
		p, err := s.Append(t.Context(), broker.Draft{Topic: topic, Head: make([]byte, size), Keep: 100, TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	old := publish("old", 10)
	for i := range 3 {
		publish(fmt.Sprint("t", i), 10)
	}
	if again := publish("old", 10); again.Epoch == old.Epoch || again.Seq != 1 {
		t.Errorf("the quietest of four streams goes on: %+v after %+v", again, old)
	}
	for range 20 {
		publish("big", 1000)
	}
	page, err := s.Read(t.Context(), "big", 0, 100)
	if err != nil || page.Head.Seq != 20 || len(page.Events) != 3 || page.First != 18 {
		t.Errorf("kept %d from %d, head %+v, %v", len(page.Events), page.First, page.Head, err)
	}
	if n, err := testutil.GatherAndCount(reg, "parley_streams_dropped_total"); n != 1 || err != nil {
		t.Errorf("%d counters, %v", n, err)
	}
}
