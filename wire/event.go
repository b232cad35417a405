package wire

import (
	"context"
	"encoding/json"
	"time"
)

// An Event is one thing that happened, as clients see it. With Seq it is an
// entry of a conversation's log, durable and numbered without gaps; without
// Seq it is a signal: delivered at most once and kept nowhere.
type Event struct {
	ID           EventID         `json:"id,omitempty"`
	Type         string          `json:"type" doc:"for example message.created"`
	Conversation ConversationID  `json:"conversation,omitempty"`
	Topic        string          `json:"topic,omitempty" doc:"open topic that it was published to"`
	Seq          int64           `json:"seq,omitempty" doc:"position in the conversation's log, from 1, without gaps; in a topic: position within epoch; absent for signals"`
	Epoch        string          `json:"epoch,omitempty" doc:"of a topic: numbers of another epoch say nothing about this one's"`
	Time         time.Time       `json:"time"`
	Author       UserID          `json:"author,omitempty" doc:"who caused it; absent for the server's own"`
	Data         json.RawMessage `json:"data" doc:"the absolute state, never a delta alone"`
}

// To addresses sockets: all of a user's, or one device's.
type To struct {
	User   UserID
	Device DeviceID // empty: all devices of User
	// NotSession leaves out the socket that caused the event and has its answer already.
	NotSession SessionID
	// NotDevice leaves out one device of User, for example the one that answered a call.
	NotDevice DeviceID
}

// Publisher hands events to whoever is connected, on any node. It never blocks
// on a slow reader and promises nothing: what must not be lost is in a log
// first. Call it after commit.
type Publisher interface {
	Publish(ctx context.Context, ev Event, to ...To)
}

// An Entry is an event on its way into a conversation's log; the log adds the
// number. Appending the same ID twice to one conversation keeps the first.
type Entry struct {
	ID     EventID // empty: the log makes one
	Type   string
	Author UserID
	Time   time.Time
	Data   json.RawMessage
}
