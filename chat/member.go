package chat

import (
	"context"
	"fmt"
	"slices"

	"parley/internal/sqldb"
	"parley/wire"
)

const (
	insertMember = `INSERT INTO members (conversation, user_id, role, joined_at, delivered, read_seq, accepted) VALUES (?, ?, ?, ?, ?, ?, ?)`
	changeRoster = `UPDATE conversations SET roster = roster + 1 WHERE id = ?`
	acceptMember = `UPDATE members SET accepted = 1 WHERE conversation = ? AND user_id = ?`
)

// joined and left are the data of member.joined and member.left.
type joined struct {
	User wire.UserID `json:"user"`
}

type left struct {
	User wire.UserID `json:"user"`
	// Owner is who became owner because the last one left.
	Owner wire.UserID `json:"owner,omitempty"`
}

// AddMember adds u to a group or payment conversation; owners and servers may.
// The newcomer may read the whole log; what was there before counts as read.
// Adding a member again changes nothing.
func (s *Service) AddMember(ctx context.Context, c wire.Caller, conv wire.ConversationID, u wire.UserID) (Conversation, error) {
	if err := wire.CheckUser(string(u)); err != nil {
		return Conversation{}, fmt.Errorf("%w: user: %w", ErrInput, err)
	}
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		l, err := s.lock(tx, c, conv, toManage)
		if err != nil {
			return err
		}
		if _, ok := l.members.seat(u); ok {
			return nil
		}
		if len(l.members.seats) >= MembersMax {
			return ErrFull
		}
		if err := s.reachable(tx, c, u); err != nil {
			return err
		}
		role := RoleMember
		if len(l.members.seats) == 0 {
			role = RoleOwner
		}
		var head int64
		if err := tx.QueryRow(changeRoster+` RETURNING head`, conv).Scan(&head); err != nil {
			return err
		}
		if _, err := tx.Exec(insertMember, conv, u, role, s.now().UnixMilli(), head, head, flag(slices.Contains(opens(c, []wire.UserID{u}), u))); err != nil {
			return err
		}
		return s.note(tx, c, conv, "member.joined", joined{User: u}, nil)
	})
	if err != nil {
		return Conversation{}, err
	}
	return s.Get(ctx, c, conv)
}

// RemoveMember takes u out of a group or payment conversation: anybody may
// leave, owners and servers may remove others. When the last owner goes, the
// member who joined first becomes owner. The entry member.left is the last
// thing u hears of the conversation.
func (s *Service) RemoveMember(ctx context.Context, c wire.Caller, conv wire.ConversationID, u wire.UserID) error {
	return s.db.Update(ctx, func(tx *sqldb.Tx) error {
		l, err := s.lock(tx, c, conv, toRead)
		if err != nil {
			return err
		}
		if err := l.mayRemove(c, u); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM members WHERE conversation = ? AND user_id = ?`, conv, u); err != nil {
			return err
		}
		data := left{User: u}
		if l.members.isLastOwner(u) {
			if data.Owner, err = appointOwner(tx, conv); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(changeRoster, conv); err != nil {
			return err
		}
		return s.note(tx, c, conv, "member.left", data, []wire.To{{User: u}})
	})
}

func (l locked) mayRemove(c wire.Caller, u wire.UserID) error {
	if c.Role == wire.RoleOperator {
		return ErrNotOwner
	}
	if l.kind != Group && l.kind != Payment {
		return ErrKind
	}
	if c.User != u {
		if err := allow(c, l.members, toManage); err != nil {
			return err
		}
	}
	if _, ok := l.members.seat(u); !ok {
		return ErrMemberUnknown
	}
	return nil
}

func (r *roster) isLastOwner(u wire.UserID) bool {
	for _, m := range r.seats {
		if m.role == RoleOwner && m.user != u {
			return false
		}
	}
	m, ok := r.seat(u)
	return ok && m.role == RoleOwner
}

// appointOwner makes the member who joined first owner, if anybody is left.
func appointOwner(tx *sqldb.Tx, conv wire.ConversationID) (wire.UserID, error) {
	rows, err := tx.Query(`UPDATE members SET role = ? WHERE conversation = ? AND user_id =
		(SELECT user_id FROM members WHERE conversation = ? ORDER BY joined_at, user_id LIMIT 1) RETURNING user_id`, RoleOwner, conv, conv)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var u wire.UserID
	if rows.Next() {
		if err := rows.Scan(&u); err != nil {
			return "", err
		}
	}
	return u, rows.Err()
}
