package signaling_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"parley/signaling"
	"parley/wire"
)

func TestGroup_LeavesOutWhoMayNotBeRung(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.members["conv_5"] = []wire.UserID{"host", "guest1", "stranger"}
		call := w.start("host/h", signaling.Start{Conversation: "conv_5"})
		if call.Kind != signaling.Group || len(call.Participants) != 2 {
			t.Fatalf("got %+v", call)
		}
		wantHeard(t, w.sent.take(), "guest1/g1", "call.offered")
		w.members["conv_6"] = []wire.UserID{"host", "stranger"}
		for name, in := range map[string]signaling.Start{
			"alone with a stranger": {Conversation: "conv_6"}, "a stranger by name": {Conversation: "conv_5", To: []wire.UserID{"guest1", "stranger"}},
		} {
			in.ClientID = name
			if _, err := w.calls.Start(t.Context(), on("host/h2"), in); !errors.Is(err, signaling.ErrNoRelation) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestGroup_FromRingingToTheLastOneLeaving(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("host/h", signaling.Start{Conversation: "conv_4"})
		if call.Kind != signaling.Group || call.Media != signaling.SFU || len(call.Participants) != 4 {
			t.Fatalf("got %+v", call)
		}
		out := w.sent.take()
		for _, who := range []string{"guest1/g1", "guest2/g2", "guest3/g3"} {
			wantHeard(t, out, who, "call.offered")
		}
		if _, err := w.calls.Decline(t.Context(), on("guest3/g3"), call.ID, ""); err != nil {
			t.Fatal(err)
		}
		out = w.sent.take()
		wantHeard(t, out, "guest3/g3b", "call.ended declined")
		wantHeard(t, out, "host/h", "call.updated")
		w.wantState(call.ID, signaling.Ringing, "")

		w.answer("guest1/g1", call.ID)
		w.wantState(call.ID, signaling.Active, "")
		wantHeard(t, w.sent.take(), "host/h", "call.answered")
		for _, who := range []string{"host/h", "guest1/g1"} {
			j, err := w.calls.Join(t.Context(), on(who), call.ID, sdpOffer)
			if err != nil || j.SDP != "v=0" || j.Slots == nil {
				t.Fatalf("%s joins: %+v, %v", who, j, err)
			}
		}
		w.connect(call.ID, signaling.RouteSFU, "host/h", "guest1/g1")
		if v := w.get(call.ID); v.Route != signaling.RouteSFU || v.E2E {
			t.Errorf("got %+v", v)
		}

		for range 23 { // the second guest lets it ring
			w.pass(2 * time.Second)
			w.report(call.ID, true, "host/h", "guest1/g1")
		}
		w.wantLeg(call.ID, "guest2", signaling.LegMissed)
		if !slices.Contains(heard(w.sent.take(), "guest2/g2"), "call.ended no_answer") {
			t.Error("the second guest still rings")
		}

		// Late join: by one who missed it, one who declined it.
		w.answer("guest2/g2", call.ID)
		w.answer("guest3/g3", call.ID)
		w.connect(call.ID, signaling.RouteSFU, "guest2/g2", "guest3/g3")
		w.room.take()
		for _, who := range []string{"host/h", "guest2/g2", "guest3/g3"} {
			if _, err := w.calls.Hangup(t.Context(), on(who), call.ID); err != nil {
				t.Fatal(err)
			}
			w.wantState(call.ID, signaling.Active, "")
		}
		if _, err := w.calls.Hangup(t.Context(), on("guest1/g1"), call.ID); err != nil {
			t.Fatal(err)
		}
		w.wantState(call.ID, signaling.Ended, signaling.Completed)
		if got := w.room.take(); !slices.Equal(got, []string{"leave host/h", "leave guest2/g2", "leave guest3/g3", "close"}) {
			t.Errorf("the SFU was told %q", got)
		}
		if got := w.entries(); !slices.Equal(got, []string{"conv_4 call.started", "conv_4 call.ended"}) {
			t.Errorf("log has %q", got)
		}
	})
}

