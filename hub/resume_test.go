package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/hub"
	"parley/hub/broker"
	"parley/wire"
)

func TestResume_SendsWhatWasMissed(t *testing.T) {
	w := newWorld()
	for _, c := range []wire.ConversationID{"conv_none", "conv_some", "conv_edge", "conv_gap", "conv_unnamed", "conv_ahead"} {
		w.conversation(c, "ann")
	}
	fill := func(c wire.ConversationID, n int) {
		for range n {
			w.write(nil, c, "x")
		}
	}
	fill("conv_none", 3)
	fill("conv_some", 250)
	fill("conv_edge", 500)
	fill("conv_gap", 501)
	fill("conv_unnamed", 4)
	fill("conv_ahead", 2)
	n := startNode(t, w)
	c, o := n.open("ann", "a", map[wire.ConversationID]int64{
		"conv_none": 3, "conv_some": 10, "conv_edge": 0, "conv_gap": 0, "conv_ahead": 9, "conv_left": 5,
	})
	for conv, want := range map[wire.ConversationID][3]int64{ // head, from, gap
		"conv_none": {3, 4, 0}, "conv_some": {250, 11, 0}, "conv_edge": {500, 1, 0}, "conv_gap": {501, 502, 1},
		"conv_unnamed": {4, 5, 0}, "conv_ahead": {2, 3, 0}, "conv_left": {-1, -1, 0},
	} {
		head, from, gap := o.head(conv)
		if head != want[0] || from != want[1] || gap != (want[2] == 1) {
			t.Errorf("%s: head %d from %d gap %v, want %v", conv, head, from, gap, want)
		}
	}
	next := map[wire.ConversationID]int64{"conv_some": 11, "conv_edge": 1}
	for range 240 + 500 {
		ev := c.event()
		if ev.Seq != next[ev.Conversation] {
			t.Fatalf("%s: entry %d, want %d", ev.Conversation, ev.Seq, next[ev.Conversation])
		}
		next[ev.Conversation]++
	}
	w.write(n, "conv_gap", "live")
	if ev := c.event(); ev.Conversation != "conv_gap" || ev.Seq != 502 {
		t.Errorf("then %s %d", ev.Conversation, ev.Seq)
	}
}

func TestResume_TotalIsBounded(t *testing.T) {
	w := newWorld()
	w.conversation("conv_a", "ann")
	w.conversation("conv_b", "ann")
	for range 8 {
		w.write(nil, "conv_a", "x")
		w.write(nil, "conv_b", "x")
	}
	n := startNode(t, w, func(c *hub.Config) { c.ResumeTotal = 10 })
	_, o := n.open("ann", "a", map[wire.ConversationID]int64{"conv_a": 0, "conv_b": 0})
	_, _, gapA := o.head("conv_a")
	_, _, gapB := o.head("conv_b")
	if gapA == gapB {
		t.Errorf("gaps %v %v, want one", gapA, gapB)
	}
}

// What is published between reading the heads and the answer is neither lost nor sent twice,
// and nothing comes before the answer.
func TestResume_NothingFallsBetween(t *testing.T) {
	w := newWorld()
	w.conversation(conv, "ann")
	w.write(nil, conv, "old")
	n := startNode(t, w)
	w.headsHook = func() {
		w.write(n, conv, "before the heads are read")
		n.Publish(context.Background(), wire.Event{Type: "call.offered", Data: []byte("{}")}, wire.To{User: "ann"})
		w.conversation("conv_new", "ann")
		w.write(n, "conv_new", "a")
		w.write(n, "conv_new", "b")
		eventually(t, "the bus is empty", func() bool { return n.counter("parley_hub_published_total") == 4 })
	}
	c := n.dial()
	id := c.start("session.open", map[string]any{"token": "ann", "device": "dev_a", "resume": map[string]int{"conv_a": 1}})
	if m, err := c.next(); err != nil || string(m.ID) != id {
		t.Fatalf("first came %+v %v", m, err)
	}
	got := map[string]int{}
	for range 2 {
		ev := c.event()
		got[fmt.Sprint(ev.Conversation, ev.Type, ev.Seq)]++
	}
	if got["conv_amessage.created2"] != 1 || got["call.offered0"] != 1 {
		t.Errorf("got %v", got)
	}
	w.write(n, "conv_new", "c")
	if ev := c.event(); ev.Conversation != "conv_new" || ev.Seq != 3 {
		t.Errorf("then %s %d", ev.Conversation, ev.Seq)
	}
}

