package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"

	"parley/api"
	"parley/chat"
	"parley/hub"
	"parley/identity"
	"parley/internal/auth"
	"parley/wire"
)

// door lets callers in: the socket's and REST's authenticator, and the hub's
// view of the operation table and the logs.
type door struct {
	verifier *auth.Verifier
	users    *identity.Directory
	chat     *chat.Service
	table    *api.Table
	limits   *limits
}

// Identify implements api.Authenticator.
func (d *door) Identify(r *http.Request, bearer, actFor string) (wire.Caller, error) {
	var addr netip.Addr
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		addr = at.Addr().Unmap()
	}
	id, err := d.identify(r.Context(), bearer, wire.UserID(actFor), addr)
	return id.Caller, err
}

// Authenticate implements hub.Authenticator. Sockets are for people and operators.
func (d *door) Authenticate(ctx context.Context, token string, addr netip.Addr) (hub.Identity, error) {
	id, err := d.identify(ctx, token, "", addr)
	if err != nil {
		return hub.Identity{}, err
	}
	if id.Caller.Role == wire.RoleServer {
		return hub.Identity{}, &wire.Problem{Code: "unauthenticated", Status: http.StatusUnauthorized, Title: "Not a user token",
			Detail: "Sockets belong to people: open them with a user token, not with a server key."}
	}
	who := id.Caller
	who.Addr = addr
	if err := d.limits.allow(ctx, who, limitOpen); err != nil {
		return hub.Identity{}, err
	}
	return hub.Identity{
		User: id.Caller.User, Device: id.Caller.Device, Scopes: id.Caller.Scopes, Topics: id.Caller.Topics, Role: id.Caller.Role,
		Name: id.Name, TokenID: id.TokenID, Issued: id.Issued, Expires: id.Expires,
	}, nil
}

// identify checks a bearer and makes sure that its user is in the directory.
func (d *door) identify(ctx context.Context, bearer string, actFor wire.UserID, addr netip.Addr) (auth.Identity, error) {
	id, err := d.verifier.Identify(ctx, bearer, actFor)
	if err != nil {
		if errors.Is(err, auth.ErrRefused) {
			if p := d.limits.allow(ctx, wire.Caller{Addr: addr}, limitTokenFailed); p != nil {
				return auth.Identity{}, p
			}
		}
		return auth.Identity{}, authProblem(err)
	}
	if id.Caller.User != "" {
		if err := d.users.Seen(ctx, id.Caller.User, id.Name); err != nil {
			return auth.Identity{}, err
		}
	}
	return id, nil
}

func authProblem(err error) error {
	p := &wire.Problem{Code: "unauthenticated", Status: http.StatusUnauthorized, Title: "Not signed in", Detail: err.Error() + "."}
	switch {
	case errors.Is(err, auth.ErrExpired):
		p.Code, p.Title = "token_expired", "Token expired"
	case errors.Is(err, auth.ErrRevoked):
		p.Code, p.Title = "token_revoked", "Signed out"
	case errors.Is(err, auth.ErrUnavailable):
		p.Code, p.Status, p.Title, p.RetryAfter = "auth_unavailable", http.StatusServiceUnavailable, "Cannot check tokens now", 1
	case !errors.Is(err, auth.ErrRefused):
		return err
	}
	return p
}

// Call implements hub.Operations.
func (d *door) Call(ctx context.Context, c wire.Caller, method string, params json.RawMessage) (json.RawMessage, *wire.Problem) {
	return d.table.Call(ctx, c, method, params)
}

// Heads implements hub.Log.
func (d *door) Heads(ctx context.Context, users []wire.UserID) (map[wire.UserID][]hub.Head, error) {
	heads := make(map[wire.UserID][]hub.Head, len(users))
	err := d.chat.Heads(ctx, users, func(u wire.UserID, h chat.Head) {
		heads[u] = append(heads[u], hub.Head{Conversation: h.ID, Seq: h.Head})
	})
	return heads, err
}

// Entries implements hub.Log.
func (d *door) Entries(ctx context.Context, user wire.UserID, conv wire.ConversationID, after int64, limit int) ([]wire.Event, error) {
	events, _, _, err := d.chat.Entries(ctx, wire.Caller{Role: wire.RoleUser, User: user}, conv, after, 0, limit)
	if errors.Is(err, chat.ErrUnknown) {
		return nil, &wire.Problem{Code: "conversation_unknown", Status: http.StatusNotFound, Title: "No such conversation", Detail: err.Error()}
	}
	return events, err
}
