package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/chat"
	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// heard is one published event with its addresses.
type heard struct {
	wire.Event
	to []wire.To
}

func (h heard) by(u wire.UserID) bool {
	return slices.ContainsFunc(h.to, func(t wire.To) bool { return t.User == u })
}

// recorder is a publisher that keeps everything.
type recorder struct {
	mu  sync.Mutex
	all []heard
}

func (r *recorder) Publish(_ context.Context, ev wire.Event, to ...wire.To) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, heard{Event: ev, to: slices.Clone(to)})
}

// take returns what was published since the last take, without the kinds in but.
func (r *recorder) take(but ...string) []heard {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.DeleteFunc(r.all, func(h heard) bool { return slices.Contains(but, h.Type) })
	r.all = nil
	return all
}

// counter is a publisher that only counts.
type counter struct{ n atomic.Int64 }

func (c *counter) Publish(context.Context, wire.Event, ...wire.To) { c.n.Add(1) }

// shoutedNames shows everybody by a name that is made of the id.
type shoutedNames struct{}

func (shoutedNames) Names(_ context.Context, users []wire.UserID) (map[wire.UserID]string, error) {
	names := map[wire.UserID]string{}
	for _, u := range users {
		names[u] = "Name of " + string(u)
	}
	return names, nil
}

// world is a chat service on a real database.
type world struct {
	*testing.T
	db    *sqldb.DB
	clock *clock.Shifted
	out   *recorder
	*chat.Service
}

// each runs f on every database.
func each(t *testing.T, f func(w *world)) {
	t.Helper()
	sqldbtest.Each(t, sqldbtest.Schemas{"chat": chat.Schema()}, func(t *testing.T, db *sqldb.DB) { f(newWorld(t, db)) })
}

func newWorld(t *testing.T, db *sqldb.DB) *world {
	w := &world{T: t, db: db, clock: &clock.Shifted{}, out: &recorder{}}
	w.Service = chat.New(chat.Config{}, chat.Deps{DB: db, Clock: w.clock, Publisher: w.out, Names: shoutedNames{}})
	return w
}

func user(u wire.UserID) wire.Caller { return wire.Caller{Role: wire.RoleUser, User: u} }

var server = wire.Caller{Role: wire.RoleServer}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) want(got, want error) {
	w.Helper()
	if !errors.Is(got, want) {
		w.Fatalf("got error %v, want %v", got, want)
	}
}

func (w *world) group(members ...wire.UserID) wire.ConversationID {
	w.Helper()
	c, err := w.Create(w.Context(), user(members[0]), chat.Draft{Kind: chat.Group, Members: members[1:], Title: "Trip"})
	w.ok(err)
	w.out.take()
	return c.ID
}

func (w *world) send(from wire.UserID, conv wire.ConversationID, text string) wire.Event {
	w.Helper()
	ev, err := w.Send(w.Context(), user(from), conv, chat.Outgoing{ClientID: wire.NewID[string]("c_", time.Now()), Text: text})
	w.ok(err)
	return ev
}

func (w *world) update(f func(tx *sqldb.Tx) error) {
	w.Helper()
	w.ok(w.db.Update(w.Context(), f))
}

func (w *world) get(as wire.UserID, conv wire.ConversationID) chat.Conversation {
	w.Helper()
	c, err := w.Get(w.Context(), user(as), conv)
	w.ok(err)
	return c
}

func (w *world) all(as wire.UserID, conv wire.ConversationID) []wire.Event {
	w.Helper()
	events, more, _, err := w.Entries(w.Context(), user(as), conv, 0, 0, chat.PageMax)
	w.ok(err)
	if more {
		w.Fatal("log longer than a page")
	}
	return events
}

func message(t *testing.T, ev wire.Event) chat.Message {
	t.Helper()
	var m chat.Message
	if err := json.Unmarshal(ev.Data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func sameEvent(t *testing.T, got, want wire.Event) {
	t.Helper()
	a, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Errorf("events differ:\n got %s\nwant %s", a, b)
	}
}

// numbered checks that events carry first, first+1, … and stand in the order of their numbers.
func numbered(t *testing.T, events []wire.Event, first int64) {
	t.Helper()
	for i, ev := range events {
		if ev.Seq != first+int64(i) {
			t.Fatalf("entry %d has number %d, want %d", i, ev.Seq, first+int64(i))
		}
	}
}

func users(n int) []wire.UserID {
	all := make([]wire.UserID, n)
	for i := range all {
		all[i] = wire.UserID(fmt.Sprintf("user%03d", i))
	}
	return all
}