// A user who joins between the reading of the heads and the answer hears of the
// conversation from the entry that says so.
func TestResume_ConversationJoinedWhileOpening(t *testing.T) {
	w := newWorld()
	w.conversation("conv_new", "ben")
	for range 5 {
		w.write(nil, "conv_new", "before she came")
	}
	n := startNode(t, w)
	ben, _ := n.open("ben", "b", nil)
	ben.must("echo", nil, nil)
	w.headsDone = func() {
		w.conversation("conv_new", "ann", "ben")
		w.write(n, "conv_new", "ann joins")
		w.write(n, "conv_new", "welcome")
		ben.event()
		ben.event() // now both have reached ann's session too, which is opening
	}
	c, o := n.open("ann", "a", nil)
	if len(o.Conversations) != 0 {
		t.Fatalf("opened %+v", o)
	}
	if a, b := c.event(), c.event(); a.Seq != 6 || b.Seq != 7 {
		t.Errorf("got %d %d", a.Seq, b.Seq)
	}
}

// lossy is a bus that loses some messages without telling, and repeats and reorders others.
type lossy struct {
	broker.Broker
	mu   sync.Mutex
	rng  *rand.Rand
	kept []*broker.Message
}

func (l *lossy) Publish(m *broker.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.rng.IntN(10) {
	case 0: // lost
		return nil
	case 1: // late
		l.kept = append(l.kept, m)
		return nil
	case 2: // twice
		_ = l.Broker.Publish(m)
	}
	err := l.Broker.Publish(m)
	if len(l.kept) > 0 && l.rng.IntN(3) == 0 {
		_ = l.Broker.Publish(l.kept[0])
		l.kept = l.kept[1:]
	}
	return err
}

// Writers write to several conversations while clients come, go and resume, on
// good and on bad buses. Every client ends with every number once, in order.
func TestResume_ExactUnderConcurrentPublishing(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3, 4} {
		for _, bad := range []bool{false, true} {
			t.Run(fmt.Sprintf("seed %d bad bus %v", seed, bad), func(t *testing.T) {
				t.Parallel()
				testExactness(t, seed, bad)
			})
		}
	}
}

func testExactness(t *testing.T, seed uint64, bad bool) {
	const conversations, writes, clients = 4, 400, 6
	w := newWorld()
	var users []wire.UserID
	for i := range clients {
		users = append(users, wire.UserID(fmt.Sprint("user", i)))
	}
	var convs []wire.ConversationID
	for i := range conversations {
		convs = append(convs, wire.ConversationID(fmt.Sprint("conv_", i)))
		w.conversation(convs[i], users...)
	}
	bus := broker.Broker(broker.NewMemory(broker.MemoryConfig{}))
	if bad {
		bus = &lossy{Broker: bus, rng: rand.New(rand.NewPCG(seed, 7))}
	}
	n := startNodeOn(t, w, bus, func(c *hub.Config) { c.Heartbeat = 300 * time.Millisecond })
	var wg sync.WaitGroup
	var running atomic.Int32
	for i := range 3 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		running.Add(1)
		wg.Go(func() {
			defer running.Add(-1)
			for range writes {
				w.write(n, convs[rng.IntN(conversations)], "x")
				if rng.IntN(20) == 0 {
					pause(time.Duration(rng.IntN(3)) * time.Millisecond)
				}
			}
		})
	}
	for i, u := range users {
		rng := rand.New(rand.NewPCG(seed, uint64(100+i)))
		wg.Go(func() { follow(t, n, u, rng, &running) })
	}
	wg.Wait()
}

// pause waits for d.
func pause(d time.Duration) { <-time.After(d) }

// follow keeps reading, dropping its socket now and then, until writing has ended
// and it has everything.
func follow(t *testing.T, n *node, user wire.UserID, rng *rand.Rand, running *atomic.Int32) {
	last := map[wire.ConversationID]int64{}
	for _, h := range must(n.world.Heads(t.Context(), []wire.UserID{user}))[user] {
		last[h.Conversation] = 0
	}
	for {
		c := n.dial()
		o := c.open(string(user), "a", last)
		for _, h := range o.Conversations {
			if h.Gap {
				t.Errorf("%s: a gap at %d of %d", h.ID, last[h.ID], h.Head)
				return
			}
		}
		stay := rng.IntN(300)
		for i := 0; ; i++ {
			if running.Load() == 0 && complete(n.world, user, last) {
				_ = c.ws.CloseNow()
				return
			}
			if running.Load() > 0 && i >= stay {
				break
			}
			if _, err := c.next(); err != nil {
				c.closeOf(err) // a starved machine may be taken for a silent or slow client: it resumes
				break
			}
			if len(c.beats) > 0 {
				c.beats = nil
				c.send(`{"jsonrpc":"2.0","method":"heartbeat"}`)
			}
			for _, ev := range c.events {
				if ev.Seq != last[ev.Conversation]+1 {
					t.Errorf("%s %s: entry %d after %d", user, ev.Conversation, ev.Seq, last[ev.Conversation])
					return
				}
				last[ev.Conversation] = ev.Seq
			}
			c.events = c.events[:0]
		}
		_ = c.ws.CloseNow()
	}
}

