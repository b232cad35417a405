package chat_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/chat"
	"parley/internal/sqldb"
	"parley/wire"
)

func TestDirect_ExistsOncePerPair(t *testing.T) {
	each(t, func(w *world) {
		const tries = 16
		ids := make([]wire.ConversationID, tries)
		errs := make([]error, tries)
		var wg sync.WaitGroup
		for i := range tries {
			a, b := wire.UserID("ann"), wire.UserID("bob")
			if i%2 == 1 {
				a, b = b, a
			}
			wg.Go(func() {
				errs[i] = w.db.Update(w.Context(), func(tx *sqldb.Tx) (err error) { ids[i], err = w.Direct(tx, a, b); return err })
			})
		}
		wg.Wait()
		w.ok(errors.Join(errs...))
		if n := len(slices.Compact(ids)); n != 1 {
			w.Errorf("%d conversations", n)
		}
		created, err := w.Create(w.Context(), user("bob"), chat.Draft{Kind: chat.Direct, Members: []wire.UserID{"ann"}})
		w.ok(err)
		if created.ID != ids[0] || len(created.Members) != 2 || created.Kind != chat.Direct {
			w.Errorf("got %+v", created)
		}
		told := w.out.take()
		if len(told) != 1 || told[0].Type != "conversation.created" || !told[0].by("ann") || !told[0].by("bob") {
			w.Errorf("told %+v", told)
		}
		w.want(w.db.Update(w.Context(), func(tx *sqldb.Tx) error { _, err := w.Direct(tx, "ann", "ann"); return err }), chat.ErrInput)
	})
}

func TestCreate_SameClientIDIsTheSameConversation(t *testing.T) {
	each(t, func(w *world) {
		draft := chat.Draft{Kind: chat.Payment, Members: []wire.UserID{"bob", "ann", "bob"}, Title: "Bike", ClientID: "c1"}
		first, err := w.Create(w.Context(), user("ann"), draft)
		w.ok(err)
		second, err := w.Create(w.Context(), user("ann"), draft)
		w.ok(err)
		if first.ID != second.ID || roles(first)["ann"] != chat.RoleOwner || roles(first)["bob"] != chat.RoleMember || len(first.Members) != 2 {
			w.Errorf("got %+v and %+v", first, second)
		}
		other := draft
		other.Title = "Car"
		_, err = w.Create(w.Context(), user("ann"), other)
		w.want(err, chat.ErrClientID)
		theirs, err := w.Create(w.Context(), user("bob"), draft)
		w.ok(err)
		if theirs.ID == first.ID {
			w.Error("bob's client id found ann's conversation")
		}
	})
}

func TestCreate_Limits(t *testing.T) {
	each(t, func(w *world) {
		for _, c := range []struct {
			name   string
			caller wire.Caller
			draft  chat.Draft
			err    error
		}{
			{"alone", user("ann"), chat.Draft{Kind: chat.Group}, nil},
			{"longest title", user("ann"), chat.Draft{Kind: chat.Group, Title: strings.Repeat("é", chat.TitleMax)}, nil},
			{"too long title", user("ann"), chat.Draft{Kind: chat.Group, Title: strings.Repeat("e", chat.TitleMax+1)}, chat.ErrInput},
			{"title of two lines", user("ann"), chat.Draft{Kind: chat.Group, Title: "a\nb"}, chat.ErrInput},
			{"broken title", user("ann"), chat.Draft{Kind: chat.Group, Title: "\xff"}, chat.ErrInput},
			{"direct with oneself", user("ann"), chat.Draft{Kind: chat.Direct, Members: []wire.UserID{"ann"}}, chat.ErrInput},
			{"direct of three", user("ann"), chat.Draft{Kind: chat.Direct, Members: []wire.UserID{"bob", "cid"}}, chat.ErrInput},
			{"direct with title", user("ann"), chat.Draft{Kind: chat.Direct, Members: []wire.UserID{"bob"}, Title: "x"}, chat.ErrInput},
			{"self", user("ann"), chat.Draft{Kind: chat.Self}, chat.ErrInput},
			{"no kind", user("ann"), chat.Draft{}, chat.ErrInput},
			{"bad user", user("ann"), chat.Draft{Kind: chat.Group, Members: []wire.UserID{"b b"}}, chat.ErrInput},
			{"long client id", user("ann"), chat.Draft{Kind: chat.Group, ClientID: strings.Repeat("c", chat.ClientIDMax+1)}, chat.ErrInput},
			{"NUL in client id", user("ann"), chat.Draft{Kind: chat.Group, ClientID: "\x00"}, chat.ErrInput},
			{"server for others", server, chat.Draft{Kind: chat.Payment, Members: []wire.UserID{"ann", "bob"}}, nil},
			{"server for nobody", server, chat.Draft{Kind: chat.Group}, chat.ErrInput},
			{"operator", wire.Caller{Role: wire.RoleOperator}, chat.Draft{Kind: chat.Group, Members: []wire.UserID{"ann"}}, chat.ErrNotOwner},
		} {
			_, err := w.Create(w.Context(), c.caller, c.draft)
			w.Log(c.name)
			w.want(err, c.err)
		}
	})
}

