package hub

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/wire"
)

var addrOf = netip.MustParseAddr

func secondsOf(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Whatever the bus does with publications (lose, repeat, overtake), and whenever
// the log is read, what leaves is every number once and in order.
func TestPositions_LeaveInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		convs := []wire.ConversationID{"conv_c", "conv_a", "conv_b"}
		heads := map[wire.ConversationID]int64{}
		sent := map[wire.ConversationID]int64{}
		var ps positions
		for _, c := range convs {
			ps.begin(c, 1)
		}
		send := func(c wire.ConversationID, seq int64) {
			if seq != sent[c]+1 {
				t.Fatalf("%s: %d after %d", c, seq, sent[c])
			}
			sent[c] = seq
		}
		read := func() bool {
			p, ok := ps.behind()
			if !ok {
				return false
			}
			for seq := p.sent + 1; seq <= min(p.sent+3, heads[p.conv]); seq++ {
				if ps.read(p.conv, seq) {
					send(p.conv, seq)
				}
			}
			return true
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			c := rapid.SampledFrom(convs).Draw(t, "conversation")
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				heads[c]++
			case 1:
				if heads[c] == 0 {
					continue
				}
				seq := rapid.Int64Range(1, heads[c]).Draw(t, "seq")
				if ps.offer(c, seq) == verdictSend {
					send(c, seq)
				}
			case 2:
				read()
			case 3:
				ps.know(c, heads[c])
			}
		}
		for c, head := range heads {
			ps.know(c, head)
		}
		for read() {
		}
		for c, head := range heads {
			if sent[c] != head {
				t.Fatalf("%s: sent %d of %d", c, sent[c], head)
			}
		}
	})
}

// Two people who write first at once, each on a node of its own, miss nothing of
// each other.
func TestPositions_FirstEntriesMayOvertakeEachOther(t *testing.T) {
	var ps positions
	if v := ps.offer("conv_new", 2); v != verdictHole {
		t.Errorf("the second entry, come first: verdict %d", v)
	}
	if v := ps.offer("conv_new", 1); v == verdictOld {
		t.Error("the first entry counts as known")
	}
	for seq := range int64(2) {
		if !ps.read("conv_new", seq+1) {
			t.Errorf("entry %d is not sent", seq+1)
		}
	}
	const joined = 1000 // a long log is not read from its beginning
	if v := ps.offer("conv_old", joined); v != verdictSend {
		t.Errorf("an entry of an old conversation: verdict %d", v)
	}
}

func TestPositions_SettleOnlyForWhatWasAsked(t *testing.T) {
	var ps positions
	ps.begin("conv_a", 1)
	ps.know("conv_a", 5)
	asked, _ := ps.behind()
	ps.know("conv_a", 6) // heard of while the log was being read
	ps.settle(asked)
	again, ok := ps.behind()
	if !ok {
		t.Fatal("forgot what was heard of meanwhile")
	}
	ps.settle(again)
	if _, ok := ps.behind(); ok {
		t.Error("still behind")
	}
	if v := ps.offer("conv_a", 7); v != verdictHole {
		t.Errorf("then %v", v)
	}
	ps.forget("conv_a")
	if _, ok := ps.behind(); ok || len(ps) != 0 {
		t.Errorf("forgotten, and left %v", ps)
	}
}

func TestWheel_NobodyIsEarlyOrForgotten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := wheelModel{t: t, w: newWheel(), due: map[*session]time.Duration{}}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1:
				s := new(session)
				m.known = append(m.known, s)
				m.schedule(s)
			case 2, 3:
				if len(m.known) == 0 {
					continue
				}
				s := rapid.SampledFrom(m.known).Draw(t, "session")
				if rapid.Bool().Draw(t, "remove") {
					m.w.remove(s)
					delete(m.due, s)
				} else {
					m.schedule(s)
				}
			case 4:
				m.advance()
			}
		}
	})
}

// wheelModel is a wheel beside what it should do.
type wheelModel struct {
	t     *rapid.T
	w     *wheel
	now   time.Duration
	known []*session
	due   map[*session]time.Duration // never before it was asked for
}

func (m *wheelModel) schedule(s *session) {
	at := m.now + time.Duration(rapid.Int64Range(-1000, 400_000).Draw(m.t, "in"))*time.Millisecond
	m.w.schedule(s, at)
	if old, ok := m.due[s]; !ok || at < old {
		m.due[s] = max(at, m.now)
	}
}

func (m *wheelModel) advance() {
	m.now += time.Duration(rapid.Int64Range(0, 300_000).Draw(m.t, "advance")) * time.Millisecond
	for _, s := range m.w.advance(m.now, nil) {
		at, ok := m.due[s]
		if !ok || at > m.now {
			m.t.Fatalf("early: due %v at %v (known %v)", at, m.now, ok)
		}
		delete(m.due, s)
	}
	for s, at := range m.due {
		if at <= m.now-wheelTick {
			m.t.Fatalf("forgotten: due %v at %v, in wheel %v", at, m.now, s.timer.in)
		}
	}
}

func TestPlaces_CountByHost(t *testing.T) {
	p := newPlaces(1)
	for _, tt := range []struct {
		addr string
		ok   bool
	}{
		{"192.0.2.1", true}, {"192.0.2.1", false}, {"::ffff:192.0.2.1", false}, {"192.0.2.2", true},
		{"2001:db8::1", true}, {"2001:db8::2", false}, {"2001:db8:0:1::1", true},
	} {
		if ok := p.enter(addrOf(tt.addr)); ok != tt.ok {
			t.Errorf("%s: %v", tt.addr, ok)
		}
	}
	p.leave(addrOf("192.0.2.1"))
	if !p.enter(addrOf("192.0.2.1")) {
		t.Error("the place was not given back")
	}
	for _, a := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"} {
		p.leave(addrOf(a))
	}
	if len(p.n) != 0 {
		t.Errorf("remembers %v", p.n)
	}
}