func complete(w *world, user wire.UserID, last map[wire.ConversationID]int64) bool {
	for _, h := range must(w.Heads(context.Background(), []wire.UserID{user}))[user] {
		if last[h.Conversation] != h.Seq {
			return false
		}
	}
	return true
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The entry its own socket has in its answer is left out, and counts as sent.
func TestDelivery_OwnEntryCountsAsSent(t *testing.T) {
	w := newWorld()
	w.conversation(conv, "ann", "ben")
	n := startNode(t, w)
	ann, o := n.open("ann", "a", map[wire.ConversationID]int64{conv: 0})
	twin, _ := n.open("ann", "b", map[wire.ConversationID]int64{conv: 0})
	ann.must("echo", nil, nil) // the opening is over when the next request runs
	twin.must("echo", nil, nil)
	w.writeBut(n, conv, "mine", o.Session)
	w.write(n, conv, "yours")
	if ev := ann.event(); ev.Seq != 2 {
		t.Errorf("her socket got %d", ev.Seq)
	}
	if a, b := twin.event(), twin.event(); a.Seq != 1 || b.Seq != 2 {
		t.Errorf("her other socket got %d %d", a.Seq, b.Seq)
	}
	if got := w.reads.Load(); got != 0 {
		t.Errorf("the log was read %d times", got)
	}
}

func TestDelivery_SignalsGoToWhoIsMeant(t *testing.T) {
	n := startNode(t, newWorld())
	a, oa := n.open("ann", "a", nil)
	b, _ := n.open("ann", "b", nil)
	ben, _ := n.open("ben", "a", nil)
	signal := func(kind string, to ...wire.To) {
		n.Publish(context.Background(), wire.Event{Type: kind, Data: []byte(`{"n":1}`)}, to...)
	}
	signal("to nobody")
	signal("to all of ann", wire.To{User: "ann"})
	signal("to one device", wire.To{User: "ann", Device: "dev_b"})
	signal("to all but one", wire.To{User: "ann", NotSession: oa.Session}, wire.To{User: "ben"})
	signal("to the other device", wire.To{User: "ann", NotDevice: "dev_a"})
	signal("end", wire.To{User: "ann"}, wire.To{User: "ben"})
	for c, want := range map[*client][]string{
		a: {"to all of ann", "end"}, b: {"to all of ann", "to one device", "to all but one", "to the other device", "end"}, ben: {"to all but one", "end"},
	} {
		for _, kind := range want {
			if ev := c.event(); ev.Type != kind || string(ev.Data) != `{"n":1}` {
				t.Errorf("got %s, want %s", ev.Type, kind)
			}
		}
	}
}

// An entry that does not follow on makes the hub read the log; live entries wait meanwhile.
func TestDelivery_HolesAreFilledFromTheLog(t *testing.T) {
	w := newWorld()
	w.conversation(conv, "ann")
	n := startNode(t, w)
	c, _ := n.open("ann", "a", nil)
	c.must("echo", nil, nil) // the opening is over when the next request runs
	for range 250 {
		w.write(nil, conv, "the bus lost it")
	}
	w.write(n, conv, "the bus carried it")
	for want := int64(1); want <= 251; want++ {
		if ev := c.event(); ev.Seq != want {
			t.Fatalf("entry %d, want %d", ev.Seq, want)
		}
	}
	if got := n.counter("parley_hub_holes_total"); got != 1 {
		t.Errorf("%v holes", got)
	}
}

// A user who was removed gets nothing more from the log, and the session lives on.
func TestDelivery_HoleInALogThatMayNotBeRead(t *testing.T) {
	w := newWorld()
	w.conversation(conv, "ann")
	n := startNode(t, w)
	c, _ := n.open("ann", "a", nil)
	c.must("echo", nil, nil)
	w.conversation(conv, "ben")
	n.Publish(t.Context(), wire.Event{Type: "x", Conversation: conv, Seq: 5, Data: []byte("{}")}, wire.To{User: "ann"})
	n.Publish(t.Context(), wire.Event{Type: "end", Data: []byte("{}")}, wire.To{User: "ann"})
	if ev := c.event(); ev.Type != "end" {
		t.Errorf("got %+v", ev)
	}
	for range 10 {
		c.must("echo", nil, nil)
	}
	if got := w.reads.Load(); got > 1 {
		t.Errorf("the log was asked %d times", got)
	}
}
