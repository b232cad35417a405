package app

import (
	"context"
	"net"
	"os"
	"syscall"
	"time"

	"parley/api"
	"parley/internal/auth"
	"parley/internal/cluster"
	"parley/wire"
)

// newRegistry lists this node, and the others where there are any.
func (p *parts) newRegistry(n *Node) cluster.Registry {
	if p.redis == nil {
		return cluster.Alone{Self: p.self}
	}
	return cluster.NewShared(cluster.SharedConfig{
		Client: p.redis, Prefix: n.opts.Config.Redis.Prefix, ID: p.nodeID, Self: p.self, Clock: n.clock, Log: n.log,
	})
}

// nameOf tells a node from the others by its machine and port.
func nameOf(at net.Addr) string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	_, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return host
	}
	return net.JoinHostPort(host, port)
}

// amongOthers is this node's id for the others; empty when there are none.
func (p *parts) amongOthers() string {
	if p.redis == nil {
		return ""
	}
	return p.nodeID
}

// roleMedia is the role of nodes that hold calls' rooms.
const roleMedia = "media"

// self describes this node.
func (p *parts) self() cluster.Node {
	node := cluster.Node{
		ID: p.nodeID, Name: p.name, Address: p.node.baseURL, Roles: []string{"hub"}, Version: Version, Started: p.started,
		Load: cluster.Load{Sockets: p.hub.Sockets(), People: p.board.People(), CPU: p.meter.Load(processTime(), time.Now()), Draining: p.draining.Load()},
	}
	if p.turn != nil {
		node.Roles = append(node.Roles, "turn")
		node.Load.Relays = int(p.turn.Allocations())
	}
	if p.sfu != nil {
		node.Roles = append(node.Roles, roleMedia)
		node.Load.Rooms = len(p.sfu.Rooms())
	}
	return node
}

// processTime is the processor time this process has used.
func processTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// devices signs people out (api.Devices).
type devices struct {
	list     *auth.Devices
	verifier *auth.Verifier
}

// Devices implements api.Devices.
func (d devices) Devices(ctx context.Context, user wire.UserID) ([]api.DeviceInfo, error) {
	found, err := d.list.List(ctx, user)
	infos := make([]api.DeviceInfo, len(found))
	for i, f := range found {
		infos[i] = api.DeviceInfo{Device: f.ID, Since: f.First, Last: f.Last}
	}
	return infos, err
}

// SignOut implements api.Devices.
func (d devices) SignOut(ctx context.Context, user wire.UserID, device wire.DeviceID) error {
	return d.list.SignOut(ctx, user, device)
}

// RevokeToken implements api.Devices.
func (d devices) RevokeToken(ctx context.Context, id string, until time.Time) error {
	return d.verifier.RevokeToken(ctx, id, until)
}
