package api

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"parley/identity"
	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

func TestIdentityRules_EachErrorHasOneCode(t *testing.T) {
	codes := map[string]bool{}
	for i, r := range identityRules {
		if codes[r.Code] {
			t.Errorf("%s stands twice", r.Code)
		}
		codes[r.Code] = true
		for _, earlier := range identityRules[:i] {
			if errors.Is(r.Is, earlier.Is) {
				t.Errorf("%s hides behind %s", r.Code, earlier.Code)
			}
		}
		if problemDocs[r.Code] == "" {
			t.Errorf("%s has no page", r.Code)
		}
	}
}

// identityTable is the rows of users and passkeys on a real database.
func identityTable(t *testing.T) *Table {
	t.Helper()
	db := sqldbtest.Open(t, sqldbtest.Schemas{"identity": identity.Schema()})
	users := identity.NewDirectory(db, clock.System{}, identity.DirectoryConfig{})
	keys, err := identity.NewPasskeys(db, clock.System{}, users, identity.PasskeyConfig{Origins: []string{"http://localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := users.Seen(t.Context(), "buyer", "B"); err != nil {
		t.Fatal(err)
	}
	table, err := New(Config{Version: "1"}, identityOperations(&identity.Service{Directory: users, Passkeys: keys}), identityRules)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestIdentityOperations_UsersAndPasskeys(t *testing.T) {
	table := identityTable(t)
	buyer := wire.Caller{Role: wire.RoleUser, User: "buyer", IdempotencyKey: "k-0123456789"}
	server := wire.Caller{Role: wire.RoleServer}
	for _, c := range []struct {
		caller         wire.Caller
		method, params string
		want           string // a problem code, or a part of the result
	}{
		{buyer, "users.me", ``, `"id":"buyer"`},
		{server, "users.me", ``, "user_unknown"},
		{buyer, "users.get", `{"user":"seller"}`, "user_unknown"},
		{buyer, "users.get", `{"user":"a b"}`, "invalid_params"},
		{buyer, "users.put", `{"user":"seller","name":"V"}`, "forbidden"},
		{server, "users.put", `{"user":"seller","name":"Vera","verified_name":"V. Seller","country":"AT"}`, `"verified_name":"V. Seller"`},
		{server, "users.put", `{"user":"seller","name":"Vera","country":"at"}`, "invalid_params"},
		{server, "users.put", `{"user":"seller","name":"Vera","verified_name":"\u202ex"}`, "name_invalid"},
		{buyer, "users.get", `{"user":"seller"}`, `"name":"Vera"`},
		{buyer, "passkeys.list", ``, `"items":[]`},
		{buyer, "passkeys.register_begin", `{}`, `"challenge"`},
		{server, "passkeys.register_begin", `{}`, "forbidden"},
		{buyer, "passkeys.register_finish", `{"session":"reg_1","credential":{"id":"AA"}}`, "registration_expired"},
		{buyer, "passkeys.remove", `{"passkey":"pk_1"}`, "passkey_unknown"},
		{buyer, "confirmations.submit", `{"payment":"pay_1","version":1,"transcript":"x","sas":"match","nonce":"n","assertion":{}}`, "invalid_params"},
		{server, "confirmations.open", `{"payment":"pay_1"}`, "forbidden"},
	} {
		result, problem := table.Call(t.Context(), c.caller, c.method, json.RawMessage(c.params))
		got := string(result)
		if problem != nil {
			got = problem.Code
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s %s: got %s, want %s", c.method, c.params, got, c.want)
		}
	}
}

func TestIdentityRules_NoLedgerIsSaidAsSuch(t *testing.T) {
	table := identityTable(t)
	err := errors.Join(identity.ErrLedgerUnavailable, sqldb.ErrUnavailable)
	p := table.problem(wire.Caller{}, "confirmations.submit", err)
	if p.Code != "ledger_unavailable" || p.Status != 503 || p.RetryAfter != 1 {
		t.Errorf("got %+v", p)
	}
}
