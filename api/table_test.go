package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"parley/api"
	"parley/internal/sqldb"
	"parley/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type greetIn struct {
	Name  string `json:"name" maxLength:"10"`
	Times int    `json:"times,omitempty" minimum:"1" maximum:"3"`
	Loud  bool   `json:"loud,omitempty"`
}

type greetOut struct {
	Text string `json:"text"`
	Key  string `json:"key,omitempty"`
}

var errSulking = errors.New("not speaking to you")

func table(t testing.TB) *api.Table {
	t.Helper()
	greet := func(_ context.Context, c wire.Caller, in greetIn) (greetOut, error) {
		switch in.Name {
		case "sulk":
			return greetOut{}, fmt.Errorf("greet: %w", errSulking)
		case "panic":
			panic("secret of the house")
		case "fail":
			return greetOut{}, errors.New("secret of the house")
		case "down":
			return greetOut{}, fmt.Errorf("%w: secret of the house", sqldb.ErrUnavailable)
		}
		return greetOut{Text: strings.Repeat("hello "+in.Name+"! ", max(in.Times, 1)), Key: c.IdempotencyKey}, nil
	}
	tb, err := api.New(api.Config{BaseURL: "http://node"}, []api.Operation{
		api.Op(api.Row{Name: "greetings.send", Method: "POST", Path: "/v1/greetings/{name}", Scope: "greetings", Summary: "Greet.", Status: 201}, greet),
		api.Op(api.Row{Name: "greetings.get", Method: "GET", Path: "/v1/greetings/{name}", Summary: "Greet."}, greet),
		api.Op(api.Row{Name: "greetings.pay", Method: "POST", Path: "/v1/greetings/{name}/pay", Summary: "Pay.", Money: true}, greet),
		api.Op(api.Row{Name: "greetings.wave", SocketOnly: true, Summary: "Wave."}, greet),
		api.Op(api.Row{Name: "greetings.watch", Method: "GET", Path: "/v1/watch", Summary: "Watch.", Roles: []wire.Role{wire.RoleOperator}}, func(context.Context, wire.Caller, api.None) (greetOut, error) {
			return greetOut{}, nil
		}),
	}, []api.Rule{{Is: sqldb.ErrUnavailable, Money: true, Code: "ledger_unavailable", Status: 503, Title: "Ledger", Hide: true}, {Is: errSulking, Code: "rate_limited", Status: 429, Title: "Sulking", RetryAfter: 7}})
	if err != nil {
		t.Fatal(err)
	}
	return tb
}

func TestCall_AnswersOrExplains(t *testing.T) {
	tb := table(t)
	user := wire.Caller{Role: wire.RoleUser, User: "ann", RequestID: "req_1"}
	scoped := user
	scoped.Scopes = []string{"other"}
	for name, try := range map[string]struct {
		c              wire.Caller
		method, params string
		want           string // of the result, or the problem's code
		status         int
	}{
		"answers":             {user, "greetings.send", `{"name":"bo","times":2}`, `hello bo! hello bo!`, 0},
		"unknown operation":   {user, "greetings.stop", `{}`, "operation_unknown", 404},
		"missing":             {user, "greetings.send", ``, "invalid_params", 422},
		"too long":            {user, "greetings.send", `{"name":"01234567890"}`, "invalid_params", 422},
		"out of range":        {user, "greetings.send", `{"name":"bo","times":4}`, "invalid_params", 422},
		"unknown field":       {user, "greetings.send", `{"name":"bo","tims":1}`, "invalid_params", 422},
		"wrong type":          {user, "greetings.send", `{"name":7}`, "invalid_params", 422},
		"not an object":       {user, "greetings.send", `[1]`, "invalid_params", 422},
		"null":                {user, "greetings.send", `null`, "invalid_params", 422},
		"a rule":              {user, "greetings.send", `{"name":"sulk"}`, "rate_limited", 429},
		"hides failures":      {user, "greetings.send", `{"name":"fail"}`, "internal", 500},
		"survives a panic":    {user, "greetings.send", `{"name":"panic"}`, "internal", 500},
		"hides the database":  {user, "greetings.send", `{"name":"down"}`, "database_unavailable", 503},
		"the money's words":   {user, "greetings.pay", `{"name":"down","idempotency_key":"k1"}`, "ledger_unavailable", 503},
		"lacks a scope":       {scoped, "greetings.send", `{"name":"bo"}`, "scope_missing", 403},
		"wrong role":          {user, "greetings.watch", `{}`, "forbidden", 403},
		"needs a socket":      {user, "greetings.wave", `{"name":"bo"}`, "socket_only", 400},
		"needs a key":         {user, "greetings.pay", `{"name":"bo"}`, "idempotency_key_missing", 400},
		"key in the params":   {user, "greetings.pay", `{"name":"bo","idempotency_key":"k1"}`, `"key":"k1"`, 0},
		"key too long":        {user, "greetings.pay", `{"name":"bo","idempotency_key":"` + strings.Repeat("k", 256) + `"}`, "invalid_params", 422},
		"key at its limit":    {user, "greetings.pay", `{"name":"bo","idempotency_key":"` + strings.Repeat("k", 255) + `"}`, "hello bo", 0},
		"key of another type": {user, "greetings.pay", `{"name":"bo","idempotency_key":7}`, "invalid_params", 422},
	} {
		t.Run(name, func(t *testing.T) {
			result, p := tb.Call(t.Context(), try.c, try.method, json.RawMessage(try.params))
			if try.status == 0 {
				if p != nil || !strings.Contains(string(result), try.want) {
					t.Errorf("got %s, %v; want %s", result, p, try.want)
				}
				return
			}
			if p == nil || p.Code != try.want || p.Status != try.status || p.Type != "http://node/problems/"+try.want || p.RequestID != "req_1" {
				t.Fatalf("got %s, %+v; want %s", result, p, try.want)
			}
			if b, _ := json.Marshal(p); bytes.Contains(b, []byte("secret")) {
				t.Errorf("the problem tells a secret: %s", b)
			}
		})
	}
}

