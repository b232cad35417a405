package app

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"parley/hub/broker"
	"parley/hub/presence"
	"parley/internal/config"
	"parley/internal/redisdb"
	"parley/wire"
)

// prefixNode begins the ids that nodes give themselves at start.
const prefixNode = "node_"

// buildCluster connects the node to the others, where redis.url says where they meet.
func (p *parts) buildCluster(n *Node) error {
	p.nodeID = wire.NewID[string](prefixNode, n.clock.Now())
	cfg := n.opts.Config.Redis
	if len(cfg.URL) == 0 {
		p.broker = broker.NewMemory(broker.MemoryConfig{Metrics: p.registry})
		return nil
	}
	if strings.ContainsAny(cfg.Prefix, "{}") {
		return fmt.Errorf("redis.prefix %q: braces choose the hash slot of a Cluster and may not be in it", cfg.Prefix)
	}
	var err error
	if p.redis, err = openRedis(cfg); err != nil {
		return err
	}
	p.broker = broker.NewRedis(broker.RedisConfig{Client: p.redis, Prefix: cfg.Prefix, Metrics: p.registry, Log: n.log})
	return nil
}

func openRedis(cfg config.Redis) (redisdb.Client, error) {
	return redisdb.Open(redisdb.Config{URLs: cfg.URL, Master: cfg.Sentinel, Cluster: cfg.Cluster, Password: cfg.Password})
}

// checkRedis looks whether Redis answers, and in time, where one is configured.
func checkRedis(ctx context.Context, cfg config.Config) []finding {
	if len(cfg.Redis.URL) == 0 {
		return nil
	}
	client, err := openRedis(cfg.Redis)
	if err != nil {
		return []finding{{"redis", err.Error(), "correct redis.url, redis.sentinel and redis.cluster", true}}
	}
	defer func() { _ = client.Close() }() // nothing was written
	asked := time.Now()
	if err := client.Ping(ctx).Err(); err != nil {
		return []finding{{"redis", fmt.Sprintf("does not answer: %v", err), "start it, or correct redis.url and redis.password", true}}
	}
	return []finding{{"redis", fmt.Sprintf("answers in %v", time.Since(asked).Round(10*time.Microsecond)), "", false}}
}

// board is a presence.Board with its long-lived part.
type board interface {
	presence.Board
	Run(ctx context.Context) error
	// People is how many people have a device connected to this node.
	People() int
}

func (p *parts) newBoard(deps presence.Deps) board {
	if p.redis == nil {
		return presence.NewMemory(presence.Config{}, deps)
	}
	return presence.NewRedis(presence.RedisConfig{Client: p.redis, Node: p.nodeID, Prefix: p.node.opts.Config.Redis.Prefix}, deps)
}

// roomWord tells the other nodes of what ends or changes in a call's room and
// relay: the one that has them acts.
type roomWord struct {
	From   string        `json:"from"` // node
	Do     string        `json:"do"`   // leave, close or mute
	Call   wire.CallID   `json:"call"`
	User   wire.UserID   `json:"user,omitempty"`
	Device wire.DeviceID `json:"device,omitempty"`
	Muted  bool          `json:"muted,omitempty"`
}

// tellOthers hands w to the other nodes.
func (r *rooms) tellOthers(w roomWord) {
	if r.tell == nil {
		return
	}
	w.From = r.node
	body, err := json.Marshal(w)
	if err == nil {
		err = r.tell(body)
	}
	if err != nil {
		r.events.log.Warn("other nodes not told of a room", "do", w.Do, "err", err)
	}
}

// told does what another node said.
func (p *parts) told(body []byte) {
	var w roomWord
	if err := json.Unmarshal(body, &w); err != nil {
		p.log.Error("word between nodes not understood", "err", err)
		return
	}
	switch {
	case w.Do == wordDrain || w.Do == wordUndrain:
		p.toldNode(body)
		return
	case w.Do == wordTail || w.Do == wordUntail || w.Do == wordTailed:
		p.toldTail(body)
		return
	case p.room == nil || w.From == p.nodeID:
		return
	}
	p.rooms.background(func(context.Context) error {
		switch w.Do {
		case "leave":
			p.room.leave(w.Call, w.User, w.Device)
		case "close":
			p.room.close(w.Call)
		case "mute":
			p.room.mute(w.Call, w.User, w.Muted)
		}
		return nil
	})
}

// toldNode does what was said to this node alone.
func (p *parts) toldNode(body []byte) {
	var w nodeWord
	if json.Unmarshal(body, &w) == nil && w.To == p.nodeID {
		p.drainer.told(w)
	}
}

// toldTail passes on what was said about a tail.
func (p *parts) toldTail(body []byte) {
	var w tailWord
	if json.Unmarshal(body, &w) == nil {
		p.tails.told(w)
	}
}
