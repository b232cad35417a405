package app

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"parley/internal/cluster"
)

// nodeWord tells one node what to do; it goes to all of them over the bus.
type nodeWord struct {
	Do       string `json:"do"`           // drain or undrain
	To       string `json:"to"`           // node
	WithinMS int64  `json:"ms,omitempty"` // of drain
}

const (
	wordDrain   = "drain"
	wordUndrain = "undrain"
)

// nodeDoor is the list of nodes and what can be done to them (api.Nodes).
type nodeDoor struct {
	cluster.Registry
	p *parts
}

// Drain implements api.Nodes.
func (n nodeDoor) Drain(ctx context.Context, node string, within time.Duration) (cluster.Node, error) {
	return n.tell(ctx, node, nodeWord{Do: wordDrain, WithinMS: within.Milliseconds()})
}

// Undrain implements api.Nodes.
func (n nodeDoor) Undrain(ctx context.Context, node string) (cluster.Node, error) {
	return n.tell(ctx, node, nodeWord{Do: wordUndrain})
}

// tellTries is how often a word is said, half a second apart: the bus may lose
// it, and the list shows what a node does two seconds late.
const tellTries = 12

// tell says w to a node until the list shows that it does so.
func (n nodeDoor) tell(ctx context.Context, which string, w nodeWord) (cluster.Node, error) {
	for try := range tellTries {
		list, err := n.Nodes(ctx)
		if err != nil {
			return cluster.Node{}, err
		}
		node, err := cluster.Find(list, which)
		if err != nil || try > 0 && node.Load.Draining == (w.Do == wordDrain) {
			return node, err
		}
		w.To = node.ID
		if err := n.say(w, try); err != nil {
			return node, err
		}
		if err := n.p.node.clock.Wait(ctx, n.p.node.clock.Now().Add(500*time.Millisecond)); err != nil {
			return node, err
		}
	}
	return cluster.Node{}, cluster.ErrSilent
}

// say hands w to its node, every fourth time.
func (n nodeDoor) say(w nodeWord, try int) error {
	if try%4 != 0 {
		return nil
	}
	if w.To == n.p.nodeID { // also without a bus
		n.p.drainer.told(w)
		return nil
	}
	body, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return n.p.hub.TellNodes(body)
}

// drainer empties this node when it is told to.
type drainer struct {
	p      *parts
	orders chan nodeWord
}

func newDrainer(p *parts) *drainer { return &drainer{p: p, orders: make(chan nodeWord, 4)} }

// told takes an order; it never blocks. One too many is dropped: it will be said again.
func (d *drainer) told(w nodeWord) {
	select {
	case d.orders <- w:
	default:
		d.p.log.Warn("orders to this node come faster than it takes them", "do", w.Do)
	}
}

// Run does what it is told until ctx ends. An order of the kind that is being
// carried out already changes nothing.
func (d *drainer) Run(ctx context.Context) error {
	undo := func() {}
	defer func() { undo() }()
	for {
		select {
		case w := <-d.orders:
			switch {
			case w.Do == wordDrain && d.p.draining.CompareAndSwap(false, true):
				undo() // of one that has ended
				undo = d.start(ctx, time.Duration(w.WithinMS)*time.Millisecond)
			case w.Do == wordUndrain && !d.p.stopping.Load() && d.p.draining.CompareAndSwap(true, false):
				undo()
				d.p.hub.Reopen()
				d.p.log.Info("no longer draining")
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// start empties the node within that time; undo ends that and waits until it has ended.
func (d *drainer) start(ctx context.Context, within time.Duration) (undo func()) {
	d.p.log.Info("draining", "within", within)
	ctx, cancel := context.WithTimeout(ctx, within)
	var emptying sync.WaitGroup
	emptying.Go(func() { d.empty(ctx) })
	return func() {
		cancel()
		emptying.Wait()
	}
}

func (d *drainer) empty(ctx context.Context) {
	defer d.p.moveRooms(ctx)()
	if err := d.p.hub.Drain(ctx); errors.Is(err, context.DeadlineExceeded) {
		d.p.log.Warn("sockets were still open at the end of the drain", "sockets", d.p.hub.Sockets())
	} else if err == nil {
		d.p.log.Info("drained")
	}
}
