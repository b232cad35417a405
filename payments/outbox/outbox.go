// Package outbox lets events leave with the state they speak of: a row written
// in the same transaction, and a relay that hands rows to consumers in order,
// each with a cursor that survives a crash.
//
// It knows neither payments nor who listens.
package outbox

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"time"

	"parley/internal/sqldb"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema returns the migrations of the outbox's tables.
func Schema() fs.FS {
	sub, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sub
}

// Event is one thing that happened to one object.
type Event struct {
	// Seq counts all events from 1 without holes, in the order of commits. Append sets it.
	Seq int64
	// ID is the writer's, the same for every consumer and on every retry.
	ID   string
	Type string
	// Object is what it happened to; ObjectSeq counts the object's events from 1. Append sets ObjectSeq.
	Object    string
	ObjectSeq int64
	Time      time.Time
	// Data is the absolute state after the event.
	Data     json.RawMessage
	Audience Audience
}

// Audience says where an event belongs.
type Audience struct {
	// Conversation it belongs to; empty: to each of Users on their own.
	Conversation string   `json:"conversation,omitempty"`
	Users        []string `json:"users,omitempty"`
}

// orderLock serialises numbering where the database has several writers, so
// that no number becomes visible after a higher one.
const orderLock = "outbox:order"

// Append numbers and writes an event in the caller's transaction, and returns
// it with its numbers. Let it be the last thing the transaction does: on
// PostgreSQL other writers of events wait until it ends.
func Append(tx *sqldb.Tx, ev Event) (Event, error) {
	b := tx.Batch()
	if err := AppendIn(b, &ev); err != nil {
		return ev, err
	}
	if err := b.Send(); err != nil {
		return ev, fmt.Errorf("outbox: append: %w", err)
	}
	return ev, nil
}

// AppendIn is Append as statements of a batch; ev has its numbers once that was sent.
func AppendIn(b *sqldb.Batch, ev *Event) error {
	audience, err := json.Marshal(ev.Audience)
	if err != nil {
		return fmt.Errorf("outbox: audience: %w", err)
	}
	b.Lock(orderLock)
	b.Query("INSERT INTO outbox_events (seq, id, type, object, object_seq, time, data, audience) VALUES ("+
		"(SELECT COALESCE(MAX(seq), 0) + 1 FROM outbox_events), ?, ?, ?, "+
		"(SELECT COALESCE(MAX(object_seq), 0) + 1 FROM outbox_events WHERE object = ?), ?, ?, ?) RETURNING seq, object_seq",
		func(r sqldb.Row) error { return r.Scan(&ev.Seq, &ev.ObjectSeq) },
		ev.ID, ev.Type, ev.Object, ev.Object, ev.Time.UnixMilli(), string(ev.Data), string(audience))
	return nil
}

// read returns up to limit events behind after, in order.
func read(tx *sqldb.Tx, after int64, limit int) ([]Event, error) {
	rows, err := tx.Query("SELECT seq, id, type, object, object_seq, time, data, audience FROM outbox_events WHERE seq > ? ORDER BY seq LIMIT ?", after, limit)
	if err != nil {
		return nil, fmt.Errorf("outbox: read: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var events []Event
	for rows.Next() {
		var ev Event
		var at int64
		var data, audience string
		if err := rows.Scan(&ev.Seq, &ev.ID, &ev.Type, &ev.Object, &ev.ObjectSeq, &at, &data, &audience); err != nil {
			return nil, fmt.Errorf("outbox: read: %w", err)
		}
		if err := json.Unmarshal([]byte(audience), &ev.Audience); err != nil {
			return nil, fmt.Errorf("outbox: audience of %s: %w", ev.ID, err)
		}
		ev.Time, ev.Data = time.UnixMilli(at).UTC(), json.RawMessage(data)
		events = append(events, ev)
	}
	return events, rows.Err()
}
