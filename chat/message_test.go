package chat_test

import (
	"strings"
	"sync"
	"testing"

	"parley/chat"
	"parley/internal/sqldb"
	"parley/wire"
)

func TestSend_ReachesEveryMemberWithTheStoredEvent(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		ev, err := w.Send(w.Context(), user("ann"), conv, chat.Outgoing{ClientID: "c1", Text: "hi <bob> & co"})
		w.ok(err)
		m := message(w.T, ev)
		want := chat.Message{ID: m.ID, Text: "hi <bob> & co", ClientID: "c1", Version: 1}
		if m != want || ev.Type != "message.created" || ev.Author != "ann" || ev.Seq != 1 || ev.Conversation != conv {
			w.Errorf("got %+v with %+v", ev, m)
		}
		sameEvent(w.T, w.all("bob", conv)[0], ev)
		told := w.out.take()
		if len(told) != 1 || !told[0].by("ann") || !told[0].by("bob") || len(told[0].to) != 2 {
			w.Fatalf("told %+v", told)
		}
		sameEvent(w.T, told[0].Event, ev)
	})
}

func TestSend_ResendAnswersTheSameEventOnce(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		send := func(from wire.UserID, id, text string, to wire.MessageID) (wire.Event, error) {
			return w.Send(w.Context(), user(from), conv, chat.Outgoing{ClientID: id, Text: text, ReplyTo: to})
		}
		first, err := send("ann", "c1", "hi", "")
		w.ok(err)
		w.send("bob", conv, "hello")
		again, err := send("ann", "c1", "hi", "")
		w.ok(err)
		sameEvent(w.T, again, first)
		_, err = send("ann", "c1", "other text", "")
		w.want(err, chat.ErrClientID)
		_, err = send("ann", "c1", "hi", message(w.T, first).ID)
		w.want(err, chat.ErrClientID)
		theirs, err := send("bob", "c1", "bob may use the same client id", "")
		w.ok(err)
		if theirs.Seq != 3 {
			w.Errorf("got number %d, want 3", theirs.Seq)
		}
		if told := w.out.take(); len(told) != 3 {
			w.Errorf("told %d times, want 3", len(told))
		}
	})
}

func TestSend_SameClientIDFromManyAtOnceIsOneMessage(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		const tries = 20
		events := make([]wire.Event, tries)
		errs := make([]error, tries)
		var wg sync.WaitGroup
		for i := range tries {
			wg.Go(func() {
				events[i], errs[i] = w.Send(w.Context(), user("ann"), conv, chat.Outgoing{ClientID: "once", Text: "hi"})
			})
		}
		wg.Wait()
		for i := range tries {
			w.ok(errs[i])
			sameEvent(w.T, events[i], events[0])
		}
		if got := w.get("ann", conv).Head; got != 1 {
			w.Errorf("head is %d, want 1", got)
		}
	})
}

func TestSend_Limits(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		for _, c := range []struct {
			name string
			m    chat.Outgoing
			err  error
		}{
			{"one rune", chat.Outgoing{ClientID: "1", Text: "é"}, nil},
			{"no text", chat.Outgoing{ClientID: "2", Text: ""}, chat.ErrInput},
			{"most text", chat.Outgoing{ClientID: "3", Text: strings.Repeat("𝄞", chat.TextMax)}, nil},
			{"too much text", chat.Outgoing{ClientID: "4", Text: strings.Repeat("a", chat.TextMax+1)}, chat.ErrInput},
			{"broken UTF-8", chat.Outgoing{ClientID: "5", Text: "a\xff"}, chat.ErrInput},
			{"NUL and controls", chat.Outgoing{ClientID: "6", Text: "a\x00\u2028\x1b"}, nil},
			{"no client id", chat.Outgoing{Text: "a"}, chat.ErrInput},
			{"longest client id", chat.Outgoing{ClientID: strings.Repeat("c", chat.ClientIDMax), Text: "a"}, nil},
			{"too long client id", chat.Outgoing{ClientID: strings.Repeat("c", chat.ClientIDMax+1), Text: "a"}, chat.ErrInput},
			{"NUL in client id", chat.Outgoing{ClientID: "c\x00", Text: "a"}, chat.ErrInput},
			{"card number", chat.Outgoing{ClientID: "7", Text: "4111 1111 1111 1111"}, chat.ErrSensitive},
			{"reply to nothing", chat.Outgoing{ClientID: "8", Text: "a", ReplyTo: "msg_0none"}, chat.ErrMessageUnknown},
			{"reply to nonsense", chat.Outgoing{ClientID: "9", Text: "a", ReplyTo: "' OR 1=1"}, chat.ErrMessageUnknown},
		} {
			_, err := w.Send(w.Context(), user("ann"), conv, c.m)
			if c.err == nil && err != nil || c.err != nil {
				w.Log(c.name)
				w.want(err, c.err)
			}
		}
		numbered(w.T, w.all("ann", conv), 1)
	})
}