func TestGroup_NobodyAnswers(t *testing.T) {
	decline := func(w *world, id wire.CallID, who ...string) {
		w.t.Helper()
		for _, p := range who {
			if _, err := w.calls.Decline(w.t.Context(), on(p), id, ""); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	each(t, func(t *testing.T, w *world) {
		all := w.start("host/h", signaling.Start{Conversation: "conv_4"})
		decline(w, all.ID, "guest1/g1", "guest2/g2", "guest3/g3")
		w.wantState(all.ID, signaling.Ended, signaling.Declined)

		some := w.start("host/h", signaling.Start{Conversation: "conv_4"})
		decline(w, some.ID, "guest1/g1")
		w.sent.take()
		w.pass(signaling.RingTimeout)
		w.wantState(some.ID, signaling.Ended, signaling.NoAnswer)
		out := w.sent.take()
		for _, who := range []string{"host/h", "guest2/g2", "guest3/g3"} {
			if got := heard(out, who); len(got) == 0 || got[len(got)-1] != "call.ended no_answer" {
				t.Errorf("%s heard %q", who, got)
			}
		}
		wantHeard(t, out, "guest1/g1")
	})
}

func TestGroup_ASecondStartJoinsTheCallUnderWay(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("host/h", signaling.Start{Conversation: "conv_4", To: []wire.UserID{"guest1"}, SFU: true})
		if call.Kind != signaling.Direct || call.Media != signaling.SFU {
			t.Fatalf("two on request: %+v", call)
		}
		w.answer("guest1/g1", call.ID)
		w.connect(call.ID, signaling.RouteSFU, "host/h", "guest1/g1")
		if _, err := w.calls.Hangup(t.Context(), on("host/h"), call.ID); err != nil {
			t.Fatal(err)
		}

		group := w.start("host/h", signaling.Start{Conversation: "conv_4", To: []wire.UserID{"guest1", "guest2"}})
		w.answer("guest1/g1", group.ID)
		if joined := w.start("guest2/g2", signaling.Start{Conversation: "conv_4"}); joined.ID != group.ID {
			t.Errorf("a rung member started %s beside %s", joined.ID, group.ID)
		}
		if joined := w.start("guest3/g3", signaling.Start{Conversation: "conv_4"}); joined.ID != group.ID {
			t.Errorf("a member who was not rung started %s beside %s", joined.ID, group.ID)
		}
		w.wantLeg(group.ID, "guest3", signaling.LegAnswered)
		_, err := w.calls.Answer(t.Context(), on("buyer/b1"), group.ID, "")
		wantErr(t, err, signaling.ErrNotParticipant)
	})
}

func TestGroup_OneWhoIsLostLeavesTheOthers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("host/h", signaling.Start{Conversation: "conv_4"})
		w.answer("guest1/g1", call.ID)
		w.answer("guest2/g2", call.ID)
		w.connect(call.ID, signaling.RouteSFU, "host/h", "guest1/g1")
		for range 11 {
			w.pass(2 * time.Second)
			w.wantLeg(call.ID, "host", signaling.LegConnected)
			w.report(call.ID, false, "host/h") // hears nobody, as one alone does
		}
		w.wantLeg(call.ID, "guest2", signaling.LegLeft) // never connected
		w.wantLeg(call.ID, "guest1", signaling.LegReconnecting)
		w.wantLeg(call.ID, "host", signaling.LegConnected)
		for range 11 {
			w.pass(2 * time.Second)
			w.report(call.ID, false, "host/h")
		}
		w.wantLeg(call.ID, "guest1", signaling.LegLeft)
		w.wantState(call.ID, signaling.Active, "")
		if got := w.room.take(); !slices.Contains(got, "leave guest1/g1") {
			t.Errorf("the SFU was told %q", got)
		}
	})
}

