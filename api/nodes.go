package api

import (
	"context"
	"time"

	"parley/internal/cluster"
	"parley/wire"
)

// Nodes lists the nodes that are alive, and empties one.
type Nodes interface {
	Nodes(ctx context.Context) ([]cluster.Node, error)
	// Drain has the node with this id or name take no new sockets and send those
	// it has elsewhere within that time.
	Drain(ctx context.Context, node string, within time.Duration) (cluster.Node, error)
	// Undrain has it take sockets again.
	Undrain(ctx context.Context, node string) (cluster.Node, error)
}

var nodeRules = []Rule{
	{Is: cluster.ErrUnknown, Code: "node_unknown", Status: 404, Title: "Unknown node"},
	{Is: cluster.ErrSilent, Code: "node_silent", Status: 503, Title: "The node does not answer", RetryAfter: 5},
}

type nodesOut struct {
	Items []cluster.Node `json:"items"`
}

type nodeIn struct {
	Node string `path:"node" json:"node" minLength:"1" maxLength:"300" doc:"id or name"`
}

type nodeDrainIn struct {
	Node    string `path:"node" json:"node" minLength:"1" maxLength:"300" doc:"id or name"`
	WithinS int    `json:"within_s,omitempty" minimum:"1" maximum:"3600" default:"30" doc:"seconds over which its sockets are closed, spread evenly"`
}

func nodeOperations(n Nodes) []Operation {
	operators := []wire.Role{wire.RoleOperator, wire.RoleServer}
	return []Operation{
		Op(Row{Name: "nodes.list", Method: "GET", Path: "/v1/nodes", Roles: operators,
			Summary:     "Which nodes there are",
			Description: "Every node that is alive, with its address, roles, version and load, the longest running first. A node that dies leaves the list within ten seconds."},
			func(ctx context.Context, _ wire.Caller, _ None) (nodesOut, error) {
				list, err := n.Nodes(ctx)
				return nodesOut{Items: orEmpty(list)}, err
			}),
		Op(Row{Name: "nodes.drain", Method: "POST", Path: "/v1/nodes/{node}/drain", Roles: []wire.Role{wire.RoleServer},
			Summary:     "Empty a node",
			Description: "The node takes no new sockets, answers 503 on /readyz, and closes the sockets it has with 4010, spread evenly over the time; clients resume on another node. Calls, sweeps and requests on it go on. Answers when the node has begun."},
			func(ctx context.Context, _ wire.Caller, in nodeDrainIn) (cluster.Node, error) {
				return n.Drain(ctx, in.Node, time.Duration(in.WithinS)*time.Second)
			}),
		Op(Row{Name: "nodes.undrain", Method: "POST", Path: "/v1/nodes/{node}/undrain", Roles: []wire.Role{wire.RoleServer},
			Summary:     "Have a drained node take sockets again",
			Description: "Undoes nodes.drain, also while it goes on."},
			func(ctx context.Context, _ wire.Caller, in nodeIn) (cluster.Node, error) {
				return n.Undrain(ctx, in.Node)
			}),
	}
}
