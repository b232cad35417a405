package auth

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// Revocation withdraws tokens before they expire. Exactly one of TokenID, and
// User (with Device to withdraw one device's only) is set.
type Revocation struct {
	TokenID string
	User    wire.UserID
	Device  wire.DeviceID
	// Since: tokens issued before it are refused. "iat" has whole seconds, so a
	// token made within the same second, before or after, is refused too.
	Since time.Time
}

// Covers reports whether r withdraws the token of id.
func (r Revocation) Covers(id Identity) bool {
	if r.TokenID != "" {
		return r.TokenID == id.TokenID
	}
	return r.User == id.Caller.User && (r.Device == "" || r.Device == id.Caller.Device) && id.Issued.Before(r.Since)
}

const (
	kindToken  = "jti"
	kindUser   = "user"
	kindDevice = "device"
)

// pollOverlap is how far a poll looks back before the newest row it has seen:
// more than clocks of nodes differ and a transaction lasts.
const pollOverlap = 30 * time.Second

func (r Revocation) key() (kind, value string) {
	switch {
	case r.TokenID != "":
		return kindToken, r.TokenID
	case r.Device != "":
		return kindDevice, string(r.User) + " " + string(r.Device) // user ids have no space
	}
	return kindUser, string(r.User)
}

// revocations is the cache. What it holds is small: one row per person,
// device, or token that is withdrawn and not yet expired.
type revocations struct {
	mu     sync.RWMutex
	loaded bool
	newest time.Time // noted
	since  map[[2]string]time.Time
}

func newRevocations() *revocations { return &revocations{since: map[[2]string]time.Time{}} }

func (c *revocations) isLoaded() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.loaded
}

// add reports whether r says more than was known.
func (c *revocations) add(r Revocation) bool {
	kind, value := r.key()
	c.mu.Lock()
	defer c.mu.Unlock()
	old, ok := c.since[[2]string{kind, value}]
	if ok && !old.Before(r.Since) {
		return false
	}
	c.since[[2]string{kind, value}] = r.Since
	return true
}

func (c *revocations) covers(id Identity) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if id.TokenID != "" {
		if _, ok := c.since[[2]string{kindToken, id.TokenID}]; ok {
			return true
		}
	}
	user := string(id.Caller.User)
	if since, ok := c.since[[2]string{kindUser, user}]; ok && id.Issued.Before(since) {
		return true
	}
	since, ok := c.since[[2]string{kindDevice, user + " " + string(id.Caller.Device)}]
	return ok && id.Issued.Before(since)
}

func (v *Verifier) checkRevoked(ctx context.Context, id Identity) error {
	if !v.revoked.isLoaded() {
		if err := v.pollRevocations(ctx); err != nil {
			return fmt.Errorf("%w: revocations: %w", ErrUnavailable, err)
		}
	}
	if v.revoked.covers(id) {
		return ErrRevoked
	}
	return nil
}

// RevokeToken withdraws one token by its "jti". until is its expiry, after
// which the revocation is forgotten.
func (v *Verifier) RevokeToken(ctx context.Context, tokenID string, until time.Time) error {
	if tokenID == "" || len(tokenID) > jtiMax {
		return fmt.Errorf("auth: revoke: a token id has 1 to %d bytes", jtiMax)
	}
	return v.revoke(ctx, Revocation{TokenID: tokenID, Since: v.clock.Now()}, until.Add(v.cfg.Leeway))
}

// RevokeUser withdraws all tokens of user that were issued before since.
func (v *Verifier) RevokeUser(ctx context.Context, user wire.UserID, since time.Time) error {
	if err := wire.CheckUser(string(user)); err != nil {
		return fmt.Errorf("auth: revoke: %w", err)
	}
	return v.revoke(ctx, Revocation{User: user, Since: since}, time.Time{})
}

// RevokeDevice withdraws the tokens of one device of user issued before since.
func (v *Verifier) RevokeDevice(ctx context.Context, user wire.UserID, device wire.DeviceID, since time.Time) error {
	if err := wire.CheckUser(string(user)); err != nil {
		return fmt.Errorf("auth: revoke: %w", err)
	}
	if err := wire.CheckID(wire.PrefixDevice, string(device)); err != nil {
		return fmt.Errorf("auth: revoke: %w", err)
	}
	return v.revoke(ctx, Revocation{User: user, Device: device, Since: since}, time.Time{})
}

func (v *Verifier) revoke(ctx context.Context, r Revocation, until time.Time) error {
	kind, value := r.key()
	untilMS := int64(0)
	if !until.IsZero() {
		untilMS = until.UnixMilli()
	}
	err := v.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO auth_revocations (kind, value, since_ms, until_ms, noted_ms) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (kind, value) DO UPDATE SET since_ms = excluded.since_ms, until_ms = excluded.until_ms, noted_ms = excluded.noted_ms
			WHERE auth_revocations.since_ms < excluded.since_ms`,
			kind, value, r.Since.UnixMilli(), untilMS, v.clock.Now().UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("auth: revoke: %w", err)
	}
	v.note(r)
	return nil
}

func (v *Verifier) note(r Revocation) {
	if v.revoked.add(r) && v.cfg.OnRevoke != nil {
		v.cfg.OnRevoke(r)
	}
}

// pollRevocations reads what was noted since the last poll and, on the first,
// everything, and removes rows of tokens that have expired by themselves.
func (v *Verifier) pollRevocations(ctx context.Context) error {
	v.revoked.mu.RLock()
	from, first := v.revoked.newest.Add(-pollOverlap), !v.revoked.loaded
	v.revoked.mu.RUnlock()
	if first {
		if err := v.forgetExpired(ctx); err != nil {
			return err
		}
	}
	rows, newest, err := v.readRevocations(ctx, from)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if first {
			v.revoked.add(r) // nobody was let in before
		} else {
			v.note(r)
		}
	}
	v.revoked.mu.Lock()
	v.revoked.loaded = true
	if newest.After(v.revoked.newest) {
		v.revoked.newest = newest
	}
	v.revoked.mu.Unlock()
	return nil
}

func (v *Verifier) forgetExpired(ctx context.Context) error {
	return v.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec("DELETE FROM auth_revocations WHERE until_ms > 0 AND until_ms < ?", v.clock.Now().UnixMilli())
		return err
	})
}

func (v *Verifier) readRevocations(ctx context.Context, from time.Time) (found []Revocation, newest time.Time, err error) {
	err = v.db.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT kind, value, since_ms, noted_ms FROM auth_revocations WHERE noted_ms >= ?", from.UnixMilli())
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // Err below tells what matters
		for rows.Next() {
			var kind, value string
			var since, noted int64
			if err := rows.Scan(&kind, &value, &since, &noted); err != nil {
				return err
			}
			found = append(found, revocationOf(kind, value, time.UnixMilli(since).UTC()))
			if at := time.UnixMilli(noted); at.After(newest) {
				newest = at
			}
		}
		return rows.Err()
	})
	return found, newest, err
}

func revocationOf(kind, value string, since time.Time) Revocation {
	switch kind {
	case kindToken:
		return Revocation{TokenID: value, Since: since}
	case kindDevice:
		user, device, _ := strings.Cut(value, " ")
		return Revocation{User: wire.UserID(user), Device: wire.DeviceID(device), Since: since}
	}
	return Revocation{User: wire.UserID(value), Since: since}
}
