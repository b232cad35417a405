package api

import (
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"
)

// plain are the parameters of an operation that can be checked as they are
// read: strings of printable ASCII, booleans and whole numbers within bounds.
// Most requests on a socket have no others, and the general check, which makes
// a map of them first, would be a tenth of what a signal costs.
type plain struct {
	fields   map[string]plainField
	required uint64 // bits of fields
}

type plainField struct {
	bit  uint64
	kind string
	// of a string's length, or of a number
	least, most int64
}

const anyNumber = int64(1) << 62

// newPlain finds the plain parameters of a schema; what has others, or rules
// that go beyond bounds, is left to the general check.
func newPlain(s *huma.Schema) plain {
	p := plain{fields: map[string]plainField{}}
	if s.OneOf != nil || s.AnyOf != nil || s.AllOf != nil || s.Not != nil || s.MinProperties != nil || s.MaxProperties != nil ||
		len(s.DependentRequired) > 0 || len(s.Properties) > 64 {
		return p
	}
	for name, prop := range s.Properties {
		if f, ok := newPlainField(prop); ok {
			f.bit = 1 << len(p.fields)
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

// fits reports that params are plain and right. False says nothing: the
// general check decides, and finds the words for what is wrong.
func (p plain) fits(params json.RawMessage) bool {
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
		if !ok || seen&f.bit != 0 || !r.value(f) {
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

func (r *plainReader) value(f plainField) bool {
	switch f.kind {
	case huma.TypeString:
		s, ok := r.text()
		return ok && int64(len(s)) >= f.least && int64(len(s)) <= f.most
	case huma.TypeBoolean:
		return r.word("true") || r.word("false")
	}
	n, ok := r.number()
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
