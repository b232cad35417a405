package media

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
	"pgregory.net/rapid"
)

// Whatever talkers do, a slot's stream looks like one talker's: no number is
// used twice, none is skipped but where the talker itself skipped, time goes on.
func TestRewriter_StreamStaysContinuous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r rewriter
		r.start(rapid.Uint16Range(0, 1<<15-1).Draw(t, "seq"), rapid.Uint32().Draw(t, "ts"))
		used := map[uint16]bool{}
		var now int64
		var highest uint16
		var lastTS uint32
		sent := false
		for range rapid.IntRange(1, 6).Draw(t, "sources") {
			r.change()
			seq, ts := rapid.Uint16().Draw(t, "first"), rapid.Uint32().Draw(t, "ts0")
			now += int64(rapid.IntRange(0, 5000).Draw(t, "pause_ms")) * 1e6
			for i := range rapid.IntRange(1, 50).Draw(t, "packets") {
				outSeq, outTS, first, ok := r.next(seq, ts, now)
				if !ok || first != (i == 0) {
					t.Fatalf("packet %d: ok %v, first %v", i, ok, first)
				}
				if used[outSeq] {
					t.Fatalf("number %d used twice", outSeq)
				}
				used[outSeq] = true
				if sent && outSeq-highest != 1 {
					t.Fatalf("numbers jump by %d", outSeq-highest)
				}
				if step := outTS - lastTS; sent && (step < frameTicks || step > 48*5100) {
					t.Fatalf("time moves by %d ticks", int32(step))
				}
				highest, lastTS, sent = outSeq, outTS, true
				seq, ts, now = seq+1, ts+frameTicks, now+20e6
			}
		}
	})
}

func TestRewriter_KeepsOrderAndGapsOfTheSource(t *testing.T) {
	var r rewriter
	r.start(100, 0)
	var out []uint16
	for _, seq := range []uint16{65534, 65535, 2, 0, 3} { // 1 is lost, 0 is late
		s, _, _, ok := r.next(seq, 0, 0)
		if !ok {
			t.Fatalf("%d refused", seq)
		}
		out = append(out, s)
	}
	if want := []uint16{100, 101, 104, 102, 105}; !slices.Equal(out, want) {
		t.Errorf("got %v, want %v", out, want)
	}
}

func TestRewriter_OlderThanTheFirstWouldTakeAnothersNumber(t *testing.T) {
	var r rewriter
	r.start(100, 0)
	r.next(50, 0, 0)
	r.change()
	r.next(7000, 0, 0)
	if _, _, _, ok := r.next(6999, 0, 0); ok {
		t.Error("took the number of the source before")
	}
	for range maxLate - 1 { // but a source that begins anew is followed
		r.next(10, 0, 0)
	}
	if s, _, first, ok := r.next(11, 0, 0); !ok || !first || s != 102 {
		t.Errorf("a source that began anew: %d, first %v, ok %v", s, first, ok)
	}
}

func TestRewriter_LongStreamsWrap(t *testing.T) {
	var r rewriter
	r.start(5, 0)
	for i := range 200_000 {
		if s, _, _, ok := r.next(uint16(i), uint32(i)*frameTicks, int64(i)*20e6); !ok || s != uint16(i+5) {
			t.Fatalf("packet %d: %d, %v", i, s, ok)
		}
	}
}

func TestAssign(t *testing.T) {
	a, b, c, prompt := &feed{user: "a"}, &feed{user: "b"}, &feed{user: "c"}, &feed{user: ServerUser}
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	for name, x := range map[string]struct {
		slots  []*feed
		voices []voice
		want   []*feed
	}{
		"nobody":                     {[]*feed{nil}, nil, []*feed{nil}},
		"free slots in order":        {[]*feed{nil, nil}, []voice{{feed: a}, {feed: b}}, []*feed{a, b}},
		"who is seated stays":        {[]*feed{nil, a}, []voice{{feed: a}, {feed: b}}, []*feed{b, a}},
		"who left is gone":           {[]*feed{a, b}, []voice{{feed: b}}, []*feed{nil, b}},
		"the silent wait":            {[]*feed{a}, []voice{{feed: a}, {feed: b}}, []*feed{a}},
		"a speaker takes a seat":     {[]*feed{a}, []voice{{feed: a}, {feed: b, speaking: true}}, []*feed{b}},
		"of the longest silent":      {[]*feed{a, b}, []voice{{feed: a, spoke: at(9)}, {feed: b, spoke: at(5)}, {feed: c, speaking: true}}, []*feed{a, c}},
		"not of another speaker":     {[]*feed{a}, []voice{{feed: a, speaking: true}, {feed: b, speaking: true}}, []*feed{a}},
		"a prompt takes any":         {[]*feed{a}, []voice{{feed: prompt, urgent: true}, {feed: a, speaking: true}}, []*feed{prompt}},
		"a prompt prefers the quiet": {[]*feed{a, b}, []voice{{feed: prompt, urgent: true}, {feed: a, speaking: true}, {feed: b}}, []*feed{a, prompt}},
		"nobody takes a prompt's":    {[]*feed{prompt}, []voice{{feed: prompt, urgent: true}, {feed: a, speaking: true}}, []*feed{prompt}},
		"no slots":                   {nil, []voice{{feed: a}}, nil},
	} {
		if got := assign(x.slots, x.voices); !slices.Equal(got, x.want) {
			t.Errorf("%s: got %v, want %v", name, users(got), users(x.want))
		}
	}
}

