package signaling

import (
	"context"
	"errors"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

// sweepMax bounds what one sweep takes on; the rest waits for the next.
const sweepMax = 256

// moveEvery is how often rooms are looked for whose node cannot hold them any longer.
const moveEvery = time.Second

// Run serves deadlines, rooms to be moved and in-call presence until ctx ends. Any number of
// nodes may run it over one database.
func (s *Service) Run(ctx context.Context) error {
	presence := make(chan struct{})
	go func() {
		defer close(presence)
		s.tellPresence(ctx)
	}()
	defer func() { <-presence }()
	if s.DB.Dialect() == sqldb.SQLite {
		if err := s.roll.fill(ctx, s.DB); err != nil && ctx.Err() == nil {
			s.Logger.Warn("every session that opens asks for its calls", "error", err)
		}
	}
	var looked time.Time
	for {
		if err := s.Clock.Wait(ctx, s.Clock.Now().Add(s.cfg.SweepEvery)); err != nil {
			return nil
		}
		if now := s.Clock.Now(); now.Sub(looked) >= moveEvery {
			looked = now
			if _, err := s.MoveRooms(ctx); err != nil && ctx.Err() == nil {
				s.Logger.Warn("rooms not moved", "error", err)
			}
		}
		start := time.Now()
		err := s.Sweep(ctx)
		s.metrics.sweeping.Observe(time.Since(start).Seconds())
		if err != nil && ctx.Err() == nil {
			s.metrics.sweeps.Inc()
			s.Logger.Warn("sweep of call deadlines failed", "error", err)
		}
	}
}

// Sweep acts on every deadline that has passed. Run calls it.
func (s *Service) Sweep(ctx context.Context) error {
	due, lost, err := s.due(ctx, millis(stamp(s.Clock.Now())))
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range lost {
		errs = append(errs, s.lose(ctx, l))
	}
	for _, id := range due {
		_, err := s.change(ctx, id, Command{Action: ActExpire}, origin{})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// silent is a part of a call from which nothing was heard.
type silent struct {
	call wire.CallID
	user wire.UserID
}

func (s *Service) due(ctx context.Context, now int64) (due []wire.CallID, lost []silent, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT id FROM calls WHERE deadline > 0 AND deadline <= ? ORDER BY deadline LIMIT ?", now, sweepMax)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // read to its end below, or failed already
		for rows.Next() {
			var id wire.CallID
			if err := rows.Scan(&id); err != nil {
				return err
			}
			due = append(due, id)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		lost, err = silentOnes(tx, now)
		return err
	})
	return due, lost, err
}

func silentOnes(tx *sqldb.Tx, now int64) ([]silent, error) {
	rows, err := tx.Query("SELECT call_id, user_id FROM call_alive WHERE due_at <= ? ORDER BY due_at LIMIT ?", now, sweepMax)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // read to its end below, or failed already
	var lost []silent
	for rows.Next() {
		var l silent
		if err := rows.Scan(&l.call, &l.user); err != nil {
			return nil, err
		}
		lost = append(lost, l)
	}
	return lost, rows.Err()
}

// lose turns a silent part to reconnecting, unless it was heard meanwhile.
func (s *Service) lose(ctx context.Context, l silent) error {
	var call Call
	var effects []Effect
	err := s.transact(ctx, func(tx *sqldb.Tx, now time.Time) error {
		if err := tx.Lock("call:" + string(l.call)); err != nil {
			return err
		}
		n, err := tx.Exec("DELETE FROM call_alive WHERE call_id = ? AND user_id = ? AND due_at <= ?", l.call, l.user, millis(now))
		if err != nil || n == 0 {
			return err
		}
		if call, err = load(tx, l.call); err != nil {
			return err
		}
		call, effects, err = s.applyIn(tx, call, Command{Action: ActLose, By: Endpoint{User: l.user}}, now, origin{})
		return err
	})
	if err == nil {
		s.carryOut(call, effects)
	}
	return err
}

// presenceOf marks the people of a changed call, for tellPresence.
func (s *Service) presenceOf(c Call) {
	if s.Presence == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range c.Participants {
		s.dirty[p.User] = true
	}
	select {
	case s.wake <- struct{}{}:
	default: // awake already
	}
}

// tellPresence says of each marked person whether they are in a call, one
// after the other, so that the last word is the true one.
func (s *Service) tellPresence(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		for _, user := range s.takeDirty() {
			var in bool
			err := s.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
				in, err = talks(tx, user)
				return err
			})
			if err != nil {
				s.Logger.Warn("in-call presence not told", "error", err)
				continue
			}
			s.Presence.SetInCall(user, in)
		}
	}
}

func (s *Service) takeDirty() []wire.UserID {
	s.mu.Lock()
	defer s.mu.Unlock()
	users := make([]wire.UserID, 0, len(s.dirty))
	for u := range s.dirty {
		users = append(users, u)
	}
	clear(s.dirty)
	return users
}
