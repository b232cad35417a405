package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley/wire"
)

// BodyMax bounds a REST request body, in bytes.
const BodyMax = 256 << 10

// Authenticator tells who sends a bearer token or server key. actFor is the
// user a server key speaks for, from the Parley-User header.
type Authenticator interface {
	Identify(r *http.Request, bearer, actFor string) (wire.Caller, error)
}

// Mount adds the REST door of every operation to mux.
func (t *Table) Mount(mux *http.ServeMux, auth Authenticator) {
	for _, e := range t.order {
		if e.Method == "" {
			continue
		}
		mux.Handle(e.Method+" "+e.Path, &restDoor{table: t, entry: e, auth: auth})
	}
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		c := wire.Caller{RequestID: requestID()}
		t.writeProblem(w, r, t.finish(c, "rest", &wire.Problem{Code: "operation_unknown", Status: 404, Title: "Unknown operation",
			Detail: "Nothing answers " + r.Method + " " + r.URL.Path + "; the reference is at /docs."}))
	})
}

type restDoor struct {
	table *Table
	entry *entry
	auth  Authenticator
}

// ServeHTTP implements http.Handler.
func (d *restDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	caller, err := d.caller(r)
	if err == nil {
		var params json.RawMessage
		if params, err = d.params(w, r); err == nil {
			result, problem := d.table.Call(r.Context(), caller, d.entry.Name, params)
			if problem == nil {
				writeJSON(w, d.status(), result)
				return
			}
			d.table.writeProblem(w, r, problem)
			return
		}
	}
	d.table.writeProblem(w, r, d.table.finish(caller, d.entry.Name, d.table.problem(caller, d.entry.Name, err)))
}

func (d *restDoor) status() int {
	if d.entry.Status != 0 {
		return d.entry.Status
	}
	return http.StatusOK
}

func requestID() string { return wire.NewID[string](wire.PrefixRequest, time.Now()) }

func (d *restDoor) caller(r *http.Request) (wire.Caller, error) {
	bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || bearer == "" {
		return wire.Caller{RequestID: requestID()}, &wire.Problem{Code: "unauthenticated", Status: 401, Title: "Not signed in",
			Detail: "Send Authorization: Bearer with a user token or a server key."}
	}
	c, err := d.auth.Identify(r, bearer, r.Header.Get("Parley-User"))
	c.RequestID = requestID()
	c.IdempotencyKey = r.Header.Get("Idempotency-Key")
	c.TraceParent = r.Header.Get("Traceparent")
	if c.Addr == (netip.Addr{}) {
		if at, perr := netip.ParseAddrPort(r.RemoteAddr); perr == nil {
			c.Addr = at.Addr().Unmap()
		}
	}
	return c, err
}

// params merges body, query and path into the operation's one input object. A
// field may stand in one place only.
func (d *restDoor) params(w http.ResponseWriter, r *http.Request) (json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if err := readBody(w, r, fields); err != nil {
		return nil, err
	}
	for name, values := range r.URL.Query() {
		if _, twice := fields[name]; twice || len(values) != 1 {
			return nil, fieldProblem(name, "given more than once")
		}
		fields[name] = d.coerce(name, values[0])
	}
	for _, name := range d.entry.path {
		if _, twice := fields[name]; twice {
			return nil, fieldProblem(name, "is in the path and given again")
		}
		value, err := json.Marshal(r.PathValue(name))
		if err != nil {
			return nil, err
		}
		fields[name] = value
	}
	return json.Marshal(fields)
}

func readBody(w http.ResponseWriter, r *http.Request, into map[string]json.RawMessage) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, BodyMax))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &wire.Problem{Code: "body_too_large", Status: 413, Title: "Body too large", Detail: "A request body has at most " + strconv.Itoa(BodyMax) + " bytes."}
	case err != nil:
		return &wire.Problem{Code: "invalid_params", Status: 400, Title: "Unreadable body", Detail: "The body broke off."}
	case len(body) == 0:
		return nil
	}
	if err := json.Unmarshal(body, &into); err != nil {
		return &wire.Problem{Code: "invalid_params", Status: 422, Title: "Invalid parameters", Detail: "The body must be a JSON object: " + err.Error() + "."}
	}
	return nil
}

// coerce turns a query string's text into the JSON that the field's schema asks for.
func (d *restDoor) coerce(name, text string) json.RawMessage {
	if s := d.entry.schema.Properties[name]; s != nil {
		switch s.Type {
		case huma.TypeInteger, huma.TypeNumber, huma.TypeBoolean:
			if json.Valid([]byte(text)) {
				return json.RawMessage(text)
			}
		case huma.TypeArray:
			list, err := json.Marshal(strings.Split(text, ","))
			if err == nil {
				return list
			}
		}
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return json.RawMessage("null") // a Go string always marshals
	}
	return quoted
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone
}

func (t *Table) writeProblem(w http.ResponseWriter, r *http.Request, p *wire.Problem) {
	p.Instance = r.URL.Path
	body, err := json.Marshal(p)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="parley"`)
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client may have gone
}
