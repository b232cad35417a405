package chat_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"parley/chat"
	"parley/internal/sqldb"
	"parley/wire"
)

// Many who write at once, in conversations that they share and in their own, with
// resends, strangers and members who leave meanwhile: every message that was
// acknowledged is in its log once, numbered without a hole, and was told once.
func TestSend_ManyAtOnce(t *testing.T) {
	each(t, func(w *world) {
		const people, messages = 12, 25
		shared := w.group("ann", "bob", "cat")
		var convs []wire.ConversationID
		for i := range people {
			convs = append(convs, w.group(name(i), "ann"))
			w.send(name(i), convs[i], "hello") // known from here on
		}
		w.send("ann", shared, "hello")
		w.out.take()
		var mu sync.Mutex
		acked := map[wire.ConversationID]map[int64]string{}
		keep := func(conv wire.ConversationID, ev wire.Event, client string) {
			mu.Lock()
			defer mu.Unlock()
			if acked[conv] == nil {
				acked[conv] = map[int64]string{}
			}
			if other, ok := acked[conv][ev.Seq]; ok && other != client {
				t.Errorf("%s and %s have number %d", other, client, ev.Seq)
			}
			acked[conv][ev.Seq] = client
		}
		var wg sync.WaitGroup
		for i := range people {
			wg.Go(func() {
				for n := range messages {
					conv, from := convs[i], name(i)
					if n%3 == 0 {
						conv, from = shared, []wire.UserID{"ann", "bob", "cat"}[i%3]
					}
					client := fmt.Sprintf("%d-%d", i, n)
					for range 1 + n%2 { // every other one is sent again
						ev, err := w.Send(w.Context(), user(from), conv, chat.Outgoing{ClientID: client, Text: client})
						if err != nil {
							t.Error(err)
							return
						}
						keep(conv, ev, client)
					}
					if _, err := w.Send(w.Context(), user("eve"), conv, chat.Outgoing{ClientID: client, Text: client}); !errors.Is(err, chat.ErrUnknown) {
						t.Errorf("a stranger: %v", err)
					}
				}
			})
		}
		wg.Wait()
		told := map[wire.ConversationID]map[int64]int{}
		for _, ev := range w.out.take() {
			if told[ev.Conversation] == nil {
				told[ev.Conversation] = map[int64]int{}
			}
			told[ev.Conversation][ev.Seq]++
		}
		for _, conv := range append(convs, shared) {
			events, _, head, err := w.Entries(w.Context(), server, conv, 0, 0, 500)
			w.ok(err)
			stored := 0
			for i, ev := range events {
				if ev.Seq != int64(i+1) {
					t.Fatalf("%s: entry %d has number %d", conv, i+1, ev.Seq)
				}
				client, ok := acked[conv][ev.Seq]
				if !ok {
					continue
				}
				stored++
				if m := message(t, ev); m.ClientID != client || m.Text != client || told[conv][ev.Seq] != 1 {
					t.Errorf("%s: number %d is %+v, acknowledged as %s, told %d times", conv, ev.Seq, m, client, told[conv][ev.Seq])
				}
			}
			if stored != len(acked[conv]) || head != int64(len(events)) {
				t.Errorf("%s: %d of %d acknowledged, head %d of %d", conv, stored, len(acked[conv]), head, len(events))
			}
		}
	})
}

// A conversation that somebody has locked keeps nobody waiting who writes to another one.
func TestSend_ALockedConversationHoldsBackNoOther(t *testing.T) {
	each(t, func(w *world) {
		if w.db.Dialect() != sqldb.Postgres {
			return // its one writer locks everything
		}
		locked, free := w.group("ann", "bob"), w.group("ann", "cat")
		w.send("ann", locked, "1")
		w.send("ann", free, "1")
		holds, held := make(chan struct{}), make(chan struct{})
		release := sync.OnceFunc(func() { close(held) })
		defer release()
		var wg sync.WaitGroup
		wg.Go(func() {
			w.update(func(tx *sqldb.Tx) error {
				_, err := w.Append(tx, locked, wire.Entry{Type: "payment.updated", Data: []byte(`{}`)})
				close(holds)
				<-held
				return err
			})
		})
		<-holds
		waits := make(chan wire.Event, 1)
		wg.Go(func() { waits <- w.send("ann", locked, "2") })
		for waiting := 0; waiting == 0; {
			w.ok(w.db.View(w.Context(), func(tx *sqldb.Tx) error {
				return tx.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting)
			}))
		}
		for range 3 {
			w.send("ann", free, "2")
		}
		release()
		wg.Wait()
		if ev := <-waits; ev.Seq != 3 { // after the first and what held it
			t.Errorf("numbered %d", ev.Seq)
		}
	})
}

// Who has left since is refused, however recently the list of members was read.
func TestSend_WhoHasLeftIsRefused(t *testing.T) {
	each(t, func(w *world) {
		conv := w.group("ann", "bob")
		w.send("bob", conv, "1")
		other := newWorld(t, w.db) // another node
		w.ok(other.RemoveMember(t.Context(), user("ann"), conv, "bob"))
		_, err := w.Send(t.Context(), user("bob"), conv, chat.Outgoing{ClientID: "2", Text: "2"})
		w.want(err, chat.ErrUnknown)
	})
}

func name(i int) wire.UserID { return wire.UserID(fmt.Sprintf("user%d", i)) }
