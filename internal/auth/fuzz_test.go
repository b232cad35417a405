package auth_test

import (
	"errors"
	"testing"
	"time"

	"parley/internal/auth"
	"parley/internal/clock"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

// FuzzIdentify feeds bearers that nobody signed: none may be accepted, and
// every refusal has one of the reasons.
func FuzzIdentify(f *testing.F) {
	db := sqldbtest.Open(f, sqldbtest.Schemas{"auth": auth.Schema()})
	v, err := auth.New(db, clock.System{}, auth.Config{Secret: secret, ServerKeys: []string{serverKey}})
	if err != nil {
		f.Fatal(err)
	}
	good, err := v.Mint("buyer", time.Hour, auth.MintOptions{Device: "dev_b1", Scopes: []string{"calls"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good[:len(good)-1], "")
	f.Add("sk_live_0123456789abcdeF", "buyer")
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJwYXJsZXkiLCJzdWIiOiJidXllciJ9.", "")
	f.Add("eyJhbGciOiJIUzI1NiIsImtpZCI6MX0.e30.AA", "x y")
	f.Fuzz(func(t *testing.T, bearer, actFor string) {
		id, err := v.Identify(t.Context(), bearer, wire.UserID(actFor))
		switch {
		case err == nil && bearer == serverKey:
			if id.Caller.Role != wire.RoleServer {
				t.Errorf("%+v", id)
			}
		case err == nil && bearer != good:
			t.Errorf("accepted %q as %+v", bearer, id)
		case err != nil && !errors.Is(err, auth.ErrRefused) && !errors.Is(err, auth.ErrExpired):
			t.Errorf("%q: %v", bearer, err)
		}
	})
}
