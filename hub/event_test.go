package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/wire"
)

// An event is encoded as encoding/json would.
func TestEvent_IsEncodedAsTheTypeSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[a-z0-9_.@:-]{1,30}`), rapid.String())
		data, err := json.Marshal(rapid.MapOf(rapid.String(), rapid.Int()).Draw(t, "data"))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "none") {
			data = nil
		}
		at := time.Unix(rapid.Int64Range(-62135596800, 253402300799).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC()
		ev := wire.Event{
			ID: wire.EventID(text.Draw(t, "id")), Type: text.Draw(t, "type"), Conversation: wire.ConversationID(text.Draw(t, "conversation")),
			Topic: text.Draw(t, "topic"), Seq: rapid.Int64().Draw(t, "seq"), Epoch: text.Draw(t, "epoch"), Time: at,
			Author: wire.UserID(text.Draw(t, "author")), Data: data,
		}
		want, err := json.Marshal(ev)
		if err != nil {
			t.Fatal(err)
		}
		got, err := appendEvent(nil, &ev)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("\n got %s (%v)\nwant %s", got, err, want)
		}
		frame, err := eventFrame(&ev)
		if err != nil || !bytes.Equal(frame, textFrame(eventPrefix, want, closeBrace)) {
			t.Fatalf("frame %q (%v)", frame, err)
		}
	})
}

func TestEvent_WhatIsNoJSONIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		ev  wire.Event
		err error
	}{
		"data": {wire.Event{Data: json.RawMessage(`{"a":`)}, errEventData},
		"more": {wire.Event{Data: json.RawMessage(`{}}`)}, errEventData},
		"time": {wire.Event{Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, errEventTime},
	} {
		if _, err := eventFrame(&tt.ev); !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
