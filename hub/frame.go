package hub

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"parley/wire"
)

// A request is one JSON-RPC 2.0 request as it came, or why it is none.
type request struct {
	id     json.RawMessage // nil: a notification, which is not answered
	method string
	params json.RawMessage
	trace  string // W3C traceparent, an extension member
	bad    error  // set: answer "invalid request", with the id if that is one
}

// notification reports whether the request wants no answer.
func (r *request) notification() bool { return r.bad == nil && r.id == nil }

// A frame is what one WebSocket message holds.
type frame struct {
	requests []request
	batch    bool // answer with an array
}

var (
	errParse       = errors.New("not JSON")
	errEmptyBatch  = errors.New("a batch needs at least one request")
	errBatchSize   = errors.New("too many requests in one batch")
	errNotObject   = errors.New("a request is a JSON object")
	errVersion     = errors.New(`"jsonrpc" must be "2.0"`)
	errMethod      = errors.New(`"method" must be a non-empty string`)
	errID          = errors.New(`"id" must be a string, a number or null`)
	errParams      = errors.New(`"params" must be an object or an array`)
	errTwice       = errors.New("a member occurs twice")
	errIDTooLong   = errors.New(`"id" is longer than 128 bytes`)
	errTraceparent = errors.New(`"traceparent" must be a string`)
)

// maxID bounds a request's id, which every answer repeats.
const maxID = 128

// parseFrame takes a WebSocket message apart. The parts point into data. Its
// error is errParse, errEmptyBatch or errBatchSize; a single wrong request is in its bad.
func parseFrame(data []byte, maxBatch int) (frame, error) {
	if !json.Valid(data) {
		return frame{}, errParse
	}
	i := skipSpace(data, 0)
	if data[i] != '[' {
		return frame{requests: []request{parseRequest(data[i:])}}, nil
	}
	f := frame{batch: true}
	i = skipSpace(data, i+1)
	for data[i] != ']' {
		if len(f.requests) == maxBatch {
			return frame{}, fmt.Errorf("%w: at most %d", errBatchSize, maxBatch)
		}
		end := skipValue(data, i)
		f.requests = append(f.requests, parseRequest(data[i:end]))
		i = skipSpace(data, end)
		if data[i] == ',' {
			i = skipSpace(data, i+1)
		}
	}
	if len(f.requests) == 0 {
		return frame{}, errEmptyBatch
	}
	return f, nil
}

// parseRequest reads one request from data, which begins with a valid JSON value.
func parseRequest(data []byte) request {
	if data[0] != '{' {
		return request{bad: errNotObject}
	}
	var r request
	var seen uint8
	version := false
	for key, value := range members(data) {
		bit, err := r.member(key, value, &version)
		if seen&bit != 0 {
			err = errTwice
		}
		if err != nil && r.bad == nil {
			r.bad = err
		}
		seen |= bit
	}
	switch {
	case r.bad != nil:
	case !version:
		r.bad = errVersion
	case r.method == "":
		r.bad = errMethod
	}
	return r
}

// members walks through the object with which data, which is valid JSON, begins.
func members(data []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for i := skipSpace(data, 1); data[i] != '}'; {
			keyEnd := skipValue(data, i)
			key := data[i:keyEnd]
			i = skipSpace(data, skipSpace(data, keyEnd)+1) // over the colon
			end := skipValue(data, i)
			if !yield(key, data[i:end]) {
				return
			}
			i = skipSpace(data, end)
			if data[i] == ',' {
				i = skipSpace(data, i+1)
			}
		}
	}
}

// member takes one member of a request and answers a bit that names it, 0 for
// members that mean nothing here.
func (r *request) member(key, value []byte, version *bool) (bit uint8, err error) {
	switch string(unescape(key)) {
	case `"jsonrpc"`:
		*version = string(value) == `"2.0"`
		return 1, nil
	case `"id"`:
		if err := checkID(value); err != nil || r.id != nil {
			r.id = nil
			return 2, err
		}
		r.id = value
		return 2, nil
	case `"method"`:
		if value[0] != '"' {
			return 4, errMethod
		}
		return 4, json.Unmarshal(value, &r.method)
	case `"params"`:
		if value[0] != '{' && value[0] != '[' {
			return 8, errParams
		}
		r.params = value
		return 8, nil
	case `"traceparent"`:
		if value[0] != '"' {
			return 16, errTraceparent
		}
		return 16, json.Unmarshal(value, &r.trace)
	}
	return 0, nil
}