func TestInvite_MovesADirectCallToTheSFUWithoutHangingUp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		w.verify("buyer/b1", call.ID, 1, true)
		w.verify("seller/s1", call.ID, 1, true)
		w.report(call.ID, true, "buyer/b1", "seller/s1")
		w.sent.take()
		_, err := w.calls.Invite(t.Context(), on("buyer/b1"), call.ID, "stranger")
		wantErr(t, err, signaling.ErrNoRelation)
		elsewhere := w.start("host/h", signaling.Start{To: []wire.UserID{"guest1"}})
		w.answer("guest1/g1", elsewhere.ID)
		_, err = w.calls.Invite(t.Context(), on("buyer/b1"), call.ID, "guest1")
		wantErr(t, err, signaling.ErrBusy)
		if v := w.get(call.ID); v.Media != signaling.P2P || !v.E2E || len(v.Participants) != 2 {
			t.Errorf("a vain invitation changed the call to %+v", v)
		}
		if _, err := w.calls.Hangup(t.Context(), on("host/h"), elsewhere.ID); err != nil {
			t.Fatal(err)
		}
		w.sent.take()
		v, err := w.calls.Invite(t.Context(), on("buyer/b1"), call.ID, "guest1")
		if err != nil {
			t.Fatal(err)
		}
		if v.Media != signaling.SFU || v.Kind != signaling.Group || v.E2E || v.Verified != signaling.WordsNone || v.Transcript != "" ||
			legOf(v, "buyer") != signaling.LegConnected || v.State != signaling.Active {
			t.Errorf("after the invitation: %+v", v)
		}
		out := w.sent.take()
		wantHeard(t, out, "seller/s1", "call.updated")
		offered := dataOf[struct {
			Card string `json:"card"`
		}](t, out, "guest1/g1", "call.offered")
		if offered.Card != "card:buyer:guest1:pay_1" {
			t.Errorf("offered with %q", offered.Card)
		}
		// The direct path still counts until each end is in the room; then only the SFU's word does.
		ok, err := w.calls.MediaAlive(t.Context(), call.ID, "buyer")
		if err != nil || !ok {
			t.Errorf("alive while moving: %v, %v", ok, err)
		}
		for _, who := range []string{"buyer/b1", "seller/s1"} {
			if _, err := w.calls.Join(t.Context(), on(who), call.ID, sdpOffer); err != nil {
				t.Fatal(err)
			}
		}
		w.connect(call.ID, signaling.RouteSFU, "buyer/b1")
		w.report(call.ID, true, "buyer/b1")
		if ok, _ := w.calls.MediaAlive(t.Context(), call.ID, "buyer"); ok {
			t.Error("in the SFU a device speaks for itself")
		}
		for _, user := range []wire.UserID{"buyer", "seller", "guest1"} { // the SFU's word connects the seller; the guest has not answered
			if err := w.calls.SFUAlive(t.Context(), "node_1", call.ID, user, true); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.calls.SFUAlive(t.Context(), "node_1", call.ID, "seller", true); err != nil {
			t.Fatal(err)
		}
		for user, want := range map[wire.UserID]bool{"buyer": true, "seller": true, "guest1": false} {
			if ok, _ := w.calls.MediaAlive(t.Context(), call.ID, user); ok != want {
				t.Errorf("%s alive: %v", user, ok)
			}
		}
		w.answer("guest1/g1", call.ID)
		w.connect(call.ID, signaling.RouteSFU, "guest1/g1")
		for range 12 {
			w.pass(2 * time.Second)
			w.report(call.ID, true, "buyer/b1", "seller/s1", "guest1/g1")
		}
		if _, err := w.calls.Hangup(t.Context(), on("buyer/b1"), call.ID); err != nil {
			t.Fatal(err)
		}
		w.wantState(call.ID, signaling.Active, "")
	})
}

