package presence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"parley/internal/clock"
	"parley/wire"
)

// RedisConfig configures a Redis; Client and Node must be given.
type RedisConfig struct {
	Config
	Client redis.UniversalClient
	// Node is this node's id, never used before.
	Node string
	// Prefix begins every key, the same on all nodes. Default "parley:".
	Prefix string
	// NodeLease is how long a node that does not beat counts as alive; after it
	// another node takes its people off the board. Default 8 s.
	NodeLease time.Duration
	// Beat is how often a node renews its lease and looks at the others'. Default 2 s.
	Beat time.Duration
}

// Redis is the Board of several nodes. Each node keeps the leases of its own
// devices in memory; Redis holds, for each person, one field per node that they
// are connected to, so that a device that stays costs nothing there. A node
// holds one lease for all its people: when it stops beating, another node
// removes it from each of them and tells who is gone.
//
// Whether a node beats is told by a counter that changes, each observer
// measuring on its own clock, so that clocks need not agree, and a Redis that
// was away makes nobody look dead.
//
// Who changes a person's state announces it and notes in Redis what was
// announced. While Redis is away, this node's people are known and changes wait.
type Redis struct {
	cfg    RedisConfig
	local  *Memory
	clock  clock.Clock
	log    *slog.Logger
	seen   Seen
	beats  int64            // of this node; 0 before the first
	others map[string]*peer // by node; used by the goroutine of beat only
	blind  atomic.Bool      // the last beat failed
	alone  prometheus.Counter
	swept  prometheus.Counter

	mu    sync.Mutex
	marks map[wire.UserID]bool // in-call marks that Redis has not taken yet
}

// peer is another node as seen from here.
type peer struct {
	beats string
	at    time.Time // when beats was first seen
}

var _ Board = (*Redis)(nil)

// NewRedis makes the board of one node of several; call Run.
func NewRedis(cfg RedisConfig, d Deps) *Redis {
	if cfg.Prefix == "" {
		cfg.Prefix = "parley:"
	}
	if cfg.NodeLease == 0 {
		cfg.NodeLease = 8 * time.Second
	}
	if cfg.Beat == 0 {
		cfg.Beat = 2 * time.Second
	}
	r := &Redis{
		cfg: cfg, local: NewMemory(cfg.Config, d), clock: d.Clock, seen: d.Seen, others: map[string]*peer{}, marks: map[wire.UserID]bool{},
		alone: prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_presence_alone_total",
			Help: "Questions answered from this node's knowledge only, because Redis did not answer."}),
		swept: prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_presence_swept_total",
			Help: "People taken off nodes that had stopped beating."}),
	}
	r.log = r.local.log
	r.local.tell = r.tell
	if d.Metrics != nil {
		d.Metrics.MustRegister(r.alone, r.swept)
	}
	return r
}

// Run expires leases, announces changes and looks after dead nodes until ctx ends.
func (r *Redis) Run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error { return r.local.Run(ctx) })
	g.Go(func() error {
		for {
			r.beat(ctx)
			if r.clock.Wait(ctx, r.clock.Now().Add(r.cfg.Beat)) != nil {
				return nil
			}
		}
	})
	return g.Wait()
}

// People is how many people have, or just had, a device connected to this node.
func (r *Redis) People() int { return r.local.People() }

// Touch implements Board. It does not wait for Redis.
func (r *Redis) Touch(ctx context.Context, u wire.UserID, d wire.DeviceID, state wire.PresenceState) error {
	return r.local.Touch(ctx, u, d, state)
}

// Leave implements Board. It does not wait for Redis.
func (r *Redis) Leave(ctx context.Context, u wire.UserID, d wire.DeviceID) error {
	return r.local.Leave(ctx, u, d)
}

// marksMax bounds the in-call marks that wait for Redis.
const marksMax = 1 << 16

// SetInCall implements Board. What Redis does not take now it is given at a later beat.
func (r *Redis) SetInCall(ctx context.Context, u wire.UserID, in bool) error {
	r.mu.Lock()
	delete(r.marks, u) // this is the newer word
	r.mu.Unlock()
	err := r.mark(ctx, u, in)
	if err == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.marks) >= marksMax {
		return err
	}
	if _, newer := r.marks[u]; !newer {
		r.marks[u] = in
	}
	return nil
}

func (r *Redis) mark(ctx context.Context, u wire.UserID, in bool) error {
	op := "uncall"
	if in {
		op = "call"
	}
	return errors.Join(r.change(ctx, []report{{op: op, user: u}})...)
}

// remark gives Redis the in-call marks that it has not taken.
func (r *Redis) remark(ctx context.Context) {
	r.mu.Lock()
	waiting := r.marks
	r.marks = map[wire.UserID]bool{}
	r.mu.Unlock()
	for u, in := range waiting {
		if err := r.SetInCall(ctx, u, in); err != nil {
			r.log.Warn("in-call mark not kept", "err", err)
		}
	}
}

// Get implements Board.
func (r *Redis) Get(ctx context.Context, users []wire.UserID) ([]wire.Presence, error) {
	if r.blind.Load() { // asking would only take time
		r.alone.Inc()
		return r.local.Get(ctx, users)
	}
	pipe := r.cfg.Client.Pipeline()
	asked := make([]*redis.MapStringStringCmd, len(users))
	for i, u := range users {
		asked[i] = pipe.HGetAll(ctx, r.key(u))
	}
	_, err := pipe.Exec(ctx)
	if err != nil && len(users) > 0 {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		r.alone.Inc()
		return r.local.Get(ctx, users)
	}
	all := make([]wire.Presence, len(users))
	var gone []wire.UserID
	for i, u := range users {
		fields := asked[i].Val()
		if own := r.local.stateOf(u); own == wire.Offline {
			delete(fields, nodeField+r.cfg.Node)
		} else {
			fields[nodeField+r.cfg.Node] = string(own)
		}
		all[i] = wire.Presence{User: u, State: sumUp(fields)}
		if all[i].State == wire.Offline {
			gone = append(gone, u)
		}
	}
	if len(gone) == 0 {
		return all, nil
	}
	return all, r.addSeen(ctx, all, gone)
}

// addSeen fills in when those who are gone were last here.
func (r *Redis) addSeen(ctx context.Context, all []wire.Presence, gone []wire.UserID) error {
	seen, err := r.seen.LoadSeen(ctx, gone)
	if err != nil {
		return fmt.Errorf("presence: last seen: %w", err)
	}
	for i := range all {
		if all[i].State != wire.Offline {
			continue
		}
		if at, ok := r.local.leftAt(all[i].User); ok {
			all[i].LastSeen = &at
		} else if at, ok := seen[all[i].User]; ok {
			all[i].LastSeen = &at
		}
	}
	return nil
}

// stateOf is what the person's devices on this node add up to.
func (m *Memory) stateOf(u wire.UserID) wire.PresenceState {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.people[u]; p != nil {
		return p.state()
	}
	return wire.Offline
}

// leftAt is when the person's last device here left, while that is not announced yet.
func (m *Memory) leftAt(u wire.UserID) (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.people[u]
	if p == nil {
		return time.Time{}, false
	}
	return p.seen.UTC().Truncate(time.Millisecond), true
}

func (r *Redis) key(u wire.UserID) string       { return r.cfg.Prefix + "presence:{" + string(u) + "}" }
func (r *Redis) nodesKey() string               { return r.cfg.Prefix + "presence:nodes" }
func (r *Redis) membersKey(node string) string  { return r.cfg.Prefix + "presence:on:" + node }
func (r *Redis) sweepingKey(node string) string { return r.cfg.Prefix + "presence:sweep:" + node }
