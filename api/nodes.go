package api

import (
	"context"

	"parley/internal/cluster"
	"parley/wire"
)

// Nodes lists the nodes that are alive.
type Nodes interface {
	Nodes(ctx context.Context) ([]cluster.Node, error)
}

type nodesOut struct {
	Items []cluster.Node `json:"items"`
}

func nodeOperations(n Nodes) []Operation {
	return []Operation{
		Op(Row{Name: "nodes.list", Method: "GET", Path: "/v1/nodes", Roles: []wire.Role{wire.RoleOperator, wire.RoleServer},
			Summary:     "Which nodes there are",
			Description: "Every node that is alive, with its address, roles, version and load, the longest running first. A node that dies leaves the list within ten seconds."},
			func(ctx context.Context, _ wire.Caller, _ None) (nodesOut, error) {
				list, err := n.Nodes(ctx)
				return nodesOut{Items: orEmpty(list)}, err
			}),
	}
}
