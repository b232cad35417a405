package load

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// NodeResult is one node's part of a run over several.
type NodeResult struct {
	URL   string `json:"url"`
	Conns int64  `json:"conns"`
	Memory
}

// Memory is how many bytes a socket keeps resident in its node: how much the
// process has grown since it had none, divided by its sockets.
type Memory struct {
	// RSSBytesPerConn is the growth at the end, after a collection.
	RSSBytesPerConn int64 `json:"rss_bytes_per_conn,omitempty"`
	// RSSBytesPerConnByMinute is the growth after each full minute of holding
	// the sockets, with the garbage that lay about then.
	RSSBytesPerConnByMinute []int64 `json:"rss_bytes_per_conn_by_minute,omitempty"`
}

// memory follows what the processes of nodes have resident; what cannot be read is left out.
type memory struct {
	nodes   []Target
	before  []int64   // by node
	minutes [][]int64 // by minute, by node
	after   []int64   // by node
}

// newMemory reads what the nodes have resident without sockets, after a collection.
func newMemory(ctx context.Context, nodes []Target) (*memory, error) {
	m := &memory{nodes: nodes}
	var err error
	m.before, err = m.collected(ctx)
	return m, err
}

// watch reads the memory after each full minute of the given seconds, and returns when they are over.
func (m *memory) watch(ctx context.Context, seconds float64) error {
	begun := time.Now()
	for minute := 1; float64(60*minute) <= seconds; minute++ {
		if err := pause(ctx, time.Until(begun.Add(time.Duration(minute)*time.Minute)).Seconds()); err != nil {
			return err
		}
		m.minutes = append(m.minutes, m.read())
	}
	return pause(ctx, seconds-time.Since(begun).Seconds())
}

// finish reads the memory at the end.
func (m *memory) finish(ctx context.Context) (err error) {
	m.after, err = m.collected(ctx)
	return err
}

// perConn divides the growth of all nodes, or of the given ones, by their sockets.
func (m *memory) perConn(open []int64, nodes ...int) (r Memory) {
	if len(nodes) == 0 {
		for i := range m.nodes {
			nodes = append(nodes, i)
		}
	}
	of := func(now []int64) int64 {
		var grown, conns int64
		for _, i := range nodes {
			if m.before[i] == 0 || now[i] == 0 {
				return 0
			}
			grown, conns = grown+now[i]-m.before[i], conns+open[i]
		}
		return grown / max(1, conns)
	}
	r.RSSBytesPerConn = of(m.after)
	for _, now := range m.minutes {
		if b := of(now); b != 0 {
			r.RSSBytesPerConnByMinute = append(r.RSSBytesPerConnByMinute, b)
		}
	}
	return r
}

func (m *memory) collected(ctx context.Context) ([]int64, error) {
	for _, t := range m.nodes {
		if err := t.collect(ctx); err != nil {
			return nil, err
		}
	}
	return m.read(), nil
}

func (m *memory) read() []int64 {
	now := make([]int64, len(m.nodes))
	for i, t := range m.nodes {
		now[i], _ = RSS(t.PID) // 0 if it cannot be read
	}
	return now
}

// collect has the node collect its garbage and return what is free to the
// system, so that its resident memory is what it needs.
func (t Target) collect(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL+"/debug/collect", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+t.Keys.Secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("load: collect: %w", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("load: the node answers /debug/collect with %s; is --key a server key of it?", resp.Status)
	}
	return nil
}
