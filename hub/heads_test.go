package hub_test

import (
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"

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
