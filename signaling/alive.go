package signaling

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// Report is what a device in a call says every two seconds.
type Report struct {
	Alive bool // media arrived within the last five seconds
	// RTTMS is the round trip in milliseconds, 0 if unknown; Loss the share of
	// packets lost, 0 to 1, and unknown with it. They are counted only.
	RTTMS, Loss float64
}

// Report keeps the caller's part alive. Without one for LostAfter the part is
// reconnecting; so it is in a direct call when no report says alive for that
// long, since then nothing is heard. In the SFU only its own word
// ([Service.SFUAlive]) counts as media. Errors: ErrDevice, ErrUnknown,
// ErrNotParticipant, ErrEnded.
func (s *Service) Report(ctx context.Context, c wire.Caller, id wire.CallID, r Report) error {
	by, err := device(c)
	if err != nil {
		return err
	}
	now := stamp(s.Clock.Now())
	known, err := s.touch(ctx, id, by, r.Alive, now)
	if known && r.RTTMS > 0 {
		s.metrics.rtt.Observe(r.RTTMS / 1000)
		s.metrics.loss.Observe(r.Loss)
	}
	if err != nil || known {
		return err
	}
	call, err := s.read(ctx, id)
	if err != nil {
		return err
	}
	p, mine := call.Find(by.User)
	switch {
	case !mine:
		return ErrNotParticipant
	case call.State == Ended:
		return ErrEnded
	case !call.Bound(by):
		return ErrNotParticipant
	case p.Leg == LegReconnecting && (r.Alive || p.Route == RouteSFU):
		return s.resume(ctx, id, by, r.Alive)
	}
	return nil
}

// touch notes a report of a connected device; false when it is not connected.
func (s *Service) touch(ctx context.Context, id wire.CallID, by Endpoint, alive bool, now time.Time) (known bool, err error) {
	query := `UPDATE call_alive SET due_at = CASE WHEN media = 'sfu' THEN ? ELSE due_at END
		WHERE call_id = ? AND user_id = ? AND device = ?`
	args := []any{millis(now.Add(LostAfter)), id, by.User, by.Device}
	if alive {
		query = `UPDATE call_alive SET due_at = ?, alive_at = CASE WHEN media = 'sfu' THEN alive_at ELSE ? END
			WHERE call_id = ? AND user_id = ? AND device = ?`
		args = []any{millis(now.Add(LostAfter)), millis(now), id, by.User, by.Device}
	}
	err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(query, args...)
		known = n > 0
		return err
	})
	return known, err
}

// resume brings a reconnecting part back.
func (s *Service) resume(ctx context.Context, id wire.CallID, by Endpoint, alive bool) error {
	if _, err := s.change(ctx, id, Command{Action: ActResume, By: by}, origin{}); err != nil {
		return err
	}
	_, err := s.touch(ctx, id, by, alive, stamp(s.Clock.Now()))
	return err
}

// SFUAlive takes a node's word that user's sound arrived there within the last
// five seconds, or did not. The first such word connects the part. That of a
// node that does not hold the room any longer does not count.
func (s *Service) SFUAlive(ctx context.Context, node string, id wire.CallID, user wire.UserID, alive bool) error {
	if !alive {
		return nil // silence speaks for itself
	}
	now := stamp(s.Clock.Now())
	var known bool
	err := s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`UPDATE call_alive SET due_at = ?, alive_at = ? WHERE call_id = ? AND user_id = ? AND media = 'sfu'
			AND EXISTS (SELECT 1 FROM calls WHERE id = call_id AND host = ?)`,
			millis(now.Add(LostAfter)), millis(now), id, user, node)
		known = n > 0
		return err
	})
	if err != nil || known {
		return err
	}
	call, err := s.read(ctx, id)
	if err != nil {
		return err
	}
	p, ok := call.Find(user)
	if !ok || !p.Present() || call.Media != SFU || call.Host != node || call.State == Ended {
		return nil // a late word about somebody who has left
	}
	by := Endpoint{User: user, Device: p.Device}
	_, err = s.change(ctx, id, Command{Action: ActConnect, By: by, Route: RouteSFU}, origin{})
	return err
}

// MediaAlive reports whether user's media in the call was alive within AliveWithin.
func (s *Service) MediaAlive(ctx context.Context, id wire.CallID, user wire.UserID) (alive bool, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		alive, err = s.MediaAliveTx(tx, id, user)
		return err
	})
	return alive, err
}

// MediaAliveTx is MediaAlive inside a transaction.
func (s *Service) MediaAliveTx(tx *sqldb.Tx, id wire.CallID, user wire.UserID) (bool, error) {
	var at int64
	err := tx.QueryRow("SELECT alive_at FROM call_alive WHERE call_id = ? AND user_id = ?", id, user).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return at > 0 && at >= millis(stamp(s.Clock.Now()).Add(-AliveWithin)), err
}
