package media_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/prometheus/client_golang/prometheus"

	"parley/media"
)

func TestRoom_ThreePeopleHearEachOther(t *testing.T) {
	s := served(t, media.Config{}, media.Deps{})
	people := []*client{join(t, s, "ann", 3), join(t, s, "bob", 3), join(t, s, "cid", 3)}
	for _, listener := range people {
		slots := slotsNow(s, listener.Participant)
		if len(slots) != 2 {
			t.Fatalf("%s has slots %v, want two", listener.User, slots)
		}
		for _, talker := range people {
			if talker == listener {
				continue
			}
			h := listener.hears(t, talker)
			if h.mid != slotOf(slots, talker.User) {
				t.Errorf("%s hears %s in section %q, told %v", listener.User, talker.User, h.mid, slots)
			}
			if n := h.number(talker); n == 0 || string(h.Payload) != fmt.Sprintf("%s %d", talker.User, n) {
				t.Errorf("payload changed on the way: %q", h.Payload)
			}
		}
	}
}

func TestJoin_AnswerIsLean(t *testing.T) {
	s := served(t, media.Config{}, media.Deps{})
	answer := join(t, s, "ann", 2).answer
	for _, want := range []string{"a=ice-lite", "opus/48000/2", "useinbandfec=1", levelURI, "a=candidate"} {
		if !strings.Contains(answer, want) {
			t.Errorf("the answer lacks %q", want)
		}
	}
	for _, not := range []string{"nack", "transport-cc", ".local", "a=inactive"} {
		if strings.Contains(answer, not) {
			t.Errorf("the answer has %q", not)
		}
	}
}

func TestJoin_LateComerGetsSlotsAndIsHeard(t *testing.T) {
	w := newWitness()
	s := served(t, media.Config{}, media.Deps{Observer: w})
	ann, bob := join(t, s, "ann", 3), join(t, s, "bob", 3)
	ann.hears(t, bob)
	cid := join(t, s, "cid", 3)
	if len(cid.slots) != 2 || slotOf(cid.slots, "ann") == slotOf(cid.slots, "bob") {
		t.Errorf("the answer gives slots %v", cid.slots)
	}
	w.waitFor(t, "slots ann [bob cid]", 1)
	w.waitFor(t, "slots bob [ann cid]", 1)
	cid.hears(t, ann)
	ann.hears(t, cid)
	if n := w.count("slots ann [bob cid]"); n != 1 {
		t.Errorf("the same slots were reported %d times", n)
	}
}

func TestLeave_FreesSlotWhichTheNextTalkerContinues(t *testing.T) {
	w := newWitness()
	s := served(t, media.Config{}, media.Deps{Observer: w})
	ann, bob := join(t, s, "ann", 1), join(t, s, "bob", 1)
	before := ann.hears(t, bob)
	if err := s.Leave(room, bob.Participant); err != nil {
		t.Fatal(err)
	}
	w.waitFor(t, "slots ann []", 1)
	ann.clear()
	cid := join(t, s, "cid", 1)
	cid.seq = 40000 // far from bob's numbering
	after := ann.hears(t, cid)
	if before.mid != after.mid || before.SSRC != after.SSRC {
		t.Errorf("the slot became another stream: %s/%d, then %s/%d", before.mid, before.SSRC, after.mid, after.SSRC)
	}
	if gap := after.SequenceNumber - before.SequenceNumber; gap == 0 || gap > 100 {
		t.Errorf("sequence numbers jump by %d", gap)
	}
	if gap := after.Timestamp - before.Timestamp; gap == 0 || gap > 48000*uint32(patience/time.Second) {
		t.Errorf("timestamps jump by %d", gap)
	}
	if !after.Marker && after.number(cid) == 40001 {
		t.Error("the new talker's first packet has no marker")
	}
	if err := s.Leave(room, bob.Participant); !errors.Is(err, media.ErrUnknownParticipant) {
		t.Errorf("leaving twice: %v", err)
	}
	if err := s.Leave("call_other", bob.Participant); !errors.Is(err, media.ErrUnknownRoom) {
		t.Errorf("leaving another room: %v", err)
	}
}

func TestMute_ServerDropsAndLetsThroughWithoutGap(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := served(t, media.Config{}, media.Deps{Metrics: reg})
	ann, bob, cid := join(t, s, "ann", 2), join(t, s, "bob", 2), join(t, s, "cid", 2)
	ann.hears(t, bob)
	if err := s.Mute(room, bob.Participant, true); err != nil {
		t.Fatal(err)
	}
	bob.say(t)
	ann.hears(t, cid) // what bob said before has passed by now
	ann.clear()
	ann.others = 0
	for range 20 {
		bob.say(t)
		ann.hears(t, cid)
	}
	waitUntil(t, "bob's packets are dropped", func() bool {
		return counter(t, reg, "parley_media_packets_muted_total") >= 20
	})
	if ann.others != 0 {
		t.Errorf("%d of bob's packets were heard though he was muted", ann.others)
	}
	if err := s.Mute(room, bob.Participant, false); err != nil {
		t.Fatal(err)
	}
	h := ann.hears(t, bob)
	if n := h.number(bob); n < 22 {
		t.Errorf("packet %d was heard though bob was muted", n)
	}
	if !h.Marker {
		t.Error("the first packet after the pause has no marker")
	}
	if err := s.Mute(room, as("eve"), true); !errors.Is(err, media.ErrUnknownParticipant) {
		t.Errorf("muting a stranger: %v", err)
	}
}

