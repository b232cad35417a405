package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"parley/hub"
	"parley/hub/broker"
	"parley/wire"
)

// faultyBus loses publications of streams that lose names, and can say so.
type faultyBus struct {
	*broker.Memory

	mu       sync.Mutex
	lose     map[int64]bool
	receiver broker.Receiver
	held     *heldRounds // if set, nothing is delivered until it is let go
}

func newFaultyBus() *faultyBus {
	return &faultyBus{Memory: broker.NewMemory(broker.MemoryConfig{}), lose: map[int64]bool{}}
}

func (b *faultyBus) Publish(m *broker.Message) error {
	b.mu.Lock()
	lost := m.Kind == broker.KindStream && b.lose[m.Seq]
	b.mu.Unlock()
	if lost {
		return nil
	}
	return b.Memory.Publish(m)
}

func (b *faultyBus) Run(ctx context.Context, r broker.Receiver) error {
	b.mu.Lock()
	b.receiver = r
	b.mu.Unlock()
	return b.Memory.Run(ctx, heldReceiver{r, b})
}

// heldRounds are those that wait to be delivered.
type heldRounds struct {
	begun sync.Once
	busy  chan struct{} // closed when the first waits
	gone  chan struct{} // closed when they are let go
}

// heldReceiver delivers when the bus does not hold.
type heldReceiver struct {
	broker.Receiver
	bus *faultyBus
}

func (r heldReceiver) Deliver(ctx context.Context, round []*broker.Message) {
	r.bus.mu.Lock()
	held := r.bus.held
	r.bus.mu.Unlock()
	if held != nil {
		held.begun.Do(func() { close(held.busy) })
		<-held.gone
	}
	r.Receiver.Deliver(ctx, round)
}

// hold lets what is published after first gather until it is let go.
func (b *faultyBus) hold(first func()) (letGo func()) {
	held := &heldRounds{busy: make(chan struct{}), gone: make(chan struct{})}
	b.mu.Lock()
	b.held = held
	b.mu.Unlock()
	first()
	<-held.busy
	return func() {
		b.mu.Lock()
		b.held = nil
		b.mu.Unlock()
		close(held.gone)
	}
}

func (b *faultyBus) loses(seqs ...int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, seq := range seqs {
		b.lose[seq] = true
	}
}

// tell says that something may be lost; nothing may be under way.
func (b *faultyBus) tell() {
	b.mu.Lock()
	r := b.receiver
	b.mu.Unlock()
	r.Lost(context.Background())
}

// square is a node with open topics.
type square struct {
	*node
	bus     *faultyBus
	streams *broker.MemoryStreams
	keep    int
	fences  int
	// between, if set, runs between taking a seat and settling it.
	between func()
}

func startSquare(t *testing.T, keep int, options ...option) *square {
	t.Helper()
	q := &square{bus: newFaultyBus(), keep: keep}
	q.streams = broker.NewMemoryStreams(q.bus, broker.MemoryStreamsConfig{})
	w := newWorld()
	w.ops["join"] = q.join
	w.ops["leave"] = func(_ context.Context, c wire.Caller, params json.RawMessage) (json.RawMessage, *wire.Problem) {
		var topic string
		_ = json.Unmarshal(params, &struct{ Topic *string }{&topic})
		q.GiveSeat(c, topic)
		return nil, nil
	}
	q.node = startNodeOn(t, w, q.bus, append(options, func(c *hub.Config) { c.Streams = q.streams })...)
	return q
}

func (q *square) join(ctx context.Context, c wire.Caller, params json.RawMessage) (json.RawMessage, *wire.Problem) {
	var in struct{ Topic string }
	if err := json.Unmarshal(params, &in); err != nil {
		return nil, &wire.Problem{Code: "invalid_params"}
	}
	if err := q.TakeSeat(ctx, c, in.Topic, 3); err != nil {
		return nil, &wire.Problem{Code: "refused", Detail: err.Error()}
	}
	page, err := q.streams.Read(ctx, hub.TopicPrefix+in.Topic, broker.FromLast, 0)
	if err != nil {
		return nil, &wire.Problem{Code: "internal"}
	}
	if q.between != nil {
		q.between()
	}
	q.SettleSeat(c, in.Topic, page.Head)
	return json.RawMessage(fmt.Sprintf(`{"seq":%d}`, page.Head.Seq)), nil
}

