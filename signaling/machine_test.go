package signaling_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/signaling"
	"parley/wire"
)

var update = flag.Bool("update", false, "rewrite states.md")

func TestDiagram_IsInStepWithTheTable(t *testing.T) {
	want := signaling.Diagram()
	if *update {
		if err := os.WriteFile("states.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("states.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("states.md differs from the table: go test ./signaling -run Diagram -update")
	}
}

var (
	people  = []wire.UserID{"a", "b", "c", "d"}
	devices = []wire.DeviceID{"d1", "d2"}
	actions = []signaling.Action{ // what leads on more often than what ends, so that walks are long
		signaling.ActAnswer, signaling.ActAnswer, signaling.ActAnswer, signaling.ActConnect, signaling.ActConnect, signaling.ActConnect, signaling.ActVerify,
		signaling.ActRing, signaling.ActAnswer, signaling.ActDecline, signaling.ActCancel, signaling.ActHangup, signaling.ActConnect,
		signaling.ActLose, signaling.ActResume, signaling.ActVerify, signaling.ActInvite, signaling.ActMute, signaling.ActPlace, signaling.ActExpire, signaling.ActTerminate,
	}
)

func anyOffer(t *rapid.T) signaling.Offer {
	o := signaling.Offer{ID: "call_1", Conversation: "conv_1", Kind: signaling.Direct, Media: signaling.P2P,
		From: signaling.Endpoint{User: "a", Device: "d1"}, Payment: rapid.SampledFrom([]wire.PaymentID{"", "pay_1"}).Draw(t, "payment")}
	n := rapid.IntRange(1, 3).Draw(t, "callees")
	for _, u := range people[1 : 1+n] {
		o.To = append(o.To, signaling.Callee{User: u, Busy: rapid.IntRange(0, 5).Draw(t, "busy") == 0})
	}
	if n > 1 {
		o.Kind = signaling.Group
	}
	if n > 1 || rapid.Bool().Draw(t, "sfu") {
		o.Media = signaling.SFU
	}
	return o
}

func anyCommand(t *rapid.T) signaling.Command {
	return signaling.Command{
		Action:     rapid.SampledFrom(actions).Draw(t, "action"),
		By:         signaling.Endpoint{User: rapid.SampledFrom(people).Draw(t, "user"), Device: rapid.SampledFrom(devices).Draw(t, "device")},
		Member:     rapid.Bool().Draw(t, "member"),
		Route:      rapid.SampledFrom([]signaling.Route{signaling.RouteDirect, signaling.RouteRelay, signaling.RouteSFU}).Draw(t, "route"),
		Transcript: rapid.SampledFrom([]string{"t1", "t1", "t1", "t2"}).Draw(t, "transcript"),
		Match:      rapid.IntRange(0, 3).Draw(t, "match") > 0,
		Invitee:    rapid.SampledFrom(people).Draw(t, "invitee"),
		Busy:       rapid.IntRange(0, 5).Draw(t, "busy") == 0,
		Muted:      rapid.Bool().Draw(t, "muted"),
		Was:        rapid.SampledFrom([]string{"", "n1", "n2"}).Draw(t, "was"),
		Host:       rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "host"),
	}
}

// walker walks the machine at random and checks after each step what must always hold.
type walker struct {
	call signaling.Call
	now  time.Time
	seen map[signaling.EffectKind]int
}

func (w *walker) step(t *rapid.T) {
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 15000).Draw(t, "ms")) * time.Millisecond)
	cmd := anyCommand(t)
	before := fmt.Sprintf("%+v", w.call)
	next, effects, err := w.call.Apply(cmd, w.now)
	if after := fmt.Sprintf("%+v", w.call); after != before {
		t.Fatalf("Apply changed its receiver:\n%s\n%s", before, after)
	}
	if err != nil {
		if !errors.Is(err, signaling.ErrState) && !errors.Is(err, signaling.ErrNotParticipant) && !errors.Is(err, signaling.ErrTaken) {
			t.Fatalf("%s while %s: %v", cmd.Action, w.call.State, err)
		}
		if len(effects) != 0 {
			t.Fatalf("a refused command has effects %v", effects)
		}
		return
	}
	for _, e := range effects {
		w.seen[e.Kind]++
	}
	w.compare(t, cmd, next, effects)
	w.call = next
	check(t, next, w.seen)
}

// compare checks a step.
func (w *walker) compare(t *rapid.T, cmd signaling.Command, next signaling.Call, effects []signaling.Effect) {
	changed := fmt.Sprintf("%+v", next) != fmt.Sprintf("%+v", w.call)
	switch {
	case w.call.State == signaling.Ended && (changed || len(effects) > 0):
		t.Fatalf("%s changed an ended call", cmd.Action)
	case changed != (next.Version == w.call.Version+1):
		t.Fatalf("%s: changed %v, version %d -> %d", cmd.Action, changed, w.call.Version, next.Version)
	case !changed && len(effects) > 0:
		t.Fatalf("%s changed nothing and yet %v", cmd.Action, effects)
	case w.call.Kind == signaling.Group && next.Kind == signaling.Direct, w.call.Media == signaling.SFU && next.Media == signaling.P2P:
		t.Fatalf("%s turned a group call back", cmd.Action)
	case (next.Room == w.call.Room+1) != (next.Host != w.call.Host), next.Host != w.call.Host && (cmd.Was != w.call.Host || next.Media != signaling.SFU):
		t.Fatalf("%+v moved the room from %d on %q to %d on %q", cmd, w.call.Room, w.call.Host, next.Room, next.Host)
	}
	for _, p := range w.call.Participants {
		q, _ := next.Find(p.User)
		if p.Present() && q.Present() && p.Device != q.Device {
			t.Fatalf("%s moved %s from %s to %s", cmd.Action, p.User, p.Device, q.Device)
		}
	}
}

