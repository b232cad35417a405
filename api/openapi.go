package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"parley/wire"
)

// OpenAPI describes the REST doors of the table (OpenAPI 3.1). Operations on
// the socket only are listed in its extension x-socket-operations.
func (t *Table) OpenAPI() *huma.OpenAPI {
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "Parley", Version: t.cfg.Version,
			Description: "Conversations around a payment. The same operations answer on the socket as JSON-RPC methods named by operationId.",
			License:     &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}},
		Paths: map[string]*huma.PathItem{},
		Components: &huma.Components{
			Schemas: t.registry,
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"bearer": {Type: "http", Scheme: "bearer", Description: "A user token (JWT) or a server key (sk_…)."},
			},
		},
		Security: []map[string][]string{{"bearer": {}}},
	}
	if t.cfg.BaseURL != "" {
		doc.Servers = []*huma.Server{{URL: t.cfg.BaseURL}}
	}
	problem := t.registry.Schema(reflect.TypeFor[wire.Problem](), true, "Problem")
	var socketOnly []any
	for _, e := range t.order {
		if e.Method == "" {
			socketOnly = append(socketOnly, map[string]any{"method": e.Name, "summary": e.Summary,
				"params": t.registry.Schema(e.Input, true, e.Name), "result": t.registry.Schema(e.Output, true, e.Name+"Result")})
			continue
		}
		t.describe(doc, e, problem)
	}
	doc.Extensions = map[string]any{"x-socket-operations": socketOnly}
	return doc
}

func (t *Table) describe(doc *huma.OpenAPI, e *entry, problem *huma.Schema) {
	status := e.Status
	if status == 0 {
		status = http.StatusOK
	}
	op := &huma.Operation{
		OperationID: e.Name, Summary: e.Summary, Description: e.Description,
		Tags: []string{tag(e.Name)},
		Responses: map[string]*huma.Response{
			strconv.Itoa(status): {Description: "Done", Content: map[string]*huma.MediaType{"application/json": {Schema: t.registry.Schema(e.Output, true, e.Name+"Result")}}},
			"default":            {Description: "A problem (RFC 9457)", Content: map[string]*huma.MediaType{"application/problem+json": {Schema: problem}}},
		},
	}
	if e.Money {
		op.Parameters = append(op.Parameters, &huma.Param{Name: "Idempotency-Key", In: "header", Required: true,
			Description: "Made once per intended effect and repeated on retries.", Schema: &huma.Schema{Type: huma.TypeString}})
	}
	t.describeInput(op, e)
	item := doc.Paths[e.Path]
	if item == nil {
		item = &huma.PathItem{}
		doc.Paths[e.Path] = item
	}
	switch e.Method {
	case http.MethodGet:
		item.Get = op
	case http.MethodPost:
		item.Post = op
	case http.MethodPut:
		item.Put = op
	case http.MethodPatch:
		item.Patch = op
	case http.MethodDelete:
		item.Delete = op
	}
}

// describeInput spreads the flat input over path, query (GET and DELETE) and body.
func (t *Table) describeInput(op *huma.Operation, e *entry) {
	body := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{}}
	inQuery := e.Method == http.MethodGet || e.Method == http.MethodDelete
	for _, name := range propertyNames(e.schema) {
		s := e.schema.Properties[name]
		switch {
		case slices.Contains(e.path, name):
			op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: "path", Required: true, Description: s.Description, Schema: s})
		case inQuery:
			op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: "query", Required: slices.Contains(e.schema.Required, name), Description: s.Description, Schema: s})
		default:
			body.Properties[name] = s
			if slices.Contains(e.schema.Required, name) {
				body.Required = append(body.Required, name)
			}
		}
	}
	if len(body.Properties) > 0 {
		op.RequestBody = &huma.RequestBody{Required: len(body.Required) > 0, Content: map[string]*huma.MediaType{"application/json": {Schema: body}}}
	}
}

func propertyNames(s *huma.Schema) []string {
	names := make([]string, 0, len(s.Properties))
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func tag(name string) string {
	group, _, _ := strings.Cut(name, ".")
	return group
}

// OpenAPIJSON is the document as bytes, for the handler and for generated clients.
func (t *Table) OpenAPIJSON() ([]byte, error) { return json.MarshalIndent(t.OpenAPI(), "", "  ") }
