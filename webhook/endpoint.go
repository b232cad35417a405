package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// Prefixes of ids.
const (
	prefixEndpoint = "whe_"
	prefixDelivery = "whd_"
)

// reasonGone is why an endpoint is disabled that answered 410.
const reasonGone = "gone"

// reasonAsked is why an endpoint is disabled by its owner.
const reasonAsked = "requested"

// Endpoint is where events are sent.
type Endpoint struct {
	ID          string   `json:"id" example:"whe_0h3k…"`
	URL         string   `json:"url"`
	Description string   `json:"description,omitempty"`
	Events      []string `json:"events" doc:"types such as payment.held, or payment.*; empty: all"`
	// Secret is shown when it is made and never again.
	Secret string `json:"secret,omitempty" doc:"for v1 signatures; only in the answers of create and rotate"`
	// PublicKey verifies v1a signatures.
	PublicKey string `json:"public_key" doc:"for v1a signatures (Ed25519)"`
	// PreviousUntil is until when the keys before a rotation sign as well.
	PreviousUntil *time.Time `json:"previous_until,omitempty" doc:"until then the previous keys sign as well"`
	Disabled      bool       `json:"disabled"`
	Reason        string     `json:"reason,omitempty" enum:"gone,requested" doc:"why it is disabled; gone: it answered 410"`
	CreatedAt     time.Time  `json:"created_at"`
	UpdatedAt     time.Time  `json:"updated_at"`
}

// endpoint is an Endpoint with what only this package sees.
type endpoint struct {
	Endpoint
	keys, previous keys // previous.secret is nil when there are none
	pausedUntil    time.Time
	version        int64
}

// signers are the keys that sign at a time, the newest first.
func (e endpoint) signers(now time.Time) []keys {
	if e.previous.secret == nil || e.PreviousUntil == nil || !now.Before(*e.PreviousUntil) {
		return []keys{e.keys}
	}
	return []keys{e.keys, e.previous}
}

// Change is what may be said of an endpoint; nil leaves a field as it is.
type Change struct {
	URL         *string
	Description *string
	Events      *[]string
	Disabled    *bool
}

// change applies c to e.
func (s *Service) change(e *endpoint, c Change) (err error) {
	if c.URL != nil {
		if e.URL, err = parseURL(*c.URL, s.cfg.AllowPrivate); err != nil {
			return err
		}
	}
	if c.Description != nil {
		e.Description = *c.Description
	}
	if c.Events != nil {
		if err := checkFilters(*c.Events); err != nil {
			return err
		}
		e.Events = append([]string{}, *c.Events...)
	}
	if c.Disabled != nil && *c.Disabled != e.Disabled {
		e.Disabled, e.Reason = *c.Disabled, ""
		if e.Disabled {
			e.Reason = reasonAsked
		}
		e.pausedUntil = time.Time{}
	}
	return nil
}

// Create makes an endpoint; the answer is the only one besides Rotate's that holds the secret.
func (s *Service) Create(ctx context.Context, c wire.Caller, in Change) (Endpoint, error) {
	if err := serverOnly(c); err != nil {
		return Endpoint{}, err
	}
	now := s.now()
	e := endpoint{keys: newKeys(), version: 1}
	e.ID, e.CreatedAt, e.Events = wire.NewID[string](prefixEndpoint, now), now, []string{}
	if in.URL == nil {
		return Endpoint{}, fmt.Errorf("%w: it is missing", ErrURL)
	}
	if err := s.change(&e, in); err != nil {
		return Endpoint{}, err
	}
	err := s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := tx.Lock("webhook:endpoints"); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow("SELECT COUNT(*) FROM webhook_endpoints").Scan(&n); err != nil {
			return fmt.Errorf("webhook: count: %w", err)
		}
		if n >= MaxEndpoints {
			return fmt.Errorf("%w: at most %d", ErrLimit, MaxEndpoints)
		}
		tx.AfterCommit(s.interest.forget)
		return insertEndpoint(tx, &e, now)
	})
	if err != nil {
		return Endpoint{}, err
	}
	return e.shown(true), nil
}

