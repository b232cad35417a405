// Package api is the operation table and its two doors. A row names an
// operation, its REST verb and path, its input and output, who may call it, and
// its handler; REST, the socket's JSON-RPC methods, OpenAPI and the reference
// pages are all made from the table, so that they cannot disagree.
//
// It translates between the wire and the features and decides nothing itself:
// whether this caller may touch this payment is the feature's business.
package api

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"parley/wire"
)

// Row is what the table says about an operation besides its types and handler.
type Row struct {
	// Name is the JSON-RPC method and OpenAPI operation id, for example "payments.capture".
	Name string
	// Method and Path are the REST door; {name} in Path is an input field's JSON name.
	// An empty Method means socket only.
	Method, Path string
	// Roles may call it; empty means users and server keys.
	Roles []wire.Role
	// Scope must be in a user token that lists scopes; by convention the part of Name before the dot.
	Scope string
	// Money says that the call moves money and must carry an idempotency key.
	Money bool
	// SocketOnly operations need a session.
	SocketOnly bool
	// Summary is one line, Description the rest in Markdown.
	Summary, Description string
	// Status of a successful REST answer; 0 means 200.
	Status int
}

// Operation is a row with its handler.
type Operation struct {
	Row
	Input, Output reflect.Type
	call          func(ctx context.Context, c wire.Caller, params json.RawMessage) (any, error)
	// callPlain is call for params that were not checked; fits says that they are
	// plain and right, and were taken.
	callPlain func(ctx context.Context, c wire.Caller, p *plain, params json.RawMessage) (out any, fits bool, err error)
}

// None is the input or output of an operation that has none.
type None struct{}

// Op makes an operation of a row and a typed handler. In and Out are structs
// with json and huma validation tags (maxLength, minimum, enum, doc, …); the
// doors validate the params against In's schema before they call h.
func Op[In, Out any](row Row, h func(ctx context.Context, c wire.Caller, in In) (Out, error)) Operation {
	return Operation{
		Row:   row,
		Input: reflect.TypeFor[In](), Output: reflect.TypeFor[Out](),
		call: func(ctx context.Context, c wire.Caller, params json.RawMessage) (any, error) {
			var in In
			if err := json.Unmarshal(params, &in); err != nil {
				return nil, &wire.Problem{Code: "invalid_params", Status: 422, Title: "Invalid parameters",
					Detail: fmt.Sprintf("The parameters do not fit %s: %v.", row.Name, err)}
			}
			return h(ctx, c, in)
		},
		callPlain: func(ctx context.Context, c wire.Caller, p *plain, params json.RawMessage) (any, bool, error) {
			var in In
			if !p.read(params, reflect.ValueOf(&in).Elem()) {
				return nil, false, nil
			}
			out, err := h(ctx, c, in)
			return out, true, err
		},
	}
}

// Rule maps a feature's error to the problem that leaves. Rules are tried in
// order with errors.Is (Is) or errors.As through Match.
type Rule struct {
	// Is is the sentinel to match.
	Is error
	// Money says that the rule is for operations that move money only.
	Money bool
	// Code is the stable code; it must be documented in problemDocs.
	Code   string
	Status int
	Title  string
	// RetryAfter in seconds, or 0.
	RetryAfter int
	// Hide keeps the error's own text out of the answer.
	Hide bool
	// More, if not nil, adds what the error knows besides its text.
	More func(err error, p *wire.Problem)
}
