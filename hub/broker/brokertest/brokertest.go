// Package brokertest is the suite that every broker.Broker passes.
package brokertest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/hub/broker"
)

// patience bounds every wait; nothing waits for it when all is well.
const patience = 20 * time.Second

// Run runs the suite. nodes makes the brokers of one or more nodes on a fresh
// bus, each not running yet; the suite runs them and waits until they ended.
func Run(t *testing.T, nodes func(testing.TB) []broker.Broker) {
	for name, test := range map[string]func(*testing.T, []*Node){
		"ReachesEverySubscriber":        reachesEverySubscriber,
		"KeepsOrderPerTopic":            keepsOrderPerTopic,
		"SubscriptionsAreCounted":       subscriptionsAreCounted,
		"NewSubscriptionIsNotOvertaken": newSubscriptionIsNotOvertaken,
		"CarriesEveryField":             carriesEveryField,
		"PublishNeedsNobody":            publishNeedsNobody,
	} {
		t.Run(name, func(t *testing.T) { test(t, start(t, nodes(t))) })
	}
}

// Node is a broker that runs, and what has reached it.
type Node struct {
	broker.Broker
	t testing.TB

	mu      sync.Mutex
	got     []*broker.Message
	changed chan struct{} // closed and replaced whenever something came
}

func start(t testing.TB, brokers []broker.Broker) []*Node {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, len(brokers))
	var nodes []*Node
	for _, b := range brokers {
		n := &Node{Broker: b, t: t, changed: make(chan struct{})}
		nodes = append(nodes, n)
		go func() { ended <- b.Run(ctx, n) }()
	}
	t.Cleanup(func() {
		cancel()
		for range brokers {
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		}
	})
	return nodes
}

// Deliver implements broker.Receiver.
func (n *Node) Deliver(_ context.Context, round []*broker.Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got = append(n.got, round...)
	close(n.changed)
	n.changed = make(chan struct{})
}

// Lost implements broker.Receiver: nothing here may lose anything.
func (n *Node) Lost(context.Context) { n.t.Error("the bus lost messages") }

// await returns what has come once enough says so.
func (n *Node) await(what string, enough func([]*broker.Message) bool) []*broker.Message {
	n.t.Helper()
	deadline := time.After(patience)
	for {
		n.mu.Lock()
		got, changed := n.got, n.changed
		n.mu.Unlock()
		if enough(got) {
			return got
		}
		select {
		case <-changed:
		case <-deadline:
			n.t.Fatalf("waited in vain for %s; have %d messages", what, len(got))
		}
	}
}

func (n *Node) count(topic string) int { return countOf(n.snapshot(), topic) }

func (n *Node) snapshot() []*broker.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.got
}

func countOf(got []*broker.Message, topic string) int {
	count := 0
	for _, m := range got {
		for _, to := range m.To {
			if to.Topic == topic {
				count++
			}
		}
	}
	return count
}

func (n *Node) subscribe(topics ...string) {
	n.t.Helper()
	for _, topic := range topics {
		if err := n.Subscribe(context.Background(), topic); err != nil {
			n.t.Fatal(err)
		}
	}
}

func (n *Node) publish(seq int64, topics ...string) {
	n.t.Helper()
	m := &broker.Message{Seq: seq, Frame: fmt.Appendf(nil, "frame %d", seq)}
	for _, topic := range topics {
		m.To = append(m.To, broker.Target{Topic: topic})
	}
	if err := n.Publish(m); err != nil {
		n.t.Fatal(err)
	}
}

// onEveryLane are topics that between them go every way that others go: where
// topics are spread by their hash over up to 16 lanes, order holds per lane only.
var onEveryLane = func() (topics []string) {
	for letter := 'a'; letter < 'a'+16; letter++ {
		topics = append(topics, "flush-"+string(letter))
	}
	return topics
}()

var flushes atomic.Int64

// flush waits until everything published before on from has reached n.
func (n *Node) flush(from *Node) {
	n.t.Helper()
	n.subscribe(onEveryLane...)
	defer func() {
		for _, topic := range onEveryLane {
			n.Unsubscribe(topic)
		}
	}()
	id := flushes.Add(1)
	from.publish(id, onEveryLane...)
	n.await("the flush", func(got []*broker.Message) bool {
		come := 0
		for _, m := range got {
			if m.Seq == id && strings.HasPrefix(m.To[0].Topic, "flush-") {
				come += len(m.To)
			}
		}
		return come == len(onEveryLane)
	})
}