func TestRejoin_ReplacesEarlierPeerAndStaysMuted(t *testing.T) {
	w := newWitness()
	s := served(t, media.Config{}, media.Deps{Observer: w})
	ann, bob := join(t, s, "ann", 2), join(t, s, "bob", 2)
	ann.hears(t, bob)
	if err := s.Mute(room, bob.Participant, true); err != nil {
		t.Fatal(err)
	}
	again, offer := newClient(t, "bob", 2)
	again.enter(t, s, room, offer)
	info := s.Rooms()[0].Participants
	if len(info) != 2 {
		t.Fatalf("the room holds %d people", len(info))
	}
	again.await(t)
	w.waitFor(t, "connected bob", 2)
	if !info[1].Muted {
		t.Error("joining again lifted the server's mute")
	}
	if err := s.Mute(room, again.Participant, false); err != nil {
		t.Fatal(err)
	}
	ann.hears(t, again)
	again.hears(t, ann)
}

func TestRoom_FullAtThirteen(t *testing.T) {
	s := served(t, media.Config{}, media.Deps{})
	for i := range 13 {
		c, offer := newClient(t, fmt.Sprintf("p%d", i), 1)
		c.enter(t, s, room, offer)
	}
	c, offer := newClient(t, "p13", 1)
	if _, _, err := s.Join(t.Context(), room, c.Participant, offer); !errors.Is(err, media.ErrRoomFull) {
		t.Errorf("a fourteenth: %v", err)
	}
	if _, _, err := s.Join(t.Context(), "call_next", c.Participant, offer); err != nil {
		t.Errorf("another room: %v", err)
	}
	again, offer := newClient(t, "p3", 1)
	if _, _, err := s.Join(t.Context(), room, again.Participant, offer); err != nil {
		t.Errorf("who is in already may replace themselves: %v", err)
	}
}

func TestRoom_FewerSlotsThanPeopleFollowTheSpeaker(t *testing.T) {
	w := newWitness()
	s := served(t, media.Config{}, media.Deps{Observer: w})
	ann := join(t, s, "ann", 1)
	join(t, s, "bob", 1)
	w.waitFor(t, "slots ann [bob]", 1)
	cid := join(t, s, "cid", 1)
	cid.level = 20
	defer cid.talk(t, 5*time.Millisecond)()
	w.waitFor(t, "slots ann [cid]", 1)
	ann.hears(t, cid)
}

func TestSpeakers_ReportedWithHysteresis(t *testing.T) {
	w := newWitness()
	s := served(t, media.Config{}, media.Deps{Observer: w})
	ann, bob := join(t, s, "ann", 1), join(t, s, "bob", 1)
	ann.level, bob.level = 20, 90
	stopAnn, stopBob := ann.talk(t, 10*time.Millisecond), bob.talk(t, 10*time.Millisecond)
	w.waitFor(t, "speakers [ann]", 1)
	w.waitFor(t, "alive bob", 2)
	stopAnn()
	w.waitFor(t, "speakers []", 1)
	stopBob()
	if n := w.count("speakers [ann]"); n != 1 {
		t.Errorf("ann was reported %d times for one speech", n)
	}
}

func TestDisconnected_WhoHangsUpIsTakenOutAtOnce(t *testing.T) {
	w := newWitness()
	s := served(t, media.Config{}, media.Deps{Observer: w})
	ann, bob := join(t, s, "ann", 1), join(t, s, "bob", 1)
	w.waitFor(t, "connected ann", 1)
	w.waitFor(t, "connected bob", 1)
	bob.hears(t, ann)
	bob.hangUp()
	w.waitFor(t, "disconnected bob", 1)
	w.waitFor(t, "slots ann []", 1)
	if n := len(s.Rooms()[0].Participants); n != 1 {
		t.Errorf("%d people are left", n)
	}
}

func TestDisconnected_WhoVanishesIsReportedThenTakenOutAndMayComeBack(t *testing.T) {
	w := newWitness()
	cfg := media.Config{Disconnected: time.Second, Failed: 2 * time.Second}
	s := served(t, cfg, media.Deps{Observer: w})
	ann, bob := join(t, s, "ann", 1), join(t, s, "bob", 1)
	w.waitFor(t, "connected bob", 1)
	bob.hears(t, ann)
	if err := bob.socket.Close(); err != nil {
		t.Fatal(err)
	}
	w.waitFor(t, "disconnected bob", 1)
	if n := len(s.Rooms()[0].Participants); n != 2 {
		t.Errorf("%d people are left: bob gets time to come back", n)
	}
	w.waitFor(t, "slots ann []", 1)
	again := join(t, s, "bob", 1)
	w.waitFor(t, "connected bob", 2)
	again.hears(t, ann)
}

