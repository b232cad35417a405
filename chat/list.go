package chat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"parley/internal/sqldb"
	"parley/wire"
)

const (
	selectConversation = `SELECT c.id, c.kind, c.title, c.payment, c.head, c.created_at, c.updated_at FROM conversations c `
	selectMembers      = `SELECT user_id, role, joined_at, delivered, read_seq, accepted FROM members WHERE conversation = ? ORDER BY joined_at, user_id`
)

var errCursor = fmt.Errorf("%w: the cursor is not one of ours", ErrInput)

// Get returns a conversation as c sees it.
func (s *Service) Get(ctx context.Context, c wire.Caller, id wire.ConversationID) (Conversation, error) {
	var conv Conversation
	err := s.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		if _, err = readHead(tx, c, id); err != nil {
			return err
		}
		conv, err = scanConversation(tx.QueryRow(selectConversation+`WHERE c.id = ?`, id).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrUnknown
		}
		if err != nil {
			return err
		}
		return fill(tx, c.User, &conv)
	})
	if err != nil {
		return Conversation{}, err
	}
	err = s.nameMembers(ctx, []*Conversation{&conv})
	return conv, err
}

// List returns the conversations of the caller, the one that moved last first.
// A server or operator that acts for nobody gets all, newest first. next goes
// into cursor for the following page and is empty on the last one.
func (s *Service) List(ctx context.Context, c wire.Caller, cursor string, limit int) (list []Conversation, next string, err error) {
	limit = pageSize(limit)
	err = s.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		list, next, err = page(tx, c, cursor, limit)
		for i := range list {
			if err == nil {
				err = fill(tx, c.User, &list[i])
			}
		}
		return err
	})
	if err != nil {
		return nil, "", err
	}
	all := make([]*Conversation, len(list))
	for i := range list {
		all[i] = &list[i]
	}
	return list, next, s.nameMembers(ctx, all)
}

func page(tx *sqldb.Tx, c wire.Caller, cursor string, limit int) ([]Conversation, string, error) {
	if c.User == "" {
		if c.Role == wire.RoleUser {
			return nil, "", ErrUnknown
		}
		if cursor != "" && !known(wire.ConversationID(cursor)) {
			return nil, "", errCursor
		}
		list, err := scanConversations(tx, selectConversation+`WHERE (? = '' OR c.id < ?) ORDER BY c.id DESC LIMIT ?`, cursor, cursor, limit+1)
		return cut(list, err, limit, func(last Conversation) string { return string(last.ID) })
	}
	at, id := int64(math.MaxInt64), ""
	if cursor != "" {
		ms, rest, ok := strings.Cut(cursor, ".")
		parsed, err := strconv.ParseInt(ms, 10, 64)
		if !ok || err != nil || !known(wire.ConversationID(rest)) {
			return nil, "", errCursor
		}
		at, id = parsed, rest
	}
	list, err := scanConversations(tx, selectConversation+`JOIN members m ON m.conversation = c.id
		WHERE m.user_id = ? AND (c.updated_at < ? OR c.updated_at = ? AND c.id < ?)
		ORDER BY c.updated_at DESC, c.id DESC LIMIT ?`, c.User, at, at, id, limit+1)
	return cut(list, err, limit, func(last Conversation) string {
		return strconv.FormatInt(last.UpdatedAt.UnixMilli(), 10) + "." + string(last.ID)
	})
}

// cut keeps limit conversations and makes the cursor to the rest.
func cut(list []Conversation, err error, limit int, cursor func(last Conversation) string) ([]Conversation, string, error) {
	if err != nil || len(list) <= limit {
		return list, "", err
	}
	return list[:limit], cursor(list[limit-1]), nil
}

func scanConversations(tx *sqldb.Tx, query string, args ...any) ([]Conversation, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var list []Conversation
	for rows.Next() {
		conv, err := scanConversation(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, conv)
	}
	return list, rows.Err()
}

func scanConversation(scan func(...any) error) (Conversation, error) {
	var conv Conversation
	var createdAt, updatedAt int64
	if err := scan(&conv.ID, &conv.Kind, &conv.Title, &conv.Payment, &conv.Head, &createdAt, &updatedAt); err != nil {
		return conv, err
	}
	conv.CreatedAt, conv.UpdatedAt = fromMillis(createdAt), fromMillis(updatedAt)
	return conv, nil
}

// fill adds the members, the last entry, and what viewer has not read.
func fill(tx *sqldb.Tx, viewer wire.UserID, conv *Conversation) error {
	members, err := loadMembers(tx, conv.ID)
	if err != nil {
		return err
	}
	conv.Members = members
	for _, m := range members {
		if m.User != viewer {
			continue
		}
		if conv.Unread, err = unread(tx, conv.ID, viewer, conv.Head, m.Read); err != nil {
			return err
		}
	}
	if conv.Head == 0 {
		return nil
	}
	last, err := oneEntry(tx, conv.ID, selectBySeq, conv.ID, conv.Head)
	conv.Last = &last
	return err
}

func loadMembers(tx *sqldb.Tx, id wire.ConversationID) ([]Member, error) {
	rows, err := tx.Query(selectMembers, id)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	members := []Member{}
	for rows.Next() {
		var m Member
		var at, accepted int64
		if err := rows.Scan(&m.User, &m.Role, &at, &m.Delivered, &m.Read, &accepted); err != nil {
			return nil, err
		}
		m.JoinedAt, m.Accepted = fromMillis(at), accepted != 0
		members = append(members, m)
	}
	return members, rows.Err()
}

// nameMembers asks for the names of all members at once, outside any transaction.
func (s *Service) nameMembers(ctx context.Context, list []*Conversation) error {
	if s.names == nil {
		return nil
	}
	asked := map[wire.UserID]bool{}
	var users []wire.UserID
	for _, conv := range list {
		for _, m := range conv.Members {
			if !asked[m.User] {
				asked[m.User] = true
				users = append(users, m.User)
			}
		}
	}
	if len(users) == 0 {
		return nil
	}
	names, err := s.names.Names(ctx, users)
	if err != nil {
		return fmt.Errorf("names of members: %w", err)
	}
	for _, conv := range list {
		for i := range conv.Members {
			conv.Members[i].Name = names[conv.Members[i].User]
		}
	}
	return nil
}
