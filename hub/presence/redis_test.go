package presence_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/hub/presence"
	"parley/internal/clock"
	"parley/internal/redisdb"
	"parley/internal/redisdb/redistest"
	"parley/wire"
)

// street is several nodes' boards on one Redis that tell the same house.
type street struct {
	*house
	boards []*presence.Redis
	end    []func()
	at     redisdb.Config
}

// along runs f with n running nodes.
func along(t *testing.T, n int, f func(s *street)) {
	t.Helper()
	at := redistest.Start(t).Config()
	synctest.Test(t, func(t *testing.T) {
		s := &street{house: &house{T: t, stored: map[wire.UserID]time.Time{}, started: time.Now()}, at: at}
		for i := range n {
			s.add("node_" + string(rune('a'+i)))
		}
		s.Board = s.boards[n-1]
		f(s)
		for _, end := range s.end {
			end()
		}
	})
}

func (s *street) add(name string) *presence.Redis {
	s.Helper()
	b, closeIt := onRedis(s.T, s.at, name, presence.Deps{Clock: clock.System{}, Publisher: s, Peers: s, Seen: s})
	ctx, cancel := context.WithCancel(s.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	over := false
	s.boards = append(s.boards, b)
	s.end = append(s.end, func() {
		if over {
			return
		}
		over = true
		cancel()
		if err := <-ended; err != nil {
			s.Error(err)
		}
		closeIt()
	})
	return b
}

// at makes a device appear on one node.
func (s *street) appear(node int, u wire.UserID, d wire.DeviceID, state wire.PresenceState) {
	s.Helper()
	if err := s.boards[node].Touch(s.Context(), u, d, state); err != nil {
		s.Fatal(err)
	}
	synctest.Wait()
}

func (s *street) flush() {
	s.Helper()
	c, err := redisdb.Open(s.at)
	if err != nil {
		s.Fatal(err)
	}
	if err := c.FlushAll(s.Context()).Err(); err != nil {
		s.Fatal(err)
	}
	if err := c.Close(); err != nil {
		s.Fatal(err)
	}
}

func TestNodes_ShareOnePresence(t *testing.T) {
	along(t, 2, func(s *street) {
		s.pass(time.Second)
		s.appear(0, "ann", "dev_1", wire.Away)
		s.sees("ann", "away") // on the other node
		s.appear(1, "ann", "dev_2", wire.Online)
		s.hears("ann away", "ann online")
		s.appear(0, "ann", "dev_1", wire.Online)
		s.hears()
		s.inCall("ann", true) // on the node where only one of the devices is
		s.hears("ann in_call")
		s.leave("ann", "dev_2")
		s.pass(6 * time.Second)
		s.sees("ann", "in_call")
		s.inCall("ann", false)
		s.hears("ann online")
	})
}

func TestNodes_DeadOneLeavesNoGhosts(t *testing.T) {
	along(t, 3, func(s *street) {
		s.pass(20 * time.Second)
		s.appear(0, "ann", "dev_1", wire.Online)
		s.appear(1, "ann", "dev_2", wire.Away)
		for _, u := range []wire.UserID{"bob", "cid"} {
			s.appear(0, u, "dev_1", wire.Online)
		}
		s.hears("ann online", "bob online", "cid online")
		s.pass(30 * time.Second)
		s.end[0]() // without a goodbye
		s.hears()
		s.pass(15 * time.Second)
		s.mu.Lock()
		slices.Sort(s.told)
		told := len(s.told) == 3 && s.told[0] == "ann away"
		if !told {
			t.Errorf("heard %q", s.told)
		}
		s.told = nil
		s.mu.Unlock()
		got, err := s.Get(s.Context(), []wire.UserID{"bob", "ann"})
		if err != nil || got[0].State != wire.Offline || got[1].State != wire.Away {
			t.Errorf("sees %+v: %v", got, err)
		}
		if seen := got[0].LastSeen; seen == nil || seen.Before(s.started.Add(45*time.Second)) {
			t.Errorf("last seen %v: not when the node was last alive", seen)
		}
		s.pass(30 * time.Second)
		s.hears()
	})
}

// Somebody who is on another node again before the dead one is noticed never looks offline.
func TestNodes_ReconnectedElsewhereDoesNotFlicker(t *testing.T) {
	along(t, 2, func(s *street) {
		s.appear(0, "bob", "dev_1", wire.Online)
		s.pass(5 * time.Second)
		s.end[0]()
		s.pass(3 * time.Second)
		s.appear(1, "bob", "dev_1", "")
		s.pass(30 * time.Second)
		s.hears("bob online")
		s.sees("bob", "online")
	})
}

// A Redis that lost everything is told again, and who left meanwhile is announced.
func TestNodes_ReportAnewWhenRedisForgets(t *testing.T) {
	along(t, 2, func(s *street) {
		s.appear(0, "ann", "dev_1", wire.Online)
		s.appear(0, "bob", "dev_1", wire.Online)
		s.hears("ann online", "bob online")
		s.pass(10100 * time.Millisecond)
		if err := s.boards[0].Leave(s.Context(), "bob", "dev_1"); err != nil {
			t.Fatal(err)
		}
		s.pass(4400 * time.Millisecond) // between two beats
		s.flush()
		s.pass(10 * time.Second)
		s.sees("ann", "online")
		s.hears("bob offline 10.1", "ann online")
	})
}

// away makes a board whose Redis can be away: outside a bubble, since servers live in real time.
func away(t *testing.T) (*presence.Redis, *house, *redistest.Server) {
	t.Helper()
	server := redistest.Start(t)
	h := &house{T: t, stored: map[wire.UserID]time.Time{}, started: time.Now()}
	b, closeIt := onRedisFast(t, server.Config(), "node_a", presence.Deps{Clock: clock.System{}, Publisher: h, Peers: h, Seen: h})
	h.Board = b
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		closeIt()
	})
	return b, h, server
}

