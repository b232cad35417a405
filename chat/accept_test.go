package chat_test

import (
	"errors"
	"testing"

	"parley/chat"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

// keepsOut is a chat.Blocks: nobody of the list may reach bob.
type keepsOut map[wire.UserID]bool

func (k keepsOut) Blocked(_ *sqldb.Tx, by, u wire.UserID) (bool, error) {
	return by == "bob" && k[u], nil
}

func TestWelcomes_OnlyWhomOneHasLetIn(t *testing.T) {
	each(t, func(w *world) {
		draft := func(kind chat.Kind, others ...wire.UserID) chat.Draft { return chat.Draft{Kind: kind, Members: others} }
		open := func(c wire.Caller, d chat.Draft) wire.ConversationID {
			t.Helper()
			conv, err := w.Create(t.Context(), c, d)
			if err != nil {
				t.Fatal(err)
			}
			return conv.ID
		}
		welcomes := func(host, guest wire.UserID, want bool) {
			t.Helper()
			got, err := w.Welcomes(t.Context(), host, guest)
			if err != nil || got != want {
				t.Errorf("%s welcomes %s: %v %v, want %v", host, guest, got, err, want)
			}
		}
		welcomes("ann", "ann", true)
		direct := open(user("ann"), draft(chat.Direct, "bob"))
		welcomes("ann", "bob", true)
		welcomes("bob", "ann", false)
		if _, err := w.Send(t.Context(), user("ann"), direct, chat.Outgoing{ClientID: "1", Text: "hello?"}); err != nil {
			t.Fatal(err)
		}
		welcomes("bob", "ann", false) // what the stranger writes changes nothing
		if _, err := w.Send(t.Context(), user("bob"), direct, chat.Outgoing{ClientID: "1", Text: "hello"}); err != nil {
			t.Fatal(err)
		}
		welcomes("bob", "ann", true) // the answer does

		made := open(user("ann"), draft(chat.Direct, "cyd"))
		if _, err := w.Accept(t.Context(), user("dan"), made); !errors.Is(err, chat.ErrUnknown) {
			t.Errorf("dan accepts for cyd: %v", err)
		}
		for range 2 {
			if conv, err := w.Accept(t.Context(), user("cyd"), made); err != nil || !conv.Members[0].Accepted || !conv.Members[1].Accepted {
				t.Errorf("cyd accepts: %+v %v", conv.Members, err)
			}
		}
		welcomes("cyd", "ann", true)

		opened := open(user("ann"), draft(chat.Direct, "dan"))
		if again := open(user("dan"), draft(chat.Direct, "ann")); again != opened {
			t.Errorf("another conversation %s", again)
		}
		welcomes("dan", "ann", true) // dan opened it too

		open(user("ann"), draft(chat.Direct, "eve"))
		open(server, draft(chat.Direct, "ann", "eve"))
		welcomes("eve", "ann", true) // the app brings them together

		group := open(user("fay"), draft(chat.Group, "gus"))
		welcomes("gus", "fay", false)
		if _, err := w.AddMember(t.Context(), user("fay"), group, "hal"); err != nil {
			t.Fatal(err)
		}
		welcomes("hal", "fay", false)
		if _, err := w.AddMember(t.Context(), server, group, "ian"); err != nil {
			t.Fatal(err)
		}
		welcomes("ian", "fay", true)
	})
}

func TestCreate_WhoIsBlockedReachesNobodyNew(t *testing.T) {
	sqldbtest.Each(t, sqldbtest.Schemas{"chat": chat.Schema()}, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		blocks := keepsOut{}
		s := chat.New(chat.Config{}, chat.Deps{DB: db, Clock: w.clock, Publisher: w.out, Blocks: blocks})
		ann := wire.Caller{User: "ann", Role: wire.RoleUser}
		before, err := s.Create(t.Context(), ann, chat.Draft{Kind: chat.Direct, Members: []wire.UserID{"bob"}})
		if err != nil {
			t.Fatal(err)
		}
		blocks["ann"], blocks["cyd"] = true, true
		if again, err := s.Create(t.Context(), ann, chat.Draft{Kind: chat.Direct, Members: []wire.UserID{"bob"}}); err != nil || again.ID != before.ID {
			t.Errorf("what is there stays: %v", err)
		}
		cyd := wire.Caller{User: "cyd", Role: wire.RoleUser}
		for _, d := range []chat.Draft{
			{Kind: chat.Direct, Members: []wire.UserID{"bob"}},
			{Kind: chat.Group, Members: []wire.UserID{"dan", "bob"}, ClientID: "g"},
		} {
			if _, err := s.Create(t.Context(), cyd, d); !errors.Is(err, chat.ErrUnreachable) {
				t.Errorf("%s: %v", d.Kind, err)
			}
		}
		group, err := s.Create(t.Context(), cyd, chat.Draft{Kind: chat.Group, Members: []wire.UserID{"dan"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.AddMember(t.Context(), cyd, group.ID, "bob"); !errors.Is(err, chat.ErrUnreachable) {
			t.Errorf("added: %v", err)
		}
		if _, err := s.AddMember(t.Context(), wire.Caller{Role: wire.RoleServer}, group.ID, "bob"); err != nil {
			t.Errorf("the app adds: %v", err)
		}
	})
}
