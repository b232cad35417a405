package hub

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"parley/wire"
)

// Identity is what a token says.
type Identity struct {
	User wire.UserID
	// Device, if set, is the only device that may use the token.
	Device wire.DeviceID
	Scopes []string
	Topics *wire.TopicGrants // open topics that the token covers
	Role   wire.Role         // empty means user
	Name   string
	// TokenID is the token's "jti", by which it can be revoked; may be empty.
	TokenID string
	// Issued and Expires are the token's "iat" and "exp"; a zero Expires never comes.
	Issued, Expires time.Time
}

// Authenticator checks tokens. An error that is a *wire.Problem of status 401
// or 403 refuses the token and is shown to the client; the codes token_expired
// and token_revoked choose the close code. Any other error means that the check
// could not be made now.
type Authenticator interface {
	Authenticate(ctx context.Context, token string, addr netip.Addr) (Identity, error)
}

// Operations runs what clients ask for. The problem codes operation_unknown,
// invalid_params and internal become JSON-RPC's own error codes.
type Operations interface {
	Call(ctx context.Context, c wire.Caller, method string, params json.RawMessage) (json.RawMessage, *wire.Problem)
}

// Head is how far a conversation's log has come.
type Head struct {
	Conversation wire.ConversationID
	Seq          int64 // of the last entry; 0 when there is none
}

// Log reads the conversations' logs.
type Log interface {
	// Heads returns the conversations of each of users with their last numbers.
	// What it returns includes every entry whose publication came before the call.
	Heads(ctx context.Context, users []wire.UserID) (map[wire.UserID][]Head, error)
	// Entries returns up to limit entries numbered after after, in order. A
	// *wire.Problem of status 403 or 404 means that user may not read conv.
	Entries(ctx context.Context, user wire.UserID, conv wire.ConversationID, after int64, limit int) ([]wire.Event, error)
}

// Backend is everything the hub needs of the rest of the node.
type Backend interface {
	Authenticator
	Operations
	Log
}

// Observer is told of sessions that come and go. It is called by the session's
// own goroutine, so it may take its time; SessionClosed follows SessionOpened,
// once for each.
type Observer interface {
	// SessionOpened is called when the answer to session.open and what the client missed are queued.
	SessionOpened(ctx context.Context, c wire.Caller)
	// SessionClosed is called after the session can no longer be reached; reason is one of the
	// names counted by parley_hub_closes_total.
	SessionClosed(ctx context.Context, c wire.Caller, reason string)
}

// Grace lets sessions outlive their token for a while, for example during a call.
type Grace interface {
	// Extra returns how long c's session stays open after its token expired.
	Extra(c wire.Caller) time.Duration
	// Allows reports whether an expired session may still call method.
	Allows(method string) bool
}
