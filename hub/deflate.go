package hub

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// permessage-deflate (RFC 7692) without context takeover in either direction:
// each message is compressed by itself, so that a connection keeps nothing
// between messages, and what goes to many sockets is compressed once for all.

// deflateFrom is the shortest message, in bytes, that is compressed; what shorter
// ones save is less than a packet's headers.
const deflateFrom = 256

// rsv1 marks a compressed message in the first byte of its first frame (RFC 7692, section 6).
const rsv1 = 0x40

// deflateAnswer is how a client's offer is taken up.
const deflateAnswer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// errDeflate says that a message is not what its compression bit says.
var errDeflate = errors.New("hub: a compressed message cannot be read")

// deflateOffered returns the answer to the first offer of permessage-deflate
// that can be taken up, or nothing (RFC 7692, section 7.1).
func deflateOffered(header http.Header) string {
	for _, line := range header.Values("Sec-WebSocket-Extensions") {
		for offer := range strings.SplitSeq(line, ",") {
			if answer, ok := deflateOffer(offer); ok {
				return answer
			}
		}
	}
	return ""
}

// deflateOffer reads one offer. A window smaller than 32 KiB for what the server
// sends is declined: what is shared by many sockets has one window.
func deflateOffer(offer string) (answer string, ok bool) {
	name, params, _ := strings.Cut(offer, ";")
	if !strings.EqualFold(strings.TrimSpace(name), "permessage-deflate") {
		return "", false
	}
	answer = deflateAnswer
	seen := make(map[string]bool)
	for param := range strings.SplitSeq(params, ";") {
		if param = strings.TrimSpace(param); param == "" && params == "" {
			break
		}
		key, value, valued := strings.Cut(param, "=")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.Trim(strings.TrimSpace(value), `"`)
		if seen[key] {
			return "", false
		}
		seen[key] = true
		switch key {
		case "server_no_context_takeover", "client_no_context_takeover":
			ok = !valued
		case "client_max_window_bits":
			ok = !valued || windowBits(value)
		case "server_max_window_bits":
			ok = value == "15"
			answer += "; server_max_window_bits=15"
		default:
			ok = false
		}
		if !ok {
			return "", false
		}
	}
	return answer, true
}

// windowBits reports whether s is 8 to 15, written as RFC 7692, section 7.1.2, wants it.
func windowBits(s string) bool {
	return s == "8" || s == "9" || len(s) == 2 && s[0] == '1' && s[1] >= '0' && s[1] <= '5'
}

// deflater compresses one message after the other. Its memory, more than half a
// megabyte, is a worker's, not a connection's.
type deflater struct {
	buf bytes.Buffer
	w   *flate.Writer
}

var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil { // the level is a constant
		panic(err)
	}
	return &deflater{w: w}
}}

// deflated returns the data frame compressed, or as it is if that is not shorter.
func deflated(frame []byte) ([]byte, error) {
	payload := payloadOf(frame)
	if len(payload) < deflateFrom {
		return frame, nil
	}
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.buf.Reset()
	d.w.Reset(&d.buf)
	if _, err := d.w.Write(payload); err != nil {
		return nil, fmt.Errorf("hub: deflate: %w", err)
	}
	if err := d.w.Flush(); err != nil {
		return nil, fmt.Errorf("hub: deflate: %w", err)
	}
	// RFC 7692, section 7.2.1: the empty block at the end is left out.
	body := bytes.TrimSuffix(d.buf.Bytes(), []byte(deflateTail[:4]))
	if len(body) >= len(payload) {
		return frame, nil
	}
	out := appendHeader(make([]byte, 0, headerRoom+len(body)), frame[0]|rsv1, len(body))
	return append(out, body...), nil
}

// deflateTail is put behind what a client sends: the empty block that was left
// out there (RFC 7692, section 7.2.2), and an empty one that is the last.
const deflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// inflater reads one compressed message after the other.
type inflater struct {
	in bytes.Reader
	r  io.ReadCloser
}

var inflaters = sync.Pool{New: func() any {
	d := new(inflater)
	d.r = flate.NewReader(&d.in)
	return d
}}

// inflate returns a message of at most most bytes. Not more than one byte beyond
// those is ever decompressed.
func inflate(payload []byte, most int) ([]byte, error) {
	d := inflaters.Get().(*inflater)
	defer inflaters.Put(d)
	d.in.Reset(append(append(make([]byte, 0, len(payload)+len(deflateTail)), payload...), deflateTail...))
	defer d.in.Reset(nil)
	if err := d.r.(flate.Resetter).Reset(&d.in, nil); err != nil {
		return nil, fmt.Errorf("hub: inflate: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(d.r, int64(most)+1))
	switch {
	case err != nil:
		return nil, errDeflate
	case len(out) > most:
		return nil, errOversize
	case d.in.Len() > len(deflateTail)+1: // a last block, and more behind it
		return nil, errDeflate
	}
	return out, nil
}
