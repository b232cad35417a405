package webhook

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// Event is something that happened to one object.
type Event struct {
	// ID is the same on every retry and for every endpoint; receivers drop what they know.
	ID wire.EventID
	// Type such as payment.captured.
	Type string
	// Object is what it happened to; Seq counts the object's events from 1.
	Object string
	Seq    int64
	Time   time.Time
	// Data is the object's state after the event, a JSON object.
	Data json.RawMessage
}

// cloudEvent is the body: CloudEvents 1.0, structured JSON, with the extension seq.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              wire.EventID    `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject"`
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Seq             int64           `json:"seq"`
	Data            json.RawMessage `json:"data"`
}

// truncated stands for data that is too large to send; the receiver reads the object instead.
var truncated = json.RawMessage(`{"truncated":true}`)

// body is what is signed and sent for ev, at most MaxBody bytes.
func (s *Service) body(ev Event) ([]byte, error) {
	ce := cloudEvent{
		SpecVersion: "1.0", ID: ev.ID, Source: s.cfg.Source, Type: ev.Type, Subject: ev.Object,
		Time: ev.Time.UTC().Format(time.RFC3339Nano), DataContentType: "application/json", Seq: ev.Seq, Data: ev.Data,
	}
	text, err := json.Marshal(ce)
	if err == nil && len(text) >= MaxBody {
		ce.Data = truncated
		text, err = json.Marshal(ce)
	}
	if err != nil {
		return nil, fmt.Errorf("webhook: event %s: %w", ev.ID, err)
	}
	return text, nil
}

// Consume writes the deliveries of ev, one for each endpoint that wants it, in
// the caller's transaction. Doing it again changes nothing. Endpoints get what
// happened since they exist and while they are not disabled.
func (s *Service) Consume(tx *sqldb.Tx, ev Event) error {
	all, err := readEndpoints(tx, "")
	if err != nil {
		return err
	}
	want := slices.DeleteFunc(all, func(e endpoint) bool {
		return e.Disabled || ev.Time.Before(e.CreatedAt) || !wants(e.Events, ev.Type)
	})
	if len(want) == 0 {
		return nil
	}
	body, err := s.body(ev)
	if err != nil {
		return err
	}
	ids := make([]string, len(want))
	for i, e := range want {
		ids[i] = e.ID
	}
	if err := lock(tx, ids...); err != nil {
		return err
	}
	if err := s.writeEvent(tx, ev, body); err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := s.writeDelivery(tx, id, ev); err != nil {
			return err
		}
	}
	tx.AfterCommit(s.Wake)
	return nil
}

func (s *Service) writeEvent(tx *sqldb.Tx, ev Event, body []byte) error {
	_, err := tx.Exec("INSERT INTO webhook_events (id, type, object, seq, body, created_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
		string(ev.ID), ev.Type, ev.Object, ev.Seq, string(body), s.now().UnixMilli())
	if err != nil {
		return fmt.Errorf("webhook: write event: %w", err)
	}
	return nil
}

// writeDelivery adds ev to what endpoint is to get, under the endpoint's lock, and returns the delivery's id.
func (s *Service) writeDelivery(tx *sqldb.Tx, endpoint string, ev Event) (string, error) {
	now := s.now()
	id, at := wire.NewID[string](prefixDelivery, now), now.UnixMilli()
	n, err := tx.Exec("INSERT INTO webhook_deliveries (id, endpoint, event, object, seq, state, head, tries, attempts, due, lease, version, created_at, updated_at)"+
		" VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, ?, 0, 1, ?, ?) ON CONFLICT (endpoint, event) DO NOTHING",
		id, endpoint, string(ev.ID), ev.Object, ev.Seq, string(Pending), at, at, at)
	if err != nil {
		return "", fmt.Errorf("webhook: write delivery: %w", err)
	}
	if n == 0 {
		return "", nil // it is there already
	}
	return id, promote(tx, endpoint, ev.Object, at)
}

// wants reports whether one of the filters lets the type through; no filters let everything through.
func wants(filters []string, eventType string) bool {
	return len(filters) == 0 || slices.ContainsFunc(filters, func(f string) bool {
		prefix, wild := strings.CutSuffix(f, "*")
		return f == eventType || wild && strings.HasPrefix(eventType, prefix)
	})
}

// checkFilters accepts "*", "payment.*" and "payment.held".
func checkFilters(filters []string) error {
	if len(filters) > MaxFilters {
		return fmt.Errorf("%w: at most %d", ErrFilter, MaxFilters)
	}
	for _, f := range filters {
		if f != "*" && !isType(strings.TrimSuffix(f, ".*")) {
			return fmt.Errorf("%w: want a type such as payment.held, payment.* or *", ErrFilter)
		}
	}
	return nil
}

// isType reports whether t is dotted words of [a-z_], at most 64 bytes.
func isType(t string) bool {
	if len(t) > 64 {
		return false
	}
	for word := range strings.SplitSeq(t, ".") {
		if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return false
		}
	}
	return true
}
