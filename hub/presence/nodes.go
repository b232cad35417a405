package presence

import (
	"context"
	"time"

	"parley/wire"
)

// beat renews this node's lease, and takes the people of dead nodes off the board.
func (r *Redis) beat(ctx context.Context) {
	pipe := r.cfg.Client.Pipeline()
	own := pipe.HIncrBy(ctx, r.nodesKey(), r.cfg.Node, 1)
	nodes := pipe.HGetAll(ctx, r.nodesKey())
	if _, err := pipe.Exec(ctx); err != nil {
		if !r.blind.Load() && ctx.Err() == nil {
			r.log.Warn("presence is this node's own only: Redis does not answer", "err", err)
		}
		r.blind.Store(true)
		return
	}
	if r.beats++; own.Val() != r.beats {
		if r.beats > 1 { // Redis lost what it knew, or this node was taken for dead
			r.log.Warn("presence reported anew")
			r.local.announceAll()
		}
		r.beats = own.Val()
	}
	r.remark(ctx)
	now := r.clock.Now()
	for _, dead := range r.watch(nodes.Val(), now) {
		if err := r.sweep(ctx, dead, now); err != nil && ctx.Err() == nil {
			r.log.Warn("people of a dead node not taken off yet", "node", dead, "err", err)
		}
	}
}

// watch notes which nodes have beaten since the last look and returns those
// that have not for the time of a lease, during which this node could see them.
func (r *Redis) watch(beats map[string]string, now time.Time) (dead []string) {
	for node := range r.others {
		if _, ok := beats[node]; !ok {
			delete(r.others, node)
		}
	}
	for node, n := range beats {
		if node == r.cfg.Node {
			continue
		}
		p := r.others[node]
		if p == nil {
			p = &peer{}
			r.others[node] = p
		}
		switch {
		case p.beats != n:
			p.beats, p.at = n, now
		case r.blind.Load(): // they could not beat either
			p.at = now
		case now.Sub(p.at) >= r.cfg.NodeLease:
			dead = append(dead, node)
		}
	}
	r.blind.Store(false)
	return dead
}

// sweepMax bounds the people taken off in one pipeline.
const sweepMax = 256

// sweep takes everybody off a dead node. One node at a time does it.
func (r *Redis) sweep(ctx context.Context, node string, now time.Time) error {
	free, err := r.cfg.Client.SetNX(ctx, r.sweepingKey(node), r.cfg.Node, r.cfg.NodeLease).Result()
	if err != nil || !free {
		return err
	}
	died := now
	if p := r.others[node]; p != nil {
		died = p.at // the last time it was seen alive
	}
	r.log.Warn("a node is dead: taking its people off", "node", node, "silent", now.Sub(died).String())
	for {
		people, err := r.cfg.Client.SRandMemberN(ctx, r.membersKey(node), sweepMax).Result()
		if err != nil {
			return err
		}
		if len(people) == 0 {
			break
		}
		if err := r.takeOff(ctx, node, people, died); err != nil {
			return err
		}
	}
	if err := r.cfg.Client.HDel(ctx, r.nodesKey(), node).Err(); err != nil {
		return err
	}
	return r.cfg.Client.Del(ctx, r.sweepingKey(node)).Err()
}

func (r *Redis) takeOff(ctx context.Context, node string, people []string, died time.Time) error {
	reports := make([]report, len(people))
	members := make([]any, len(people))
	for i, u := range people {
		members[i] = u
		reports[i] = r.at(node, change{Presence: wire.Presence{User: wire.UserID(u), State: wire.Offline}, was: wire.Offline, seen: died})
	}
	for _, err := range r.change(ctx, reports) {
		if err != nil {
			return err
		}
	}
	r.swept.Add(float64(len(people)))
	return r.cfg.Client.SRem(ctx, r.membersKey(node), members...).Err()
}
