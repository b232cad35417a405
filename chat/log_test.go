package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"parley/chat"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

func TestLog_FiftySendersGetNumbersWithoutGapsOrDoubles(t *testing.T) {
	const senders, apiece = 50, 8
	each(t, func(w *world) {
		people := users(senders)
		conv := w.group(people...)
		var wg sync.WaitGroup
		errs := make(chan error, senders*apiece)
		for _, u := range people {
			wg.Go(func() {
				for i := range apiece {
					_, err := w.Send(w.Context(), user(u), conv, chat.Outgoing{ClientID: fmt.Sprint(i), Text: "hello"})
					errs <- err
				}
			})
		}
		wg.Wait()
		for range senders * apiece {
			w.ok(<-errs)
		}
		log := w.all(people[0], conv)
		numbered(w.T, log, 1)
		if len(log) != senders*apiece {
			w.Fatalf("log has %d entries, want %d", len(log), senders*apiece)
		}
		told := w.out.take()
		slices.SortStableFunc(told, func(a, b heard) int { // PostgreSQL announces in parallel
			if w.db.Dialect() == sqldb.SQLite {
				return 0
			}
			return int(a.Seq - b.Seq)
		})
		for i, h := range told {
			sameEvent(w.T, h.Event, log[i])
			if len(h.to) != senders {
				w.Fatalf("event %d went to %d members, want %d", i, len(h.to), senders)
			}
		}
		if len(told) != len(log) {
			w.Errorf("%d announcements of %d entries", len(told), len(log))
		}
	})
}

func TestAppend_SameIDKeepsTheFirst(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		entry := wire.Entry{ID: "evt_0payment", Type: "payment.updated", Data: json.RawMessage(`{"v":1}`)}
		var first, second wire.Event
		w.update(func(tx *sqldb.Tx) (err error) { first, err = w.Append(tx, conv, entry); return err })
		was := w.get("ann", conv)
		w.clock.Advance(3e9)
		entry.Data = json.RawMessage(`{"v":2}`)
		w.update(func(tx *sqldb.Tx) (err error) { second, err = w.Append(tx, conv, entry); return err })
		sameEvent(w.T, second, first)
		if now := w.get("ann", conv); now.Head != 1 || !now.UpdatedAt.Equal(was.UpdatedAt) {
			w.Errorf("a repeat moved the conversation: %+v, was %+v", now, was)
		}
		if told := w.out.take(); len(told) != 1 {
			w.Errorf("announced %d times", len(told))
		}
	})
}

func TestAppend_RepeatWithinTheSameTransaction(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		w.update(func(tx *sqldb.Tx) error {
			for _, id := range []wire.EventID{"evt_1", "evt_2", "evt_1", "evt_3", "evt_2"} {
				if _, err := w.Append(tx, conv, wire.Entry{ID: id, Type: "note", Data: json.RawMessage(`{}`)}); err != nil {
					return err
				}
			}
			return nil
		})
		log := w.all("bob", conv)
		numbered(w.T, log, 1)
		if len(log) != 3 {
			w.Errorf("log has %d entries, want 3", len(log))
		}
	})
}

func TestAppend_NothingIsToldOfWhatWasRolledBack(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		failed := errors.New("changed my mind")
		err := w.db.Update(w.Context(), func(tx *sqldb.Tx) error {
			if _, err := w.Append(tx, conv, wire.Entry{Type: "note", Data: json.RawMessage(`{}`)}); err != nil {
				return err
			}
			return failed
		})
		w.want(err, failed)
		if told := w.out.take(); len(told) != 0 {
			w.Errorf("told of %v", told)
		}
		if ev := w.send("ann", conv, "still first"); ev.Seq != 1 {
			w.Errorf("number %d was lost with the rolled back entry", ev.Seq-1)
		}
	})
}

func TestAppend_UnknownConversation(t *testing.T) {
	each(t, func(w *world) {
		err := w.db.Update(w.Context(), func(tx *sqldb.Tx) error {
			_, err := w.Append(tx, "conv_none", wire.Entry{Type: "note", Data: json.RawMessage(`{}`)})
			return err
		})
		w.want(err, chat.ErrUnknown)
	})
}

