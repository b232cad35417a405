package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"parley/wire"
)

// Table is the operations, ready to be called by name.
type Table struct {
	cfg      Config
	ops      map[string]*entry
	order    []*entry
	rules    []Rule
	registry huma.Registry
	texts    map[string]string // of problem codes
}

// Config of a Table.
type Config struct {
	// BaseURL is where clients reach the node, without a slash at the end; problem types and OpenAPI point there.
	BaseURL string
	// Version of the binary, for the OpenAPI document.
	Version string
	// Timeout bounds a call whose context has no deadline. 0 means 15 s.
	Timeout time.Duration
	// Log receives what problems hide. nil discards.
	Log *slog.Logger
	// Problems explains codes that others make, such as the hub's; see problemDocs for our own.
	Problems map[string]string
	// Limit, if set, refuses callers who do too much, with a *wire.Problem.
	Limit func(ctx context.Context, c wire.Caller, operation string) error
	// OnProblem, if set, hears of every problem that leaves.
	OnProblem func(operation string, p *wire.Problem)
	// Metrics takes the table's metrics. nil means none.
	Metrics prometheus.Registerer
}

// entry is an operation with what the doors derive from it.
type entry struct {
	Operation
	schema *huma.Schema // of the input, with all properties inline
	plain  plain
	path   []string // input fields that stand in Path
	calls  calls
}

// New checks the rows and makes the table.
func New(cfg Config, ops []Operation, rules []Rule) (*Table, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 15 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	t := &Table{
		cfg: cfg, ops: map[string]*entry{}, rules: rules,
		registry: huma.NewMapRegistry("#/components/schemas/", schemaNamer()),
		texts:    maps.Clone(cfg.Problems),
	}
	if t.texts == nil {
		t.texts = map[string]string{}
	}
	maps.Copy(t.texts, problemDocs)
	// The wire's own words have the first claim to their names.
	t.registry.Schema(reflect.TypeFor[wire.Problem](), true, "Problem")
	t.registry.Schema(reflect.TypeFor[wire.Event](), true, "Event")
	for _, op := range ops {
		if err := t.add(op); err != nil {
			return nil, fmt.Errorf("api: %s: %w", op.Name, err)
		}
	}
	for _, r := range rules {
		if _, ok := t.texts[r.Code]; !ok {
			return nil, fmt.Errorf("api: problem code %q has no text in problemDocs", r.Code)
		}
	}
	t.count(cfg.Metrics)
	return t, nil
}

func (t *Table) add(op Operation) error {
	if _, ok := t.ops[op.Name]; ok {
		return errors.New("named twice")
	}
	if op.Summary == "" {
		return errors.New("has no summary")
	}
	e := &entry{Operation: op, path: pathFields(op.Path)}
	e.schema = t.registry.Schema(op.Input, true, op.Name)
	if e.schema.Ref != "" {
		e.schema = t.registry.SchemaFromRef(e.schema.Ref)
	}
	e.plain = newPlain(e.schema, op.Input)
	for _, f := range e.path {
		if e.schema.Properties[f] == nil {
			return fmt.Errorf("path names {%s}, which the input lacks", f)
		}
	}
	t.registry.Schema(op.Output, true, op.Name+"Result")
	t.ops[op.Name] = e
	t.order = append(t.order, e)
	return nil
}

func pathFields(path string) []string {
	var fields []string
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, "{") {
			fields = append(fields, strings.Trim(part, "{}"))
		}
	}
	return fields
}

// schemaNamer names a type's schema after the type; the second type of a name gets its package's name in front.
func schemaNamer() func(reflect.Type, string) string {
	taken := map[string]reflect.Type{}
	return func(t reflect.Type, hint string) string {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		name := huma.DefaultSchemaNamer(t, hint)
		if other, ok := taken[name]; ok && other != t {
			pkg := t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]
			name = strings.ToUpper(pkg[:1]) + pkg[1:] + name
		}
		taken[name] = t
		return name
	}
}

// Names lists the operations in table order.
func (t *Table) Names() []string {
	names := make([]string, 0, len(t.order))
	for _, e := range t.order {
		names = append(names, e.Name)
	}
	return names
}

// Call runs the operation called method for c and answers its JSON result or a problem.
// params is a JSON object, or empty for none; "idempotency_key" in it is taken
// out and becomes the caller's.
func (t *Table) Call(ctx context.Context, c wire.Caller, method string, params json.RawMessage) (json.RawMessage, *wire.Problem) {
	e, ok := t.ops[method]
	if !ok {
		return nil, t.finish(c, method, &wire.Problem{Code: "operation_unknown", Status: 404, Title: "Unknown operation",
			Detail: fmt.Sprintf("There is no operation %q; the reference is at /docs.", method)})
	}
	start := time.Now()
	result, err := t.run(ctx, c, e, params)
	if err != nil {
		p := t.problem(c, method, err)
		e.calls.ended(start, p)
		t.audit(c, e, params, p)
		return nil, t.finish(c, method, p)
	}
	e.calls.ended(start, nil)
	t.audit(c, e, params, nil)
	return result, nil
}

