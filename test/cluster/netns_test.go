package cluster_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// ip runs iproute2's command.
func ip(args ...string) error {
	out, err := exec.CommandContext(context.Background(), "ip", args...).CombinedOutput() //nolint:gosec // the test's own arguments
	if err != nil {
		return fmt.Errorf("ip %v: %w: %s", args, err, out)
	}
	return nil
}

// space is a network namespace with a wire to this machine for each of what a
// node talks to, so that one can be pulled like a cable.
type space struct {
	t    *testing.T
	name string
	net  int // third part of its addresses
}

// newSpace makes a namespace, or says why this machine has none: it takes root
// and iproute2.
func newSpace(t *testing.T, number int) (*space, error) {
	t.Helper()
	s := &space{t: t, name: fmt.Sprintf("parley%dx%d", os.Getpid(), number), net: 4 * number}
	if err := ip("netns", "add", s.name); err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = ip("netns", "del", s.name) }) // with its wires
	return s, ip("-n", s.name, "link", "set", "lo", "up")
}

// lay lays a wire: near is this machine's address on it, far the namespace's.
func (s *space) lay(number int) (wire, near, far string) {
	s.t.Helper()
	wire, inside := fmt.Sprintf("p%dn%dw%d", os.Getpid()%100000, s.net, number), fmt.Sprintf("wire%d", number)
	near, far = fmt.Sprintf("10.213.%d.1", s.net+number), fmt.Sprintf("10.213.%d.2", s.net+number)
	for _, args := range [][]string{
		{"link", "add", wire, "type", "veth", "peer", "name", inside, "netns", s.name},
		{"addr", "add", near + "/30", "dev", wire},
		{"link", "set", wire, "up"},
		{"-n", s.name, "addr", "add", far + "/30", "dev", inside},
		{"-n", s.name, "link", "set", inside, "up"},
	} {
		if err := ip(args...); err != nil {
			s.t.Fatal(err)
		}
	}
	s.t.Cleanup(func() { _ = ip("link", "del", wire) }) // gone with the namespace, as a rule
	return wire, near, far
}

// planIn prepares a node in a namespace of its own: its clients, its Redis and
// its database are behind a wire each.
func planIn(s *space, stores stores, sets ...string) *node {
	s.t.Helper()
	n := plan(s.t, stores)
	_, port, _ := net.SplitHostPort(n.listen)
	doorWire, _, far := s.lay(0)
	redisWire, redisNear, _ := s.lay(1)
	databaseWire, databaseNear, _ := s.lay(2)
	n.space, n.listen = s.name, far+":"+port
	n.door = newGate(s.t, n.listen)
	n.redis = newGateOn(s.t, redisNear, stores.redis.Addr)
	n.database = newGateOn(s.t, databaseNear, stores.postgres.addr)
	n.door.wire, n.redis.wire, n.database.wire = doorWire, redisWire, databaseWire
	for _, set := range append([]string{
		"http.listen=" + n.listen, "redis.url=redis://" + n.redis.addr, "database.url=" + stores.postgres.url(n.database.addr),
	}, sets...) {
		n.args = append(n.args, "--set", set)
	}
	return n
}

// A node is cut off from Redis, from the database and from its clients: by
// pulling network devices where this machine lets the test make namespaces,
// else by proxies that hold back.
func TestChat_SurvivesPartitions(t *testing.T) {
	w := newWorld(t)
	n := w.nodes[0]
	if s, err := newSpace(t, 1); err != nil {
		t.Logf("by proxies, for there are no network namespaces here: %v", err)
	} else {
		t.Log("by network namespaces")
		n.kill()
		n = planIn(s, w.stores)
		n.start()
		w.nodes[0] = n
	}
	for _, g := range []*gate{n.redis, n.database, n.door} {
		c := w.newChat(t, 6)
		g.shut()
		after(t, lasting(3*time.Second, 30*time.Second))
		g.reopen()
		n.awaitReady(200)
		c.check()
	}
}