// everyone lets any bearer in as a user of that name, except "nobody".
type everyone struct{}

func (everyone) Identify(_ *http.Request, bearer, actFor string) (wire.Caller, error) {
	if bearer == "nobody" {
		return wire.Caller{}, &wire.Problem{Code: "token_expired", Status: 401, Title: "Expired"}
	}
	return wire.Caller{Role: wire.RoleUser, User: wire.UserID(bearer + actFor)}, nil
}

func TestREST_SpreadsInputOverPathQueryAndBody(t *testing.T) {
	mux := http.NewServeMux()
	tb := table(t)
	tb.Mount(mux, everyone{})
	if err := tb.MountDocs(mux); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]struct {
		method, path, body, bearer, key string
		status                          int
		want                            string
	}{
		"body":              {"POST", "/v1/greetings/bo", `{"times":2}`, "ann", "", 201, "hello bo! hello bo!"},
		"no body":           {"POST", "/v1/greetings/bo", ``, "ann", "", 201, "hello bo"},
		"query":             {"GET", "/v1/greetings/bo?times=3&loud=true", ``, "ann", "", 200, "hello bo! hello bo! hello bo!"},
		"numeric name":      {"GET", "/v1/greetings/12?times=1", ``, "ann", "", 200, "hello 12"},
		"query wrong":       {"GET", "/v1/greetings/bo?times=x", ``, "ann", "", 422, "invalid_params"},
		"query unknown":     {"GET", "/v1/greetings/bo?time=1", ``, "ann", "", 422, "invalid_params"},
		"query twice":       {"GET", "/v1/greetings/bo?times=1&times=2", ``, "ann", "", 422, "more than once"},
		"path and body":     {"POST", "/v1/greetings/bo", `{"name":"al"}`, "ann", "", 422, "given again"},
		"broken body":       {"POST", "/v1/greetings/bo", `{`, "ann", "", 422, "must be a JSON object"},
		"huge body":         {"POST", "/v1/greetings/bo", `{"x":"` + strings.Repeat("x", api.BodyMax) + `"}`, "ann", "", 413, "body_too_large"},
		"no token":          {"POST", "/v1/greetings/bo", ``, "", "", 401, "unauthenticated"},
		"refused token":     {"POST", "/v1/greetings/bo", ``, "nobody", "", 401, "token_expired"},
		"no key":            {"POST", "/v1/greetings/bo/pay", ``, "ann", "", 400, "idempotency_key_missing"},
		"key":               {"POST", "/v1/greetings/bo/pay", ``, "ann", "k9", 200, `"key":"k9"`},
		"no such path":      {"POST", "/v1/nothing", ``, "ann", "", 404, "operation_unknown"},
		"openapi":           {"GET", "/openapi.json", ``, "", "", 200, `"operationId": "greetings.send"`},
		"reference":         {"GET", "/docs", ``, "", "", 200, "greetings.pay"},
		"problem page":      {"GET", "/problems/rate_limited", ``, "", "", 200, "Too many requests"},
		"problem page none": {"GET", "/problems/nope", ``, "", "", 404, "rate_limited"},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequest(try.method, try.path, strings.NewReader(try.body))
			if try.bearer != "" {
				req.Header.Set("Authorization", "Bearer "+try.bearer)
			}
			if try.key != "" {
				req.Header.Set("Idempotency-Key", try.key)
			}
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, req)
			body, _ := io.ReadAll(w.Body)
			if w.Code != try.status || !strings.Contains(string(body), try.want) {
				t.Errorf("got %d %s; want %d %s", w.Code, body, try.status, try.want)
			}
			if ct := w.Header().Get("Content-Type"); try.status >= 400 && strings.HasPrefix(try.path, "/v1/") && ct != "application/problem+json" {
				t.Errorf("problem sent as %s", ct)
			}
		})
	}
}

func TestNew_RefusesRowsThatCannotWork(t *testing.T) {
	h := func(context.Context, wire.Caller, greetIn) (greetOut, error) { return greetOut{}, nil }
	for name, ops := range map[string][]api.Operation{
		"twice":      {api.Op(api.Row{Name: "a.b", Summary: "x"}, h), api.Op(api.Row{Name: "a.b", Summary: "x"}, h)},
		"no summary": {api.Op(api.Row{Name: "a.b"}, h)},
		"path field": {api.Op(api.Row{Name: "a.b", Summary: "x", Method: "GET", Path: "/v1/{who}"}, h)},
	} {
		if _, err := api.New(api.Config{}, ops, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := api.New(api.Config{}, nil, []api.Rule{{Code: "never_heard_of"}}); err == nil {
		t.Error("accepted a code without a text")
	}
}
