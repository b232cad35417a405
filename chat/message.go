package chat

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"parley/internal/sqldb"
	"parley/wire"
)

// The entries that make up messages.
const (
	typeCreated = "message.created"
	typeEdited  = "message.edited"
	typeDeleted = "message.deleted"
)

// Message is the data of message.created, message.edited and message.deleted:
// always the whole message at Version, so that whoever keeps the highest
// version of each has the current state, in whatever order they read the log.
type Message struct {
	ID       wire.MessageID `json:"id"`
	Text     string         `json:"text,omitempty"`
	ClientID string         `json:"client_id,omitempty"`
	ReplyTo  wire.MessageID `json:"reply_to,omitempty"`
	// Version is 1 when created and grows with every edit.
	Version int64 `json:"version"`
	// Created is the number of the message.created entry; absent in that entry itself.
	Created int64 `json:"created,omitempty"`
	// Deleted messages have no text, in any of their entries.
	Deleted bool `json:"deleted,omitempty"`
}

// A message and the event that created it share the body of their ids.
func messageID(id wire.EventID) wire.MessageID {
	return wire.MessageID(wire.PrefixMessage + strings.TrimPrefix(string(id), wire.PrefixEvent))
}

func creationID(id wire.MessageID) wire.EventID {
	return wire.EventID(wire.PrefixEvent + strings.TrimPrefix(string(id), wire.PrefixMessage))
}

// Outgoing is a message to send.
type Outgoing struct {
	// ClientID is made once by the client for this message and repeated on
	// resends, 1 to ClientIDMax bytes.
	ClientID string
	Text     string
	ReplyTo  wire.MessageID
}

// CheckText reports whether a text may be a message: 1 to TextMax runes of
// valid UTF-8 (else ErrInput) without a payment card number (else ErrSensitive).
func CheckText(text string) error {
	if n := utf8.RuneCountInString(text); n < 1 || n > TextMax || !utf8.ValidString(text) {
		return fmt.Errorf("%w: a text has 1 to %d characters", ErrInput, TextMax)
	}
	if HasCardNumber(text) {
		return ErrSensitive
	}
	return nil
}

// Send writes a message into a conversation that the caller is in. A resend
// with the same ClientID answers the first event and has no second effect;
// with other content it fails with ErrClientID.
func (s *Service) Send(ctx context.Context, c wire.Caller, conv wire.ConversationID, m Outgoing) (wire.Event, error) {
	if err := CheckText(m.Text); err != nil {
		return wire.Event{}, s.refused(err)
	}
	if m.ClientID == "" {
		return wire.Event{}, fmt.Errorf("%w: a message needs a client_id", ErrInput)
	}
	if err := checkClientID(m.ClientID); err != nil {
		return wire.Event{}, err
	}
	now := s.now()
	rec := record{clientID: m.ClientID, Entry: wire.Entry{
		ID: wire.NewID[wire.EventID](wire.PrefixEvent, now), Type: typeCreated, Author: c.User, Time: now}}
	var err error
	rec.Data, err = json.Marshal(Message{ID: messageID(rec.ID), Text: m.Text, ClientID: m.ClientID, ReplyTo: m.ReplyTo, Version: 1})
	if err != nil {
		return wire.Event{}, err
	}
	if s.joins(c, conv, rec, m) {
		if ev, err := s.sendTogether(ctx, c, conv, rec); !errors.Is(err, errApart) {
			return ev, err
		}
	}
	return s.sendAlone(ctx, c, conv, rec, m)
}

// sendAlone writes a message in a transaction of its own.
func (s *Service) sendAlone(ctx context.Context, c wire.Caller, conv wire.ConversationID, rec record, m Outgoing) (wire.Event, error) {
	var ev wire.Event
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		var fresh, isNews bool
		var err error
		ev, fresh, err = s.write(tx, conv, rec, func(r *roster) error {
			m, ok := r.seat(c.User)
			isNews = ok && !m.accepted
			return allow(c, r, toWrite)
		})
		if err == nil && isNews {
			err = accept(tx, conv, c.User) // who answers lets the others in
		}
		if err != nil {
			return err
		}
		if !fresh {
			return sameMessage(ev, m)
		}
		if m.ReplyTo != "" {
			_, _, err = findMessage(tx, conv, m.ReplyTo)
		}
		return err
	})
	if err != nil {
		return wire.Event{}, err
	}
	return ev, nil
}

// sameMessage compares a resend with what was stored. Of a deleted message nothing is left to compare.
func sameMessage(ev wire.Event, m Outgoing) error {
	var first Message
	if err := json.Unmarshal(ev.Data, &first); err != nil {
		return err
	}
	if !first.Deleted && (first.Text != m.Text || first.ReplyTo != m.ReplyTo) {
		return ErrClientID
	}
	return nil
}