func TestSend_CardNumberIsNeitherStoredNorTold(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		ev := w.send("ann", conv, "my card is")
		const secret = "4111-1111-1111-1111"
		_, err := w.Send(w.Context(), user("ann"), conv, chat.Outgoing{ClientID: "c1", Text: secret})
		w.want(err, chat.ErrSensitive)
		if strings.Contains(err.Error(), "1111") {
			w.Errorf("the error quotes the number: %v", err)
		}
		_, err = w.Edit(w.Context(), user("ann"), conv, message(w.T, ev).ID, secret)
		w.want(err, chat.ErrSensitive)
		_, err = w.Rename(w.Context(), user("ann"), conv, secret)
		w.want(err, chat.ErrSensitive)
		_, err = w.Create(w.Context(), user("ann"), chat.Draft{Kind: chat.Group, Title: secret})
		w.want(err, chat.ErrSensitive)
		if len(w.all("bob", conv)) != 1 || len(w.out.take()) != 1 {
			w.Error("something of it was stored or told")
		}
	})
}

func TestSend_WhoMay(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		for i, c := range []struct {
			caller wire.Caller
			err    error
		}{
			{user("bob"), nil},
			{user("eve"), chat.ErrUnknown},
			{server, nil},
			{wire.Caller{Role: wire.RoleServer, User: "bob"}, nil},
			{wire.Caller{Role: wire.RoleServer, User: "eve"}, chat.ErrUnknown},
			{wire.Caller{Role: wire.RoleOperator}, chat.ErrUnknown},
		} {
			ev, err := w.Send(w.Context(), c.caller, conv, chat.Outgoing{ClientID: string(rune('a' + i)), Text: "x"})
			w.want(err, c.err)
			if err == nil && ev.Author != c.caller.User {
				w.Errorf("author %q, want %q", ev.Author, c.caller.User)
			}
		}
		_, err := w.Send(w.Context(), user("ann"), "conv_none", chat.Outgoing{ClientID: "c", Text: "x"})
		w.want(err, chat.ErrUnknown)
	})
}

func TestEdit_AppendsTheWholeMessage(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		first := w.send("ann", conv, "helo")
		id := message(w.T, first).ID
		reply, err := w.Send(w.Context(), user("ann"), conv, chat.Outgoing{ClientID: "r", Text: "re", ReplyTo: id})
		w.ok(err)
		edited, err := w.Edit(w.Context(), user("ann"), conv, id, "hello")
		w.ok(err)
		if m := message(w.T, edited); m.ID != id || m.Text != "hello" || m.Version != 2 || m.Created != 1 || edited.Seq != 3 || edited.Type != "message.edited" {
			w.Errorf("got %+v with %+v", edited, m)
		}
		again, err := w.Edit(w.Context(), user("ann"), conv, id, "hello")
		w.ok(err)
		sameEvent(w.T, again, edited)
		back, err := w.Edit(w.Context(), user("ann"), conv, id, "helo")
		w.ok(err)
		if m := message(w.T, back); m.Version != 3 || back.Seq != 4 {
			w.Errorf("got %+v with %+v", back, m)
		}
		reedited, err := w.Edit(w.Context(), user("ann"), conv, message(w.T, reply).ID, "reply")
		w.ok(err)
		if m := message(w.T, reedited); m.ReplyTo != id || m.Version != 2 || m.Created != 2 {
			w.Errorf("got %+v", m)
		}
		sameEvent(w.T, w.all("bob", conv)[0], first)
	})
}

