package api

import (
	"context"
	"net/http"
	"time"

	"parley/wire"
)

// Devices knows where people are signed in and signs them out, on all nodes.
type Devices interface {
	Devices(ctx context.Context, user wire.UserID) ([]DeviceInfo, error)
	// SignOut ends what device, or with "" every device, of user may do.
	SignOut(ctx context.Context, user wire.UserID, device wire.DeviceID) error
	// RevokeToken withdraws one token by its id; it may be forgotten at until.
	RevokeToken(ctx context.Context, id string, until time.Time) error
}

// DeviceInfo is one place where somebody is signed in.
type DeviceInfo struct {
	Device wire.DeviceID `json:"device"`
	Since  time.Time     `json:"since" doc:"first session"`
	Last   time.Time     `json:"last" doc:"newest session, to within ten minutes"`
}

type devicesIn struct {
	User wire.UserID `json:"user,omitempty" maxLength:"64" doc:"whose; a user's own if left out, and no other's"`
}

type devicesOut struct {
	Items []DeviceInfo `json:"items"`
}

type deviceIn struct {
	Device wire.DeviceID `json:"device" maxLength:"68"`
	User   wire.UserID   `json:"user,omitempty" maxLength:"64" doc:"whose; a user's own if left out, and no other's"`
}

type signOutIn struct {
	User wire.UserID `json:"user" maxLength:"64"`
}

type tokenRevokeIn struct {
	TokenID string    `json:"token_id" minLength:"1" maxLength:"128" doc:"the token's jti"`
	Expires time.Time `json:"expires" doc:"when the token expires by itself: it need not be remembered longer"`
}

func deviceOperations(d Devices) []Operation {
	const scope = "devices"
	return []Operation{
		Op(Row{Name: "devices.list", Method: http.MethodGet, Path: "/v1/devices", Scope: scope,
			Summary: "Where a person is signed in", Description: "Every device that opened a session and was not signed out since, the newest first."},
			func(ctx context.Context, c wire.Caller, in devicesIn) (devicesOut, error) {
				user, err := ownOr(c, in.User)
				if err != nil {
					return devicesOut{}, err
				}
				list, err := d.Devices(ctx, user)
				return devicesOut{Items: orEmpty(list)}, err
			}),
		Op(Row{Name: "devices.sign_out", Method: http.MethodPost, Path: "/v1/devices/{device}/sign_out", Scope: scope,
			Summary:     "Sign a device out",
			Description: "Its sockets close with 4003 on every node within a second, and tokens issued before are refused on it. A token issued later signs it in again."},
			func(ctx context.Context, c wire.Caller, in deviceIn) (None, error) {
				user, err := ownOr(c, in.User)
				if err != nil {
					return None{}, err
				}
				if wire.CheckID(wire.PrefixDevice, string(in.Device)) != nil {
					return None{}, fieldProblem("device", "expected "+wire.PrefixDevice+" and 1 to 64 of a-z and 0-9")
				}
				return None{}, d.SignOut(ctx, user, in.Device)
			}),
		Op(Row{Name: "users.sign_out", Method: http.MethodPost, Path: "/v1/users/{user}/sign_out", Scope: scope,
			Summary: "Sign a person out everywhere", Description: "As devices.sign_out, for all of a person's devices at once."},
			func(ctx context.Context, c wire.Caller, in signOutIn) (None, error) {
				user, err := ownOr(c, in.User)
				if err != nil {
					return None{}, err
				}
				return None{}, d.SignOut(ctx, user, "")
			}),
		Op(Row{Name: "tokens.revoke", Method: http.MethodPost, Path: "/v1/tokens/revoke", Roles: []wire.Role{wire.RoleServer},
			Summary: "Withdraw one token", Description: "It is refused from now on, and sockets opened with it close with 4003, on every node within a second."},
			func(ctx context.Context, _ wire.Caller, in tokenRevokeIn) (None, error) {
				return None{}, d.RevokeToken(ctx, in.TokenID, in.Expires)
			}),
	}
}

// ownOr answers the user that an operation is about: a user's own, or the one that a server key names.
func ownOr(c wire.Caller, named wire.UserID) (wire.UserID, error) {
	if named == "" {
		named = c.User
	}
	switch {
	case wire.CheckUser(string(named)) != nil:
		return "", fieldProblem("user", "expected a user id")
	case c.Role == wire.RoleUser && named != c.User:
		return "", &wire.Problem{Code: "forbidden", Status: 403, Title: "Not allowed", Detail: "People may ask about and sign out their own devices only."}
	}
	return named, nil
}