// becomes waits until Get shows a state.
func (h *house) becomes(u wire.UserID, want wire.PresenceState) {
	h.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		got, err := h.Get(h.Context(), []wire.UserID{u})
		if err != nil {
			h.Fatal(err)
		}
		if got[0].State == want {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			h.Fatalf("%s is %s, want %s", u, got[0].State, want)
		}
	}
}

// While Redis is away the node knows its own people; what happened meanwhile counts after.
func TestNodes_GoOnWhileRedisIsAway(t *testing.T) {
	b, h, server := away(t)
	if err := b.Touch(t.Context(), "ann", "dev_1", wire.Online); err != nil {
		t.Fatal(err)
	}
	h.becomes("ann", wire.Online)
	server.Kill()
	if err := b.Touch(t.Context(), "bob", "dev_1", wire.Away); err != nil {
		t.Fatal(err)
	}
	h.becomes("bob", wire.Away)
	if err := b.SetInCall(t.Context(), "ann", true); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	h.becomes("ann", wire.InCall)
	h.becomes("bob", wire.Away)
	if err := b.SetInCall(t.Context(), "ann", false); err != nil {
		t.Fatal(err)
	}
	h.becomes("ann", wire.Online)
}

// The same over a Cluster, where each person's key is on another server.
func TestNodes_OnACluster(t *testing.T) {
	h := &house{T: t, stored: map[wire.UserID]time.Time{}, started: time.Now()}
	at := redistest.StartCluster(t).Config()
	run := func(node string) (*presence.Redis, func()) {
		b, closeIt := onRedisFast(t, at, node, presence.Deps{Clock: clock.System{}, Publisher: h, Peers: h, Seen: h})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		end := sync.OnceFunc(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			closeIt()
		})
		t.Cleanup(end)
		return b, end
	}
	first, end := run("node_a")
	h.Board, _ = run("node_b")
	for i := range 50 {
		if err := first.Touch(t.Context(), wire.UserID(fmt.Sprint("user", i)), "dev_1", wire.Online); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		h.becomes(wire.UserID(fmt.Sprint("user", i)), wire.Online)
	}
	end()
	for i := range 50 {
		h.becomes(wire.UserID(fmt.Sprint("user", i)), wire.Offline)
	}
}

// onRedisFast is onRedis for tests in real time.
func onRedisFast(t *testing.T, at redisdb.Config, node string, d presence.Deps) (*presence.Redis, func()) {
	t.Helper()
	c, err := redisdb.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	cfg := presence.RedisConfig{Client: c, Node: node, Beat: 20 * time.Millisecond, NodeLease: time.Second, Config: presence.Config{Sweep: 20 * time.Millisecond}}
	return presence.NewRedis(cfg, d), func() { _ = c.Close() }
}