// joins has a client join and returns from which number on it hears.
func (c *client) joins(topic string) int64 {
	c.t.Helper()
	var place struct{ Seq int64 }
	c.must("join", map[string]string{"topic": topic}, &place)
	return place.Seq
}

func (q *square) publish(topic string, size int) broker.Place {
	q.t.Helper()
	p, err := q.streams.Append(context.Background(), broker.Draft{
		Topic: hub.TopicPrefix + topic, Keep: q.keep, TTL: time.Hour,
		Head: []byte(`{"type":"topic.message","topic":"` + topic + `",`), Tail: []byte(`,"time":"2026-01-02T03:04:05Z","data":"` + strings.Repeat("x", size) + `"}`),
	})
	if err != nil {
		q.t.Fatal(err)
	}
	return p
}

// fence waits until what was published before is delivered.
func (q *square) fence() {
	q.t.Helper()
	q.fences++
	user := fmt.Sprint("fence", q.fences)
	c, _ := q.open(user, "f", nil)
	c.must("echo", nil, nil)
	q.Publish(context.Background(), wire.Event{Type: "fence", Data: []byte("{}")}, wire.To{User: wire.UserID(user)})
	if ev := c.event(); ev.Type != "fence" {
		q.t.Fatalf("got %s", ev.Type)
	}
}

// wantSeqs checks that the next events are a topic's publications of these numbers.
func (c *client) wantSeqs(topic string, seqs ...int64) {
	c.t.Helper()
	for _, want := range seqs {
		if ev := c.event(); ev.Type != "topic.message" || ev.Topic != topic || ev.Seq != want {
			c.t.Fatalf("got %s %s %d, want %s %d", ev.Type, ev.Topic, ev.Seq, topic, want)
		}
	}
}

func (c *client) wantGap(topic string, upTo int64) {
	c.t.Helper()
	if ev := c.event(); ev.Type != "topic.gap" || ev.Topic != topic || ev.Seq != upTo || ev.Epoch == "" {
		c.t.Fatalf("got %s %s %d, want a gap up to %d", ev.Type, ev.Topic, ev.Seq, upTo)
	}
}

func TestTopic_ReachesWhoHasJoined(t *testing.T) {
	q := startSquare(t, 0)
	ann, _ := q.open("ann", "a", nil)
	ben, _ := q.open("ben", "b", nil)
	q.publish("x", 1)
	if from := ann.joins("x"); from != 1 {
		t.Errorf("joined at %d", from)
	}
	ben.joins("y")
	q.publish("x", 1)
	q.publish("y", 1)
	q.publish("x", 1)
	ann.wantSeqs("x", 2, 3)
	ben.wantSeqs("y", 1)
	ann.must("leave", map[string]string{"topic": "x"}, nil)
	q.publish("x", 1)
	ann.joins("y")
	q.publish("y", 1)
	ann.wantSeqs("y", 2)
}

// What is published while the answer to a join is made follows the answer, once.
// Publications that gathered leave as one frame, encoded once for all who have
// the one before; who joined among them gets those that follow.
func TestTopic_WhatGathersLeavesTogether(t *testing.T) {
	overEach(t, func(t *testing.T, via string) {
		q := startSquare(t, 0)
		early, late := q.dialVia(via), q.dialVia(via)
		early.open("ann", "a", nil)
		late.open("ben", "b", nil)
		early.joins("x")
		other, _ := q.open("cid", "c", nil)
		other.joins("y")
		early.must("echo", nil, nil) // the seat is live when the next request runs
		other.must("echo", nil, nil)
		q.fence()
		letGo := q.bus.hold(func() { q.publish("x", 1) })
		for range 4 {
			q.publish("x", 1)
		}
		q.publish("y", 1)
		if from := late.joins("x"); from != 5 {
			t.Errorf("joined at %d", from)
		}
		for range 3 {
			q.publish("x", 1)
		}
		letGo()
		early.wantSeqs("x", 1, 2)
		if len(early.batch) != 3 {
			t.Errorf("%d more came in the frame of the second, want 3", len(early.batch))
		}
		early.wantSeqs("x", 3, 4, 5, 6, 7, 8)
		late.wantSeqs("x", 6, 7, 8)
	})
}

