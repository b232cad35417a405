package brokertest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/hub/broker"
)

// StreamNode is a broker with the streams on it.
type StreamNode struct {
	broker.Broker
	broker.Streams
}

// streamNode is one that runs.
type streamNode struct {
	*Node
	broker.Streams
}

// RunStreams runs the suite that every broker.Streams passes; nodes is as for Run.
func RunStreams(t *testing.T, nodes func(testing.TB) []StreamNode) {
	for name, test := range map[string]func(*testing.T, []streamNode){
		"NumbersInOrderOnEveryNode": numbersInOrderOnEveryNode,
		"KeepsTheLast":              keepsTheLast,
		"KeepsNothingUnlessAsked":   keepsNothingUnlessAsked,
		"ForgetsInTime":             forgetsInTime,
		"PublishesANameOnce":        publishesANameOnce,
		"RenewBeginsAnew":           renewBeginsAnew,
		"CountsWhoJoinedElsewhere":  countsWhoJoinedElsewhere,
	} {
		t.Run(name, func(t *testing.T) {
			made := nodes(t)
			brokers := make([]broker.Broker, len(made))
			for i, n := range made {
				brokers[i] = n.Broker
			}
			running := make([]streamNode, len(made))
			for i, n := range start(t, brokers) {
				running[i] = streamNode{n, made[i].Streams}
			}
			test(t, running)
		})
	}
}

func (n streamNode) append(topic string, keep int, ttl time.Duration) broker.Place {
	n.t.Helper()
	p, err := n.Append(context.Background(), draft(topic, keep, ttl))
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}

func draft(topic string, keep int, ttl time.Duration) broker.Draft {
	return broker.Draft{Topic: topic, Head: []byte(`{"topic":"` + topic + `",`), Tail: []byte(`,"data":"\u0000é"}`), Keep: keep, TTL: ttl}
}

func (n streamNode) read(topic string, after int64, limit int) broker.Page {
	n.t.Helper()
	p, err := n.Read(context.Background(), topic, after, limit)
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}

// numbersInOrderOnEveryNode: all nodes publish to one topic at once, and each
// hears of every publication in the order of its number.
func numbersInOrderOnEveryNode(t *testing.T, nodes []streamNode) {
	const each = 200
	for _, n := range nodes {
		n.subscribe("t")
	}
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() {
			for range each {
				n.append("t", 10, time.Minute)
			}
		})
	}
	wg.Wait()
	epoch := nodes[0].read("t", broker.FromLast, 0).Head.Epoch
	for _, n := range nodes {
		got := n.await("all", func(got []*broker.Message) bool { return len(got) >= each*len(nodes) })
		for i, m := range got {
			want := fmt.Sprintf(`{"topic":"t","seq":%d,"epoch":"%s","data":"\u0000é"}`, i+1, epoch)
			if m.Kind != broker.KindStream || m.Epoch != epoch || m.Seq != int64(i+1) || string(m.Frame) != want || m.To[0].Topic != "t" {
				t.Fatalf("number %d is %+v %s", i+1, m, m.Frame)
			}
		}
	}
}

func keepsTheLast(t *testing.T, nodes []streamNode) {
	n, other := nodes[0], nodes[len(nodes)-1]
	if p := n.read("t", broker.FromLast, 9); p.Head.Epoch == "" || p.Head.Seq != 0 || len(p.Events) != 0 {
		t.Errorf("a new stream is %+v", p)
	}
	var last broker.Place
	for range 7 {
		last = n.append("t", 4, time.Minute)
	}
	if last.Seq != 7 {
		t.Fatalf("the seventh is %+v", last)
	}
	for _, c := range []struct {
		after  int64
		limit  int
		first  int64
		events int
	}{
		{broker.FromLast, 9, 4, 4}, {broker.FromLast, 2, 6, 2}, {broker.FromLast, 0, 8, 0},
		{0, 9, 4, 4}, {3, 9, 4, 4}, {4, 9, 5, 3}, {4, 2, 5, 2}, {6, 9, 7, 1}, {7, 9, 8, 0}, {99, 9, 8, 0},
	} {
		p := other.read("t", c.after, c.limit)
		if p.Head != last || p.First != c.first || len(p.Events) != c.events {
			t.Errorf("after %d, limit %d: head %+v, %d from %d; want %d from %d", c.after, c.limit, p.Head, len(p.Events), p.First, c.events, c.first)
			continue
		}
		for i, e := range p.Events {
			if want := fmt.Sprintf(`"seq":%d,`, p.First+int64(i)); !strings.Contains(string(e), want) {
				t.Errorf("after %d: %s lacks %s", c.after, e, want)
			}
		}
	}
}

