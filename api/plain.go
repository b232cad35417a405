package api

import (
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// plain are the parameters of an operation that can be checked and kept in one
// reading: strings of printable ASCII, booleans and whole numbers within bounds.
// Most requests on a socket have no others. The general check makes a map of them
// first and then decodes them by reflection; both together would be a sixth of
// what a signal costs.
type plain struct {
	fields   map[string]plainField
	required uint64 // bits of fields
}

type plainField struct {
	bit  uint64
	kind string
	// of a string's length, or of a number
	least, most int64
	at          []int // the input's field, as reflect.Value.FieldByIndex takes it
}

const anyNumber = int64(1) << 62

// newPlain finds the plain parameters among those of a schema that was made of
// type in; what has others, or rules that go beyond bounds, is left to the
// general check.
func newPlain(s *huma.Schema, in reflect.Type) plain {
	p := plain{fields: map[string]plainField{}}
	if s.OneOf != nil || s.AnyOf != nil || s.AllOf != nil || s.Not != nil || s.MinProperties != nil || s.MaxProperties != nil ||
		len(s.DependentRequired) > 0 || len(s.Properties) > 64 {
		return p
	}
	for name, at := range plainTargets(in) {
		prop := s.Properties[name]
		if prop == nil {
			continue
		}
		if f, ok := newPlainField(prop); ok && kindOf(in.FieldByIndex(at).Type) == f.kind {
			f.bit, f.at = 1<<len(p.fields), at
			p.fields[name] = f
		}
	}
	for _, name := range s.Required {
		f, ok := p.fields[name]
		if !ok {
			return plain{}
		}
		p.required |= f.bit
	}
	return p
}

// plainTargets are the fields of a struct by their JSON names, without those whose
// name occurs twice.
func plainTargets(in reflect.Type) map[string][]int {
	found := map[string][]int{}
	if in.Kind() != reflect.Struct {
		return found
	}
	twice := map[string]bool{}
	for _, f := range reflect.VisibleFields(in) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || name == "" || name == "-" || strings.Contains(options, "string") || throughPointer(in, f.Index) {
			continue
		}
		twice[name] = found[name] != nil
		found[name] = f.Index
	}
	maps.DeleteFunc(found, func(name string, _ []int) bool { return twice[name] })
	return found
}

// throughPointer reports whether a field lies in an embedded pointer, which may be nil.
func throughPointer(in reflect.Type, index []int) bool {
	for i := 1; i < len(index); i++ {
		if in.FieldByIndex(index[:i]).Type.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}

// kindOf is the schema's word for what a field can keep, "" for what decodes itself or is kept otherwise.
func kindOf(t reflect.Type) string {
	if p := reflect.PointerTo(t); p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return ""
	}
	switch t.Kind() {
	case reflect.String:
		return huma.TypeString
	case reflect.Bool:
		return huma.TypeBoolean
	case reflect.Int, reflect.Int64:
		return huma.TypeInteger
	}
	return ""
}

func newPlainField(s *huma.Schema) (f plainField, ok bool) {
	f = plainField{kind: s.Type, least: -anyNumber, most: anyNumber}
	if s.Ref != "" || s.OneOf != nil || s.AnyOf != nil || s.AllOf != nil || s.Not != nil || s.Enum != nil || s.Pattern != "" || s.ReadOnly || s.WriteOnly {
		return f, false
	}
	switch s.Type {
	case huma.TypeString:
		if s.MinLength != nil {
			f.least = int64(*s.MinLength)
		}
		if s.MaxLength != nil {
			f.most = int64(*s.MaxLength)
		}
		return f, s.Format == "" && s.ContentEncoding == ""
	case huma.TypeInteger:
		if s.Minimum != nil {
			f.least = int64(*s.Minimum)
		}
		if s.Maximum != nil {
			f.most = int64(*s.Maximum)
		}
		return f, s.ExclusiveMinimum == nil && s.ExclusiveMaximum == nil && s.MultipleOf == nil
	}
	return f, s.Type == huma.TypeBoolean
}

// read keeps params in the zero struct into, which has the type that the schema
// was made of, and reports that they are plain and right. False says nothing, and
// into is of no use then: the general check decides, and finds the words for
// what is wrong.
func (p *plain) read(params json.RawMessage, into reflect.Value) bool {
	r := plainReader{rest: params}
	if len(p.fields) == 0 || !r.take('{') {
		return false
	}
	seen := uint64(0)
	for first := true; ; first = false {
		if r.take('}') {
			break
		}
		if !first && !r.take(',') {
			return false
		}
		name, ok := r.text()
		if !ok || !r.take(':') {
			return false
		}
		f, ok := p.fields[string(name)]
		if !ok || seen&f.bit != 0 || !r.value(f, into.FieldByIndex(f.at)) {
			return false
		}
		seen |= f.bit
	}
	r.space()
	return len(r.rest) == 0 && seen&p.required == p.required
}

// plainReader reads JSON as far as it is plain.
type plainReader struct{ rest []byte }

func (r *plainReader) space() {
	for len(r.rest) > 0 && (r.rest[0] == ' ' || r.rest[0] == '\n' || r.rest[0] == '\t' || r.rest[0] == '\r') {
		r.rest = r.rest[1:]
	}
}

// take reads c, after white space, if it is next.
func (r *plainReader) take(c byte) bool {
	r.space()
	if len(r.rest) == 0 || r.rest[0] != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

// text reads a string without escapes.
func (r *plainReader) text() ([]byte, bool) {
	if !r.take('"') {
		return nil, false
	}
	for i, c := range r.rest {
		switch {
		case c == '"':
			s := r.rest[:i]
			r.rest = r.rest[i+1:]
			return s, true
		case c < ' ' || c > '~' || c == '\\':
			return nil, false
		}
	}
	return nil, false
}

// value reads what f takes into its field.
func (r *plainReader) value(f plainField, into reflect.Value) bool {
	switch f.kind {
	case huma.TypeString:
		s, ok := r.text()
		if ok = ok && int64(len(s)) >= f.least && int64(len(s)) <= f.most; ok {
			into.SetString(string(s))
		}
		return ok
	case huma.TypeBoolean:
		on := r.word("true")
		into.SetBool(on)
		return on || r.word("false")
	}
	n, ok := r.number()
	into.SetInt(n)
	return ok && n >= f.least && n <= f.most
}

func (r *plainReader) word(w string) bool {
	r.space()
	if len(r.rest) < len(w) || string(r.rest[:len(w)]) != w {
		return false
	}
	r.rest = r.rest[len(w):]
	return true
}

// number reads a whole number of up to 15 digits, which every JSON reader takes alike.
func (r *plainReader) number() (n int64, ok bool) {
	r.space()
	digits := 0
	for digits < len(r.rest) && r.rest[digits] >= '0' && r.rest[digits] <= '9' {
		n = 10*n + int64(r.rest[digits]-'0')
		if digits++; digits > 15 {
			return 0, false
		}
	}
	if digits == 0 || digits > 1 && r.rest[0] == '0' {
		return 0, false
	}
	r.rest = r.rest[digits:]
	return n, true // a fraction or an exponent is no comma and no brace
}
