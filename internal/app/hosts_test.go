package app

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/cluster"
	"parley/signaling"
)

// town is a list of nodes that changes.
type town struct {
	t     *testing.T
	h     *hosts
	nodes []cluster.Node
	err   error
	able  bool
}

func newTown(t *testing.T, nodes ...cluster.Node) *town {
	w := &town{t: t, nodes: nodes, able: true}
	w.h = &hosts{self: "here", able: func() bool { return w.able }, nodes: func(context.Context) ([]cluster.Node, error) { return w.nodes, w.err }}
	return w
}

// node is one with a media server and so many rooms.
func mediaNode(id string, rooms int) cluster.Node {
	return cluster.Node{ID: id, Name: id, Roles: []string{"hub", roleMedia}, Load: cluster.Load{Rooms: rooms}}
}

func (w *town) want(now, want string) {
	w.t.Helper()
	got, err := w.h.choose(context.Background(), now)
	if got != want || (want == "") != errors.Is(err, signaling.ErrNoSFU) {
		w.t.Errorf("a room on %q: %q, %v; want %q", now, got, err, want)
	}
}

// pass lets the list grow old.
func pass(d time.Duration) { <-time.After(d) }

func TestHosts_TheLeastLoadedTakesTheRoomThisOneFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hubOnly := cluster.Node{ID: "hub", Name: "hub", Roles: []string{"hub"}}
		w := newTown(t, mediaNode("here", 1), mediaNode("b", 1), mediaNode("c", 3), hubOnly)
		w.want("", "here")
		w.want("", "b") // since the last list, one was placed here
		w.want("", "here")
		w.nodes[2].Load.Rooms = 0
		pass(hostsAge)
		w.want("", "c")
		w.able = false
		w.want("", "b")
		w.nodes = []cluster.Node{mediaNode("here", 0), hubOnly}
		pass(hostsAge)
		w.want("", "")
	})
}

func TestHosts_ARoomStaysWhereItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, mediaNode("here", 9), mediaNode("b", 9), mediaNode("c", 0))
		w.want("here", "here")
		w.want("b", "b")
		w.nodes[1].Load.Draining, w.able = true, false
		pass(hostsAge)
		w.want("b", "c")
		w.want("here", "c")
		w.nodes = w.nodes[:2] // there is no other: better drained than none
		pass(hostsAge)
		w.want("b", "b")
		w.want("here", "here")
	})
}

// A node is dead when it was missing from whole lists for longer than a beat.
func TestHosts_ADeadNodeIsMissedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, mediaNode("here", 0), mediaNode("b", 0))
		w.want("b", "b")
		b := w.nodes[1]
		w.nodes = w.nodes[:1]
		pass(hostsAge)
		w.want("b", "b")
		w.nodes = append(w.nodes, b) // it was late
		pass(hostsAge)
		w.want("b", "b")
		w.nodes = w.nodes[:1]
		pass(hostGone) // not missed before
		w.want("b", "b")
		pass(hostGone - time.Millisecond)
		w.want("b", "b")
		pass(hostsAge)
		w.want("b", "here")
	})
}

// A Redis that is away, or was restarted empty, says nothing about who is dead.
func TestHosts_AListThatCannotBeTrustedMovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, mediaNode("here", 0), mediaNode("b", 0))
		w.want("b", "b")
		w.err = errors.New("redis is away")
		for range 5 {
			pass(hostGone)
			w.want("b", "b")
		}
		w.want("", "here")
		w.err, w.nodes = nil, nil
		for range 5 {
			pass(hostGone)
			w.want("b", "b")
		}
		w.nodes = []cluster.Node{mediaNode("here", 0)}
		pass(hostsAge)
		w.want("b", "b")
	})
}

// A node that was started again has died before, though its lease goes on.
func TestHosts_ARestartedNodeIsAnotherOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, young := mediaNode("b", 0), mediaNode("b2", 5)
		young.Name, young.Started = "b", time.Now().Add(time.Second)
		w := newTown(t, mediaNode("here", 9), old)
		w.want("b", "b")
		w.nodes = append(w.nodes, young)
		pass(hostsAge)
		w.want("b", "b2")
		w.want("", "b2")
	})
}

// A node alone needs no list: the room of another one is that of its last run.
func TestHosts_AloneTakesItsOldRoomsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, mediaNode("here", 0))
		w.h.alone = true
		w.want("before", "here")
	})
}
