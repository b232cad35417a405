package cluster_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/internal/clock"
	"parley/internal/cluster"
	"parley/internal/redisdb"
	"parley/internal/redisdb/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func client(t *testing.T, at redisdb.Config) redisdb.Client {
	t.Helper()
	c, err := redisdb.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// each runs f with the limiters of two nodes that count together.
func each(t *testing.T, f func(t *testing.T, a, b cluster.Limiter)) {
	t.Run("memory", func(t *testing.T) {
		c := &cluster.Counts{Clock: clock.System{}}
		f(t, c, c)
	})
	t.Run("redis", func(t *testing.T) {
		at := redistest.Start(t).Config()
		two := func() cluster.Limiter { return cluster.NewSharedCounts(client(t, at), "test:", clock.System{}, nil) }
		f(t, two(), two())
	})
}

func TestTake_CountsOverBothNodesAndSaysHowLongToWait(t *testing.T) {
	each(t, func(t *testing.T, a, b cluster.Limiter) {
		rate := cluster.Rate{Count: 10, Per: 10 * time.Hour}
		for i := range 5 {
			if w1, w2 := a.Take(t.Context(), "ann", rate), b.Take(t.Context(), "ann", rate); w1 != 0 || w2 != 0 {
				t.Fatalf("round %d: told to wait %v and %v", i, w1, w2)
			}
		}
		wait := b.Take(t.Context(), "ann", rate)
		if wait <= 59*time.Minute || wait > time.Hour {
			t.Errorf("the eleventh waits %v, want about an hour", wait)
		}
		if wait := a.Take(t.Context(), "bob", rate); wait != 0 {
			t.Errorf("somebody else waits %v", wait)
		}
	})
}

func TestTake_ComesBackWithTime(t *testing.T) {
	each(t, func(t *testing.T, a, b cluster.Limiter) {
		rate := cluster.Rate{Count: 2, Per: 20 * time.Millisecond}
		for _, l := range []cluster.Limiter{a, b} {
			var wait time.Duration
			for range 3 {
				wait = max(wait, l.Take(t.Context(), "ann", rate))
			}
			if wait > 20*time.Millisecond {
				t.Errorf("waits %v", wait)
			}
			if err := (clock.System{}).Wait(t.Context(), time.Now().Add(wait+20*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if wait := l.Take(t.Context(), "ann", rate); wait != 0 {
				t.Errorf("still waits %v", wait)
			}
		}
	})
}

func TestTake_OfManyAtOnceExactlyTheCountPasses(t *testing.T) {
	each(t, func(t *testing.T, a, b cluster.Limiter) {
		rate := cluster.Rate{Count: 50, Per: 10 * time.Hour}
		var mu sync.Mutex
		passed := 0
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if []cluster.Limiter{a, b}[i%2].Take(t.Context(), "ann", rate) == 0 {
					mu.Lock()
					passed++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if passed != 50 {
			t.Errorf("%d passed", passed)
		}
	})
}

func TestTake_NodesCountAloneWhileRedisIsAway(t *testing.T) {
	server := redistest.Start(t)
	reg := prometheus.NewRegistry()
	l := cluster.NewSharedCounts(client(t, server.Config()), "test:", clock.System{}, reg)
	server.Kill()
	rate := cluster.Rate{Count: 3, Per: 10 * time.Hour}
	for range 3 {
		if wait := l.Take(t.Context(), "ann", rate); wait != 0 {
			t.Errorf("waits %v", wait)
		}
	}
	if l.Take(t.Context(), "ann", rate) == 0 {
		t.Error("no limit without Redis")
	}
	families, err := reg.Gather()
	if err != nil || families[0].GetMetric()[0].GetCounter().GetValue() != 4 {
		t.Errorf("counted %v: %v", families, err)
	}
}

func TestGuard_FollowsItsRules(t *testing.T) {
	g, err := cluster.NewGuard([]string{"passkeys.* user 2/1h", "messages.send device 1/1h", "token.failed ip 1/1h"},
		&cluster.Counts{Clock: clock.System{}}, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ann := cluster.Who{User: "ann", Device: "dev_1", IP: "192.0.2.1"}
	tablet := cluster.Who{User: "ann", Device: "dev_2"}
	for i, step := range []struct {
		operation string
		who       cluster.Who
		refused   bool
	}{
		{"passkeys.list", ann, false}, {"passkeys.list", tablet, false}, {"passkeys.list", ann, true}, {"passkeys.remove", ann, true},
		{"messages.send", ann, false}, {"messages.send", tablet, false}, {"messages.send", ann, true},
		{"token.failed", ann, false}, {"token.failed", ann, true}, {"token.failed", tablet, false},
		{"other", ann, false}, {"other", ann, false},
	} {
		if got := g.Allow(t.Context(), step.operation, step.who) > 0; got != step.refused {
			t.Errorf("step %d, %s: refused is %v", i, step.operation, got)
		}
	}
}

func TestParseRule_RefusesWhatIsNone(t *testing.T) {
	for _, text := range []string{"", "a user", "a user 1", "a moon 1/1m", "a user 0/1m", "a user 1/x", "a user -1/1m", "a user 1/48h", "a user 1/1m more"} {
		if _, err := cluster.ParseRule(text); !errors.Is(err, cluster.ErrRule) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRegistry_ListsWhoIsThere(t *testing.T) {
	at := redistest.Start(t).Config()
	registry := func(id string) *cluster.Shared {
		return cluster.NewShared(cluster.SharedConfig{Client: client(t, at), ID: id, Clock: clock.System{}, Beat: 10 * time.Millisecond,
			Self: func() cluster.Node { return cluster.Node{ID: id, Version: "1", Load: cluster.Load{Sockets: 7}} }})
	}
	a, b := registry("node_a"), registry("node_b")
	var ends []func()
	for _, r := range []*cluster.Shared{a, b} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		end := sync.OnceFunc(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(end)
		ends = append(ends, end)
	}
	awaitNodes(t, a, "node_a", "node_b")
	ends[1]()
	awaitNodes(t, a, "node_a")
	// One that died is on the set of ids, and its key is gone.
	if err := client(t, at).SAdd(t.Context(), "parley:nodes", "node_dead").Err(); err != nil {
		t.Fatal(err)
	}
	awaitNodes(t, a, "node_a")
}

func awaitNodes(t *testing.T, r cluster.Registry, want ...string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for {
		nodes, err := r.Nodes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, n := range nodes {
			ids = append(ids, n.ID)
			if n.Load.Sockets != 7 {
				t.Errorf("%+v", n)
			}
		}
		if slices.Equal(ids, want) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("nodes %v, want %v", ids, want)
		}
	}
}
