package chat_test

import (
	"encoding/json"
	"slices"
	"sync"
	"testing"

	"parley/chat"
	"parley/internal/sqldb"
	"parley/wire"
)

func roles(c chat.Conversation) map[wire.UserID]chat.MemberRole {
	all := map[wire.UserID]chat.MemberRole{}
	for _, m := range c.Members {
		all[m.User] = m.Role
	}
	return all
}

func TestRemoved_HearsNothingMoreAndReadsNothingMore(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob", "cid")
		w.send("bob", conv, "before")
		w.ok(w.RemoveMember(w.Context(), user("ann"), conv, "bob"))
		told := w.out.take("message.created")
		if len(told) != 1 || told[0].Type != "member.left" || !told[0].by("bob") || string(told[0].Data) != `{"user":"bob"}` {
			w.Fatalf("told %+v", told)
		}
		after := w.send("ann", conv, "after")
		w.ok(w.SetTyping(w.Context(), user("ann"), conv, true))
		_, err := w.Mark(w.Context(), user("cid"), conv, after.Seq, after.Seq)
		w.ok(err)
		for _, h := range w.out.take() {
			if h.by("bob") {
				w.Errorf("%s reached the removed member", h.Type)
			}
		}
		w.refusesEverything("bob", conv)
		heads := w.heads("bob")["bob"]
		list, _, err := w.List(w.Context(), user("bob"), "", 0)
		w.ok(err)
		if len(heads) != 0 || len(list) != 0 {
			w.Errorf("bob still sees %v, %v", heads, list)
		}
	})
}

// refusesEverything checks that u is treated as a stranger by every operation.
func (w *world) refusesEverything(u wire.UserID, conv wire.ConversationID) {
	w.Helper()
	ctx, c := w.Context(), user(u)
	_, _, _, entries := w.Entries(ctx, c, conv, 0, 0, 0)
	_, get := w.Get(ctx, c, conv)
	_, send := w.Send(ctx, c, conv, chat.Outgoing{ClientID: "x", Text: "x"})
	_, mark := w.Mark(ctx, c, conv, 1, 1)
	_, rename := w.Rename(ctx, c, conv, "x")
	_, add := w.AddMember(ctx, c, conv, u)
	for name, err := range map[string]error{"entries": entries, "get": get, "send": send, "mark": mark, "rename": rename, "add": add,
		"leave": w.RemoveMember(ctx, c, conv, u), "typing": w.SetTyping(ctx, c, conv, true)} {
		w.Log(name)
		w.want(err, chat.ErrUnknown)
	}
	in, err := w.IsMember(ctx, conv, u)
	w.ok(err)
	if in {
		w.Error("still a member")
	}
}

func TestRemoved_NoMessageSlipsInBehindTheRemoval(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for {
					if _, err := w.Send(w.Context(), user("bob"), conv, chat.Outgoing{ClientID: wire.NewID[string]("c", w.clock.Now()), Text: "x"}); err != nil {
						w.want(err, chat.ErrUnknown)
						return
					}
				}
			})
		}
		wg.Go(func() { w.ok(w.RemoveMember(w.Context(), user("ann"), conv, "bob")) })
		wg.Wait()
		log := w.all("ann", conv)
		numbered(w.T, log, 1)
		if last := log[len(log)-1]; last.Type != "member.left" {
			w.Errorf("the last entry is %s by %s", last.Type, last.Author)
		}
	})
}

func TestAddMember_JoinsOnceAndSeesTheLog(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		w.send("ann", conv, "old")
		w.out.take()
		got, err := w.AddMember(w.Context(), user("ann"), conv, "cid")
		w.ok(err)
		if r := roles(got); len(r) != 3 || r["cid"] != chat.RoleMember || got.Head != 2 {
			w.Errorf("got %+v", got)
		}
		_, err = w.AddMember(w.Context(), server, conv, "cid")
		w.ok(err)
		told := w.out.take()
		if len(told) != 1 || told[0].Type != "member.joined" || !told[0].by("cid") || string(told[0].Data) != `{"user":"cid"}` {
			w.Errorf("told %+v", told)
		}
		if log := w.all("cid", conv); len(log) != 2 {
			w.Errorf("the newcomer sees %d entries", len(log))
		}
		if c := w.get("cid", conv); c.Unread != 0 {
			w.Errorf("%d unread from before joining", c.Unread)
		}
		_, err = w.AddMember(w.Context(), user("bob"), conv, "dan")
		w.want(err, chat.ErrNotOwner)
		_, err = w.AddMember(w.Context(), user("ann"), conv, "not a user id")
		w.want(err, chat.ErrInput)
		if !slices.ContainsFunc(got.Members, func(m chat.Member) bool { return m.User == "cid" && m.Name == "Name of cid" && m.Delivered == 1 }) {
			w.Errorf("got %+v", got.Members)
		}
	})
}

func TestConversationIDs_ThatCannotBeAreUnknown(t *testing.T) {
	each(t, func(w *world) {
		for _, id := range []wire.ConversationID{"", "conv_", "self_", "conv_\x00", "self_\xff", "conv_A", "' OR 1=1", "conv_none"} {
			w.refusesEverything("ann", id)
			_, err := w.Get(w.Context(), server, id)
			w.want(err, chat.ErrUnknown)
		}
	})
}