// findMessage returns the entry that created a message.
func findMessage(tx *sqldb.Tx, conv wire.ConversationID, id wire.MessageID) (wire.Event, Message, error) {
	if err := wire.CheckID(wire.PrefixMessage, string(id)); err != nil {
		return wire.Event{}, Message{}, ErrMessageUnknown
	}
	ev, err := oneEntry(tx, conv, selectByID, conv, creationID(id))
	if errors.Is(err, sql.ErrNoRows) || err == nil && ev.Type != typeCreated {
		return ev, Message{}, ErrMessageUnknown
	}
	if err != nil {
		return ev, Message{}, err
	}
	var m Message
	err = json.Unmarshal(ev.Data, &m)
	return ev, m, err
}

// history is a message with the entries about it, oldest first.
type history struct {
	created wire.Event
	later   []wire.Event
	now     Message // the current state
}

// message takes the conversation's row and finds a message in it that c wrote.
func (s *Service) message(tx *sqldb.Tx, c wire.Caller, conv wire.ConversationID, id wire.MessageID, mayModerate bool) (h history, err error) {
	if _, err := s.lock(tx, c, conv, toWrite); err != nil {
		return h, err
	}
	if h.created, h.now, err = findMessage(tx, conv, id); err != nil {
		return h, err
	}
	if h.created.Author != c.User && !(mayModerate && c.IsServer() && c.User == "") {
		return h, ErrNotAuthor
	}
	if h.later, err = someEntries(tx, conv, selectAbout, conv, h.created.Seq); err != nil {
		return h, err
	}
	if n := len(h.later); n > 0 {
		h.now = Message{}
		err = json.Unmarshal(h.later[n-1].Data, &h.now)
	}
	return h, err
}

// last is the newest entry of the message.
func (h history) last() wire.Event {
	if n := len(h.later); n > 0 {
		return h.later[n-1]
	}
	return h.created
}

// Edit gives a message of the caller's another text. The same text again changes nothing.
func (s *Service) Edit(ctx context.Context, c wire.Caller, conv wire.ConversationID, id wire.MessageID, text string) (wire.Event, error) {
	if err := CheckText(text); err != nil {
		return wire.Event{}, s.refused(err)
	}
	return s.revise(ctx, c, conv, id, false, func(tx *sqldb.Tx, h history) (string, Message, error) {
		m := h.now
		if m.Deleted {
			return "", m, ErrDeleted
		}
		if m.Text == text {
			return "", m, nil
		}
		m.Text = text
		return typeEdited, m, nil
	})
}

// Delete takes a message of the caller's back: its text goes from all of its
// entries. A server in its own name may delete anybody's. Deleting again changes nothing.
func (s *Service) Delete(ctx context.Context, c wire.Caller, conv wire.ConversationID, id wire.MessageID) (wire.Event, error) {
	return s.revise(ctx, c, conv, id, true, func(tx *sqldb.Tx, h history) (string, Message, error) {
		if h.now.Deleted {
			return "", h.now, nil
		}
		for _, ev := range append([]wire.Event{h.created}, h.later...) {
			if err := redact(tx, ev); err != nil {
				return "", h.now, err
			}
		}
		m := h.now
		m.Text, m.Deleted = "", true
		return typeDeleted, m, nil
	})
}

// revise appends what change makes of a message; with type "" it stays as it
// is and its newest event is the answer.
func (s *Service) revise(ctx context.Context, c wire.Caller, conv wire.ConversationID, id wire.MessageID, mayModerate bool,
	change func(*sqldb.Tx, history) (string, Message, error)) (ev wire.Event, err error) {
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		h, err := s.message(tx, c, conv, id, mayModerate)
		if err != nil {
			return err
		}
		kind, m, err := change(tx, h)
		if err != nil {
			return err
		}
		if kind == "" {
			ev = h.last()
			return nil
		}
		m.Version, m.Created = m.Version+1, h.created.Seq
		rec := record{about: h.created.Seq, Entry: wire.Entry{Type: kind, Author: c.User}}
		if rec.Data, err = json.Marshal(m); err != nil {
			return err
		}
		ev, _, err = s.write(tx, conv, rec, nil)
		return err
	})
	if err != nil {
		return wire.Event{}, err
	}
	return ev, nil
}

// redact takes the text out of a stored entry.
func redact(tx *sqldb.Tx, ev wire.Event) error {
	var m Message
	if err := json.Unmarshal(ev.Data, &m); err != nil {
		return err
	}
	m.Text, m.Deleted = "", true
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE entries SET data = ? WHERE conversation = ? AND seq = ?`, string(data), ev.Conversation, ev.Seq)
	return err
}
