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

// told does what another node said.
func (p *parts) told(body []byte) {
	var w roomWord
	if err := json.Unmarshal(body, &w); err != nil {
		p.log.Error("word between nodes not understood", "err", err)
		return
	}
	switch w.Do {
	case wordDrain, wordUndrain:
		p.toldNode(body)
	case wordTail, wordUntail, wordTailed:
		p.toldTail(body)
	default:
		if p.room != nil && w.From != p.nodeID {
			p.room.told(w)
		}
	}
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
