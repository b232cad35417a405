package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"parley/internal/cluster"
	"parley/signaling"
)

// hosts chooses the nodes that hold calls' rooms, by the list of nodes.
type hosts struct {
	self  string
	able  func() bool // this node may take rooms
	alone bool        // and there are no others
	nodes func(context.Context) ([]cluster.Node, error)

	mu     sync.Mutex // guards what follows
	asked  time.Time  // when the list was last asked for
	list   []cluster.Node
	sure   bool                 // the list was read, and is whole enough to have this node
	picked map[string]int       // rooms given to nodes since the list was read
	gone   map[string]time.Time // nodes that were missed, since when
}

const (
	// hostsAge is how old the list of nodes may be.
	hostsAge = time.Second
	// hostGone is how long a node must be missing from the list before its rooms
	// move: longer than the time between two beats, since a list kept by a Redis
	// that was restarted empty fills up by and by.
	hostGone = 3 * time.Second
)

// choose says which node shall hold a room that now holds: that one as long as it
// lives, is not drained and has a media server, or there is no other; else the
// one with the fewest rooms, this one first. While the list cannot be read, rooms
// stay where they are and new ones are made here.
func (h *hosts) choose(ctx context.Context, now string) (string, error) {
	h.refresh(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if now != "" && (h.holds(now) || now != h.self && !h.sure) {
		return now, nil
	}
	best, fewest := "", 0
	if h.able() {
		best, fewest = h.self, h.roomsOf(h.self)
	}
	for _, n := range h.list {
		if n.ID == now || n.ID == h.self || !fit(n) || h.replaced(n) {
			continue
		}
		if rooms := h.roomsOf(n.ID); best == "" || rooms < fewest {
			best, fewest = n.ID, rooms
		}
	}
	switch {
	case best != "":
		if h.picked == nil {
			h.picked = map[string]int{}
		}
		h.picked[best]++
		return best, nil
	case now == h.self || h.find(now) >= 0: // drained, but there is no other
		return now, nil
	}
	return "", signaling.ErrNoSFU
}

// refresh reads the list unless it is young enough, or is being read.
func (h *hosts) refresh(ctx context.Context) {
	h.mu.Lock()
	due := h.asked.IsZero() || time.Since(h.asked) >= hostsAge
	if due {
		h.asked = time.Now()
	}
	h.mu.Unlock()
	if !due {
		return
	}
	list, err := h.nodes(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil { // else the last one is better than none
		h.list, h.picked = list, map[string]int{}
	}
	h.sure = err == nil && h.find(h.self) >= 0
	for id, since := range h.gone {
		if !h.sure || h.find(id) >= 0 || time.Since(since) > time.Minute {
			delete(h.gone, id)
		}
	}
}

// holds reports whether a node can go on holding rooms.
func (h *hosts) holds(node string) bool {
	if node == h.self {
		return h.able()
	}
	if i := h.find(node); i >= 0 {
		return fit(h.list[i]) && !h.replaced(h.list[i])
	}
	if h.alone {
		return false
	}
	if h.gone == nil {
		h.gone = map[string]time.Time{}
	}
	since, ok := h.gone[node]
	if !ok {
		since = time.Now()
		h.gone[node] = since
	}
	return time.Since(since) < hostGone
}

func (h *hosts) find(node string) int {
	return slices.IndexFunc(h.list, func(n cluster.Node) bool { return n.ID == node })
}

// replaced reports whether a younger node has n's name, so that n has died though its lease goes on.
func (h *hosts) replaced(n cluster.Node) bool {
	return slices.ContainsFunc(h.list, func(o cluster.Node) bool { return o.Name == n.Name && o.ID != n.ID && o.Started.After(n.Started) })
}

// roomsOf counts the rooms on a node, with those that it was given since the list was read.
func (h *hosts) roomsOf(node string) int {
	rooms := h.picked[node]
	if i := h.find(node); i >= 0 {
		rooms += h.list[i].Load.Rooms
	}
	return rooms
}

// fit reports whether a node takes rooms.
func fit(n cluster.Node) bool { return slices.Contains(n.Roles, roleMedia) && !n.Load.Draining }

// mayHost reports whether this node takes rooms.
func (p *parts) mayHost() bool { return p.sfu != nil && !p.draining.Load() }

// roomsLinger bounds how long a node that empties itself waits for the people in
// its rooms to have joined elsewhere.
const roomsLinger = 5 * time.Second

// moveRooms moves the rooms of this node, which takes none any longer, and
// returns a wait for the people in them to have gone, bounded by ctx.
func (p *parts) moveRooms(ctx context.Context) (wait func()) {
	moved, err := p.calls.MoveRooms(ctx)
	if err != nil {
		p.log.Warn("rooms not moved", "err", err)
	}
	if moved == 0 || p.sfu == nil {
		return func() {}
	}
	p.log.Info("rooms moved to other nodes", "rooms", moved)
	return func() { p.awaitEmptyRooms(ctx) }
}

func (p *parts) awaitEmptyRooms(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, roomsLinger)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for p.inRooms() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// inRooms counts the people who are connected to this node's rooms.
func (p *parts) inRooms() (people int) {
	for _, room := range p.sfu.Rooms() {
		for _, who := range room.Participants {
			if who.State == "connected" {
				people++
			}
		}
	}
	return people
}
