package app

import (
	"bytes"
	"encoding/json"
	"strings"

	"parley/hub"
)

// tailMessage is as much of a message as a tail shows without bodies.
type tailMessage struct {
	Method string `json:"method"`
	Params struct {
		Type         string `json:"type"`
		Conversation string `json:"conversation"`
		Seq          int64  `json:"seq"`
	} `json:"params"`
	Result struct {
		Conversation string `json:"conversation"`
		Seq          int64  `json:"seq"`
	} `json:"result"`
	Error *struct {
		Data struct {
			Code string `json:"code"`
		} `json:"data"`
	} `json:"error"`
}

// tailLines describes a message, or each of a batch.
func tailLines(m hub.Tapped, bodies bool) []TailLine {
	list := []json.RawMessage{m.JSON}
	if trimmed := bytes.TrimLeft(m.JSON, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		list = nil
		if json.Unmarshal(m.JSON, &list) != nil {
			return nil
		}
	}
	lines := make([]TailLine, 0, len(list))
	for _, one := range list {
		line := TailLine{Time: m.Time, Session: m.Session, Device: m.Device, Way: "out", Bytes: len(one)}
		if m.In {
			line.Way = "in"
		}
		line.describe(one)
		if bodies {
			line.Body = withoutSecrets(one)
		}
		lines = append(lines, line)
	}
	return lines
}

// describe says what a message is.
func (l *TailLine) describe(message []byte) {
	var t tailMessage
	// A result need not be an object: then there is nothing of it to show.
	_ = json.Unmarshal(message, &t)
	l.Conversation, l.Seq = t.Params.Conversation, t.Params.Seq
	switch {
	case t.Method == "event":
		l.What = t.Params.Type
	case t.Method != "":
		l.What = t.Method
	case t.Error != nil:
		l.What = "problem " + t.Error.Data.Code
	default:
		l.What, l.Conversation, l.Seq = "reply", t.Result.Conversation, t.Result.Seq
	}
}

// secretWords are parts of names whose values are never shown.
var secretWords = []string{"token", "secret", "credential", "password", "assertion", "sdp", "candidate", "nonce", "key"}

// withoutSecrets is the message with the values of such names left out.
func withoutSecrets(message []byte) json.RawMessage {
	var v any
	dec := json.NewDecoder(bytes.NewReader(message))
	dec.UseNumber()
	if dec.Decode(&v) != nil {
		return nil
	}
	out, err := json.Marshal(redact(v))
	if err != nil {
		return nil
	}
	return out
}

func redact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if isSecret(name) {
				v[name] = "(hidden)"
			} else {
				v[name] = redact(inner)
			}
		}
	case []any:
		for i := range v {
			v[i] = redact(v[i])
		}
	}
	return v
}

func isSecret(name string) bool {
	name = strings.ToLower(name)
	for _, w := range secretWords {
		if strings.Contains(name, w) {
			return true
		}
	}
	return false
}
