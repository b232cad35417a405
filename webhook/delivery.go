package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// State of a delivery.
type State string

// The states. A dead delivery is a dead letter: given up, and sent again only by Replay.
const (
	Pending   State = "pending"
	Succeeded State = "succeeded"
	Dead      State = "dead"
)

// Delivery is one event for one endpoint.
type Delivery struct {
	ID       string       `json:"id" example:"whd_0h3k…"`
	Webhook  string       `json:"webhook"`
	Event    wire.EventID `json:"event" doc:"the webhook-id header"`
	Type     string       `json:"type" example:"payment.held"`
	Object   string       `json:"object"`
	Seq      int64        `json:"seq" doc:"counts the object's events"`
	State    State        `json:"state" enum:"pending,succeeded,dead"`
	Attempts []Attempt    `json:"attempts" doc:"the last 20, the oldest first"`
	// Due is when a pending delivery is tried next, if no earlier one of its object is pending.
	Due       *time.Time `json:"due,omitempty" doc:"of a pending delivery: the next attempt, once the earlier events of the object are through"`
	CreatedAt time.Time  `json:"created_at"`
	UpdatedAt time.Time  `json:"updated_at"`
}

// Attempt is one request.
type Attempt struct {
	N      int64     `json:"n" doc:"counts from 1"`
	At     time.Time `json:"at"`
	Status int       `json:"status" doc:"of the answer; 0 when there was none"`
	Ms     int64     `json:"ms" doc:"how long it took"`
	Error  string    `json:"error,omitempty" enum:"timeout,address,tls,connection,redirect,status"`
}

// attemptsShown bounds the attempts in a Delivery.
const attemptsShown = 20

// Filter selects deliveries.
type Filter struct {
	State  State  // empty: any
	Cursor string // next of the page before
	Limit  int    // 0 means 50; at most 100
}

// Deliveries lists what an endpoint got or is to get, the newest first, and the
// cursor of the next page, which is empty on the last.
func (s *Service) Deliveries(ctx context.Context, c wire.Caller, id string, f Filter) (list []Delivery, next string, err error) {
	if err := operators(c); err != nil {
		return nil, "", err
	}
	limit := min(f.Limit, 100)
	if limit <= 0 {
		limit = 50
	}
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		if _, err := readEndpoint(tx, id); err != nil {
			return err
		}
		list, err = readDeliveries(tx, "d.endpoint = ? AND (d.state = ? OR ? = '') AND (d.id < ? OR ? = '')", limit+1,
			id, string(f.State), string(f.State), f.Cursor, f.Cursor)
		if len(list) > limit {
			list = list[:limit]
			next = list[limit-1].ID
		}
		if err != nil {
			return err
		}
		return addAttempts(tx, list)
	})
	return list, next, err
}

func readDeliveries(tx *sqldb.Tx, where string, limit int, args ...any) ([]Delivery, error) {
	rows, err := tx.Query("SELECT d.id, d.endpoint, d.event, e.type, d.object, d.seq, d.state, d.due, d.created_at, d.updated_at"+
		" FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event WHERE "+where+" ORDER BY d.id DESC LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("webhook: deliveries: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	list := []Delivery{}
	for rows.Next() {
		d := Delivery{Attempts: []Attempt{}}
		var due, created, updated int64
		if err := rows.Scan(&d.ID, &d.Webhook, &d.Event, &d.Type, &d.Object, &d.Seq, &d.State, &due, &created, &updated); err != nil {
			return nil, fmt.Errorf("webhook: deliveries: %w", err)
		}
		d.CreatedAt, d.UpdatedAt = fromMilli(created), fromMilli(updated)
		if d.State == Pending {
			t := fromMilli(due)
			d.Due = &t
		}
		list = append(list, d)
	}
	return list, rows.Err()
}

func addAttempts(tx *sqldb.Tx, list []Delivery) error {
	if len(list) == 0 {
		return nil
	}
	at := map[string]int{}
	args := []any{}
	for i, d := range list {
		at[d.ID] = i
		args = append(args, d.ID)
	}
	rows, err := tx.Query("SELECT a.delivery, a.n, a.at, a.status, a.ms, a.error FROM webhook_attempts a JOIN webhook_deliveries d ON d.id = a.delivery"+
		" WHERE a.delivery IN (?"+strings.Repeat(", ?", len(list)-1)+") AND a.n > d.attempts - ? ORDER BY a.delivery, a.n", append(args, attemptsShown)...)
	if err != nil {
		return fmt.Errorf("webhook: attempts: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		var id string
		var a Attempt
		var when int64
		if err := rows.Scan(&id, &a.N, &when, &a.Status, &a.Ms, &a.Error); err != nil {
			return fmt.Errorf("webhook: attempts: %w", err)
		}
		a.At = fromMilli(when)
		list[at[id]].Attempts = append(list[at[id]].Attempts, a)
	}
	return rows.Err()
}

// Selection says what to replay: one delivery, or all made since a time.
type Selection struct {
	Delivery string
	Since    time.Time
	// DeadOnly leaves out what has succeeded.
	DeadOnly bool
}

// Replay sends deliveries again, from the first attempt of the schedule and in
// the order of each object, and returns how many. Those still pending are tried
// at once; one under way at this moment is left alone.
func (s *Service) Replay(ctx context.Context, c wire.Caller, id string, sel Selection) (n int, err error) {
	if err := operators(c); err != nil {
		return 0, err
	}
	if (sel.Delivery == "") == sel.Since.IsZero() {
		return 0, fmt.Errorf("%w: name either a delivery or a time", ErrInput)
	}
	err = s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := lock(tx, id); err != nil {
			return err
		}
		e, err := readEndpoint(tx, id)
		if err != nil {
			return err
		}
		if e.Disabled {
			return ErrDisabled
		}
		tx.AfterCommit(s.Wake)
		n, err = s.replay(tx, id, sel)
		return err
	})
	return n, err
}

