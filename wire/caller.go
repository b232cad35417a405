package wire

import (
	"net/netip"
	"slices"
)

// A Role says on whose behalf an operation runs.
type Role string

// The roles. A server key may do what users may, on their behalf, and more;
// an operator may look at everything and change nothing.
const (
	RoleUser     Role = "user"
	RoleServer   Role = "server"
	RoleOperator Role = "operator"
)

// Caller is who asks: filled by the door that let the request in, never by the
// request's own content.
type Caller struct {
	Role    Role
	User    UserID    // the person; empty for a server key that acts for nobody
	Device  DeviceID  // the device of the socket or token; may be empty on REST
	Session SessionID // the socket; empty on REST
	Scopes  []string  // from the token; empty means everything its role may
	// Topics are the open topics that the token lets the user join and publish to; nil means none.
	Topics *TopicGrants
	Addr   netip.Addr
	// RequestID is quoted in problems and logs.
	RequestID string
	// IdempotencyKey is the client's key of a write that moves money, else empty.
	IdempotencyKey string
	// TraceParent is the W3C trace context of the request, else empty.
	TraceParent string
}

// TopicGrants are patterns of names of open topics, as a token's claim "topics" has them.
type TopicGrants struct {
	Join    []string `json:"join,omitempty"`
	Publish []string `json:"publish,omitempty"`
}

// Allows reports whether the caller's token covers scope. A token without
// scopes covers all that its role may do.
func (c Caller) Allows(scope string) bool {
	return scope == "" || len(c.Scopes) == 0 || slices.Contains(c.Scopes, scope)
}

// IsServer reports whether a server key asks.
func (c Caller) IsServer() bool { return c.Role == RoleServer }
