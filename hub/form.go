package hub

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"unicode/utf8"
	"unsafe"

	"parley/wire/jsoncbor"
)

// A form is how messages look on a session's line. Inside the hub, and between
// nodes, every message is a text frame of JSON; it takes its form when it is
// queued for a session, so that only those who use another pay for it.
type form uint8

const (
	formJSON         form = iota // a WebSocket text frame
	formCBOR                     // a WebSocket binary frame of CBOR
	formSSE                      // a server-sent event
	formJSONDeflated             // formJSON, long messages compressed
	formCBORDeflated             // formCBOR likewise
)

// transports names the forms in metrics.
var transports = [...]string{
	formJSON: "json", formCBOR: "cbor", formSSE: "sse", formJSONDeflated: "json_deflate", formCBORDeflated: "cbor_deflate",
}

// deflated returns the form with compression.
func (f form) deflated() form { return f - formJSON + formJSONDeflated }

// plain returns the form without compression.
func (f form) plain() form {
	if f >= formJSONDeflated {
		return f - formJSONDeflated + formJSON
	}
	return f
}

// Subprotocols of the WebSocket, by form.
var subprotocols = [...]string{formJSON: Subprotocol, formCBOR: SubprotocolCBOR}

// of returns a message in this form. Frames that are no messages stay as they are.
func (f form) of(frame []byte) ([]byte, error) {
	switch {
	case f == formJSON || frame[0] != finText:
		return frame, nil
	case f == formSSE:
		return sseMessage(payloadOf(frame)), nil
	case f != f.plain():
		plain, err := f.plain().of(frame)
		if err != nil {
			return nil, err
		}
		return deflated(plain)
	}
	body, err := jsoncbor.FromJSON(payloadOf(frame))
	if err != nil {
		return nil, fmt.Errorf("hub: message as CBOR: %w", err)
	}
	return append(appendHeader(make([]byte, 0, headerRoom+len(body)), finBinary, len(body)), body...), nil
}

// message reads a client's message of the given opcode as JSON of at most most
// bytes; otherwise it answers how the session ends, or errParse for what is no
// message but may be followed by one.
func (f form) message(op byte, payload []byte, most int) (json []byte, e ending, err error) {
	cbor := f.plain() == formCBOR
	switch {
	case !cbor && op != opText:
		return nil, endNotText, nil
	case !cbor && !utf8.Valid(payload):
		return nil, endNotUTF8, nil
	case !cbor:
		return payload, ending{}, nil
	case op != opBinary:
		return nil, endNotBinary, nil
	}
	json, err = jsoncbor.ToJSON(payload, most)
	switch {
	case err == nil:
		return json, ending{}, nil
	case errors.Is(err, jsoncbor.ErrTooLarge):
		return nil, endOversize, nil
	}
	return nil, ending{}, errParse
}

// closing makes what tells the client that and why its session ends.
func (f form) closing(code int, reason string) []byte {
	if f == formSSE {
		return sseClose(code, reason)
	}
	return closeFrame(code, reason)
}

// joinable reports whether a frame holds one message, which can be part of a
// batch; the answer to a batch is one already, and a compressed message stays as
// it is for all who get it.
func (f form) joinable(frame []byte) bool {
	switch f.plain() {
	case formJSON:
		return frame[0] == finText && len(frame) > 2 && payloadOf(frame)[0] == '{'
	case formCBOR:
		return frame[0] == finBinary && jsoncbor.IsMap(payloadOf(frame))
	}
	return false
}

// appendBatch appends one frame that holds the messages of list, which are joinable.
func (f form) appendBatch(b []byte, list []queued) []byte {
	size := 0
	for _, q := range list {
		size += len(payloadOf(q.frame))
	}
	if f.plain() == formCBOR {
		head := jsoncbor.AppendArrayHead(make([]byte, 0, 5), len(list))
		b = append(appendHeader(b, finBinary, len(head)+size), head...)
		for _, q := range list {
			b = append(b, payloadOf(q.frame)...)
		}
		return b
	}
	b = appendHeader(b, finText, size+len(list)+1)
	for i, q := range list {
		b = append(append(b, "[,"[min(i, 1)]), payloadOf(q.frame)...)
	}
	return append(b, ']')
}

// sseMessage makes a message a server-sent event. Outside of strings, a line
// break means nothing in JSON; in them it cannot be.
func sseMessage(json []byte) []byte {
	b := make([]byte, 0, len("data: \n\n")+len(json))
	b = append(append(append(b, "data: "...), json...), "\n\n"...)
	for body := b[:len(b)-2]; ; {
		i := bytes.IndexAny(body, "\r\n")
		if i < 0 {
			return b
		}
		body[i] = ' '
		body = body[i+1:]
	}
}

// sseClose is what a close frame is to a WebSocket.
func sseClose(code int, reason string) []byte {
	return fmt.Appendf(nil, "event: close\ndata: {\"code\":%d,\"reason\":%q}\n\n", code, reason)
}

// sharedSlots is how many messages in another form are kept for the next session.
const sharedSlots = 32

// shared keeps messages that were given another form, so that what goes to
// many sockets is encoded once for all. A message is known by where its frame
// is in memory, which cannot be another's while it is kept.
type shared struct {
	slots [sharedSlots]atomic.Pointer[formed]
}

type formed struct {
	form       form
	frame, out []byte
}

// in returns the frame in the given form.
func (c *shared) in(f form, frame []byte) ([]byte, error) {
	if f == formJSON {
		return frame, nil
	}
	at := unsafe.SliceData(frame)
	slot := &c.slots[(uintptr(unsafe.Pointer(at))>>5^uintptr(f))%sharedSlots] //nolint:gosec // an address as a hash; nothing is read through it
	if e := slot.Load(); e != nil && e.form == f && unsafe.SliceData(e.frame) == at && len(e.frame) == len(frame) {
		return e.out, nil
	}
	out, err := f.of(frame)
	if err == nil {
		slot.Store(&formed{form: f, frame: frame, out: out})
	}
	return out, err
}
