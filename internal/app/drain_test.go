package app_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"parley/client"
	"parley/internal/cluster"
	"parley/internal/redisdb/redistest"
	"parley/wire"
)

// awaitReady waits until readyz answers so.
func (n *node) awaitReady(status int) {
	n.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		resp, err := http.Get(n.info.URL + "/readyz")
		if err != nil {
			n.t.Fatal(err)
		}
		_ = resp.Body.Close() // nothing was read
		if resp.StatusCode == status {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			n.t.Fatalf("readyz answers %d, want %d", resp.StatusCode, status)
		}
	}
}

// shown is how the list of nodes shows the node whose sockets are at url.
func (n *node) shown(id string) cluster.Node {
	n.t.Helper()
	var list struct{ Items []cluster.Node }
	if err := n.server("").Do(context.Background(), "GET", "/v1/nodes", "", nil, &list); err != nil {
		n.t.Fatal(err)
	}
	found, err := cluster.Find(list.Items, id)
	if err != nil {
		n.t.Fatal(err)
	}
	return found
}

// id is the node's own, from the list.
func (n *node) id() string {
	n.t.Helper()
	var list struct{ Items []cluster.Node }
	if err := n.server("").Do(context.Background(), "GET", "/v1/nodes", "", nil, &list); err != nil {
		n.t.Fatal(err)
	}
	for _, one := range list.Items {
		if one.Address == n.info.URL {
			return one.ID
		}
	}
	n.t.Fatal("the node is not on its own list")
	return ""
}

// A node told to drain, over another one, closes its sockets and takes no new
// ones, goes on answering, and takes sockets again when that is undone.
func TestNodes_DrainOneOverAnother(t *testing.T) {
	twoNodes(t, func(t *testing.T, a, b *node, _ *redistest.Server) {
		b.awaitNodes(a.info.URL, b.info.URL)
		buyer, seller := a.join("buyer", "b1"), b.join("seller", "s1")
		drainAndUndo(t, a.id(), b, a, buyer)
		seller.do("devices.list", map[string]any{}) // its socket stayed
	})
}

func TestNode_DrainsItselfWithoutRedis(t *testing.T) {
	n := start(t, t.TempDir())
	drainAndUndo(t, n.shown(n.id()).Name, n, n, n.join("buyer", "b1"))
}

func drainAndUndo(t *testing.T, which string, by, n *node, p *person) {
	t.Helper()
	var node cluster.Node
	at := "/v1/nodes/" + which
	if err := by.server("").Do(t.Context(), "POST", at+"/drain", "", map[string]any{"within_s": 2}, &node); err != nil {
		t.Fatal(err)
	}
	if !node.Load.Draining || node.Address != n.info.URL {
		t.Errorf("the answer is %+v", node)
	}
	p.awaitClosed(wire.CloseDrain)
	n.awaitReady(http.StatusServiceUnavailable)
	_, err := client.Dial(t.Context(), client.Options{SocketURL: n.info.SocketURL, Token: n.token("buyer"), Device: "dev_b9"})
	if err == nil {
		t.Fatal("a draining node took a socket")
	}
	if err := by.server("").Do(t.Context(), "POST", at+"/undrain", "", nil, &node); err != nil || node.Load.Draining {
		t.Fatalf("undrain: %v, %+v", err, node)
	}
	n.awaitReady(http.StatusOK)
	n.join("buyer", "b9").do("devices.list", map[string]any{})
}

func TestNodes_DrainOfNoSuchNode(t *testing.T) {
	n := start(t, t.TempDir())
	wantCode(t, n.server("").Do(t.Context(), "POST", "/v1/nodes/node_0/drain", "", map[string]any{}, nil), "node_unknown")
	p := n.join("buyer", "b1")
	p.refused("forbidden", "nodes.drain", map[string]any{"node": "node_0"})
}
