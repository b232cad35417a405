package app

import (
	"context"
	"encoding/json"

	"parley/hub/broker"
	"parley/hub/presence"
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
	var err error
	p.redis, err = redisdb.Open(redisdb.Config{URLs: cfg.URL, Master: cfg.Sentinel, Cluster: cfg.Cluster, Password: cfg.Password})
	if err != nil {
		return err
	}
	p.broker = broker.NewRedis(broker.RedisConfig{Client: p.redis, Prefix: cfg.Prefix, Metrics: p.registry, Log: n.log})
	return nil
}

// board is a presence.Board with its long-lived part.
type board interface {
	presence.Board
	Run(ctx context.Context) error
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
	if p.room == nil || w.From == p.nodeID {
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