// What is kept has no holes: a publication that is not kept ends what was.
func keepsNothingUnlessAsked(t *testing.T, nodes []streamNode) {
	n := nodes[0]
	n.append("t", 4, time.Minute)
	n.append("t", 0, 0)
	if p := n.read("t", 0, 9); p.Head.Seq != 2 || len(p.Events) != 0 || p.First != 3 {
		t.Errorf("kept %+v", p)
	}
}

// forgetsInTime: what is kept for a short time goes, what came later stays.
func forgetsInTime(t *testing.T, nodes []streamNode) {
	n := nodes[0]
	n.append("t", 4, 50*time.Millisecond)
	last := n.append("t", 4, time.Minute)
	tick, deadline := time.NewTicker(5*time.Millisecond), time.After(patience)
	defer tick.Stop()
	p := n.read("t", 0, 9)
	for len(p.Events) > 1 {
		select {
		case <-tick.C:
			p = n.read("t", 0, 9)
		case <-deadline:
			t.Fatal("it is kept for ever")
		}
	}
	if last.Seq != 2 || p.Head != last || p.First != 2 || len(p.Events) != 1 {
		t.Errorf("kept %d from %d, head %+v", len(p.Events), p.First, p.Head)
	}
}

func publishesANameOnce(t *testing.T, nodes []streamNode) {
	d := draft("t", 4, time.Minute)
	d.Once = "ann/1"
	var wg sync.WaitGroup
	places := make([]broker.Place, 12)
	for i := range places {
		wg.Go(func() {
			var err error
			if places[i], err = nodes[i%len(nodes)].Append(t.Context(), d); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, p := range places {
		if p != places[0] || p.Seq != 1 {
			t.Errorf("places %+v", places)
			break
		}
	}
	d.Topic, d.Once = "t", "ann/2"
	if p, err := nodes[0].Append(t.Context(), d); err != nil || p.Seq != 2 {
		t.Errorf("another name: %+v %v", p, err)
	}
}

func renewBeginsAnew(t *testing.T, nodes []streamNode) {
	n, other := nodes[0], nodes[len(nodes)-1]
	old := n.append("t", 4, time.Minute)
	for range 2 { // the second time the epoch is over already
		if err := n.Renew(t.Context(), "t", old.Epoch); err != nil {
			t.Fatal(err)
		}
		other.append("t", 4, time.Minute)
	}
	p := other.read("t", 0, 9)
	if p.Head.Epoch == old.Epoch || p.Head.Seq != 2 || len(p.Events) != 2 {
		t.Errorf("now %+v, was %+v", p, old)
	}
}

func countsWhoJoinedElsewhere(t *testing.T, nodes []streamNode) {
	for i, n := range nodes {
		if err := n.Report(t.Context(), map[string]int{"t": i + 1, "gone": 0}); err != nil {
			t.Fatal(err)
		}
	}
	all := len(nodes) * (len(nodes) + 1) / 2
	for i, n := range nodes {
		if got, err := n.Elsewhere(t.Context(), "t"); err != nil || got != all-i-1 {
			t.Errorf("node %d: %d elsewhere, want %d; %v", i, got, all-i-1, err)
		}
	}
	last := len(nodes) - 1
	if err := nodes[last].Report(t.Context(), map[string]int{"t": 0}); err != nil {
		t.Fatal(err)
	}
	if got, err := nodes[0].Elsewhere(t.Context(), "t"); err != nil || last > 0 && got != all-1-last-1 {
		t.Errorf("%d elsewhere after the last left, %v", got, err)
	}
}
