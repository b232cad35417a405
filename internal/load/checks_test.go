package load

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// came is a message as the node sends it.
func came(seq, number int64, publisher int) []byte {
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"event","params":{"type":"message.created","conversation":"conv_1","seq":%d,"data":{"client_id":"%d","text":"%d %d xxx"}}}`,
		seq, number, number, publisher)
}

// The checks of what arrives count what they are there for.
func TestChecks_CountWhatIsLostDoubledAndReordered(t *testing.T) {
	type counts struct{ arrived, doubled, reordered int64 }
	for _, tt := range []struct {
		name    string
		numbers []int64
		want    counts
	}{
		{"all well", []int64{1, 2, 3}, counts{3, 0, 0}},
		{"one is missing", []int64{1, 3}, counts{2, 0, 0}},
		{"one comes twice", []int64{1, 2, 2, 3}, counts{3, 1, 0}},
		{"one comes late", []int64{2, 1, 3}, counts{2, 0, 1}},
	} {
		f := &fanout{}
		for n := range int64(3) {
			r := &round{number: n + 1, begun: time.Now(), done: make(chan struct{})}
			r.left.Store(1)
			f.rounds[n+1].Store(r)
		}
		last := make([]int64, 1)
		talking := newTalk(2)
		for _, n := range tt.numbers {
			f.take(last, came(n, n, 0))
			talking.hear(1, came(n, n, 0))
			talking.hear(0, came(n, n, 0)) // its own, which does not count
		}
		if got := (counts{f.counts.arrived.Load(), f.counts.doubled.Load(), f.counts.reordered.Load()}); got != tt.want {
			t.Errorf("%s: fan-out counts %+v, want %+v", tt.name, got, tt.want)
		}
		if got := (counts{talking.arrived.Load(), talking.doubled.Load(), talking.reordered.Load()}); got != tt.want {
			t.Errorf("%s: held sockets count %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// In a log the numbers have no holes: one that is jumped over is seen at once.
func TestChat_CountsWhatItsReadersMiss(t *testing.T) {
	for _, tt := range []struct {
		seqs               []int64
		doubled, reordered int64
	}{
		{[]int64{1, 2, 3}, 0, 0},
		{[]int64{1, 2, 2}, 1, 0},
		{[]int64{1, 3}, 0, 1},
		{[]int64{1, 3, 2}, 0, 2},
	} {
		p := &pair{came: make(chan arrival, 8)}
		counts := &tally{}
		readers := &chatReaders{by: map[*pair]*chatReader{p: {marked: time.Now()}}, counts: counts}
		for _, seq := range tt.seqs {
			readers.take(p, came(seq, seq, 0))
		}
		if counts.doubled.Load() != tt.doubled || counts.reordered.Load() != tt.reordered {
			t.Errorf("%v: doubled %d, reordered %d", tt.seqs, counts.doubled.Load(), counts.reordered.Load())
		}
	}
	counts := &tally{}
	counts.sent.Store(5)
	counts.arrived.Store(3)
	var r Result
	if counts.into(&r); r.Lost != 2 {
		t.Errorf("lost %d of 5 when 3 arrived", r.Lost)
	}
}

// The two of a pair are on different nodes, each node has equally many sockets,
// and every two nodes have pairs between them.
func TestPlaceOf_SpreadsPairsOverTheNodes(t *testing.T) {
	for nodes := 1; nodes <= 7; nodes++ {
		conns := 2 * nodes * max(1, nodes-1)
		on, between := make([]int, nodes), map[[2]int]bool{}
		for i := 0; i < conns; i += 2 {
			a, b := placeOf(i, nodes), placeOf(i+1, nodes)
			if a == b && nodes > 1 {
				t.Errorf("%d nodes: sockets %d and %d are both on %d", nodes, i, i+1, a)
			}
			on[a]++
			on[b]++
			between[[2]int{a, b}] = true
		}
		if slices.Min(on) != slices.Max(on) {
			t.Errorf("%d nodes have %d sockets", nodes, on)
		}
		if want := nodes * max(1, nodes-1); len(between) != want {
			t.Errorf("%d nodes: pairs between %d of %d", nodes, len(between), want)
		}
	}
}

func TestEvenly_PartsNoPair(t *testing.T) {
	for _, n := range []int{1, 2, 7, 1000, 100_008} {
		for parts := 1; parts <= 11; parts++ {
			for i := range parts {
				from, to := evenly(n, i, parts), evenly(n, i+1, parts)
				if from%2 != 0 || to < from || to-from > n/parts+2 {
					t.Errorf("part %d of %d of %d sockets: %d to %d", i, parts, n, from, to)
				}
			}
			if evenly(n, 0, parts) != 0 || evenly(n, parts, parts) != n {
				t.Errorf("%d parts are not all of %d", parts, n)
			}
		}
	}
}
