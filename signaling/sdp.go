package signaling

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MaxSignal bounds the data of a signal, in bytes.
const MaxSignal = 64 << 10

// maxCandidate bounds one ICE candidate line, in bytes.
const maxCandidate = 1 << 10

// maxProof bounds the data of commit, nonce and reveal, in bytes.
const maxProof = 1 << 10

// screen checks that data is what kind promises and returns what may be passed
// on; pass is false when nothing of it may. With relayOnly it takes out every
// candidate that is not relayed, and the address a relayed one would tell
// (RFC 8839, section 5.1), so that a careless client gives away no address.
// Data that needs no such cut passes byte for byte.
func screen(kind SignalKind, data json.RawMessage, relayOnly bool) (out json.RawMessage, pass bool, err error) {
	if len(data) > MaxSignal {
		return nil, false, fmt.Errorf("%w: more than %d bytes", ErrSignal, MaxSignal)
	}
	if len(data) > 0 && !json.Valid(data) {
		return nil, false, fmt.Errorf("%w: not JSON", ErrSignal)
	}
	switch kind {
	case SignalOffer, SignalAnswer:
		out, err = screenDescription(data, relayOnly)
	case SignalRestart:
		if isEmpty(data) {
			return data, true, nil
		}
		out, err = screenDescription(data, relayOnly)
	case SignalCandidate:
		return screenCandidates(data, relayOnly)
	case SignalCommit, SignalNonce, SignalReveal:
		if isEmpty(data) || len(data) > maxProof {
			err = fmt.Errorf("%w: %s needs at most %d bytes", ErrSignal, kind, maxProof)
		}
		out = data
	default:
		err = fmt.Errorf("%w: unknown kind", ErrSignal)
	}
	return out, err == nil, err
}

func isEmpty(data json.RawMessage) bool {
	switch string(bytes.TrimSpace(data)) {
	case "", "null", "{}":
		return true
	}
	return false
}

// screenDescription takes an SDP as a JSON string or as an object's "sdp".
func screenDescription(data json.RawMessage, relayOnly bool) (json.RawMessage, error) {
	var sdp string
	if json.Unmarshal(data, &sdp) == nil {
		clean, err := screenSDP(sdp, relayOnly)
		if err != nil || clean == sdp {
			return data, err
		}
		return json.Marshal(clean)
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(data, &object) != nil || json.Unmarshal(object["sdp"], &sdp) != nil {
		return nil, fmt.Errorf("%w: an SDP is a string, or an object's sdp", ErrSignal)
	}
	clean, err := screenSDP(sdp, relayOnly)
	if err != nil || clean == sdp {
		return data, err
	}
	if object["sdp"], err = json.Marshal(clean); err != nil {
		return nil, err
	}
	return json.Marshal(object)
}

// screenSDP checks the few lines that make an SDP one of ours: version first
// (RFC 8866, section 5.1), audio, and a SHA-256 fingerprint (RFC 8122), without
// which nothing could be verified.
func screenSDP(sdp string, relayOnly bool) (string, error) {
	switch {
	case !strings.HasPrefix(sdp, "v=0\r\n") && !strings.HasPrefix(sdp, "v=0\n"):
		return "", fmt.Errorf("%w: an SDP begins with v=0", ErrSignal)
	case len(sdp) > MaxSignal, strings.ContainsRune(sdp, 0):
		return "", fmt.Errorf("%w: not an SDP", ErrSignal)
	case !hasFingerprint(sdp):
		return "", fmt.Errorf("%w: the SDP has no sha-256 fingerprint", ErrSignal)
	case !relayOnly:
		return sdp, nil
	}
	var b strings.Builder
	for line := range strings.Lines(sdp) {
		body := strings.TrimRight(line, "\r\n")
		candidate, ok := cutFold(body, "a=")
		if !ok || !isCandidate(candidate) {
			b.WriteString(line)
			continue
		}
		if hidden, ok := hideAddress(candidate); ok {
			b.WriteString("a=" + hidden + line[len(body):])
		}
	}
	return b.String(), nil
}

func hasFingerprint(sdp string) bool {
	for line := range strings.Lines(sdp) {
		value, ok := cutFold(strings.TrimSpace(line), "a=fingerprint:sha-256 ")
		if !ok {
			continue
		}
		raw, err := hex.DecodeString(strings.ReplaceAll(value, ":", ""))
		if err == nil && len(raw) == 32 {
			return true
		}
	}
	return false
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// screenCandidates takes one candidate, an array of them, or null.
func screenCandidates(data json.RawMessage, relayOnly bool) (json.RawMessage, bool, error) {
	if isEmpty(data) {
		return data, true, nil // the last one
	}
	var list []json.RawMessage
	if json.Unmarshal(data, &list) != nil {
		return screenCandidate(data, relayOnly)
	}
	kept := list[:0]
	for _, item := range list {
		out, pass, err := screenCandidate(item, relayOnly)
		if err != nil {
			return nil, false, err
		}
		if pass {
			kept = append(kept, out)
		}
	}
	if !relayOnly {
		return data, true, nil
	}
	out, err := json.Marshal(kept)
	return out, len(kept) > 0, err
}

// screenCandidate takes an RTCIceCandidateInit or just its candidate line; an
// empty line marks the end.
func screenCandidate(data json.RawMessage, relayOnly bool) (json.RawMessage, bool, error) {
	var line string
	if json.Unmarshal(data, &line) == nil {
		clean, pass, err := screenLine(line, relayOnly)
		if err != nil || !pass || clean == line {
			return data, pass, err
		}
		out, err := json.Marshal(clean)
		return out, true, err
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(data, &object) != nil || json.Unmarshal(object["candidate"], &line) != nil {
		return nil, false, fmt.Errorf("%w: a candidate is a string, or an object's candidate", ErrSignal)
	}
	clean, pass, err := screenLine(line, relayOnly)
	if err != nil || !pass || !relayOnly {
		return data, pass, err
	}
	if object["candidate"], err = json.Marshal(clean); err != nil {
		return nil, false, err
	}
	maps.DeleteFunc(object, func(name string, _ json.RawMessage) bool { return !slices.Contains(candidateFields, name) })
	out, err := json.Marshal(object)
	return out, true, err
}

// candidateFields are those of RTCIceCandidateInit. Others may repeat the address.
var candidateFields = []string{"candidate", "sdpMid", "sdpMLineIndex", "usernameFragment"}

func screenLine(line string, relayOnly bool) (clean string, pass bool, err error) {
	body := strings.TrimPrefix(line, "a=")
	switch {
	case line == "":
		return line, true, nil
	case len(line) > maxCandidate, strings.ContainsAny(line, "\r\n\x00"), !isCandidate(body):
		return "", false, fmt.Errorf("%w: not a candidate", ErrSignal)
	case !relayOnly:
		return line, true, nil
	}
	hidden, ok := hideAddress(body)
	return hidden, ok, nil
}

func isCandidate(s string) bool {
	_, ok := cutFold(s, "candidate:")
	return ok
}

// hideAddress returns a relayed candidate without its related address, or
// false for any other type.
func hideAddress(candidate string) (string, bool) {
	f := strings.Fields(candidate)
	// candidate:foundation component transport priority address port typ type [name value]…
	if len(f) < 8 || !strings.EqualFold(f[6], "typ") || !strings.EqualFold(f[7], "relay") {
		return "", false
	}
	for i := 8; i+1 < len(f); i += 2 {
		switch strings.ToLower(f[i]) {
		case "raddr":
			f[i+1] = "0.0.0.0"
		case "rport":
			f[i+1] = "9"
		}
	}
	return strings.Join(f, " "), true
}