// check checks a state.
func check(t *rapid.T, c signaling.Call, seen map[signaling.EffectKind]int) {
	users := map[wire.UserID]bool{}
	present, ringing := 0, 0
	for _, p := range c.Participants {
		if users[p.User] {
			t.Fatalf("%s takes part twice", p.User)
		}
		users[p.User] = true
		if p.Present() {
			present++
			if p.Device == "" {
				t.Fatalf("%s is %s without a device", p.User, p.Leg)
			}
		}
		if p.Leg == signaling.LegRinging {
			ringing++
			if p.Until.IsZero() {
				t.Fatalf("%s rings for ever", p.User)
			}
		}
	}
	ended := c.State == signaling.Ended
	switch {
	case ended != (c.Reason != "") || ended != !c.EndedAt.IsZero():
		t.Fatalf("%s with reason %q at %v", c.State, c.Reason, c.EndedAt)
	case ended && (!c.Deadline().IsZero() || ringing > 0):
		t.Fatalf("ended, and something waits")
	case !ended && present == 0:
		t.Fatalf("%s with nobody there", c.State)
	case c.State == signaling.Ringing && ringing == 0:
		t.Fatalf("ringing nobody")
	case c.Kind == signaling.Direct && !ended && c.State != signaling.Ringing && present != 2:
		t.Fatalf("a direct call of %d", present)
	case c.E2E != (c.Verified == signaling.WordsMatch), c.E2E && (c.Media != signaling.P2P || c.Kind != signaling.Direct || c.Transcript == ""):
		t.Fatalf("end-to-end %v, words %s, media %s", c.E2E, c.Verified, c.Media)
	case c.Verified == signaling.WordsDiffer && (c.Reason != signaling.Policy || seen[signaling.EffReview] != count(c.Payment != "")):
		t.Fatalf("words differ, reason %q, reviews %d", c.Reason, seen[signaling.EffReview])
	case seen[signaling.EffLogStarted] != 1 || seen[signaling.EffLogEnded] != count(ended):
		t.Fatalf("%s with records %v", c.State, seen)
	}
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

func TestCall_RandomWalks(t *testing.T) {
	reached := map[signaling.Reason]bool{}
	rapid.Check(t, func(t *rapid.T) {
		w := &walker{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), seen: map[signaling.EffectKind]int{}}
		var effects []signaling.Effect
		w.call, effects = signaling.Open(anyOffer(t), w.now)
		for _, e := range effects {
			w.seen[e.Kind]++
		}
		check(t, w.call, w.seen)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			w.step(t)
		}
		reached[w.call.Reason] = true
	})
	if len(reached) < 4 {
		t.Errorf("the walks ended with %v only: they are too tame", reached)
	}
}

// Nobody ever comes back: every call ends by itself.
func TestCall_EndsByItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &walker{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), seen: map[signaling.EffectKind]int{}}
		w.call, _ = signaling.Open(anyOffer(t), w.now)
		w.seen[signaling.EffLogStarted] = 1
		for range rapid.IntRange(0, 10).Draw(t, "steps") {
			if w.call.State == signaling.Ended {
				return
			}
			w.step(t)
		}
		for range 10 {
			for _, p := range w.call.Participants { // the watch over reports speaks up
				if w.call.State != signaling.Ended {
					w.call, _, _ = w.call.Apply(signaling.Command{Action: signaling.ActLose, By: signaling.Endpoint{User: p.User}}, w.now)
				}
			}
			w.now = w.now.Add(signaling.RingTimeout)
			var err error
			if w.call, _, err = w.call.Apply(signaling.Command{Action: signaling.ActExpire}, w.now); err != nil {
				t.Fatal(err)
			}
		}
		if w.call.State != signaling.Ended {
			t.Fatalf("still %s: %+v", w.call.State, w.call.Participants)
		}
	})
}

func TestReasons_EachHasNeutralWords(t *testing.T) {
	o := signaling.Offer{ID: "call_1", Kind: signaling.Direct, Media: signaling.P2P, From: signaling.Endpoint{User: "a", Device: "d1"}, To: []signaling.Callee{{User: "b"}}}
	c, _ := signaling.Open(o, time.Unix(0, 0))
	if len(slices.Compact(slices.Sorted(slices.Values(signaling.Reasons())))) != 10 {
		t.Fatal("a reason is missing")
	}
	for _, r := range signaling.Reasons() {
		c.State, c.Reason = signaling.Ended, r
		if c.For("a").Text == "" {
			t.Errorf("%s has no words", r)
		}
	}
}
