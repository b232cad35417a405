package hub

import (
	"crypto/sha1" //nolint:gosec // RFC 6455, section 1.3, asks for it; nothing rests on its strength
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"
)

// handshakeTimeout bounds the writing of the answer to a handshake.
const handshakeTimeout = 5 * time.Second

// errHandshake says that a request asks for a WebSocket in a way that cannot be answered.
var errHandshake = errors.New("hub: not a WebSocket handshake")

// handshakeKey checks what RFC 6455, section 4.2.1, demands besides the Upgrade
// header and returns the client's key.
func handshakeKey(r *http.Request) (key, problem string) {
	keys := r.Header.Values("Sec-WebSocket-Key")
	switch {
	case r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1):
		return "", "a handshake is a GET of HTTP/1.1"
	case !hasToken(r.Header, "Connection", "upgrade"):
		return "", "the Connection header must name Upgrade"
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return "", "only WebSocket version 13 is spoken"
	case len(keys) != 1:
		return "", "one Sec-WebSocket-Key is needed"
	}
	key = strings.TrimSpace(keys[0])
	if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) != 16 {
		return "", "Sec-WebSocket-Key must be 16 bytes in base64"
	}
	return key, ""
}

// acceptKey proves that the handshake was understood (RFC 6455, section 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see the import
	return base64.StdEncoding.EncodeToString(sum[:])
}

// shake answers the handshake and takes the connection over; it returns what
// the client sent behind it.
func (s *session) shake(w http.ResponseWriter, r *http.Request, extension string) (early []byte, err error) {
	key, problem := handshakeKey(r)
	if problem != "" {
		w.Header().Set("Sec-WebSocket-Version", "13")
		http.Error(w, problem, http.StatusBadRequest)
		return nil, errHandshake
	}
	conn, early, err := hijack(w)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusNotImplemented), http.StatusNotImplemented)
		return nil, err
	}
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		acceptKey(key) + "\r\nSec-WebSocket-Protocol: " + subprotocols[s.form.plain()] + "\r\n"
	if extension != "" {
		answer += "Sec-WebSocket-Extensions: " + extension + "\r\n"
	}
	answer += "\r\n"
	if s.link, err = s.hub.linkOf(conn); err != nil {
		return nil, err
	}
	n, err := s.link.tryWrite([]byte(answer)) // most often it is taken at once, and no timer is needed
	if err == nil && n < len(answer) {
		_, err = s.link.writeBy([]byte(answer[n:]), time.Now().Add(handshakeTimeout))
	}
	if err != nil {
		s.link.cut()
		return nil, err
	}
	return early, nil
}

// hasToken reports whether a header lists the token, in any case.
func hasToken(header http.Header, name, token string) bool {
	for _, line := range header.Values(name) {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}