func TestAppend_IntoTheSelfConversation(t *testing.T) {
	each(t, func(w *world) {
		w.update(func(tx *sqldb.Tx) error {
			if err := errors.Join(w.EnsureSelf(tx, "ann"), w.EnsureSelf(tx, "ann")); err != nil {
				return err
			}
			_, err := w.Append(tx, wire.SelfConversation("ann"), wire.Entry{Type: "payment.updated", Data: json.RawMessage(`{}`)})
			return err
		})
		got := w.get("ann", wire.SelfConversation("ann"))
		if got.Kind != chat.Self || got.Head != 1 || len(got.Members) != 1 {
			w.Errorf("got %+v", got)
		}
		_, err := w.Get(w.Context(), user("bob"), wire.SelfConversation("ann"))
		w.want(err, chat.ErrUnknown)
	})
}

func TestEntries_PagingBothWaysIsComplete(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		const n = 23
		for i := range n {
			w.send("ann", conv, fmt.Sprint("message ", i))
		}
		for limit := 1; limit <= n+1; limit++ {
			numbered(w.T, forwards(w, conv, limit), 1)
			if got := len(forwards(w, conv, limit)); got != n {
				w.Errorf("limit %d: %d entries forwards", limit, got)
			}
			back := backwards(w, conv, limit)
			numbered(w.T, back, 1)
			if len(back) != n {
				w.Errorf("limit %d: %d entries backwards", limit, len(back))
			}
		}
	})
}

func forwards(w *world, conv wire.ConversationID, limit int) (all []wire.Event) {
	for after, more := int64(0), true; more; after = all[len(all)-1].Seq {
		var page []wire.Event
		var err error
		page, more, _, err = w.Entries(w.Context(), user("bob"), conv, after, 0, limit)
		w.ok(err)
		all = append(all, page...)
	}
	return all
}

func backwards(w *world, conv wire.ConversationID, limit int) (all []wire.Event) {
	for before, more := int64(1)<<60, true; more; before = all[0].Seq {
		var page []wire.Event
		var err error
		page, more, _, err = w.Entries(w.Context(), user("bob"), conv, 0, before, limit)
		w.ok(err)
		all = append(page, all...)
	}
	return all
}

func TestEntries_Edges(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		for range 10 {
			w.send("ann", conv, "x")
		}
		for _, c := range []struct {
			after, before int64
			limit         int
			first, n      int64
			more          bool
		}{
			{0, 0, 0, 1, 10, false},
			{0, 0, 10, 1, 10, false},
			{0, 0, 9, 1, 9, true},
			{10, 0, 5, 0, 0, false},
			{99, 0, 5, 0, 0, false},
			{-5, 0, 3, 1, 3, true},
			{0, 11, 3, 8, 3, true},
			{0, 4, 3, 1, 3, false},
			{0, 1, 3, 0, 0, false},
			{2, 6, 10, 3, 3, false},
			{2, 6, 3, 3, 3, false},
			{2, 6, 2, 3, 2, true},
			{6, 2, 10, 0, 0, false},
		} {
			events, more, head, err := w.Entries(w.Context(), user("ann"), conv, c.after, c.before, c.limit)
			w.ok(err)
			numbered(w.T, events, c.first)
			if int64(len(events)) != c.n || more != c.more || head != 10 {
				w.Errorf("after %d before %d limit %d: %d entries, more %v, head %d; want %d, %v, 10", c.after, c.before, c.limit, len(events), more, head, c.n, c.more)
			}
		}
	})
}

func TestEntries_WhoMayRead(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		for _, c := range []struct {
			caller wire.Caller
			err    error
		}{
			{user("bob"), nil},
			{user("eve"), chat.ErrUnknown},
			{user(""), chat.ErrUnknown},
			{server, nil},
			{wire.Caller{Role: wire.RoleOperator}, nil},
		} {
			_, _, _, err := w.Entries(w.Context(), c.caller, conv, 0, 0, 0)
			w.want(err, c.err)
			_, err = w.Get(w.Context(), c.caller, conv)
			w.want(err, c.err)
			_, _, _, err = w.Entries(w.Context(), c.caller, "conv_none", 0, 0, 0)
			w.want(err, chat.ErrUnknown)
		}
	})
}

func TestHeads_ListEveryConversationOfAPerson(t *testing.T) {
	each(t, func(w *world) {
		busy, quiet := w.group("ann", "bob"), w.group("ann", "cid")
		w.group("bob", "cid")
		w.send("ann", busy, "x")
		w.send("bob", busy, "y")
		third := w.group("bob", "dan")
		heads := w.heads("nobody", "ann", "dan")
		ann, dan := heads["ann"], heads["dan"]
		if len(heads) != 2 || len(ann) != 2 || ann[busy] != 2 || ann[quiet] != 0 || len(dan) != 1 || dan[third] != 0 {
			w.Errorf("got %v", heads)
		}
	})
}

