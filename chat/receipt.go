package chat

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"parley/internal/sqldb"
	"parley/wire"
)

// Receipt is how far a member has come in a conversation.
type Receipt struct {
	Delivered int64 `json:"delivered"`
	Read      int64 `json:"read"`
	Unread    int64 `json:"unread"`
}

// receiptUpdated and typing are the data of the signals of the same names.
type receiptUpdated struct {
	User      wire.UserID `json:"user"`
	Delivered int64       `json:"delivered"`
	Read      int64       `json:"read"`
}

type typing struct {
	User   wire.UserID `json:"user"`
	Typing bool        `json:"typing"`
}

const (
	selectMarks = `SELECT c.head, c.roster, m.delivered, m.read_seq FROM members m JOIN conversations c ON c.id = m.conversation
		WHERE m.conversation = ? AND m.user_id = ?`
	raiseMarks = `UPDATE members SET
		delivered = CASE WHEN delivered < ? THEN ? ELSE delivered END,
		read_seq = CASE WHEN read_seq < ? THEN ? ELSE read_seq END
		WHERE conversation = ? AND user_id = ? RETURNING delivered, read_seq`
	countUnread = `SELECT count(*) FROM entries WHERE conversation = ? AND seq > ? AND type = 'message.created' AND author <> ?`
)

// Mark raises the caller's marks to the given entry numbers; 0 leaves one
// alone. Marks never go back and never beyond the log's head, and what is read
// is delivered. Members hear of a change.
func (s *Service) Mark(ctx context.Context, c wire.Caller, conv wire.ConversationID, delivered, read int64) (Receipt, error) {
	if c.User == "" || c.Role == wire.RoleOperator || !known(conv) {
		return Receipt{}, ErrUnknown // only people have marks
	}
	var now Receipt
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		var head, version int64
		var was Receipt
		err := tx.QueryRow(selectMarks, conv, c.User).Scan(&head, &version, &was.Delivered, &was.Read)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrUnknown
		}
		if err != nil {
			return err
		}
		now = was
		want := Receipt{Read: min(read, head)}
		want.Delivered = max(min(delivered, head), want.Read)
		if want.Delivered > was.Delivered || want.Read > was.Read {
			err := tx.QueryRow(raiseMarks, want.Delivered, want.Delivered, want.Read, want.Read, conv, c.User).Scan(&now.Delivered, &now.Read)
			if err != nil {
				return err
			}
			if err := s.announceMarks(tx, conv, version, c, now); err != nil {
				return err
			}
		}
		now.Unread, err = unread(tx, conv, c.User, head, now.Read)
		return err
	})
	return now, err
}

func (s *Service) announceMarks(tx *sqldb.Tx, conv wire.ConversationID, version int64, c wire.Caller, now Receipt) error {
	members, err := s.rosterSeen(tx, conv, version)
	if err != nil {
		return err
	}
	return s.signal(tx.Context(), tx.AfterCommit, conv, "receipt.updated", receiptUpdated{User: c.User, Delivered: now.Delivered, Read: now.Read}, members, c.Session)
}

// unread counts the messages of others after the read mark.
func unread(tx *sqldb.Tx, conv wire.ConversationID, u wire.UserID, head, read int64) (n int64, err error) {
	if u == "" || read >= head {
		return 0, nil
	}
	err = tx.QueryRow(countUnread, conv, max(read, head-UnreadWindow), u).Scan(&n)
	return n, err
}

// SetTyping tells the other members that the caller is typing or has stopped. Nothing is stored.
func (s *Service) SetTyping(ctx context.Context, c wire.Caller, conv wire.ConversationID, on bool) error {
	members, err := s.viewRecent(ctx, conv)
	if err != nil {
		return err
	}
	if _, ok := members.seat(c.User); !ok {
		return ErrUnknown
	}
	return s.signal(ctx, func(fn func()) { fn() }, conv, "typing", typing{User: c.User, Typing: on}, members, c.Session)
}

// signal publishes an event without number to all members but the session that caused it, when after says so.
func (s *Service) signal(ctx context.Context, after func(func()), conv wire.ConversationID, kind string, data any, members *roster, not wire.SessionID) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	to := make([]wire.To, len(members.to))
	for i, t := range members.to {
		t.NotSession = not
		to[i] = t
	}
	ctx, now := context.WithoutCancel(ctx), s.now()
	after(func() {
		s.out.Publish(ctx, wire.Event{Type: kind, Conversation: conv, Time: now, Data: b}, to...)
	})
	return nil
}
