package load

import (
	"context"
	"sync"
	"time"
)

// How much is under way at the same time, of all workers together, when there is
// no hurry: so much that no node is idle, and so little that none of it waits
// long.
const (
	connectAtOnce = 64
	meetAtOnce    = 64
)

// IdleConfig of an Idle run.
type IdleConfig struct {
	// Conns is the number of sockets. 0 means 1000.
	Conns int
	// Seconds is how long they are held. 0 means 5.
	Seconds float64
	// Every is how often, in seconds, each socket gets a stored message from
	// another one meanwhile. 0 means never.
	Every float64
}

// Idle opens authenticated sockets of one user each, spread over the nodes, holds
// them, and measures what a connect costs and how much memory a socket keeps:
// the growth of the nodes' processes, after a collection before and after, and
// as it is after every minute between. The connect that is measured is a
// returning user's: everybody has been here once before. With Every, lost,
// doubled and reordered count messages, each between two nodes if there are
// several, and lost the sockets that nodes have dropped, too.
func Idle(ctx context.Context, nodes []Target, cfg IdleConfig) (Result, error) {
	if cfg.Conns <= 0 {
		cfg.Conns = 1000
	}
	if cfg.Seconds <= 0 {
		cfg.Seconds = 5
	}
	result := Result{Bench: "idle"}
	f, err := newFleet(ctx, cfg.Conns)
	if err != nil {
		return result, err
	}
	defer f.close()
	mem, err := newMemory(ctx, nodes)
	if err != nil {
		return result, err
	}
	opened, err := f.open(ctx, nodes, &result)
	if err != nil {
		return result, err
	}
	talked, err := f.hold(ctx, cfg, mem)
	if err != nil {
		return result, err
	}
	if err := mem.finish(ctx); err != nil {
		return result, err
	}
	result.Memory = mem.perConn(opened.OpenAt)
	if len(nodes) > 1 {
		for i, t := range nodes {
			result.Nodes = append(result.Nodes, NodeResult{URL: t.URL, Conns: opened.OpenAt[i], Memory: mem.perConn(opened.OpenAt, i)})
		}
	}
	held, err := f.tell(order{Do: "report"})
	result.Lost = talked.Dropped + held.Dropped + talked.Sent - talked.Arrived
	result.Doubled, result.Reordered = talked.Doubled, talked.Reordered
	for _, a := range []account{opened, talked, held} {
		result.Errors += a.Errors
		result.ErrorsSaid = mergeSaid(result.ErrorsSaid, a.Said)
	}
	return result, err
}

// open opens the sockets twice and measures the second time.
func (f *fleet) open(ctx context.Context, nodes []Target, r *Result) (account, error) {
	var urls []string
	var pids []int
	for _, t := range nodes {
		urls, pids = append(urls, t.SocketURL), append(pids, t.PID)
	}
	first, err := f.tell(order{Do: "open", SocketURLs: urls, Deflate: nodes[0].Deflate, AtOnce: connectAtOnce})
	if err != nil {
		return account{}, err
	}
	if _, err := f.tell(order{Do: "cut"}); err != nil {
		return account{}, err
	}
	if err := pause(ctx, 1); err != nil { // for the nodes to notice
		return account{}, err
	}
	m := newMeter(pids...)
	a, err := f.tell(order{Do: "connect", AtOnce: connectAtOnce})
	r.Units = a.Open
	m.finish(r)
	r.ConnectCPUUs, r.ServerCPUUsPerUnit = r.ServerCPUUsPerUnit, 0
	took := a.times()
	r.P50MS, r.P99MS = took.at(0.50), took.at(0.99)
	a.Errors += first.Errors
	a.Said = mergeSaid(a.Said, first.Said)
	return a, err
}

// hold keeps the sockets for a while, silent or talking.
func (f *fleet) hold(ctx context.Context, cfg IdleConfig, mem *memory) (talked account, err error) {
	if cfg.Every <= 0 {
		return talked, mem.watch(ctx, cfg.Seconds)
	}
	if _, err := f.tell(order{Do: "meet", AtOnce: meetAtOnce}); err != nil {
		return talked, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var talking sync.WaitGroup
	talking.Go(func() {
		var failed error
		if talked, failed = f.tell(order{Do: "talk", EveryMS: int(1000 * cfg.Every), ForMS: int(1000 * cfg.Seconds)}); failed != nil {
			stop(failed)
		}
	})
	err = mem.watch(ctx, cfg.Seconds)
	talking.Wait()
	if failed := context.Cause(ctx); failed != nil {
		return talked, failed
	}
	return talked, err
}

// pause waits for the given seconds or until ctx ends.
func pause(ctx context.Context, seconds float64) error {
	timer := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