func (s *Service) replay(tx *sqldb.Tx, id string, sel Selection) (int, error) {
	now := s.now().UnixMilli()
	where, args := "endpoint = ? AND id = ?", []any{id, sel.Delivery}
	if sel.Delivery == "" {
		where, args = "endpoint = ? AND created_at >= ?", []any{id, sel.Since.UnixMilli()}
	}
	if sel.DeadOnly {
		where, args = where+" AND state = ?", append(args, string(Dead))
	}
	objects, err := readObjects(tx, where, args...)
	if err != nil {
		return 0, err
	}
	if sel.Delivery != "" && len(objects) == 0 {
		return 0, ErrDeliveryUnknown
	}
	n, err := tx.Exec("UPDATE webhook_deliveries SET state = ?, tries = 0, due = ?, lease = 0, version = version + 1, updated_at = ? WHERE "+where+" AND lease <= ?",
		append(append([]any{string(Pending), now, now}, args...), now)...)
	if err != nil {
		return 0, fmt.Errorf("webhook: replay: %w", err)
	}
	for _, object := range objects {
		if err := promote(tx, id, object, now); err != nil {
			return 0, err
		}
	}
	return int(n), nil
}

func readObjects(tx *sqldb.Tx, where string, args ...any) (list []string, err error) {
	rows, err := tx.Query("SELECT DISTINCT object FROM webhook_deliveries WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("webhook: objects: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		var object string
		if err := rows.Scan(&object); err != nil {
			return nil, fmt.Errorf("webhook: objects: %w", err)
		}
		list = append(list, object)
	}
	return list, rows.Err()
}

// promote makes the earliest pending delivery of an object the one that may be
// sent, unless one of the object is under way. Call it under the endpoint's
// lock whenever the pending ones may have changed.
func promote(tx *sqldb.Tx, endpoint, object string, now int64) error {
	_, err := tx.Exec("UPDATE webhook_deliveries SET head = CASE WHEN seq ="+
		" (SELECT MIN(f.seq) FROM webhook_deliveries f WHERE f.endpoint = ? AND f.object = ? AND f.state = ?) THEN 1 ELSE 0 END"+
		" WHERE endpoint = ? AND object = ? AND state = ?"+
		" AND NOT EXISTS (SELECT 1 FROM webhook_deliveries b WHERE b.endpoint = ? AND b.object = ? AND b.state = ? AND b.lease > ?)",
		endpoint, object, string(Pending), endpoint, object, string(Pending), endpoint, object, string(Pending), now)
	if err != nil {
		return fmt.Errorf("webhook: order: %w", err)
	}
	return nil
}

// Test sends an event of a type, or webhook.test when it is empty, to one
// endpoint whatever its filters, by the ordinary way.
func (s *Service) Test(ctx context.Context, c wire.Caller, id, eventType string) (out Delivery, err error) {
	if err := serverOnly(c); err != nil {
		return out, err
	}
	if eventType == "" {
		eventType = "webhook.test"
	}
	if !isType(eventType) {
		return out, fmt.Errorf("%w: a type is dotted words", ErrInput)
	}
	now := s.now()
	ev := Event{ID: wire.NewID[wire.EventID](wire.PrefixEvent, now), Type: eventType, Object: id, Time: now, Data: json.RawMessage(`{"test":true}`)}
	err = s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		out, err = s.test(tx, id, ev)
		return err
	})
	return out, err
}

func (s *Service) test(tx *sqldb.Tx, id string, ev Event) (Delivery, error) {
	if err := lock(tx, id); err != nil {
		return Delivery{}, err
	}
	e, err := readEndpoint(tx, id)
	if err != nil {
		return Delivery{}, err
	}
	if e.Disabled {
		return Delivery{}, ErrDisabled
	}
	if err := tx.QueryRow("SELECT COALESCE(MAX(seq), 0) + 1 FROM webhook_deliveries WHERE endpoint = ? AND object = ?", id, id).Scan(&ev.Seq); err != nil {
		return Delivery{}, fmt.Errorf("webhook: test: %w", err)
	}
	body, err := s.body(ev)
	if err == nil {
		err = s.writeEvent(tx, ev, body)
	}
	if err != nil {
		return Delivery{}, err
	}
	delivery, err := s.writeDelivery(tx, id, ev)
	if err != nil {
		return Delivery{}, err
	}
	tx.AfterCommit(s.Wake)
	list, err := readDeliveries(tx, "d.id = ?", 1, delivery)
	if err != nil || len(list) == 0 {
		return Delivery{}, errors.Join(err, ErrDeliveryUnknown)
	}
	return list[0], nil
}

// forget removes deliveries with their attempts, and events that nobody is to get any more.
func forget(tx *sqldb.Tx, where string, args ...any) error {
	chosen := "SELECT id FROM webhook_deliveries WHERE " + where
	for _, text := range []string{
		"DELETE FROM webhook_attempts WHERE delivery IN (" + chosen + ")",
		"DELETE FROM webhook_deliveries WHERE " + where,
	} {
		if _, err := tx.Exec(text, args...); err != nil {
			return fmt.Errorf("webhook: forget: %w", err)
		}
	}
	_, err := tx.Exec("DELETE FROM webhook_events WHERE NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.event = webhook_events.id)")
	if err != nil {
		return fmt.Errorf("webhook: forget: %w", err)
	}
	return nil
}
