package chat

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"parley/internal/sqldb"
	"parley/wire"
)

const (
	// takeNumber also locks the conversation's row until the transaction ends, so that numbers follow commits.
	takeNumber = `UPDATE conversations SET head = head + 1, updated_at = ? WHERE id = ? RETURNING head, roster`
	// returnNumber undoes takeNumber when the entry turned out to be there already.
	returnNumber = `UPDATE conversations SET head = head - 1, updated_at = (SELECT at FROM entries
		WHERE entries.conversation = conversations.id AND entries.seq = conversations.head - 1) WHERE id = ?`
	insertEntry = `INSERT INTO entries (conversation, seq, id, type, author, client_id, about, at, data)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	selectEntry        = `SELECT seq, id, type, author, at, data FROM entries WHERE conversation = ? `
	selectByID         = selectEntry + `AND id = ?`
	selectByClient     = selectEntry + `AND author = ? AND client_id = ?`
	selectBySeq        = selectEntry + `AND seq = ?`
	selectForward      = selectEntry + `AND seq > ? AND seq < ? ORDER BY seq LIMIT ?`
	selectBackward     = selectEntry + `AND seq < ? ORDER BY seq DESC LIMIT ?`
	selectAbout        = selectEntry + `AND about = ? ORDER BY seq`
	selectHead         = `SELECT head FROM conversations WHERE id = ?`
	selectHeadAsMember = `SELECT c.head FROM conversations c JOIN members m ON m.conversation = c.id WHERE c.id = ? AND m.user_id = ?`
)

// Append writes e at the end of a conversation's log and, once tx has
// committed, hands the event to the members in commit order. An entry whose ID
// is in the log already changes nothing and answers the event that is there;
// an empty ID or Time is filled in. It does not ask who may write: the caller
// is a feature, not a person. After an error tx must be given up.
func (s *Service) Append(tx *sqldb.Tx, conv wire.ConversationID, e wire.Entry) (wire.Event, error) {
	ev, _, err := s.write(tx, conv, record{Entry: e}, nil)
	return ev, err
}

// record is an entry on its way into the table.
type record struct {
	wire.Entry
	clientID string
	about    int64     // seq of the message it is about
	also     []wire.To // hear of it without being members
}

// write numbers and stores rec, unless its id or client id is there already:
// then it answers the stored event and fresh is false. may, if given, decides
// with the members at hand.
func (s *Service) write(tx *sqldb.Tx, conv wire.ConversationID, rec record, may func(*roster) error) (ev wire.Event, fresh bool, err error) {
	if !known(conv) {
		return ev, false, ErrUnknown
	}
	if rec.Time.IsZero() {
		rec.Time = s.now()
	}
	rec.Time = rec.Time.UTC().Truncate(time.Millisecond)
	if rec.ID == "" {
		rec.ID = wire.NewID[wire.EventID](wire.PrefixEvent, rec.Time)
	}
	if len(rec.Data) > DataMax {
		return ev, false, fmt.Errorf("%w: an entry has at most %d bytes", ErrInput, DataMax)
	}
	var seq, version int64
	switch err := tx.QueryRow(takeNumber, rec.Time.UnixMilli(), conv).Scan(&seq, &version); {
	case errors.Is(err, sql.ErrNoRows):
		return ev, false, ErrUnknown
	case err != nil:
		return ev, false, err
	}
	members, err := s.rosterAt(tx, conv, version)
	if err != nil {
		return ev, false, err
	}
	if may != nil {
		if err := may(members); err != nil {
			return ev, false, err
		}
	}
	n, err := tx.Exec(insertEntry, conv, seq, rec.ID, rec.Type, rec.Author, rec.clientID, rec.about, rec.Time.UnixMilli(), string(rec.Data))
	if err != nil {
		return ev, false, err
	}
	if n == 0 {
		ev, err = s.stored(tx, conv, rec)
		return ev, false, err
	}
	ev = wire.Event{ID: rec.ID, Type: rec.Type, Conversation: conv, Seq: seq, Time: rec.Time, Author: rec.Author, Data: rec.Data}
	if err := s.journal(tx, ev); err != nil {
		return ev, false, err
	}
	s.announce(tx, ev, members, rec.also)
	return ev, true, nil
}

// stored gives the number back and finds the entry that was there first.
func (s *Service) stored(tx *sqldb.Tx, conv wire.ConversationID, rec record) (wire.Event, error) {
	if _, err := tx.Exec(returnNumber, conv); err != nil {
		return wire.Event{}, err
	}
	tx.AfterCommit(s.metrics.repeated.Inc)
	ev, err := oneEntry(tx, conv, selectByID, conv, rec.ID)
	if errors.Is(err, sql.ErrNoRows) && rec.clientID != "" {
		ev, err = oneEntry(tx, conv, selectByClient, conv, rec.Author, rec.clientID)
	}
	return ev, err
}

func (s *Service) announce(tx *sqldb.Tx, ev wire.Event, members *roster, also []wire.To) {
	ctx, to := context.WithoutCancel(tx.Context()), members.to
	if len(also) > 0 {
		to = append(slices.Clone(to), also...)
	}
	tx.AfterCommit(func() {
		s.metrics.appended.Inc()
		s.out.Publish(ctx, ev, to...)
	})
}

// Entries returns entries of a conversation's log in ascending order, at most
// limit of them (0 means PageDefault, at most PageMax), and the log's head.
//   - before 0: the first ones with seq > after;
//   - after 0, before given: the last ones with seq < before;
//   - both given: the first ones between them.
//
// more says that there are further ones in that direction. Members, servers
// and operators may read; everybody else gets ErrUnknown.
func (s *Service) Entries(ctx context.Context, c wire.Caller, conv wire.ConversationID, after, before int64, limit int) (events []wire.Event, more bool, head int64, err error) {
	limit = pageSize(limit)
	err = s.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		if head, err = readHead(tx, c, conv); err != nil {
			return err
		}
		if before > 0 && after <= 0 {
			events, err = someEntries(tx, conv, selectBackward, conv, before, limit)
			slices.Reverse(events)
			more = len(events) > 0 && events[0].Seq > 1
			return err
		}
		end := int64(math.MaxInt64)
		if before > 0 {
			end = before
		}
		events, err = someEntries(tx, conv, selectForward, conv, max(after, 0), end, limit)
		more = len(events) == limit && events[limit-1].Seq < min(end-1, head)
		return err
	})
	return events, more, head, err
}

func pageSize(limit int) int {
	if limit <= 0 {
		return PageDefault
	}
	return min(limit, PageMax)
}

// readHead returns the head of a conversation that c may read.
func readHead(tx *sqldb.Tx, c wire.Caller, conv wire.ConversationID) (head int64, err error) {
	if !known(conv) {
		return 0, ErrUnknown
	}
	if c.Role == wire.RoleUser {
		err = tx.QueryRow(selectHeadAsMember, conv, c.User).Scan(&head)
	} else {
		err = tx.QueryRow(selectHead, conv).Scan(&head)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return 0, ErrUnknown
	}
	return head, err
}

// Head is where a conversation's log ends.
type Head struct {
	ID   wire.ConversationID
	Head int64 // number of the last entry; 0 when there is none
}

var headsOf = sqldb.Over(`WITH u(id) AS ({set})
	SELECT m.user_id, c.id, c.head FROM u CROSS JOIN members m CROSS JOIN conversations c
	WHERE m.user_id = u.id AND c.id = m.conversation`, sqldb.Text)

// Heads has each hear of every conversation that one of users is in, in no order.
func (s *Service) Heads(ctx context.Context, users []wire.UserID, each func(wire.UserID, Head)) error {
	names := make([]string, len(users))
	for i, u := range users {
		names[i] = string(u)
	}
	return s.db.View(ctx, func(tx *sqldb.Tx) error {
		b := tx.Batch()
		b.QuerySet(headsOf, func(row sqldb.Row) error {
			var u wire.UserID
			var h Head
			if err := row.Scan(&u, &h.ID, &h.Head); err != nil {
				return err
			}
			each(u, h)
			return nil
		}, names)
		return b.Send()
	})
}

func someEntries(tx *sqldb.Tx, conv wire.ConversationID, query string, args ...any) ([]wire.Event, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is in rows.Err
	var events []wire.Event
	for rows.Next() {
		ev, err := scanEntry(conv, rows.Scan)
		if err != nil {
			return nil, err
		}
		events = append(events, ev)
	}
	return events, rows.Err()
}

func oneEntry(tx *sqldb.Tx, conv wire.ConversationID, query string, args ...any) (wire.Event, error) {
	return scanEntry(conv, tx.QueryRow(query, args...).Scan)
}

func scanEntry(conv wire.ConversationID, scan func(...any) error) (wire.Event, error) {
	ev := wire.Event{Conversation: conv}
	var at int64
	var data []byte
	if err := scan(&ev.Seq, &ev.ID, &ev.Type, &ev.Author, &at, &data); err != nil {
		return wire.Event{}, err
	}
	ev.Time, ev.Data = fromMillis(at), data
	return ev, nil
}
