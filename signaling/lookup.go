package signaling

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"parley/internal/sqldb"
	"parley/wire"
)

// Live is what a running call proves about a payment.
type Live struct {
	Call       wire.CallID
	State      State
	Media      Media
	Transcript string // hex SHA-256; empty until both ends agree, and always through the SFU
	Verified   Verified
	E2E        bool
	Users      []wire.UserID // who is present, the caller first
}

// ActiveFor returns the answered call about payment; ErrUnknown when there is none.
func (s *Service) ActiveFor(ctx context.Context, payment wire.PaymentID) (live Live, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		live, err = s.ActiveForTx(tx, payment)
		return err
	})
	return live, err
}

// ActiveForTx is ActiveFor inside a transaction. It locks nothing.
func (s *Service) ActiveForTx(tx *sqldb.Tx, payment wire.PaymentID) (Live, error) {
	if payment == "" {
		return Live{}, ErrUnknown
	}
	c, ok, err := find(tx, "payment = ? AND state = 'active' ORDER BY id DESC LIMIT 1", payment)
	if err != nil {
		return Live{}, err
	}
	if !ok {
		return Live{}, ErrUnknown
	}
	live := Live{Call: c.ID, State: c.State, Media: c.Media, Transcript: c.Transcript, Verified: c.Verified, E2E: c.E2E}
	for _, p := range c.Participants {
		if p.Present() {
			live.Users = append(live.Users, p.User)
		}
	}
	return live, nil
}

// Get returns a call to its participants, to server keys and to operators.
func (s *Service) Get(ctx context.Context, c wire.Caller, id wire.CallID) (CallView, error) {
	call, err := s.read(ctx, id)
	if err != nil {
		return CallView{}, err
	}
	if _, ok := call.Find(c.User); !ok && (c.Role == wire.RoleUser || c.User != "") {
		return CallView{}, ErrNotParticipant
	}
	return call.For(c.User), nil
}

// Filter narrows a list of calls.
type Filter struct {
	Conversation wire.ConversationID
	Payment      wire.PaymentID
	Active       bool        // only calls that have not ended
	Before       wire.CallID // only older ones: the last of the page before
	Limit        int         // 0 means 50, at most 200
}

// List returns the caller's calls, or all calls to server keys and operators
// that act for nobody, the newest first.
func (s *Service) List(ctx context.Context, c wire.Caller, f Filter) (items []CallView, next wire.CallID, err error) {
	if c.Role == wire.RoleUser && c.User == "" {
		return nil, "", ErrUnknown
	}
	limit := min(f.Limit, 200)
	if limit <= 0 {
		limit = 50
	}
	query, args := f.query(c.User, limit+1)
	var calls []Call
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		calls, err = scanCalls(tx, query, args...)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(calls) > limit {
		calls = calls[:limit]
		next = calls[limit-1].ID
	}
	items = make([]CallView, 0, len(calls))
	for _, call := range calls {
		items = append(items, call.For(c.User))
	}
	return items, next, nil
}

func (f Filter) query(user wire.UserID, limit int) (string, []any) {
	query, args := "SELECT c.body FROM calls c WHERE 1 = 1", []any{}
	add := func(on bool, cond string, values ...any) {
		if on {
			query += " AND " + cond
			args = append(args, values...)
		}
	}
	if user != "" {
		query = "SELECT c.body FROM call_members m JOIN calls c ON c.id = m.call_id WHERE m.user_id = ?"
		args = append(args, user)
	}
	add(f.Conversation != "", "c.conversation = ?", f.Conversation)
	add(f.Payment != "", "c.payment = ?", f.Payment)
	add(f.Active, "c.state <> 'ended'")
	add(f.Before != "", "c.id < ?", f.Before)
	return query + " ORDER BY c.id DESC LIMIT ?", append(args, limit)
}

func scanCalls(tx *sqldb.Tx, query string, args ...any) ([]Call, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, fmt.Errorf("signaling: list calls: %w", err)
	}
	defer func() { _ = rows.Close() }() // read to its end below, or failed already
	var calls []Call
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		c, err := decodeCall(body)
		if err != nil {
			return nil, err
		}
		calls = append(calls, c)
	}
	return calls, rows.Err()
}

// Credentials returns fresh relay credentials to who takes part or may still answer.
func (s *Service) Credentials(ctx context.Context, c wire.Caller, id wire.CallID) ([]ICEServer, error) {
	call, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	p, ok := call.Find(c.User)
	switch {
	case !ok:
		return nil, ErrNotParticipant
	case call.State == Ended:
		return nil, ErrEnded
	case p.Leg != LegRinging && !call.Bound(Endpoint{User: c.User, Device: c.Device}):
		return nil, ErrNotParticipant
	}
	return s.servers(call, c.User), nil
}

// SessionOpened shows a device that has just come the calls that concern it:
// those that still ring for its user, with the seconds that remain, and the
// one it is in.
func (s *Service) SessionOpened(ctx context.Context, user wire.UserID, device wire.DeviceID) error {
	if s.roll.without(user) {
		return nil
	}
	var calls []Call
	err := s.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		calls, err = scanCalls(tx, `SELECT c.body FROM call_members m JOIN calls c ON c.id = m.call_id
			WHERE m.user_id = ? AND m.part >= 1 ORDER BY c.id`, user)
		return err
	})
	if err != nil {
		return err
	}
	now, to := stamp(s.Clock.Now()), wire.To{User: user, Device: device}
	for _, c := range calls {
		p, _ := c.Find(user)
		switch {
		case p.Leg == LegRinging && now.Before(p.Until):
			s.offer(ctx, c, to, now)
		case p.Present() && p.Device == device:
			s.send(ctx, c, now, "call.updated", "", callData{c.For(user)}, to)
		}
	}
	return nil
}

// EndFor ends every call user is in or rung by, by policy: the person was restricted.
func (s *Service) EndFor(ctx context.Context, user wire.UserID, detail string) error {
	var calls []Call
	err := s.DB.View(ctx, func(tx *sqldb.Tx) (err error) {
		calls, err = scanCalls(tx, `SELECT c.body FROM call_members m JOIN calls c ON c.id = m.call_id
			WHERE m.user_id = ? AND m.part >= 1`, user)
		return err
	})
	errs := []error{err}
	for _, c := range slices.Backward(calls) {
		errs = append(errs, s.Terminate(ctx, c.ID, detail))
	}
	return errors.Join(errs...)
}