func TestInvite_WhoDoesNotMoveIsLeftBehind(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		if _, err := w.calls.Invite(t.Context(), on("buyer/b1"), call.ID, "guest1"); err != nil {
			t.Fatal(err)
		}
		w.connect(call.ID, signaling.RouteSFU, "buyer/b1")
		for i := range 11 {
			w.pass(2 * time.Second)
			w.report(call.ID, true, "buyer/b1")
			if i < 9 {
				w.report(call.ID, true, "seller/s1") // of the direct connection
			}
		}
		w.wantLeg(call.ID, "seller", signaling.LegLeft)
		w.wantLeg(call.ID, "buyer", signaling.LegConnected)
	})
}

func TestJoin_WhoLeftMeanwhileIsTakenOutOfTheRoom(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("host/h", signaling.Start{Conversation: "conv_4"})
		w.answer("guest1/g1", call.ID)
		w.answer("guest2/g2", call.ID)
		_, err := w.calls.Join(t.Context(), on("guest3/g3"), call.ID, sdpOffer)
		wantErr(t, err, signaling.ErrNotParticipant)
		_, err = w.calls.Join(t.Context(), on("guest1/other"), call.ID, sdpOffer)
		wantErr(t, err, signaling.ErrNotParticipant)
		_, err = w.calls.Join(t.Context(), on("guest1/g1"), call.ID, "hello")
		wantErr(t, err, signaling.ErrSignal)
		w.room.during = func() {
			if _, err := w.calls.Hangup(t.Context(), on("guest1/g1"), call.ID); err != nil {
				t.Error(err)
			}
			w.room.take()
		}
		_, err = w.calls.Join(t.Context(), on("guest1/g1"), call.ID, sdpOffer)
		wantErr(t, err, signaling.ErrNotParticipant)
		if got := w.room.take(); !slices.Equal(got, []string{"leave guest1/g1"}) {
			t.Errorf("the SFU was told %q", got)
		}
	})
}

func TestRoom_PromptMuteSlotsAndSpeakers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("host/h", signaling.Start{Conversation: "conv_4"})
		w.answer("guest1/g1", call.ID)
		wantErr(t, w.calls.Prompt(t.Context(), on("host/h"), call.ID, "welcome"), signaling.ErrForbidden)
		if err := w.calls.Prompt(t.Context(), wire.Caller{Role: wire.RoleServer}, call.ID, "welcome"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.calls.Mute(t.Context(), on("guest1/g1"), call.ID, true); err != nil {
			t.Fatal(err)
		}
		if _, err := w.calls.Join(t.Context(), on("guest1/g1"), call.ID, sdpOffer); err != nil { // muted before: stays muted
			t.Fatal(err)
		}
		if got := w.room.take(); !slices.Equal(got, []string{"play  welcome", "mute guest1 true", "join node_1 guest1/g1", "mute guest1 true"}) {
			t.Errorf("the SFU was told %q", got)
		}
		w.sent.take()
		if err := w.calls.SFUSlots(t.Context(), "node_1", call.ID, signaling.Endpoint{User: "host", Device: "h"}, []signaling.Slot{{Mid: "1", User: "guest1"}}); err != nil {
			t.Fatal(err)
		}
		if err := w.calls.SFUSpeakers(t.Context(), "node_1", call.ID, []wire.UserID{"guest1"}); err != nil {
			t.Fatal(err)
		}
		out := w.sent.take()
		wantHeard(t, out, "host/h", "call.slots", "call.speakers")
		wantHeard(t, out, "guest1/g1", "call.speakers")
		wantHeard(t, out, "guest2/g2")

		direct := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		wantErr(t, w.calls.Prompt(t.Context(), wire.Caller{Role: wire.RoleServer}, direct.ID, "welcome"), signaling.ErrState)
	})
}

func TestSFU_AloneIsNoReasonToLoseTheCall(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("host/h", signaling.Start{Conversation: "conv_4"})
		w.connect(call.ID, signaling.RouteSFU, "host/h") // waits in the room
		w.pass(11 * time.Second)
		w.wantLeg(call.ID, "host", signaling.LegReconnecting)
		w.report(call.ID, false, "host/h")
		w.wantLeg(call.ID, "host", signaling.LegConnected)
		w.wantState(call.ID, signaling.Ringing, "")
	})
}