func users(feeds []*feed) (out []string) {
	for _, f := range feeds {
		if f == nil {
			out = append(out, "-")
		} else {
			out = append(out, string(f.user))
		}
	}
	return out
}

// Nobody sits twice, no seat is wasted, and doing it again changes nothing.
func TestAssign_IsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var voices []voice
		for range rapid.IntRange(0, 8).Draw(t, "voices") {
			voices = append(voices, voice{
				feed: &feed{}, speaking: rapid.Bool().Draw(t, "speaking"),
				spoke: time.Unix(rapid.Int64Range(0, 9).Draw(t, "spoke"), 0),
			})
		}
		slots := make([]*feed, rapid.IntRange(0, 8).Draw(t, "slots"))
		once := assign(slots, voices)
		seen := map[*feed]bool{}
		for _, f := range once {
			if f != nil && seen[f] {
				t.Fatal("seated twice")
			}
			seen[f] = true
		}
		delete(seen, nil)
		if len(seen) != min(len(slots), len(voices)) {
			t.Fatalf("%d seated of %d on %d seats", len(seen), len(voices), len(slots))
		}
		if again := assign(once, voices); !slices.Equal(once, again) {
			t.Fatal("changed its mind")
		}
	})
}

func TestSpeech_StartsLoudEndsAfterQuiet(t *testing.T) {
	loud, soft, quiet, nothing := window{packets: 12, loud: 12, soft: 12, sum: 12 * 100}, window{packets: 12, soft: 12}, window{packets: 12}, window{}
	var s speech
	for i, step := range []struct {
		w        window
		speaking bool
	}{
		{quiet, false}, {soft, false}, {loud, true}, {soft, true}, {soft, true}, {quiet, true}, {quiet, true}, {soft, true},
		{quiet, true}, {nothing, true}, {quiet, false}, {soft, false}, {loud, true}, {nothing, true}, {nothing, true}, {nothing, false},
	} {
		was := s.speaking
		if changed := s.tick(step.w); changed != (was != s.speaking) || s.speaking != step.speaking {
			t.Errorf("window %d: speaking %v, changed %v", i, s.speaking, changed)
		}
	}
}

func TestReception_CountsLossAndRoundTrip(t *testing.T) {
	var r reception
	if _, ok := r.report(0); ok {
		t.Error("a report of nothing")
	}
	for i := range 100 {
		if i%4 == 3 {
			continue
		}
		r.arrived(7, &packet{seq: uint16(65500 + i), ts: uint32(i) * frameTicks}, int64(i)*20e6)
	}
	r.reported(7, 0x0000_1234_5678_0000, 1e9)
	b, ok := r.report(3e9)
	if !ok || b.SSRC != 7 || b.TotalLost != 24 || b.FractionLost < 60 || b.FractionLost > 64 {
		t.Errorf("report %+v", b)
	}
	if b.LastSequenceNumber != 65500+98 {
		t.Errorf("highest number %d", b.LastSequenceNumber)
	}
	if b.LastSenderReport != 0x12345678 || b.Delay != 2*65536 {
		t.Errorf("sender report %x, %d ago", b.LastSenderReport, b.Delay)
	}
	if b.Jitter > 2 {
		t.Errorf("jitter %d of an even stream", b.Jitter)
	}
	if b, _ = r.report(3e9); b.FractionLost != 0 {
		t.Errorf("nothing came, nothing was expected: %d lost", b.FractionLost)
	}
	r.arrived(8, &packet{seq: 1}, 0)
	if b, _ = r.report(0); b.SSRC != 8 || b.TotalLost != 0 || b.LastSenderReport != 0 {
		t.Errorf("another stream continues the one before: %+v", b)
	}
}

