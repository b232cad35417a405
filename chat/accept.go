package chat

import (
	"context"
	"database/sql"
	"errors"

	"parley/internal/sqldb"
	"parley/wire"
)

// Blocks tells who keeps whom away.
type Blocks interface {
	// Blocked reports whether by has blocked u.
	Blocked(tx *sqldb.Tx, by, u wire.UserID) (bool, error)
}

// Accept lets the other members of a conversation in: from then on it is a
// relation like one that the caller opened. Accepting again changes nothing.
func (s *Service) Accept(ctx context.Context, c wire.Caller, conv wire.ConversationID) (Conversation, error) {
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		r, err := s.rosterTx(tx, conv)
		if err != nil {
			return err
		}
		m, ok := r.seat(c.User)
		if !ok {
			return ErrUnknown
		}
		if m.accepted {
			return nil
		}
		return accept(tx, conv, c.User)
	})
	if err != nil {
		return Conversation{}, err
	}
	return s.Get(ctx, c, conv)
}

// accept marks members; the row of the conversation is locked first, as everywhere.
func accept(tx *sqldb.Tx, conv wire.ConversationID, users ...wire.UserID) error {
	if _, err := tx.Exec(changeRoster, conv); err != nil {
		return err
	}
	for _, u := range users {
		if _, err := tx.Exec(acceptMember, conv, u); err != nil {
			return err
		}
	}
	return nil
}

// opens says who has accepted a conversation that c opens among members:
// whoever opens it, and everybody when the app does.
func opens(c wire.Caller, members []wire.UserID) []wire.UserID {
	if c.Role == wire.RoleServer {
		return members
	}
	return []wire.UserID{c.User}
}

// openAgain marks those as having accepted who open a conversation that is there.
func (s *Service) openAgain(tx *sqldb.Tx, conv wire.ConversationID, users []wire.UserID) error {
	r, err := s.rosterTx(tx, conv)
	if err != nil {
		return err
	}
	for _, u := range users {
		if m, ok := r.seat(u); ok && !m.accepted {
			return accept(tx, conv, users...)
		}
	}
	return nil
}

// reachable checks that none of users keeps c away. An app's server key reaches everybody.
func (s *Service) reachable(tx *sqldb.Tx, c wire.Caller, users ...wire.UserID) error {
	if s.blocks == nil || c.Role == wire.RoleServer {
		return nil
	}
	for _, u := range users {
		if u == c.User {
			continue
		}
		blocked, err := s.blocks.Blocked(tx, u, c.User)
		if err != nil {
			return err
		}
		if blocked {
			return ErrUnreachable
		}
	}
	return nil
}

// Welcomes reports whether host has let guest in: they share a conversation
// that host has accepted. A conversation that guest opened uninvited does not count.
func (s *Service) Welcomes(ctx context.Context, host, guest wire.UserID) (ok bool, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		ok, err = s.WelcomesTx(tx, host, guest)
		return err
	})
	return ok, err
}

// WelcomesTx is Welcomes inside a transaction.
func (s *Service) WelcomesTx(tx *sqldb.Tx, host, guest wire.UserID) (bool, error) {
	if host == guest {
		return true, nil
	}
	var one int64
	err := tx.QueryRow(`SELECT 1 FROM members a JOIN members b ON b.conversation = a.conversation
		WHERE a.user_id = ? AND a.accepted = 1 AND b.user_id = ? LIMIT 1`, host, guest).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