func TestEdit_Refusals(t *testing.T) {
	each(t, func(w *world) {
		conv, other := w.group("ann", "bob"), w.group("ann", "bob")
		ev := w.send("ann", conv, "mine")
		id := message(w.T, ev).ID
		var noteID wire.MessageID
		w.update(func(tx *sqldb.Tx) error {
			note, err := w.Append(tx, conv, wire.Entry{Type: "note", Author: "ann", Data: []byte(`{}`)})
			noteID = wire.MessageID("msg_" + strings.TrimPrefix(string(note.ID), "evt_"))
			return err
		})
		for _, c := range []struct {
			caller wire.Caller
			conv   wire.ConversationID
			id     wire.MessageID
			text   string
			err    error
		}{
			{user("bob"), conv, id, "x", chat.ErrNotAuthor},
			{user("eve"), conv, id, "x", chat.ErrUnknown},
			{server, conv, id, "x", chat.ErrNotAuthor},
			{user("ann"), other, id, "x", chat.ErrMessageUnknown},
			{user("ann"), conv, "msg_0none", "x", chat.ErrMessageUnknown},
			{user("ann"), conv, "evt_", "x", chat.ErrMessageUnknown},
			{user("ann"), conv, noteID, "x", chat.ErrMessageUnknown},
			{user("ann"), conv, id, "", chat.ErrInput},
		} {
			_, err := w.Edit(w.Context(), c.caller, c.conv, c.id, c.text)
			w.want(err, c.err)
		}
		if head := w.get("ann", conv).Head; head != 2 {
			w.Errorf("head %d, want 2: a refused edit left a trace", head)
		}
	})
}

func TestDelete_TakesTheTextOutOfEveryEntry(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		id := message(w.T, w.send("ann", conv, "secret one")).ID
		_, err := w.Edit(w.Context(), user("ann"), conv, id, "secret two")
		w.ok(err)
		kept := w.send("ann", conv, "stays")
		_, err = w.Delete(w.Context(), user("bob"), conv, id)
		w.want(err, chat.ErrNotAuthor)
		_, err = w.Delete(w.Context(), wire.Caller{Role: wire.RoleServer, User: "bob"}, conv, id)
		w.want(err, chat.ErrNotAuthor)
		gone, err := w.Delete(w.Context(), user("ann"), conv, id)
		w.ok(err)
		if m := message(w.T, gone); !m.Deleted || m.Version != 3 || m.Text != "" || gone.Type != "message.deleted" {
			w.Errorf("got %+v", m)
		}
		again, err := w.Delete(w.Context(), user("ann"), conv, id)
		w.ok(err)
		sameEvent(w.T, again, gone)
		_, err = w.Edit(w.Context(), user("ann"), conv, id, "resurrected")
		w.want(err, chat.ErrDeleted)
		log := w.all("bob", conv)
		numbered(w.T, log, 1)
		for _, ev := range log {
			if strings.Contains(string(ev.Data), "secret") {
				w.Errorf("entry %d still says %s", ev.Seq, ev.Data)
			}
		}
		sameEvent(w.T, log[2], kept)
		if _, err := w.Delete(w.Context(), server, conv, message(w.T, kept).ID); err != nil {
			w.Errorf("a server may delete anybody's message: %v", err)
		}
	})
}

func TestSend_ResendAfterDeletionStaysDeleted(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		out := chat.Outgoing{ClientID: "c1", Text: "oops"}
		ev, err := w.Send(w.Context(), user("ann"), conv, out)
		w.ok(err)
		_, err = w.Delete(w.Context(), user("ann"), conv, message(w.T, ev).ID)
		w.ok(err)
		again, err := w.Send(w.Context(), user("ann"), conv, out)
		w.ok(err)
		if again.ID != ev.ID || !message(w.T, again).Deleted || w.get("bob", conv).Head != 2 {
			w.Errorf("got %+v", again)
		}
	})
}
