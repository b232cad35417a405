// Package jsoncbor turns JSON values into CBOR (RFC 8949) and back, for clients
// that speak the subprotocol parley.v1.cbor.
//
// Both forms hold the same values: objects with text keys, arrays, text,
// numbers, true, false and null. What JSON has no word for (byte strings, tags,
// undefined, NaN) is refused. It knows nothing of messages and sockets.
package jsoncbor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/fxamacker/cbor/v2"
)

// MaxDepth is how deep a client's arrays and maps may be nested.
const MaxDepth = 32

// serverDepth is how deep encoding/json nests, and so what a node may send.
const serverDepth = 10_000

// Reasons why a value has no other form.
var (
	// ErrValue says that it is not one well-formed value of the kinds both forms have.
	ErrValue = errors.New("jsoncbor: not a value that JSON and CBOR share")
	// ErrTooLarge says that the JSON would be longer than allowed.
	ErrTooLarge = errors.New("jsoncbor: too large as JSON")
)

// deterministic encoding (RFC 8949, section 4.2.1): shortest numbers, no
// indefinite lengths, keys in bytewise order.
var encoder = must(cbor.CoreDetEncOptions().EncMode())

// The decoders of what clients and what nodes send.
var decoder, serverDecoder = decoding(MaxDepth), decoding(serverDepth)

func decoding(depth int) cbor.DecMode {
	return must(cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		UTF8:             cbor.UTF8RejectInvalid,
		MapKeyByteString: cbor.MapKeyByteStringForbidden,
		NaN:              cbor.NaNDecodeForbidden,
		Inf:              cbor.InfDecodeForbidden,
		MaxNestedLevels:  depth,
		DefaultMapType:   mapType,
		SimpleValues:     simpleValues(),
	}.DecMode())
}

// FromJSON returns a JSON value as CBOR, deterministically encoded. Integers
// from -2^63 to 2^64-1 stay exact; other numbers become the nearest IEEE 754
// finite double. The error is ErrValue, which no valid JSON makes.
func FromJSON(data []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrValue, err)
	}
	v, err := numbers(v)
	if err != nil {
		return nil, err
	}
	b, err := encoder.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrValue, err)
	}
	return b, nil
}

// numbers puts numbers in place of their digits.
func numbers(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case json.Number:
		return number(string(v))
	case []any:
		for i := range v {
			if v[i], err = numbers(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key, inner := range v {
			if v[key], err = numbers(inner); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

func number(digits string) (any, error) {
	if i, err := strconv.ParseInt(digits, 10, 64); err == nil {
		return i, nil
	}
	if u, err := strconv.ParseUint(digits, 10, 64); err == nil {
		return u, nil
	}
	f, err := strconv.ParseFloat(digits, 64)
	switch {
	case errors.Is(err, strconv.ErrRange): // JSON knows no infinity
		return math.Copysign(math.MaxFloat64, f), nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrValue, err)
	}
	return f, nil
}

// ToJSON returns a CBOR value as JSON of at most most bytes, without spaces and
// with keys in order. A float without a fraction is written as an integer. The
// error is ErrValue or ErrTooLarge; no input makes it take more memory than a
// small multiple of its length.
func ToJSON(data []byte, most int) ([]byte, error) { return toJSON(decoder, data, most) }

// ServerToJSON does the same for what a node sent, which may be nested as deep
// as JSON may.
func ServerToJSON(data []byte, most int) ([]byte, error) { return toJSON(serverDecoder, data, most) }

func toJSON(from cbor.DecMode, data []byte, most int) ([]byte, error) {
	var v any
	if err := from.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrValue, err)
	}
	w := writer{b: make([]byte, 0, min(2*len(data), most)), most: most}
	w.value(v)
	return w.b, w.err
}

// writer appends JSON until it has too much.
type writer struct {
	b    []byte
	most int
	err  error
}

func (w *writer) value(v any) {
	if len(w.b) > w.most {
		w.err = ErrTooLarge
	}
	if w.err != nil {
		return
	}
	switch v := v.(type) {
	case nil:
		w.b = append(w.b, "null"...)
	case bool:
		w.b = strconv.AppendBool(w.b, v)
	case string:
		w.text(v)
	case int64:
		w.b = strconv.AppendInt(w.b, v, 10)
	case uint64:
		w.b = strconv.AppendUint(w.b, v, 10)
	case float64:
		w.float(v)
	case []any:
		w.list(v)
	case map[string]any:
		w.object(v)
	default: // byte strings, integers below -2^63
		w.err = fmt.Errorf("%w: %T", ErrValue, v)
	}
	if len(w.b) > w.most && w.err == nil {
		w.err = ErrTooLarge
	}
}

func (w *writer) list(list []any) {
	w.b = append(w.b, '[')
	for i, v := range list {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.value(v)
	}
	w.b = append(w.b, ']')
}

func (w *writer) object(members map[string]any) {
	w.b = append(w.b, '{')
	for i, key := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.text(key)
		w.b = append(w.b, ':')
		w.value(members[key])
	}
	w.b = append(w.b, '}')
}

// float writes as encoding/json does: an integer that a double holds has no
// fraction and no exponent, so that it can be read as one.
func (w *writer) float(f float64) {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	if f == 0 {
		f = 0 // without a sign
	}
	w.b = strconv.AppendFloat(w.b, f, format, -1, 64)
}

// text writes valid UTF-8 as a JSON string.
func (w *writer) text(s string) {
	const digits = "0123456789abcdef"
	w.b = append(w.b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		w.b = append(w.b, s[from:i]...)
		from = i + 1
		if c == '"' || c == '\\' {
			w.b = append(w.b, '\\', c)
		} else {
			w.b = append(w.b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	w.b = append(append(w.b, s[from:]...), '"')
}

// AppendArrayHead appends the head of an array of n values, which follow it.
func AppendArrayHead(b []byte, n int) []byte {
	const array = 4 << 5
	switch {
	case n < 24:
		return append(b, array|byte(n))
	case n < 1<<8:
		return append(b, array|24, byte(n))
	case n < 1<<16:
		return append(b, array|25, byte(n>>8), byte(n))
	}
	return append(b, array|26, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// IsMap reports whether a value is a map.
func IsMap(b []byte) bool { return len(b) > 0 && b[0]>>5 == 5 }
