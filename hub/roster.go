package hub

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"

	"parley/wire"
)

// errTooMany says that a user has as many sessions as allowed.
var errTooMany = errors.New("hub: too many sessions of this user")

// rosterShards spreads the users over locks.
const rosterShards = 64

// roster is who is here: the sessions of each user. A user's list is replaced,
// never changed, so that a broadcast walks it without a lock.
type roster struct {
	seed   maphash.Seed
	shards [rosterShards]rosterShard
}

type rosterShard struct {
	mu    sync.RWMutex
	users map[wire.UserID][]*session
}

func newRoster() *roster {
	r := &roster{seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].users = make(map[wire.UserID][]*session)
	}
	return r
}

func (r *roster) shard(u wire.UserID) *rosterShard {
	return &r.shards[maphash.String(r.seed, string(u))%rosterShards]
}

// of returns the sessions of u; the caller must not change the list.
func (r *roster) of(u wire.UserID) []*session {
	sh := r.shard(u)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.users[u]
}

// all returns every joined session.
func (r *roster) all() []*session {
	var list []*session
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.RLock()
		for _, sessions := range sh.users {
			list = append(list, sessions...)
		}
		sh.mu.RUnlock()
	}
	return list
}

// add adds s with a stamp newer than all before it, takes out and returns older
// sessions of its device, and refuses one over most.
func (r *roster) add(s *session, stamp func() int64, most int) (older []*session, err error) {
	sh := r.shard(s.caller.User)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	list := make([]*session, 0, len(sh.users[s.caller.User])+1)
	for _, other := range sh.users[s.caller.User] {
		if other.caller.Device == s.caller.Device {
			older = append(older, other)
		} else {
			list = append(list, other)
		}
	}
	if most >= 0 && len(list) >= most {
		return nil, errTooMany
	}
	s.stamp = stamp()
	sh.users[s.caller.User] = append(list, s)
	return older, nil
}

// remove takes s out.
func (r *roster) remove(s *session) {
	u := s.caller.User
	sh := r.shard(u)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i := slices.Index(sh.users[u], s)
	switch {
	case i < 0:
	case len(sh.users[u]) == 1:
		delete(sh.users, u)
	default:
		sh.users[u] = append(slices.Clone(sh.users[u][:i]), sh.users[u][i+1:]...)
	}
}

// topicNodes is the bus topic that reaches every node. A user's topic is the
// user's id, which has no "#".
const topicNodes = "#nodes"

// topicOf is the bus topic that reaches one node.
func topicOf(node string) string { return "#node:" + node }

// enter puts s on the roster and subscribes to its user's topic. It returns the
// sessions of the same device, here, that s replaces.
func (h *Hub) enter(ctx context.Context, s *session) (older []*session, err error) {
	older, err = h.roster.add(s, h.nextStamp, h.cfg.MaxPerUser)
	if err != nil {
		return nil, err
	}
	if err := h.bus.Subscribe(ctx, string(s.caller.User)); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.subscribed = true
	s.mu.Unlock()
	return older, nil
}

// leave takes s off the roster and out of the topics it has joined; it may be called more than once.
func (h *Hub) leave(s *session) {
	s.mu.Lock()
	joined, subscribed := s.caller.User != "", s.subscribed
	s.subscribed = false
	s.mu.Unlock()
	if joined {
		h.roster.remove(s)
	}
	s.stand(func(string) bool { return true })
	if subscribed {
		h.bus.Unsubscribe(string(s.caller.User))
	}
}