// So does what gathers of several topics.
func TestTopic_WhatGathersOfSeveralLeavesTogether(t *testing.T) {
	q := startSquare(t, 0)
	ann, _ := q.open("ann", "a", nil)
	ann.joins("x")
	ann.joins("y")
	ann.must("echo", nil, nil) // the seats are live when the next request runs
	q.fence()
	letGo := q.bus.hold(func() { q.publish("x", 1) })
	q.publish("y", 1)
	q.publish("x", 1)
	q.publish("y", 1)
	letGo()
	ann.wantSeqs("x", 1)
	ann.wantSeqs("y", 1)
	if len(ann.batch) != 2 {
		t.Errorf("%d more came in the frame of the second, want 2", len(ann.batch))
	}
}

func TestTopic_NothingFallsBetweenTheAnswerAndWhatFollows(t *testing.T) {
	q := startSquare(t, 0)
	ann, _ := q.open("ann", "a", nil)
	q.publish("x", 1)
	q.between = func() {
		for range 5 {
			q.publish("x", 1)
		}
		q.fence()
	}
	id := ann.start("join", map[string]string{"topic": "x"})
	first, err := ann.next()
	if err != nil || string(first.ID) != id || string(first.Result) != `{"seq":1}` {
		t.Fatalf("first came %s %s %v", first.ID, first.Result, err)
	}
	ann.wantSeqs("x", 2, 3, 4, 5, 6)
	ann.joins("x") // again, with five more meanwhile
	ann.wantSeqs("x", 7, 8, 9, 10, 11)
}

// Too much while the answer is made is a gap, and the client hears of it.
func TestTopic_TooMuchWhileJoiningIsAGap(t *testing.T) {
	q := startSquare(t, 0)
	ann, _ := q.open("ann", "a", nil)
	q.between = func() {
		for range 8 {
			q.publish("x", 50_000)
		}
		q.fence()
	}
	ann.joins("x")
	q.between = nil
	ann.wantGap("x", 8)
	q.publish("x", 1)
	ann.wantSeqs("x", 9)
}

func TestTopic_WhatTheBusLostIsReadFromTheStream(t *testing.T) {
	q := startSquare(t, 100)
	q.bus.loses(2, 3)
	ann, _ := q.open("ann", "a", nil)
	ben, _ := q.open("ben", "b", nil)
	ann.joins("x")
	q.publish("x", 1)
	ann.wantSeqs("x", 1)
	ben.joins("x")
	for range 4 {
		q.publish("x", 1)
	}
	ann.wantSeqs("x", 2, 3, 4, 5)
	ben.wantSeqs("x", 2, 3, 4, 5)
	if got := q.counter("parley_hub_drops_total", "reason", "topic_gap"); got != 0 {
		t.Errorf("%v gaps told", got)
	}
}

func TestTopic_WhatIsLostForGoodIsToldAsAGap(t *testing.T) {
	q := startSquare(t, 0)
	q.bus.loses(2, 3)
	ann, _ := q.open("ann", "a", nil)
	ann.joins("x")
	for range 5 {
		q.publish("x", 1)
	}
	ann.wantSeqs("x", 1)
	ann.wantGap("x", 3)
	ann.wantSeqs("x", 4, 5)
}

// The last one has no successor that would betray its loss; the bus says so.
func TestTopic_TheLastOneLostIsFound(t *testing.T) {
	for name, keep := range map[string]int{"kept": 10, "not kept": 0} {
		t.Run(name, func(t *testing.T) {
			q := startSquare(t, keep)
			q.bus.loses(2)
			ann, _ := q.open("ann", "a", nil)
			ann.joins("x")
			q.publish("x", 1)
			ann.wantSeqs("x", 1)
			q.publish("x", 1)
			q.bus.tell()
			if keep > 0 {
				ann.wantSeqs("x", 2)
			} else {
				ann.wantGap("x", 2)
			}
			q.publish("x", 1)
			ann.wantSeqs("x", 3)
		})
	}
}

// A stream that begins anew does not pass for the old one.
func TestTopic_AnotherEpochIsAGap(t *testing.T) {
	q := startSquare(t, 10)
	ann, _ := q.open("ann", "a", nil)
	ann.joins("x")
	old := q.publish("x", 1)
	if err := q.streams.Renew(t.Context(), hub.TopicPrefix+"x", old.Epoch); err != nil {
		t.Fatal(err)
	}
	q.publish("x", 1)
	ann.wantSeqs("x", 1)
	ann.wantGap("x", 0)
	ann.wantSeqs("x", 1)
}