func TestLeave_LastOwnerHandsOver(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		w.clock.Advance(1e9)
		_, err := w.AddMember(w.Context(), user("ann"), conv, "abe") // joined after bob
		w.ok(err)
		w.out.take()
		w.ok(w.RemoveMember(w.Context(), user("ann"), conv, "ann"))
		var data struct{ User, Owner wire.UserID }
		w.ok(json.Unmarshal(w.out.take()[0].Data, &data))
		if data.User != "ann" || data.Owner != "bob" {
			w.Errorf("told %+v, want bob as the new owner", data)
		}
		if r := roles(w.get("bob", conv)); r["bob"] != chat.RoleOwner || r["abe"] != chat.RoleMember {
			w.Errorf("got %v", r)
		}
		_, err = w.Rename(w.Context(), user("bob"), conv, "mine now")
		w.ok(err)
	})
}

func TestLeave_UntilNobodyIsLeft(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		w.ok(w.RemoveMember(w.Context(), user("bob"), conv, "bob"))
		w.ok(w.RemoveMember(w.Context(), user("ann"), conv, "ann"))
		got, err := w.Get(w.Context(), server, conv)
		w.ok(err)
		if len(got.Members) != 0 || got.Head != 2 {
			w.Errorf("got %+v", got)
		}
		got, err = w.AddMember(w.Context(), server, conv, "cid")
		w.ok(err)
		if roles(got)["cid"] != chat.RoleOwner {
			w.Errorf("the first one back is %v", roles(got))
		}
	})
}

func TestRemoveMember_WhoMay(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob", "cid")
		var direct wire.ConversationID
		w.update(func(tx *sqldb.Tx) (err error) { direct, err = w.Direct(tx, "ann", "bob"); return err })
		for _, c := range []struct {
			caller wire.Caller
			conv   wire.ConversationID
			user   wire.UserID
			err    error
		}{
			{user("bob"), conv, "cid", chat.ErrNotOwner},
			{user("eve"), conv, "cid", chat.ErrUnknown},
			{user("ann"), conv, "eve", chat.ErrMemberUnknown},
			{wire.Caller{Role: wire.RoleOperator}, conv, "cid", chat.ErrNotOwner},
			{user("ann"), direct, "ann", chat.ErrKind},
			{server, direct, "bob", chat.ErrKind},
			{server, "conv_none", "bob", chat.ErrUnknown},
			{server, conv, "cid", nil},
		} {
			w.want(w.RemoveMember(w.Context(), c.caller, c.conv, c.user), c.err)
		}
		_, err := w.AddMember(w.Context(), user("ann"), direct, "cid")
		w.want(err, chat.ErrKind)
		_, err = w.Rename(w.Context(), user("ann"), direct, "x")
		w.want(err, chat.ErrKind)
	})
}

func TestMembers_LimitIs256(t *testing.T) {
	each(t, func(w *world) {
		people := users(chat.MembersMax + 1)
		_, err := w.Create(w.Context(), user(people[0]), chat.Draft{Kind: chat.Group, Members: people})
		w.want(err, chat.ErrFull)
		conv := w.group(people[:chat.MembersMax]...)
		_, err = w.AddMember(w.Context(), user(people[0]), conv, people[chat.MembersMax])
		w.want(err, chat.ErrFull)
		w.ok(w.RemoveMember(w.Context(), user(people[9]), conv, people[9]))
		got, err := w.AddMember(w.Context(), user(people[0]), conv, people[chat.MembersMax])
		w.ok(err)
		if len(got.Members) != chat.MembersMax {
			w.Errorf("%d members", len(got.Members))
		}
	})
}

func TestRosters_ChangedByAnotherNodeAreSeen(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		there := newWorld(w.T, w.db)
		w.send("ann", conv, "both nodes know the members")
		there.send("ann", conv, "now")
		w.ok(w.RemoveMember(w.Context(), user("ann"), conv, "bob"))
		there.out.take()
		there.send("ann", conv, "without bob")
		if told := there.out.take(); told[0].by("bob") {
			w.Error("the other node still tells bob")
		}
		there.refusesEverything("bob", conv)
	})
}

func TestRosters_RolledBackChangeIsForgotten(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		w.send("ann", conv, "x")
		err := w.db.Update(w.Context(), func(tx *sqldb.Tx) error {
			if _, err := tx.Exec(`DELETE FROM members WHERE user_id = 'bob'`); err != nil {
				return err
			}
			if _, err := tx.Exec(`UPDATE conversations SET roster = roster + 1`); err != nil {
				return err
			}
			if _, err := w.Append(tx, conv, wire.Entry{Type: "note", Data: []byte(`{}`)}); err != nil {
				return err
			}
			return chat.ErrKind
		})
		w.want(err, chat.ErrKind)
		_, err = w.AddMember(w.Context(), user("ann"), conv, "cid") // has the version number that was rolled back
		w.ok(err)
		w.out.take()
		w.send("ann", conv, "y")
		if told := w.out.take(); len(told[0].to) != 3 {
			w.Errorf("told %v", told[0].to)
		}
	})
}