func reachesEverySubscriber(t *testing.T, nodes []*Node) {
	for i, n := range nodes {
		n.subscribe("all", fmt.Sprint("own", i))
	}
	for i, n := range nodes {
		n.publish(int64(i), "all", fmt.Sprint("own", i), "nobody")
	}
	for i, n := range nodes {
		n.await("all of them", func(got []*broker.Message) bool {
			return countOf(got, "all") == len(nodes) && countOf(got, fmt.Sprint("own", i)) == 1
		})
	}
	for i, n := range nodes {
		for j := range nodes {
			n.flush(nodes[j])
			if got := n.count(fmt.Sprint("own", j)); (j == i) != (got == 1) {
				t.Errorf("node %d got %d of node %d's own", i, got, j)
			}
		}
	}
}

func keepsOrderPerTopic(t *testing.T, nodes []*Node) {
	const topics, count = 5, 300
	for _, n := range nodes {
		for i := range topics {
			n.subscribe(fmt.Sprint("t", i))
		}
	}
	var wg sync.WaitGroup
	for i := range topics {
		wg.Go(func() {
			for seq := range int64(count) {
				nodes[i%len(nodes)].publish(seq+1, fmt.Sprint("t", i))
			}
		})
	}
	wg.Wait()
	for _, n := range nodes {
		got := n.await("all", func(got []*broker.Message) bool { return len(got) >= topics*count })
		last := map[string]int64{}
		for _, m := range got {
			topic := m.To[0].Topic
			if m.Seq != last[topic]+1 {
				t.Fatalf("%s: %d after %d", topic, m.Seq, last[topic])
			}
			last[topic] = m.Seq
		}
	}
}

func subscriptionsAreCounted(t *testing.T, nodes []*Node) {
	n := nodes[len(nodes)-1]
	n.subscribe("t", "t")
	n.Unsubscribe("t")
	nodes[0].publish(1, "t")
	n.await("the message", func(got []*broker.Message) bool { return countOf(got, "t") == 1 })
	n.Unsubscribe("t")
	n.flush(nodes[0])
	nodes[0].publish(2, "t")
	n.flush(nodes[0])
	if got := n.count("t"); got != 1 {
		t.Errorf("%d messages after the last Unsubscribe", got)
	}
	n.Unsubscribe("t") // one too many
	n.subscribe("t")
	nodes[0].publish(3, "t")
	n.await("the third", func(got []*broker.Message) bool { return countOf(got, "t") == 2 })
}

// Many come and go at once; whoever is subscribed when Subscribe returned gets
// what is published after.
func newSubscriptionIsNotOvertaken(t *testing.T, nodes []*Node) {
	var wg sync.WaitGroup
	for i := range 8 {
		n := nodes[i%len(nodes)]
		wg.Go(func() {
			for range 100 {
				n.subscribe("t")
				n.Unsubscribe("t")
			}
			n.subscribe("t")
		})
	}
	wg.Wait()
	nodes[0].publish(1, "t")
	for _, n := range nodes {
		n.await("the message", func(got []*broker.Message) bool { return countOf(got, "t") == 1 })
	}
}

func carriesEveryField(t *testing.T, nodes []*Node) {
	n := nodes[len(nodes)-1]
	n.subscribe("t")
	want := broker.Target{Topic: "t", Device: "dev_a", NotSession: "ses_b", NotDevice: "dev_c"}
	m := &broker.Message{Kind: 3, Conversation: "conv_a", Seq: 9, Frame: []byte{0x81, 0, 0xff}, To: []broker.Target{want}}
	if err := nodes[0].Publish(m); err != nil {
		t.Fatal(err)
	}
	got := n.await("it", func(got []*broker.Message) bool { return len(got) == 1 })[0]
	if got.Kind != 3 || got.Conversation != "conv_a" || got.Seq != 9 || string(got.Frame) != "\x81\x00\xff" || len(got.To) != 1 || got.To[0] != want {
		t.Errorf("got %+v", got)
	}
}

func publishNeedsNobody(t *testing.T, nodes []*Node) {
	nodes[0].publish(1, "nobody")
	nodes[0].publish(2)
	for _, n := range nodes {
		n.flush(nodes[0])
		if got := n.count("nobody"); got != 0 {
			t.Errorf("%d messages", got)
		}
	}
}
