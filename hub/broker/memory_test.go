package broker_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"parley/hub/broker"
)

// gate is a receiver that waits in Deliver.
type gate struct {
	entered, release chan struct{}
	rounds           [][]*broker.Message
	lost             int
}

func (g *gate) Deliver(_ context.Context, round []*broker.Message) {
	g.rounds = append(g.rounds, append([]*broker.Message(nil), round...))
	g.entered <- struct{}{}
	<-g.release
}

func (g *gate) Lost(context.Context) { g.lost++ }

// A broadcast that took long lets the next one gather for a sixteenth of its
// time; one that comes when it is long over waits for nothing.
func TestMemory_LongRoundsLetTheNextGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m := broker.NewMemory(broker.MemoryConfig{})
		g := &gate{entered: make(chan struct{}), release: make(chan struct{})}
		ended := make(chan error)
		go func() { ended <- m.Run(ctx, g) }()
		if err := m.Subscribe(ctx, "t"); err != nil {
			t.Fatal(err)
		}
		publish := func(seq int64) {
			if err := m.Publish(&broker.Message{Seq: seq, To: []broker.Target{{Topic: "t"}}}); err != nil {
				t.Fatal(err)
			}
		}
		pass := func(d time.Duration) { <-time.After(d) }
		round := func(lasts time.Duration) {
			<-g.entered
			pass(lasts)
			g.release <- struct{}{}
		}
		publish(1)
		round(32 * time.Millisecond)
		publish(2)
		pass(1500 * time.Microsecond)
		publish(3) // within 2 ms
		round(0)
		publish(4)
		round(32 * time.Millisecond)
		pass(time.Second)
		begun := time.Now()
		publish(5)
		<-g.entered
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("a message after a pause waited for %v", waited)
		}
		g.release <- struct{}{}
		var sizes []int
		for _, r := range g.rounds {
			sizes = append(sizes, len(r))
		}
		if !slices.Equal(sizes, []int{1, 2, 1, 1}) {
			t.Errorf("rounds of %v messages", sizes)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// What is published while a round is delivered shares the next round; over the
// bound it is dropped, and the receiver is told.
func TestMemory_GathersWhileDeliveringAndDropsOverItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m := broker.NewMemory(broker.MemoryConfig{MaxBytes: 2000})
		g := &gate{entered: make(chan struct{}), release: make(chan struct{})}
		ended := make(chan error)
		go func() { ended <- m.Run(ctx, g) }()
		if err := m.Subscribe(ctx, "t"); err != nil {
			t.Fatal(err)
		}
		to := []broker.Target{{Topic: "t"}}
		publish := func(seq int64) error { return m.Publish(&broker.Message{Seq: seq, Frame: make([]byte, 100), To: to}) }
		if err := publish(1); err != nil {
			t.Fatal(err)
		}
		<-g.entered
		for seq := int64(2); seq <= 5; seq++ {
			if err := publish(seq); err != nil {
				t.Fatal(err)
			}
		}
		if err := publish(6); !errors.Is(err, broker.ErrOverflow) {
			t.Errorf("over the bound: %v", err)
		}
		g.release <- struct{}{}
		<-g.entered
		if len(g.rounds) != 2 || len(g.rounds[1]) != 4 || g.rounds[1][3].Seq != 5 || g.lost != 1 {
			t.Errorf("%d rounds, the second of %d, %d losses", len(g.rounds), len(g.rounds[1]), g.lost)
		}
		g.release <- struct{}{}
		if err := m.Publish(&broker.Message{Seq: 7, Frame: make([]byte, 10_000), To: to}); err != nil {
			t.Errorf("a large one on an empty bus: %v", err)
		}
		<-g.entered
		g.release <- struct{}{}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