func TestParsePacket_AgreesWithPion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := rtp.Header{
			Version: 2, Marker: rapid.Bool().Draw(t, "marker"), PayloadType: rapid.Uint8Range(0, 127).Draw(t, "pt"),
			SequenceNumber: rapid.Uint16().Draw(t, "seq"), Timestamp: rapid.Uint32().Draw(t, "ts"),
			CSRC: rapid.SliceOfN(rapid.Uint32(), 0, 15).Draw(t, "csrc"),
		}
		level := rapid.Uint8Range(0, 127).Draw(t, "level")
		twoBytes := rapid.Bool().Draw(t, "two bytes")
		if twoBytes {
			h.Extension, h.ExtensionProfile = true, 0x1000
		}
		if err := h.SetExtension(3, []byte{1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		if err := h.SetExtension(1, []byte{level | 0x80}); err != nil {
			t.Fatal(err)
		}
		in := rtp.Packet{Header: h, Payload: rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(t, "payload")}
		if in.PaddingSize = rapid.Uint8Range(0, 9).Draw(t, "padding"); in.PaddingSize > 0 {
			in.Header.Padding = true
		}
		b, err := in.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var p packet
		if !parsePacket(b, 1, &p) {
			t.Fatal("refused")
		}
		if p.seq != h.SequenceNumber || p.ts != h.Timestamp || p.marker != h.Marker || p.pt != h.PayloadType {
			t.Fatalf("header %+v", p)
		}
		if p.level != level || !slices.Equal(p.payload, in.Payload) {
			t.Fatalf("level %d, want %d; payload %x, want %x", p.level, level, p.payload, in.Payload)
		}
		if parsePacket(b, 2, &p); p.level != noLevel {
			t.Fatal("took another extension for the level")
		}
	})
}

func FuzzPacket(f *testing.F) {
	f.Add([]byte{0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 9}, uint8(1))
	f.Add([]byte{0x90, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xbe, 0xde, 0, 1, 0x10, 0x8a, 0, 0, 0x80, 111, 0, 1, 111, 1, 2}, uint8(1))
	f.Add([]byte{0xbf, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0x10, 0, 0xff, 0xff}, uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, id uint8) {
		var p packet
		if !parsePacket(b, id, &p) {
			return
		}
		if len(p.payload) == 0 || len(p.payload) > len(b)-12 || (p.level > 127 && p.level != noLevel) {
			t.Errorf("%+v", p)
		}
		if primary := redPrimary(p.payload); len(primary) >= len(p.payload) {
			t.Errorf("the primary frame has %d of %d bytes", len(primary), len(p.payload))
		}
	})
}

func TestPace_AdmitsAnyVoiceAndNoFlood(t *testing.T) {
	for name, x := range map[string]struct {
		every    time.Duration
		bytes    int
		admitted func(share float64) bool
	}{
		"speech":           {20 * time.Millisecond, 80, func(s float64) bool { return s == 1 }},
		"shortest frames":  {2500 * time.Microsecond, 60, func(s float64) bool { return s == 1 }},
		"best music, RED":  {20 * time.Millisecond, 2 * 1275, func(s float64) bool { return s == 1 }},
		"1,000 packets/s":  {time.Millisecond, 80, func(s float64) bool { return s > 0.45 && s < 0.6 }},
		"10,000 packets/s": {100 * time.Microsecond, 80, func(s float64) bool { return s < 0.1 }},
		"large packets":    {2500 * time.Microsecond, 1400, func(s float64) bool { return s < 0.4 }},
	} {
		var p pace
		in, ok := 0, 0
		for now := time.Duration(0); now < 30*time.Second; now += x.every {
			if in++; p.admit(int64(now), x.bytes) {
				ok++
			}
		}
		if share := float64(ok) / float64(in); !x.admitted(share) {
			t.Errorf("%s: %.2f admitted", name, share)
		}
	}
	var p pace
	for i := range 100 { // two seconds of speech that waited somewhere
		if !p.admit(5e9, 80) {
			t.Fatalf("packet %d of what had waited was dropped", i)
		}
	}
}

// written keeps what a slot sends.
type written struct{ payloads []string }

func (w *written) WriteRTP(h *rtp.Header, payload []byte) (int, error) {
	w.payloads = append(w.payloads, string(payload))
	return h.MarshalSize() + len(payload), nil
}

func TestSlot_WhoWasReplacedIsHeardNoMore(t *testing.T) {
	a, b := &feed{user: "a"}, &feed{user: "b"}
	out := &written{}
	s := newSlot(0)
	s.bound.Store(&binding{out: out, opusPT: 111})
	for _, f := range []*feed{a, b} {
		f.listeners.Store(&[]*slot{s}) // a's list is what a's reader may still hold
	}
	s.attach(a)
	a.push(&packet{seq: 1, payload: []byte("a1")}, 0)
	s.attach(b)
	a.push(&packet{seq: 2, payload: []byte("a2")}, 0)
	b.push(&packet{seq: 9, payload: []byte("b1")}, 0)
	s.attach(nil)
	b.push(&packet{seq: 10, payload: []byte("b2")}, 0)
	if want := []string{"a1", "b1"}; !slices.Equal(out.payloads, want) {
		t.Errorf("heard %v, want %v", out.payloads, want)
	}
	if n := s.packets.Load(); n != 2 {
		t.Errorf("%d packets counted", n)
	}
}
