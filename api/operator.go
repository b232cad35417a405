package api

import (
	"context"
	"slices"
	"time"

	"parley/internal/obs"
	"parley/payments"
	"parley/signaling"
	"parley/wire"
)

// Operator looks at a whole node, for the console.
type Operator interface {
	Overview(ctx context.Context) (Overview, error)
}

// Overview is what the console shows. Lists hold the newest first and are bounded.
type Overview struct {
	Node     NodeInfo             `json:"node"`
	Sockets  []SocketInfo         `json:"sockets"`
	Calls    []signaling.CallView `json:"calls"`
	Payments []payments.Payment   `json:"payments"`
	Accounts []AccountInfo        `json:"accounts"`
	Problems []obs.Problem        `json:"problems"`
	Topics   []TopicInfo          `json:"topics" doc:"open topics, the fullest first"`
	Counters map[string]int64     `json:"counters" doc:"how many there are of each list; names that end in _total count since the start of this node"`
}

// NodeInfo describes the process.
type NodeInfo struct {
	Version    string  `json:"version"`
	UptimeS    float64 `json:"uptime_s"`
	Goroutines int     `json:"goroutines"`
	HeapBytes  uint64  `json:"heap_bytes"`
	Database   string  `json:"database" enum:"sqlite3,postgres"`
}

// SocketInfo is one open session.
type SocketInfo struct {
	Session     wire.SessionID `json:"session"`
	User        wire.UserID    `json:"user"`
	Device      wire.DeviceID  `json:"device"`
	Since       time.Time      `json:"since"`
	Addr        string         `json:"addr"`
	QueuedBytes int            `json:"queued_bytes"`
}

// TopicInfo is an open topic that sessions of the node have joined.
type TopicInfo struct {
	Topic  string `json:"topic"`
	Joined int    `json:"joined" doc:"sessions of this node"`
}

// AccountInfo is one ledger account in one currency, in minor units.
type AccountInfo struct {
	ID       string `json:"id"`
	Currency string `json:"currency"`
	Posted   int64  `json:"posted"`
	Pending  int64  `json:"pending" doc:"reserved to leave"`
}

// byOperators lets operators call a row as well; what they change is audited.
func byOperators(r Row) Row {
	r.Roles = append(slices.Clone(r.Roles), wire.RoleOperator)
	return r
}

func operatorOperations(o Operator) []Operation {
	return []Operation{
		Op(Row{Name: "operator.overview", Method: "GET", Path: "/v1/operator/overview", Roles: []wire.Role{wire.RoleOperator, wire.RoleServer},
			Summary: "What the node is doing", Description: "Sockets, calls, payments, accounts and recent problems, without anything people said."},
			func(ctx context.Context, _ wire.Caller, _ None) (Overview, error) { return o.Overview(ctx) }),
	}
}