func TestConnect_WhoNeverComesIsTakenOut(t *testing.T) {
	w := newWitness()
	s := served(t, media.Config{Connect: time.Second}, media.Deps{Observer: w})
	c, offer := newClient(t, "ghost", 1)
	if _, _, err := s.Join(t.Context(), room, c.Participant, offer); err != nil {
		t.Fatal(err)
	}
	w.waitFor(t, "disconnected ghost", 1)
	if rooms := s.Rooms(); len(rooms) != 0 {
		t.Errorf("rooms left: %v", rooms)
	}
}

func TestClose_EndsTheRoomForAll(t *testing.T) {
	s := served(t, media.Config{}, media.Deps{})
	join(t, s, "ann", 1)
	join(t, s, "bob", 1)
	s.Close(room)
	s.Close(room)
	if rooms := s.Rooms(); len(rooms) != 0 {
		t.Errorf("rooms left: %v", rooms)
	}
}

func TestRED_ReachesWhoTookItAndIsUnwrappedForOthers(t *testing.T) {
	s := served(t, media.Config{}, media.Deps{})
	ann := join(t, s, "ann", 1)
	bob, offer := newClientWith(t, "bob", 1, "audio/red")
	bob.enter(t, s, room, offer)
	bob.await(t)
	plain, offer := newClient(t, "plain", 2)
	offer = strings.NewReplacer("SAVPF 111 63", "SAVPF 111", "SAVPF 63 111", "SAVPF 111", "a=rtpmap:63 red/48000/2\r\n", "", "a=fmtp:63 111/111\r\n", "").Replace(offer)
	plain.enter(t, s, room, offer)
	plain.await(t)
	primary := []byte("bob 7")
	red := append([]byte{0x80 | 111, 0, 0, 3, 111}, append([]byte("old"), primary...)...)
	send := func() {
		bob.seq++
		if err := bob.mic.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: bob.seq}, Payload: red}); err != nil {
			t.Error(err)
		}
	}
	if h := ann.next(t, send); h.PayloadType != 63 || string(h.Payload) != string(red) {
		t.Errorf("who takes RED got type %d %q", h.PayloadType, h.Payload)
	}
	if h := plain.next(t, send); h.PayloadType != 111 || string(h.Payload) != string(primary) {
		t.Errorf("who does not take RED got type %d %q", h.PayloadType, h.Payload)
	}
}

func TestAddr_OneSocketPerParticipantWhenARangeIsGiven(t *testing.T) {
	s := served(t, media.Config{PortMin: 42000, PortMax: 42999}, media.Deps{})
	if got := s.Addrs(); len(got) != 0 {
		t.Errorf("shared sockets: %v", got)
	}
	ann, bob := join(t, s, "ann", 1), join(t, s, "bob", 1)
	ann.hears(t, bob)
	if !strings.Contains(ann.answer, " 127.0.0.1 42") {
		t.Errorf("the candidates are not in the range:\n%s", ann.answer)
	}
}

func TestAnnounce_CandidatesCarryTheOutsideAddress(t *testing.T) {
	s := served(t, media.Config{Announce: []string{"203.0.113.7"}}, media.Deps{})
	c, offer := newClient(t, "ann", 1)
	answer, _, err := s.Join(t.Context(), room, c.Participant, offer)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(" 203.0.113.7 %d typ host", s.Addrs()[0].Port())
	if !strings.Contains(answer, want) || strings.Contains(answer, " 127.0.0.1 ") {
		t.Errorf("want only %q in:\n%s", want, answer)
	}
}

func TestNew_RefusesImpossibleConfig(t *testing.T) {
	for name, cfg := range map[string]media.Config{
		"cap":      {MaxParticipants: 14},
		"range":    {PortMin: 5000, PortMax: 4000},
		"half":     {PortMin: 5000},
		"announce": {Announce: []string{"example.com"}},
		"address":  {Addr: "not an address"},
	} {
		if _, err := media.New(cfg, media.Deps{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRun_AfterItsEndNobodyJoins(t *testing.T) {
	var s *media.SFU
	t.Run("served", func(t *testing.T) {
		s = served(t, media.Config{}, media.Deps{})
		join(t, s, "ann", 1)
	})
	c, offer := newClient(t, "bob", 1)
	if _, _, err := s.Join(t.Context(), room, c.Participant, offer); !errors.Is(err, media.ErrClosed) {
		t.Errorf("joined a server that has stopped: %v", err)
	}
	if err := s.Play(t.Context(), room, [][]byte{{1}}); !errors.Is(err, media.ErrClosed) {
		t.Errorf("played on a server that has stopped: %v", err)
	}
}

func counter(t testing.TB, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// waitUntil polls a condition.
func waitUntil(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not so: %s", what)
		}
	}
}