// heads reads the heads of users.
func (w *world) heads(users ...wire.UserID) map[wire.UserID]map[wire.ConversationID]int64 {
	w.Helper()
	heads := map[wire.UserID]map[wire.ConversationID]int64{}
	w.ok(w.Heads(w.Context(), users, func(u wire.UserID, h chat.Head) {
		if heads[u] == nil {
			heads[u] = map[wire.ConversationID]int64{}
		}
		heads[u][h.ID] = h.Head
	}))
	return heads
}

// TestLog_AgainstAModel runs random operations against a plain list.
func TestLog_AgainstAModel(t *testing.T) {
	db := sqldbtest.Open(t, sqldbtest.Schemas{"chat": chat.Schema()})
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, db)
		conv := w.group("ann", "bob")
		m := &model{Service: w.Service, db: db, out: w.out, conv: conv, byKey: map[string]string{}}
		rt.Repeat(map[string]func(*rapid.T){
			"":       m.check,
			"send":   m.send,
			"append": m.append,
			"fail":   m.fail,
		})
	})
}

// model is the log as it should be: the texts of its entries, and which came with which key.
type model struct {
	*chat.Service
	db    *sqldb.DB
	out   *recorder
	conv  wire.ConversationID
	log   []string
	byKey map[string]string
	told  []heard
}

func (m *model) send(t *rapid.T) {
	author := wire.UserID(rapid.SampledFrom([]string{"ann", "bob", "eve"}).Draw(t, "author"))
	key := rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(t, "client id")
	text := rapid.SampledFrom([]string{"yes", "no"}).Draw(t, "text")
	_, err := m.Send(context.Background(), user(author), m.conv, chat.Outgoing{ClientID: key, Text: text})
	full := string(author) + " " + key
	first, sent := m.byKey[full]
	switch {
	case author == "eve":
		m.expect(t, err, chat.ErrUnknown)
	case sent && first != text:
		m.expect(t, err, chat.ErrClientID)
	case sent:
		m.expect(t, err, nil)
	default:
		m.expect(t, err, nil)
		m.byKey[full] = text
		m.log = append(m.log, text)
	}
}

func (m *model) append(t *rapid.T) {
	id := wire.EventID(rapid.SampledFrom([]string{"evt_a", "evt_b", "evt_c"}).Draw(t, "id"))
	m.expect(t, m.db.Update(context.Background(), func(tx *sqldb.Tx) error {
		_, err := m.Append(tx, m.conv, wire.Entry{ID: id, Type: "note", Data: json.RawMessage(`{"text":"note"}`)})
		return err
	}), nil)
	if _, there := m.byKey[string(id)]; !there {
		m.byKey[string(id)] = "note"
		m.log = append(m.log, "note")
	}
}

func (m *model) fail(t *rapid.T) {
	failed := errors.New("rolled back")
	m.expect(t, m.db.Update(context.Background(), func(tx *sqldb.Tx) error {
		if _, err := m.Append(tx, m.conv, wire.Entry{Type: "note", Data: json.RawMessage(`{}`)}); err != nil {
			return err
		}
		return failed
	}), failed)
}

func (m *model) expect(t *rapid.T, got, want error) {
	if !errors.Is(got, want) {
		t.Fatalf("got error %v, want %v", got, want)
	}
}

func (m *model) check(t *rapid.T) {
	events, _, head, err := m.Entries(context.Background(), user("ann"), m.conv, 0, 0, chat.PageMax)
	m.expect(t, err, nil)
	m.told = append(m.told, m.out.take()...)
	if int(head) != len(m.log) || len(events) != len(m.log) || len(m.told) != len(m.log) {
		t.Fatalf("head %d, %d entries, %d announcements; the model has %d", head, len(events), len(m.told), len(m.log))
	}
	for i, ev := range events {
		var data struct{ Text string }
		if err := json.Unmarshal(ev.Data, &data); err != nil {
			t.Fatal(err)
		}
		if ev.Seq != int64(i+1) || data.Text != m.log[i] || m.told[i].Seq != ev.Seq || m.told[i].ID != ev.ID {
			t.Fatalf("entry %d is %+v, told %+v, want text %q", i, ev, m.told[i].Event, m.log[i])
		}
	}
}
