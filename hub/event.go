package hub

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"parley/wire"
)

// eventSize is how many bytes an event takes, unless something in it must be escaped.
func eventSize(ev *wire.Event) int {
	const members = len(`{"id":"","type":"","conversation":"","topic":"","seq":,"epoch":"","time":"2026-01-02T15:04:05.000000000Z","author":"","data":null}`) + 20
	return members + len(ev.ID) + len(ev.Type) + len(ev.Conversation) + len(ev.Topic) + len(ev.Epoch) + len(ev.Author) + len(ev.Data)
}

var (
	errEventTime = errors.New("its time is in no year of four digits")
	errEventData = errors.New("its data is not JSON")
)

// appendEvent appends an event as encoding/json would write it, but for white
// space that its data may have. Each event is encoded once and most cost more to
// encode by reflection than to deliver.
func appendEvent(b []byte, ev *wire.Event) ([]byte, error) {
	data := ev.Data
	if len(data) == 0 {
		data = null
	}
	switch y := ev.Time.Year(); {
	case y < 0 || y > 9999:
		return nil, errEventTime
	case !json.Valid(data):
		return nil, errEventData
	}
	b = append(b, '{')
	b = appendMember(b, `"id":`, string(ev.ID))
	b = appendString(append(b, `"type":`...), ev.Type)
	b = append(b, ',')
	b = appendMember(b, `"conversation":`, string(ev.Conversation))
	b = appendMember(b, `"topic":`, ev.Topic)
	if ev.Seq != 0 {
		b = append(strconv.AppendInt(append(b, `"seq":`...), ev.Seq, 10), ',')
	}
	b = appendMember(b, `"epoch":`, ev.Epoch)
	b = append(ev.Time.AppendFormat(append(b, `"time":"`...), time.RFC3339Nano), `",`...)
	b = appendMember(b, `"author":`, string(ev.Author))
	return append(append(append(b, `"data":`...), data...), '}'), nil
}

// appendMember appends a member with a comma behind it, unless it is empty.
func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return append(appendString(append(b, name...), value), ',')
}

// appendString appends a JSON string. Ids need no escapes.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string always encodes
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