// shown is what leaves; with the secret only when it is new.
func (e endpoint) shown(secret bool) Endpoint {
	out := e.Endpoint
	out.PublicKey, out.Secret = e.keys.publicKey(), ""
	if secret {
		out.Secret = e.keys.text()
	}
	return out
}

// List returns all endpoints, the oldest first.
func (s *Service) List(ctx context.Context, c wire.Caller) (list []Endpoint, err error) {
	if err := operators(c); err != nil {
		return nil, err
	}
	list = []Endpoint{}
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err := readEndpoints(tx, "")
		for _, e := range all {
			list = append(list, e.shown(false))
		}
		return err
	})
	return list, err
}

// Get returns one endpoint, or ErrUnknown.
func (s *Service) Get(ctx context.Context, c wire.Caller, id string) (out Endpoint, err error) {
	if err := serverOnly(c); err != nil {
		return out, err
	}
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		e, err := readEndpoint(tx, id)
		if err == nil {
			out = e.shown(false)
		}
		return err
	})
	return out, err
}

// Update changes an endpoint. Enabling one sends what has waited.
func (s *Service) Update(ctx context.Context, c wire.Caller, id string, in Change) (Endpoint, error) {
	e, err := s.alter(ctx, c, id, func(e *endpoint) error { return s.change(e, in) })
	if err != nil {
		return Endpoint{}, err
	}
	return e.shown(false), nil
}

// Rotate makes new keys; for keep the previous ones sign as well. A rotation
// before that ends the keys from before the previous.
func (s *Service) Rotate(ctx context.Context, c wire.Caller, id string, keep time.Duration) (Endpoint, error) {
	e, err := s.alter(ctx, c, id, func(e *endpoint) error {
		until := s.now().Add(keep)
		e.previous, e.keys, e.PreviousUntil = e.keys, newKeys(), &until
		return nil
	})
	if err != nil {
		return Endpoint{}, err
	}
	return e.shown(true), nil
}

// alter changes one endpoint under its lock.
func (s *Service) alter(ctx context.Context, c wire.Caller, id string, do func(*endpoint) error) (e endpoint, err error) {
	if err := serverOnly(c); err != nil {
		return e, err
	}
	err = s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := lock(tx, id); err != nil {
			return err
		}
		if e, err = readEndpoint(tx, id); err != nil {
			return err
		}
		if err := do(&e); err != nil {
			return err
		}
		tx.AfterCommit(s.Wake)
		tx.AfterCommit(s.interest.forget)
		return updateEndpoint(tx, &e, s.now())
	})
	return e, err
}

// Delete removes an endpoint with its deliveries. What is under way may still arrive.
func (s *Service) Delete(ctx context.Context, c wire.Caller, id string) error {
	if err := serverOnly(c); err != nil {
		return err
	}
	return s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := lock(tx, id); err != nil {
			return err
		}
		n, err := tx.Exec("DELETE FROM webhook_endpoints WHERE id = ?", id)
		if err != nil {
			return fmt.Errorf("webhook: delete: %w", err)
		}
		if n == 0 {
			return ErrUnknown
		}
		tx.AfterCommit(s.interest.forget)
		return forget(tx, "endpoint = ?", id)
	})
}

const endpointColumns = "id, url, description, events, secret, seed, previous_secret, previous_seed, previous_until, disabled, reason, paused_until, version, created_at, updated_at"

