package chat_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"parley/chat"
	"parley/wire"
)

func TestMark_OnlyRises(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		for range 10 {
			w.send("ann", conv, "x")
		}
		w.out.take()
		for i, c := range []struct {
			delivered, read int64
			want            chat.Receipt
			told            bool
		}{
			{3, 0, chat.Receipt{Delivered: 3, Read: 0, Unread: 10}, true},
			{0, 2, chat.Receipt{Delivered: 3, Read: 2, Unread: 8}, true},
			{0, 2, chat.Receipt{Delivered: 3, Read: 2, Unread: 8}, false},
			{1, 1, chat.Receipt{Delivered: 3, Read: 2, Unread: 8}, false},
			{0, 5, chat.Receipt{Delivered: 5, Read: 5, Unread: 5}, true},
			{7, 1, chat.Receipt{Delivered: 7, Read: 5, Unread: 5}, true},
			{0, 0, chat.Receipt{Delivered: 7, Read: 5, Unread: 5}, false},
			{-9, -9, chat.Receipt{Delivered: 7, Read: 5, Unread: 5}, false},
			{99, 98, chat.Receipt{Delivered: 10, Read: 10, Unread: 0}, true},
		} {
			got, err := w.Mark(w.Context(), user("bob"), conv, c.delivered, c.read)
			w.ok(err)
			if got != c.want {
				w.Errorf("step %d: got %+v, want %+v", i, got, c.want)
			}
			told := w.out.take()
			if (len(told) == 1) != c.told {
				w.Errorf("step %d: told %+v", i, told)
			}
			if c.told {
				want := fmt.Sprintf(`{"user":"bob","delivered":%d,"read":%d}`, c.want.Delivered, c.want.Read)
				if h := told[0]; string(h.Data) != want || h.Seq != 0 || h.ID != "" || h.Type != "receipt.updated" || !h.by("ann") || !h.by("bob") {
					w.Errorf("step %d: told %+v", i, h)
				}
			}
		}
		for _, m := range w.get("ann", conv).Members {
			if m.User == "bob" && (m.Delivered != 10 || m.Read != 10) || m.User == "ann" && m.Read != 0 {
				w.Errorf("got %+v", m)
			}
		}
	})
}

func TestMark_NeverGoesBackUnderConcurrency(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		const n = 20
		for range n {
			w.send("ann", conv, "x")
		}
		w.out.take()
		var wg sync.WaitGroup
		for i := range int64(n) {
			wg.Go(func() {
				got, err := w.Mark(w.Context(), user("bob"), conv, n-i, i)
				w.ok(err)
				if got.Delivered < n-i || got.Read < i {
					w.Errorf("marked %d, %d and got %+v", n-i, i, got)
				}
			})
		}
		wg.Wait()
		got, err := w.Mark(w.Context(), user("bob"), conv, 0, 0)
		w.ok(err)
		if got.Delivered != n || got.Read != n-1 {
			w.Errorf("ended at %+v", got)
		}
	})
}

func TestMark_WhoMay(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		for _, c := range []wire.Caller{user("eve"), user(""), server, {Role: wire.RoleOperator, User: "ann"}} {
			_, err := w.Mark(w.Context(), c, conv, 1, 1)
			w.want(err, chat.ErrUnknown)
		}
	})
}

func TestUnread_CountsMessagesOfOthers(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		id := message(w.T, w.send("ann", conv, "one")).ID
		w.send("bob", conv, "two")
		_, err := w.Edit(w.Context(), user("ann"), conv, id, "uno")
		w.ok(err)
		w.send("ann", conv, "three")
		for u, want := range map[wire.UserID]int64{"ann": 1, "bob": 2} {
			if got := w.get(u, conv).Unread; got != want {
				w.Errorf("%s has %d unread, want %d", u, got, want)
			}
		}
	})
}

func TestTyping_IsToldAndNotKept(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		c := user("ann")
		c.Session = "ses_1"
		w.ok(w.SetTyping(w.Context(), c, conv, true))
		w.ok(w.SetTyping(w.Context(), c, conv, false))
		told := w.out.take()
		for i, want := range []string{`{"user":"ann","typing":true}`, `{"user":"ann","typing":false}`} {
			h := told[i]
			if h.Type != "typing" || string(h.Data) != want || h.Seq != 0 || h.Conversation != conv || !h.by("bob") || h.to[0].NotSession != "ses_1" {
				w.Errorf("told %+v", h)
			}
		}
		if head := w.get("bob", conv).Head; head != 0 {
			w.Errorf("head %d", head)
		}
		w.want(w.SetTyping(w.Context(), user("eve"), conv, true), chat.ErrUnknown)
		w.want(w.SetTyping(w.Context(), server, conv, true), chat.ErrUnknown)
	})
}

func TestSeen_KeepsTheLatest(t *testing.T) {
	each(t, func(w *world) {
		early, late := time.UnixMilli(1000).UTC(), time.UnixMilli(2000).UTC()
		w.ok(w.SaveSeen(w.Context(), map[wire.UserID]time.Time{"ann": late, "bob": early}))
		w.ok(w.SaveSeen(w.Context(), map[wire.UserID]time.Time{"ann": early, "bob": late}))
		w.ok(w.SaveSeen(w.Context(), nil))
		got, err := w.LoadSeen(w.Context(), []wire.UserID{"ann", "bob", "eve"})
		w.ok(err)
		if len(got) != 2 || !got["ann"].Equal(late) || !got["bob"].Equal(late) {
			b, _ := json.Marshal(got)
			w.Errorf("got %s", b)
		}
	})
}
