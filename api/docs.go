package api

import (
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsHTML string

var docsPage = template.Must(template.New("docs").Parse(docsHTML))

// docsField is one row of an operation's parameter table.
type docsField struct {
	Name, Kind, Doc string
	Required        bool
}

type docsOperation struct {
	Name, Method, Path, Summary, Description, Roles string
	Money, SocketOnly                               bool
	Input, Output                                   []docsField
}

type docsData struct {
	Version    string
	Operations []docsOperation
	Problem    *problemPage
	Problems   []problemPage
}

type problemPage struct{ Code, Text string }

// MountDocs adds /openapi.json, the reference at /docs and the pages of /problems/.
func (t *Table) MountDocs(mux *http.ServeMux) error {
	spec, err := t.OpenAPIJSON()
	if err != nil {
		return fmt.Errorf("api: OpenAPI: %w", err)
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, spec) })
	mux.HandleFunc("GET /docs", func(w http.ResponseWriter, _ *http.Request) {
		t.render(w, http.StatusOK, docsData{Version: t.cfg.Version, Operations: t.reference()})
	})
	mux.HandleFunc("GET /problems/{code}", func(w http.ResponseWriter, r *http.Request) {
		code := r.PathValue("code")
		text, ok := t.texts[code]
		if !ok {
			t.render(w, http.StatusNotFound, docsData{Version: t.cfg.Version, Problems: t.problems()})
			return
		}
		t.render(w, http.StatusOK, docsData{Version: t.cfg.Version, Problem: &problemPage{Code: code, Text: text}})
	})
	mux.HandleFunc("GET /problems/{$}", func(w http.ResponseWriter, _ *http.Request) {
		t.render(w, http.StatusOK, docsData{Version: t.cfg.Version, Problems: t.problems()})
	})
	return nil
}

func (t *Table) render(w http.ResponseWriter, status int, data docsData) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.WriteHeader(status)
	if err := docsPage.Execute(w, data); err != nil {
		t.cfg.Log.Debug("docs page not written", "err", err)
	}
}

func (t *Table) problems() []problemPage {
	pages := make([]problemPage, 0, len(t.texts))
	for code, text := range t.texts {
		pages = append(pages, problemPage{Code: code, Text: text})
	}
	slices.SortFunc(pages, func(a, b problemPage) int { return strings.Compare(a.Code, b.Code) })
	return pages
}

func (t *Table) reference() []docsOperation {
	ops := make([]docsOperation, 0, len(t.order))
	for _, e := range t.order {
		roles := "users, server keys"
		if len(e.Roles) > 0 {
			names := make([]string, len(e.Roles))
			for i, r := range e.Roles {
				names[i] = string(r)
			}
			roles = strings.Join(names, ", ")
		}
		out := t.registry.Schema(e.Output, true, e.Name+"Result")
		if out.Ref != "" {
			out = t.registry.SchemaFromRef(out.Ref)
		}
		ops = append(ops, docsOperation{
			Name: e.Name, Method: e.Method, Path: e.Path, Summary: e.Summary, Description: e.Description, Roles: roles,
			Money: e.Money, SocketOnly: e.SocketOnly || e.Method == "", Input: docsFields(e.schema), Output: docsFields(out),
		})
	}
	return ops
}

func docsFields(s *huma.Schema) []docsField {
	fields := make([]docsField, 0, len(s.Properties))
	for _, name := range propertyNames(s) {
		p := s.Properties[name]
		fields = append(fields, docsField{Name: name, Kind: kind(p), Doc: p.Description, Required: slices.Contains(s.Required, name)})
	}
	return fields
}

func kind(s *huma.Schema) string {
	switch {
	case s.Ref != "":
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
	case s.Type == huma.TypeArray && s.Items != nil:
		return "list of " + kind(s.Items)
	case len(s.Enum) > 0:
		return fmt.Sprint(s.Enum...)
	case s.Type == "":
		return "any"
	}
	return s.Type
}
