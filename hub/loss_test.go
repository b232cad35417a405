package hub_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/hub"
	"parley/hub/broker"
	"parley/wire"
)

// telling is a bus that can be made to say that it lost something.
type telling struct {
	broker.Broker
	mu sync.Mutex
	r  broker.Receiver
}

func newTelling() *telling { return &telling{Broker: broker.NewMemory(broker.MemoryConfig{})} }

func (b *telling) Run(ctx context.Context, r broker.Receiver) error {
	b.mu.Lock()
	b.r = r
	b.mu.Unlock()
	return b.Broker.Run(ctx, r)
}

// tell says it as often as the connections of a bus do.
func (b *telling) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range 4 {
		b.r.Lost(context.Background())
	}
}

// What the bus has lost comes within a second, no heartbeat is waited for.
func TestLoss_BringsEntriesAndNewConversationsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.conversation(conv, "ann")
		bus := newTelling()
		n := startPipeNodeOn(t, w, bus, func(c *hub.Config) { c.HeadsEvery = time.Hour })
		c, _ := n.open("ann", "a", nil)
		w.write(nil, conv, "lost")
		w.conversation("conv_new", "ann")
		w.write(nil, "conv_new", "lost too")
		told := time.Now()
		bus.tell()
		if ev := c.event(); ev.Conversation != conv || ev.Seq != 1 {
			t.Errorf("got %+v", ev)
		}
		if heads := c.beat(); heads["conv_new"] != 1 {
			t.Errorf("heads %v", heads)
		}
		if took := time.Since(told); took > time.Second {
			t.Errorf("after %v", took)
		}
		synctest.Wait()
		if asked := w.asked.Load(); asked != 2 { // to open, and for the one round
			t.Errorf("asked for heads %d times", asked)
		}
		if got := n.counter("parley_hub_heads_compared_total", "cause", "loss"); got != 1 {
			t.Errorf("counted %v", got)
		}
	})
}

// Many sessions are compared by few questions over two seconds, one at a time,
// and read their logs a few at a time.
func TestLoss_SpreadsTheComparisonsOfManySessions(t *testing.T) {
	const people, most = 2000, 32
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var reading, busiest atomic.Int64
		w.onEntries = func() {
			now := reading.Add(1)
			defer reading.Add(-1)
			for high := busiest.Load(); now > high && !busiest.CompareAndSwap(high, now); high = busiest.Load() {
			}
			<-time.After(5 * time.Millisecond) // the database takes its time
		}
		var mu sync.Mutex
		var rounds []time.Time
		w.onHeads = func(users []wire.UserID) {
			mu.Lock()
			defer mu.Unlock()
			if len(users) > 1 {
				rounds = append(rounds, time.Now())
			}
		}
		bus := newTelling()
		n := startPipeNodeOn(t, w, bus, func(c *hub.Config) { c.HeadsEvery, c.MaxPerAddr = time.Hour, -1 })
		clients := make([]*client, people)
		for i := range clients {
			user := wire.UserID(fmt.Sprint("p", i))
			w.conversation(wire.ConversationID(fmt.Sprint("conv_", i)), user)
			clients[i], _ = n.open(string(user), "a", nil)
		}
		for i := range clients {
			w.write(nil, wire.ConversationID(fmt.Sprint("conv_", i)), "lost")
		}
		told := time.Now()
		bus.tell()
		for _, c := range clients {
			if ev := c.event(); ev.Seq != 1 {
				t.Fatalf("got %+v", ev)
			}
		}
		if took := time.Since(told); took > 3*time.Second {
			t.Errorf("the last was brought up to date after %v", took)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(rounds) != people/200 || rounds[len(rounds)-1].Sub(rounds[0]) < 800*time.Millisecond {
			t.Errorf("asked at %v", rounds)
		}
		if got := busiest.Load(); got != most {
			t.Errorf("%d sessions read at once, want %d", got, most)
		}
	})
}

// A bus that breaks again and again makes no more than a round in two seconds,
// and the last loss has its round.
func TestLoss_RoundsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.conversation(conv, "ann")
		bus := newTelling()
		n := startPipeNodeOn(t, w, bus, func(c *hub.Config) { c.HeadsEvery = time.Hour })
		c, _ := n.open("ann", "a", nil)
		opened := w.asked.Load()
		for range 100 {
			bus.tell()
			<-time.After(100 * time.Millisecond)
		}
		w.write(nil, conv, "lost")
		last := time.Now()
		bus.tell()
		if ev := c.event(); ev.Seq != 1 || time.Since(last) > 3*time.Second {
			t.Errorf("got %+v after %v", ev, time.Since(last))
		}
		if rounds := w.asked.Load() - opened; rounds < 4 || rounds > 7 {
			t.Errorf("%d rounds in ten seconds", rounds)
		}
	})
}

// The round finds a session that has read its heads and is not open yet, too.
func TestLoss_WhileASessionOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.conversation(conv, "ann")
		bus := newTelling()
		n := startPipeNodeOn(t, w, bus, func(c *hub.Config) { c.HeadsEvery = time.Hour })
		w.headsDone = func() {
			go func() { w.write(nil, conv, "lost"); bus.tell() }()
			<-time.After(4 * time.Second) // the round passes by
		}
		c := n.dial()
		opened := time.Now()
		c.open("ann", "a", nil)
		if ev := c.event(); ev.Seq != 1 {
			t.Errorf("got %+v", ev)
		}
		if took := time.Since(opened); took > 6*time.Second {
			t.Errorf("after %v", took)
		}
	})
}

// The log cannot be asked: the next heartbeat does it.
func TestLoss_IsMadeGoodAtTheHeartbeatWhenTheLogIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.conversation(conv, "ann")
		bus := newTelling()
		n := startPipeNodeOn(t, w, bus, func(c *hub.Config) { c.HeadsEvery = time.Hour })
		c, _ := n.open("ann", "a", nil)
		w.write(nil, conv, "lost")
		w.mu.Lock()
		w.headsErr = errors.New("database away")
		w.mu.Unlock()
		bus.tell()
		<-time.After(5 * time.Second)
		w.mu.Lock()
		w.headsErr = nil
		w.mu.Unlock()
		if got := n.counter("parley_hub_drops_total", "reason", "check"); got != 1 {
			t.Errorf("counted %v", got)
		}
		c.beat()
		if ev := c.event(); ev.Seq != 1 {
			t.Errorf("got %+v", ev)
		}
	})
}