func (t *Table) run(ctx context.Context, c wire.Caller, e *entry, params json.RawMessage) (_ json.RawMessage, err error) {
	defer func() {
		if p := recover(); p != nil {
			t.cfg.Log.Error("operation panicked", "operation", e.Name, "request", c.RequestID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errors.New("panic")
		}
	}()
	if err := e.admit(&c); err != nil {
		return nil, err
	}
	if t.cfg.Limit != nil {
		if err := t.cfg.Limit(ctx, c, e.Name); err != nil {
			return nil, err
		}
	}
	if _, bounded := ctx.Deadline(); !bounded { // the socket's door bounds its own calls
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.cfg.Timeout)
		defer cancel()
	}
	out, err := t.take(ctx, &c, e, params)
	if err != nil {
		return nil, err
	}
	if out == (None{}) {
		return none, nil
	}
	return json.Marshal(out)
}

// none is None as JSON.
var none = json.RawMessage("{}")

// take checks params and hands them to the operation.
func (t *Table) take(ctx context.Context, c *wire.Caller, e *entry, params json.RawMessage) (any, error) {
	if !e.Money {
		if out, fits, err := e.callPlain(ctx, *c, &e.plain, params); fits {
			return out, err
		}
	}
	params, err := t.check(e, c, params)
	if err != nil {
		return nil, err
	}
	return e.call(ctx, *c, params)
}

// usual are who may call an operation that says nothing about it.
var usual = []wire.Role{wire.RoleUser, wire.RoleServer}

// admit refuses callers whose role or scope does not cover the operation.
func (e *entry) admit(c *wire.Caller) error {
	roles := e.Roles
	if len(roles) == 0 {
		roles = usual
	}
	if !slices.Contains(roles, c.Role) {
		return &wire.Problem{Code: "forbidden", Status: 403, Title: "Not allowed",
			Detail: fmt.Sprintf("%s is for %v, not for a caller of role %q.", e.Name, roles, c.Role)}
	}
	if c.Role == wire.RoleUser && !c.Allows(e.Scope) {
		return &wire.Problem{Code: "scope_missing", Status: 403, Title: "Token lacks a scope",
			Detail: fmt.Sprintf("%s needs the scope %q; mint a token that has it.", e.Name, e.Scope)}
	}
	if e.SocketOnly && c.Session == "" {
		return &wire.Problem{Code: "socket_only", Status: 400, Title: "Only on the socket",
			Detail: e.Name + " works on an open socket only."}
	}
	return nil
}

// check validates params of any kind against the schema and takes out the idempotency key.
func (t *Table) check(e *entry, c *wire.Caller, params json.RawMessage) (json.RawMessage, error) {
	fields := map[string]any{}
	if len(params) > 0 {
		if err := json.Unmarshal(params, &fields); err != nil || fields == nil {
			return nil, &wire.Problem{Code: "invalid_params", Status: 422, Title: "Invalid parameters", Detail: "The parameters must be a JSON object."}
		}
	}
	if key, ok := fields["idempotency_key"]; ok {
		s, isString := key.(string)
		if !isString {
			return nil, fieldProblem("idempotency_key", "expected string")
		}
		c.IdempotencyKey = s
		stripped, err := strip(params, "idempotency_key")
		if err != nil {
			return nil, err
		}
		params = stripped
		delete(fields, "idempotency_key")
	}
	if e.Money {
		if err := checkKey(e.Name, c.IdempotencyKey); err != nil {
			return nil, err
		}
	}
	if len(params) == 0 {
		params = json.RawMessage("{}")
	}
	return params, t.validate(e.schema, fields)
}

// KeyMax bounds an idempotency key, in bytes.
const KeyMax = 255

func checkKey(operation, key string) error {
	switch {
	case key == "":
		return &wire.Problem{Code: "idempotency_key_missing", Status: 400, Title: "Idempotency key missing",
			Detail: operation + " moves money: send an Idempotency-Key header (REST) or idempotency_key parameter (socket), made once per intended effect and repeated on retries."}
	case len(key) > KeyMax:
		return fieldProblem("idempotency_key", fmt.Sprintf("expected at most %d bytes", KeyMax))
	}
	return nil
}

// strip removes one member of a JSON object and leaves the others' bytes alone.
func strip(params json.RawMessage, name string) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(params, &members); err != nil {
		return nil, err
	}
	delete(members, name)
	return json.Marshal(members)
}

func (t *Table) validate(schema *huma.Schema, fields map[string]any) error {
	var res huma.ValidateResult
	huma.Validate(t.registry, schema, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, fields, &res)
	if len(res.Errors) == 0 {
		return nil
	}
	p := &wire.Problem{Code: "invalid_params", Status: 422, Title: "Invalid parameters", Detail: "Some parameters are wrong; see errors."}
	for _, err := range res.Errors {
		f := wire.FieldError{Message: err.Error()}
		if d, ok := err.(huma.ErrorDetailer); ok {
			f = wire.FieldError{Location: d.ErrorDetail().Location, Message: d.ErrorDetail().Message}
		}
		p.Errors = append(p.Errors, f)
	}
	slices.SortFunc(p.Errors, func(a, b wire.FieldError) int { return strings.Compare(a.Location+a.Message, b.Location+b.Message) })
	return p
}

func fieldProblem(location, message string) *wire.Problem {
	return &wire.Problem{Code: "invalid_params", Status: 422, Title: "Invalid parameters",
		Detail: "Some parameters are wrong; see errors.", Errors: []wire.FieldError{{Location: location, Message: message}}}
}

// WriteSchemas writes the named schemas, sorted, for tests that watch the wire's shape.
func (t *Table) WriteSchemas(w io.Writer) error {
	m := t.registry.Map()
	for _, name := range slices.Sorted(maps.Keys(m)) {
		b, err := json.Marshal(m[name])
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s %s\n", name, b); err != nil {
			return err
		}
	}
	return nil
}
