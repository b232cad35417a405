package hub_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"parley/hub"
	"parley/wire"
)

// Everybody comes back at once: while the first reads take their time, the
// others gather, and each still gets the own heads.
func TestOpen_WhoComesTogetherSharesARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.headsGate = make(chan struct{})
		const people = 40
		names := make([]string, people)
		for i := range names {
			names[i] = "user" + string(rune('a'+i%26)) + string(rune('a'+i/26))
			own := wire.ConversationID("conv_" + names[i])
			w.conversation(own, wire.UserID(names[i]))
			for range i {
				w.write(nil, own, "x")
			}
		}
		n := startPipeNode(t, w)
		clients, ids := make([]*client, people), make([]string, people)
		for i, name := range names {
			clients[i] = n.dial()
			ids[i] = clients[i].start("session.open", map[string]any{"token": name, "device": "dev_a"})
		}
		synctest.Wait()
		close(w.headsGate)
		for i, c := range clients {
			var o opened
			if err := json.Unmarshal(c.await(ids[i]).Result, &o); err != nil {
				t.Fatal(err)
			}
			if head, _, _ := o.head(wire.ConversationID("conv_" + names[i])); head != int64(i) || len(o.Conversations) != 1 {
				t.Errorf("%s: %+v", names[i], o.Conversations)
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.headReads) > 4 || slices.Max(w.headReads) < people/2 {
			t.Errorf("reads for %v people at once", w.headReads)
		}
	})
}

// While many sessions wait to be opened the hub is crowded, and not when they
// are open or have gone.
func TestOpen_ManyWhoWaitAreACrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.headsGate = make(chan struct{})
		n := startPipeNode(t, w, func(c *hub.Config) { c.MaxPerAddr, c.OpenTimeout = -1, time.Minute })
		var clients []*client
		var ids []string
		for i := range 512 {
			if n.Crowded() {
				t.Fatalf("crowded with %d", i)
			}
			c := n.dial()
			clients = append(clients, c)
			ids = append(ids, c.start("session.open", map[string]any{"token": fmt.Sprint("user", i), "device": "dev_a"}))
			synctest.Wait()
		}
		if !n.Crowded() {
			t.Error("not crowded with 512")
		}
		_ = clients[0].ws.CloseNow()
		close(w.headsGate)
		for i, c := range clients[1:] {
			c.await(ids[i+1])
		}
		synctest.Wait()
		if got := n.counter("parley_hub_asking"); n.Crowded() || got != 0 {
			t.Errorf("%v still wait", got)
		}
	})
}