// A client that does not read is closed with 4008; others are not held up.
func TestTopic_SlowListener(t *testing.T) {
	q := startSquare(t, 0, func(c *hub.Config) { c.QueueBytes = 256 << 10 })
	slow := q.dialWith(&websocket.DialOptions{Subprotocols: []string{hub.Subprotocol}, HTTPClient: smallWindow(t)})
	slow.open("ann", "a", nil)
	fast, _ := q.open("ben", "b", nil)
	slow.joins("x")
	fast.joins("x")
	for n := int64(1); len(q.Sessions()) == 2; n++ {
		q.publish("x", 50_000)
		fast.wantSeqs("x", n)
		if n > 1000 {
			t.Fatal("never closed")
		}
	}
	wantClose(t, slow, wire.CloseSlow)
	eventually(t, "its seat is empty", func() bool { return q.Joined("x") == 1 })
}

func TestTopic_SeatsAreBoundedAndGivenBack(t *testing.T) {
	q := startSquare(t, 0)
	ann, _ := q.open("ann", "a", nil)
	for _, topic := range []string{"x", "y", "z"} {
		ann.joins(topic)
	}
	wantCode(t, ann.call("join", map[string]string{"topic": "w"}), wire.CodeProblem, "refused")
	if got := q.JoinedAll(); len(got) != 3 || got["x"] != 1 || q.Joined("w") != 0 {
		t.Errorf("joined %v", got)
	}
	_ = ann.ws.CloseNow()
	eventually(t, "nobody is left", func() bool { return len(q.JoinedAll()) == 0 && q.counter("parley_hub_topics") == 0 })
	if err := q.TakeSeat(t.Context(), wire.Caller{User: "ann", Session: "ses_none"}, "x", 3); err == nil || q.Joined("x") != 0 {
		t.Errorf("a session that is gone sits: %v", err)
	}
}

// Who comes and goes while others publish hears of everything after its place, in order.
func TestTopic_ComingAndGoingUnderPublications(t *testing.T) {
	q := startSquare(t, 0)
	ctx, stop := context.WithCancel(t.Context())
	var publishers, listeners sync.WaitGroup
	for i := range 2 {
		pace, _ := q.open(fmt.Sprint("publisher", i), "a", nil)
		pace.joins("x")
		publishers.Go(func() { // no faster than one client takes it
			for ctx.Err() == nil {
				for at := q.publish("x", 10); ; {
					if ev := pace.event(); ev.Seq == at.Seq {
						break
					}
				}
			}
		})
	}
	for i := range 8 {
		c, _ := q.open(fmt.Sprint("user", i), "a", nil)
		listeners.Go(func() {
			for range 15 {
				from := c.joins("x")
				c.events = nil // of the seat before
				for n := range int64(20) {
					if ev := c.event(); ev.Type != "topic.message" || ev.Seq != from+1+n {
						t.Errorf("got %s %d, want %d", ev.Type, ev.Seq, from+1+n)
						return
					}
				}
				c.must("leave", map[string]string{"topic": "x"}, nil)
			}
		})
	}
	listeners.Wait()
	stop()
	publishers.Wait()
	if got := q.counter("parley_hub_drops_total", "reason", "topic_gap"); got != 0 {
		t.Errorf("%v gaps told", got)
	}
	if got := q.Joined("x"); got != 2 {
		t.Errorf("%d have joined", got)
	}
}

// A call may keep the socket open after its token has ended, but not its seats.
func TestTopic_SeatsEndWithTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.tokens["short"] = hub.Identity{User: "ann", Expires: time.Now().Add(10 * time.Second)}
		n := startPipeNode(t, w, func(c *hub.Config) { c.Grace = graceFor{time.Minute, "none"} })
		w.ops["join"] = func(ctx context.Context, c wire.Caller, _ json.RawMessage) (json.RawMessage, *wire.Problem) {
			if err := n.TakeSeat(ctx, c, "x", 1); err != nil {
				return nil, &wire.Problem{Code: "refused"}
			}
			n.SettleSeat(c, "x", broker.Place{})
			return nil, nil
		}
		c := n.dial()
		c.open("short", "a", nil)
		done := keepAlive(c)
		defer done()
		c.must("join", nil, nil)
		expiring(c)
		if got := n.Joined("x"); got != 1 {
			t.Errorf("%d have joined", got)
		}
		if ev := c.event(); ev.Type != "topic.left" || ev.Topic != "x" || string(ev.Data) != `{"reason":"token_expired"}` {
			t.Errorf("got %+v", ev)
		}
		if got := n.Joined("x"); got != 0 {
			t.Errorf("%d have joined", got)
		}
		wantClose(t, c, wire.CloseTokenExpired)
	})
}
