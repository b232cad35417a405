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
		w := newWheel()
		due := map[*session]time.Duration{} // never before it was asked for
		now := time.Duration(0)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				s := new(session)
				at := now + time.Duration(rapid.Int64Range(-1000, 400_000).Draw(t, "in"))*time.Millisecond
				w.schedule(s, at)
				due[s] = max(at, now)
			case 2:
				for s := range due {
					if rapid.Bool().Draw(t, "remove") {
						w.remove(s)
						delete(due, s)
					} else {
						earlier := now + time.Duration(rapid.Int64Range(0, 400_000).Draw(t, "again"))*time.Millisecond
						w.schedule(s, earlier)
						due[s] = min(due[s], earlier)
					}
					break
				}
			case 3:
				now += time.Duration(rapid.Int64Range(0, 300_000).Draw(t, "advance")) * time.Millisecond
				for _, s := range w.advance(now, nil) {
					at, ok := due[s]
					if !ok || at > now {
						t.Fatalf("early: due %v at %v (known %v)", at, now, ok)
					}
					delete(due, s)
				}
				for s, at := range due {
					if at <= now-wheelTick {
						t.Fatalf("forgotten: due %v at %v, in wheel %v", at, now, s.timer.in)
					}
				}
			}
		}
	})
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
