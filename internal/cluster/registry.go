// Package cluster knows which nodes there are and counts what is limited over
// all of them. It owns the registry of nodes and the rate limits, each in
// memory for one node and on Redis for several, and knows no feature.
package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"parley/internal/clock"
)

// A Node is one process of a Parley, as it describes itself.
type Node struct {
	ID      string    `json:"id"`
	Name    string    `json:"name" doc:"its machine and port, which it keeps over restarts"`
	Address string    `json:"address" doc:"where clients reach it"`
	Roles   []string  `json:"roles" doc:"what it does: hub, turn, media"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Load    Load      `json:"load"`
}

// Load is what a node carries now.
type Load struct {
	Sockets  int     `json:"sockets"`
	People   int     `json:"people" doc:"with a device connected to it"`
	Rooms    int     `json:"rooms" doc:"calls on its SFU"`
	Relays   int     `json:"relays" doc:"allocations on its relay"`
	CPU      float64 `json:"cpu" doc:"processor seconds per second since the last beat"`
	Draining bool    `json:"draining" doc:"takes no new sockets"`
}

// ErrUnknown says that no node has that id or name; ErrSilent that it is listed
// but did not do what it was told.
var (
	ErrUnknown = errors.New("cluster: no such node")
	ErrSilent  = errors.New("cluster: the node does not do what it is told")
)

// Find returns the node with that id or name.
func Find(list []Node, which string) (Node, error) {
	for _, n := range list {
		if n.ID == which || n.Name == which {
			return n, nil
		}
	}
	return Node{}, ErrUnknown
}

// Registry lists the nodes that are alive.
type Registry interface {
	// Nodes returns them, the longest running first.
	Nodes(ctx context.Context) ([]Node, error)
	// Run keeps this node on the list until ctx ends, then takes it off.
	Run(ctx context.Context) error
}

// Alone is the Registry of a single node.
type Alone struct{ Self func() Node }

// Nodes implements Registry.
func (a Alone) Nodes(context.Context) ([]Node, error) { return []Node{a.Self()}, nil }

// Run implements Registry.
func (a Alone) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// SharedConfig configures a Shared; Client, ID, Self and Clock must be given.
type SharedConfig struct {
	Client redis.UniversalClient
	// Prefix begins every key, the same on all nodes. Default "parley:".
	Prefix string
	// ID is this node's.
	ID string
	// Self describes this node; it is called at every beat.
	Self func() Node
	// Lease is how long a node that does not beat stays on the list. Default
	// 10 s, by the clock of Redis. Beat is how often it does. Default 2 s.
	Lease, Beat time.Duration
	Clock       clock.Clock
	Log         *slog.Logger // nil discards
}

// Shared is the Registry of several nodes: a key for each that expires, and a
// set of their ids.
type Shared struct{ cfg SharedConfig }

// NewShared makes the registry; the node is listed once Run runs.
func NewShared(cfg SharedConfig) *Shared {
	if cfg.Prefix == "" {
		cfg.Prefix = "parley:"
	}
	if cfg.Lease == 0 {
		cfg.Lease = 10 * time.Second
	}
	if cfg.Beat == 0 {
		cfg.Beat = 2 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Shared{cfg: cfg}
}

func (s *Shared) idsKey() string           { return s.cfg.Prefix + "nodes" }
func (s *Shared) nodeKey(id string) string { return s.cfg.Prefix + "node:" + id }

// Run implements Registry.
func (s *Shared) Run(ctx context.Context) error {
	quiet := false
	for {
		err := s.beat(ctx)
		if err != nil && !quiet && ctx.Err() == nil {
			s.cfg.Log.Warn("this node is not on the list of nodes", "err", err)
		}
		quiet = err != nil
		if s.cfg.Clock.Wait(ctx, s.cfg.Clock.Now().Add(s.cfg.Beat)) != nil {
			return s.leave(ctx)
		}
	}
}

func (s *Shared) beat(ctx context.Context) error {
	body, err := json.Marshal(s.cfg.Self())
	if err != nil {
		return err
	}
	pipe := s.cfg.Client.Pipeline()
	pipe.Set(ctx, s.nodeKey(s.cfg.ID), body, s.cfg.Lease)
	pipe.SAdd(ctx, s.idsKey(), s.cfg.ID)
	_, err = pipe.Exec(ctx)
	return err
}

// leave takes the node off the list; if that fails its lease does it.
func (s *Shared) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	pipe := s.cfg.Client.Pipeline()
	pipe.Del(ctx, s.nodeKey(s.cfg.ID))
	pipe.SRem(ctx, s.idsKey(), s.cfg.ID)
	if _, err := pipe.Exec(ctx); err != nil {
		s.cfg.Log.Debug("this node stays listed until its lease ends", "err", err)
	}
	return nil
}

// Nodes implements Registry. While Redis is away it answers an error.
func (s *Shared) Nodes(ctx context.Context) ([]Node, error) {
	ids, err := s.cfg.Client.SMembers(ctx, s.idsKey()).Result()
	if err != nil {
		return nil, fmt.Errorf("cluster: nodes: %w", err)
	}
	pipe := s.cfg.Client.Pipeline()
	asked := make([]*redis.StringCmd, len(ids))
	for i, id := range ids {
		asked[i] = pipe.Get(ctx, s.nodeKey(id))
	}
	if _, err := pipe.Exec(ctx); err != nil && err != redis.Nil && len(ids) > 0 { //nolint:errorlint // the library returns it bare
		return nil, fmt.Errorf("cluster: nodes: %w", err)
	}
	var nodes []Node
	for i, a := range asked {
		var n Node
		if a.Err() != nil {
			s.cfg.Client.SRem(ctx, s.idsKey(), ids[i]) // its lease is over; if this fails the next one does it
		} else if err := json.Unmarshal([]byte(a.Val()), &n); err == nil { // a later version's may not read
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b Node) int { return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID)) })
	return nodes, nil
}

// Meter turns the processor time a process has used into a load.
type Meter struct {
	mu   sync.Mutex
	used time.Duration
	at   time.Time
	last float64
}

// Load is the share of one processor used since the last call, at least a second ago.
func (m *Meter) Load(used time.Duration, now time.Time) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if passed := now.Sub(m.at); passed >= time.Second {
		if !m.at.IsZero() {
			m.last = float64(used-m.used) / float64(passed)
		}
		m.used, m.at = used, now
	}
	return m.last
}