func TestRename_IsAnEntry(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		got, err := w.Rename(w.Context(), user("ann"), conv, "Dinner")
		w.ok(err)
		if got.Title != "Dinner" || got.Last == nil || got.Last.Type != "conversation.updated" || string(got.Last.Data) != `{"title":"Dinner"}` || got.Last.Author != "ann" {
			w.Errorf("got %+v", got)
		}
		got, err = w.Rename(w.Context(), server, conv, "Dinner")
		w.ok(err)
		if got.Head != 1 {
			w.Error("the same title again made an entry")
		}
		_, err = w.Rename(w.Context(), user("bob"), conv, "Lunch")
		w.want(err, chat.ErrNotOwner)
	})
}

func TestList_PagesByLastMove(t *testing.T) {
	each(t, func(w *world) {
		var ids []wire.ConversationID
		for i := range 7 {
			ids = append(ids, w.group("ann", "bob"))
			w.clock.Advance(time.Duration(i+1) * time.Second)
		}
		w.send("bob", ids[2], "now on top")
		want := []wire.ConversationID{ids[2], ids[6], ids[5], ids[4], ids[3], ids[1], ids[0]}
		for limit := 1; limit <= 8; limit++ {
			if got := w.listAll(user("ann"), limit); !slices.Equal(got, want) {
				w.Errorf("limit %d: got %v, want %v", limit, got, want)
			}
			if got := w.listAll(server, limit); len(got) != 7 {
				w.Errorf("limit %d: a server sees %d", limit, len(got))
			}
		}
		list, _, err := w.List(w.Context(), user("ann"), "", 1)
		w.ok(err)
		if list[0].Unread != 1 || list[0].Last == nil || list[0].Members[0].Name == "" {
			w.Errorf("got %+v", list[0])
		}
		for _, cursor := range []string{"nonsense", "1.\x00", "x.conv_1", "\x00"} {
			_, _, err = w.List(w.Context(), user("ann"), cursor, 0)
			w.want(err, chat.ErrInput)
			_, _, err = w.List(w.Context(), server, cursor, 0)
			w.want(err, chat.ErrInput)
		}
		_, _, err = w.List(w.Context(), user(""), "", 0)
		w.want(err, chat.ErrUnknown)
	})
}

func (w *world) listAll(c wire.Caller, limit int) (ids []wire.ConversationID) {
	w.Helper()
	for cursor := "start"; cursor != ""; {
		if cursor == "start" {
			cursor = ""
		}
		list, next, err := w.List(w.Context(), c, cursor, limit)
		w.ok(err)
		for _, conv := range list {
			ids = append(ids, conv.ID)
		}
		cursor = next
	}
	return ids
}

func TestRelated_AndPeers(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		w.group("bob", "cid")
		w.update(func(tx *sqldb.Tx) error { _, err := w.Direct(tx, "ann", "bob"); return err })
		for pair, want := range map[[2]wire.UserID]bool{
			{"ann", "bob"}: true, {"bob", "ann"}: true, {"ann", "cid"}: false, {"ann", "eve"}: false, {"ann", "ann"}: true,
		} {
			got, err := w.Related(w.Context(), pair[0], pair[1])
			w.ok(err)
			if got != want {
				w.Errorf("%v related: %v", pair, got)
			}
		}
		for u, want := range map[wire.UserID]string{"bob": "[ann cid]", "ann": "[bob]", "eve": "[]"} {
			peers, err := w.Peers(w.Context(), u)
			w.ok(err)
			slices.Sort(peers)
			if got := fmt.Sprint(peers); got != want {
				w.Errorf("peers of %s: %s, want %s", u, got, want)
			}
		}
		visible, err := w.Visible(w.Context(), "ann", []wire.UserID{"eve", "bob", "cid", "ann"})
		w.ok(err)
		if fmt.Sprint(visible) != "[bob ann]" {
			w.Errorf("visible: %v", visible)
		}
		members, err := w.Members(w.Context(), conv)
		w.ok(err)
		if fmt.Sprint(members) != "[ann bob]" {
			w.Errorf("members: %v", members)
		}
		_, err = w.Members(w.Context(), "conv_none")
		w.want(err, chat.ErrUnknown)
	})
}

type brokenNames struct{}

var errNames = errors.New("names are down")

func (brokenNames) Names(context.Context, []wire.UserID) (map[wire.UserID]string, error) {
	return nil, errNames
}

func TestNames_FailureIsReported(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		s := chat.New(chat.Config{}, chat.Deps{DB: w.db, Clock: w.clock, Publisher: w.out, Names: brokenNames{}})
		_, err := s.Get(w.Context(), user("ann"), conv)
		w.want(err, errNames)
	})
}