func insertEndpoint(tx *sqldb.Tx, e *endpoint, now time.Time) error {
	e.UpdatedAt = now
	events, err := json.Marshal(e.Events)
	if err != nil {
		return fmt.Errorf("webhook: filters: %w", err)
	}
	_, err = tx.Exec("INSERT INTO webhook_endpoints ("+endpointColumns+") VALUES (?, ?, ?, ?, ?, ?, '', '', 0, ?, ?, 0, 1, ?, ?)",
		e.ID, e.URL, e.Description, string(events), encode(e.keys.secret), encode(e.keys.seed), flag(e.Disabled), e.Reason, e.CreatedAt.UnixMilli(), now.UnixMilli())
	if err != nil {
		return fmt.Errorf("webhook: create: %w", err)
	}
	return nil
}

func updateEndpoint(tx *sqldb.Tx, e *endpoint, now time.Time) error {
	events, err := json.Marshal(e.Events)
	if err != nil {
		return fmt.Errorf("webhook: filters: %w", err)
	}
	n, err := tx.Exec("UPDATE webhook_endpoints SET url = ?, description = ?, events = ?, secret = ?, seed = ?, previous_secret = ?, previous_seed = ?, previous_until = ?,"+
		" disabled = ?, reason = ?, paused_until = ?, version = version + 1, updated_at = ? WHERE id = ? AND version = ?",
		e.URL, e.Description, string(events), encode(e.keys.secret), encode(e.keys.seed), encode(e.previous.secret), encode(e.previous.seed), milli(e.PreviousUntil),
		flag(e.Disabled), e.Reason, max(e.pausedUntil.UnixMilli(), 0), now.UnixMilli(), e.ID, e.version)
	if err != nil {
		return fmt.Errorf("webhook: update: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("webhook: endpoint %s changed under its lock", e.ID)
	}
	e.UpdatedAt, e.version = now, e.version+1
	return nil
}

// readEndpoint returns one endpoint, or ErrUnknown.
func readEndpoint(tx *sqldb.Tx, id string) (endpoint, error) {
	list, err := readEndpoints(tx, id)
	if err != nil {
		return endpoint{}, err
	}
	if len(list) == 0 || id == "" {
		return endpoint{}, ErrUnknown
	}
	return list[0], nil
}

// readEndpoints returns the endpoint of an id, or all when id is empty.
func readEndpoints(tx *sqldb.Tx, id string) (list []endpoint, err error) {
	rows, err := tx.Query("SELECT "+endpointColumns+" FROM webhook_endpoints WHERE id = ? OR ? = '' ORDER BY id", id, id)
	if err != nil {
		return nil, fmt.Errorf("webhook: endpoints: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	for rows.Next() {
		e, err := scanEndpoint(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

// scanner is a row to read.
type scanner interface{ Scan(into ...any) error }

func scanEndpoint(row scanner) (e endpoint, err error) {
	var events, secret, seed, oldSecret, oldSeed string
	var until, disabled, paused, created, updated int64
	err = row.Scan(&e.ID, &e.URL, &e.Description, &events, &secret, &seed, &oldSecret, &oldSeed, &until, &disabled, &e.Reason, &paused, &e.version, &created, &updated)
	if err != nil {
		return e, fmt.Errorf("webhook: endpoint: %w", err)
	}
	if err := json.Unmarshal([]byte(events), &e.Events); err != nil {
		return e, fmt.Errorf("webhook: filters of %s: %w", e.ID, err)
	}
	if e.keys, err = decodeKeys(secret, seed); err != nil {
		return e, err
	}
	if oldSecret != "" {
		if e.previous, err = decodeKeys(oldSecret, oldSeed); err != nil {
			return e, err
		}
		t := fromMilli(until)
		e.PreviousUntil = &t
	}
	e.Disabled, e.CreatedAt, e.UpdatedAt = disabled != 0, fromMilli(created), fromMilli(updated)
	if paused > 0 {
		e.pausedUntil = fromMilli(paused)
	}
	return e, nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func milli(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return t.UnixMilli()
}

func fromMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// ignoreUnknown is for those who find an endpoint deleted in the meantime.
func ignoreUnknown(err error) error {
	if errors.Is(err, ErrUnknown) {
		return nil
	}
	return err
}