func checkID(value []byte) error {
	if len(value) > maxID {
		return errIDTooLong
	}
	switch c := value[0]; {
	case c == '"', c == '-', c >= '0' && c <= '9', c == 'n':
		return nil
	}
	return errID
}

// unescape returns key with its escapes resolved, in quotes.
func unescape(key []byte) []byte {
	for _, c := range key {
		if c == '\\' {
			var s string
			if json.Unmarshal(key, &s) != nil {
				return nil
			}
			return []byte(`"` + s + `"`)
		}
	}
	return key
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\n' || data[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns the index after the value that begins at i. data is valid JSON.
func skipValue(data []byte, i int) int {
	switch data[i] {
	case '"':
		return skipString(data, i)
	case '{', '[':
		depth := 0
		for ; i < len(data); i++ {
			switch data[i] {
			case '"':
				i = skipString(data, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		return i
	}
	for i < len(data) {
		switch data[i] {
		case ',', ']', '}', ' ', '\t', '\n', '\r':
			return i
		}
		i++
	}
	return i
}

func skipString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return i
}

// WebSocket opcodes (RFC 6455, section 5.2) with the FIN bit.
const (
	finText   = 0x81
	finBinary = 0x82
	finClose  = 0x88
	finPong   = 0x8A
	// headerRoom is the longest header of a server's frame.
	headerRoom = 10
)

// appendHeader appends the header of an unmasked WebSocket frame of n bytes.
func appendHeader(b []byte, op byte, n int) []byte {
	switch {
	case n < 126:
		return append(b, op, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, op, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(b, op, 127), uint64(n))
}

// payloadOf returns the payload of a frame that appendHeader began.
func payloadOf(frame []byte) []byte {
	switch frame[1] {
	case 126:
		return frame[4:]
	case 127:
		return frame[10:]
	}
	return frame[2:]
}

// closeFrame makes a close frame; reason is cut to the 123 bytes that fit.
func closeFrame(code int, reason string) []byte {
	reason = reason[:min(len(reason), 123)]
	b := appendHeader(make([]byte, 0, 4+len(reason)), finClose, 2+len(reason))
	b = binary.BigEndian.AppendUint16(b, uint16(code))
	return append(b, reason...)
}

// textFrame makes a text frame of the concatenated parts.
func textFrame(parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := appendHeader(make([]byte, 0, headerRoom+n), finText, n)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

var (
	eventPrefix     = []byte(`{"jsonrpc":"2.0","method":"event","params":`)
	heartbeatPrefix = []byte(`{"jsonrpc":"2.0","method":"heartbeat","params":`)
	closeBrace      = []byte(`}`)
)

// eventFrame encodes an event as the notification that sockets are sent.
func eventFrame(ev *wire.Event) ([]byte, error) {
	b := make([]byte, headerRoom, headerRoom+len(eventPrefix)+eventSize(ev)+len(closeBrace))
	b, err := appendEvent(append(b, eventPrefix...), ev)
	if err != nil {
		return nil, fmt.Errorf("hub: event %s: %w", ev.Type, err)
	}
	return sealText(append(b, closeBrace...)), nil
}

// sealText puts the header of a text frame before a payload that has room for it.
func sealText(b []byte) []byte {
	var room [headerRoom]byte
	header := appendHeader(room[:0], finText, len(b)-headerRoom)
	frame := b[headerRoom-len(header):]
	copy(frame, header)
	return frame
}

// answerRoom is what an answer takes besides its id and result.
const answerRoom = len(`{"jsonrpc":"2.0","id":,"result":null}`)

// appendResult appends the answer to a request that succeeded.
func appendResult(b []byte, id, result json.RawMessage) []byte {
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	b = append(b, id...)
	b = append(b, `,"result":`...)
	if len(result) == 0 {
		result = null
	}
	return append(append(b, result...), '}')
}

// appendError appends the answer to a request that failed.
func appendError(b []byte, id json.RawMessage, e *wire.ReplyError) []byte {
	if id == nil {
		id = null
	}
	body, err := json.Marshal(wire.Reply{JSONRPC: "2.0", ID: id, Error: e})
	if err != nil { // only an id that is no JSON could do this, and parsing refuses those
		return appendError(b, null, e)
	}
	return append(b, body...)
}

var null = json.RawMessage("null")
