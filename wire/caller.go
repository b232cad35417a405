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
	Addr    netip.Addr
	// RequestID is quoted in problems and logs.
	RequestID string
	// IdempotencyKey is the client's key of a write that moves money, else empty.
	IdempotencyKey string
	// TraceParent is the W3C trace context of the request, else empty.
	TraceParent string
}

// Allows reports whether the caller's token covers scope. A token without
// scopes covers all that its role may do.
func (c Caller) Allows(scope string) bool {
	return scope == "" || len(c.Scopes) == 0 || slices.Contains(c.Scopes, scope)
}

// IsServer reports whether a server key asks.
func (c Caller) IsServer() bool { return c.Role == RoleServer }
