package signaling_test

import (
	"slices"
	"testing"
	"time"

	"parley/signaling"
	"parley/wire"
)

// inRoom returns a group call with host and guest1 connected to the room on node_1.
func (w *world) inRoom() signaling.CallView {
	w.t.Helper()
	call := w.start("host/h", signaling.Start{Conversation: "conv_4", To: []wire.UserID{"guest1", "guest2"}})
	w.answer("guest1/g1", call.ID)
	w.join(call.ID, 1, "host/h", "guest1/g1")
	w.connect(call.ID, signaling.RouteSFU, "host/h", "guest1/g1")
	w.room.take()
	w.sent.take()
	return w.get(call.ID)
}

// join joins a call's room, which is the nth.
func (w *world) join(id wire.CallID, nth int, who ...string) {
	w.t.Helper()
	for _, p := range who {
		j, err := w.calls.Join(w.t.Context(), on(p), id, sdpOffer)
		if err != nil || j.Call.Room != nth {
			w.t.Fatalf("%s joins room %d: %v", p, j.Call.Room, err)
		}
	}
}

func (w *world) moveRooms(want int) {
	w.t.Helper()
	if moved, err := w.calls.MoveRooms(w.t.Context()); err != nil || moved != want {
		w.t.Fatalf("%d rooms moved, want %d: %v", moved, want, err)
	}
}

// The node that holds the room dies: everybody is told of another room, whose
// word alone counts from then on, and nobody is lost who joins it in time.
func TestRoom_MovesWhenItsNodeCannotHoldIt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.inRoom()
		w.moveRooms(0)
		w.room.lose()
		w.moveRooms(1)
		w.moveRooms(0)
		out := w.sent.take()
		for _, who := range []string{"host/h", "guest1/g1", "guest2/g2"} {
			told := dataOf[struct{ Call signaling.CallView }](t, out, who, "call.updated").Call
			if told.Room != 2 || told.State != signaling.Active || told.Route != "" {
				t.Errorf("%s was told %+v", who, told)
			}
		}
		w.join(call.ID, 2, "host/h")
		if got := w.room.take(); !slices.Equal(got, []string{"join node_2 host/h"}) {
			t.Errorf("the SFU was told %q", got)
		}
		alive := func(node string, user wire.UserID) bool {
			t.Helper()
			if err := w.calls.SFUAlive(t.Context(), node, call.ID, user, true); err != nil {
				t.Fatal(err)
			}
			ok, err := w.calls.MediaAlive(t.Context(), call.ID, user)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		if alive("node_1", "host") || alive("node_1", "guest1") {
			t.Error("the word of the old room counts")
		}
		if err := w.calls.SFUSlots(t.Context(), "node_1", call.ID, signaling.Endpoint{User: "host", Device: "h"}, nil); err != nil {
			t.Fatal(err)
		}
		if err := w.calls.SFUSpeakers(t.Context(), "node_1", call.ID, []wire.UserID{"guest1"}); err != nil {
			t.Fatal(err)
		}
		if got := heard(w.sent.take(), "host/h"); len(got) != 0 {
			t.Errorf("the old room was passed on: %q", got)
		}
		if alive("node_2", "host"); !alive("node_2", "host") { // the first word connects
			t.Error("the word of the new room does not count")
		}
		if w.get(call.ID).Route != signaling.RouteSFU {
			t.Errorf("got %+v", w.get(call.ID))
		}
		w.pass(signaling.AliveWithin + time.Second)
		if alive("node_1", "host") {
			t.Error("the word of the old room counts for who has moved")
		}
		alive("node_2", "host")
		w.pass(signaling.ConnectTimeout - signaling.AliveWithin - 2*time.Second)
		alive("node_2", "host")
		w.wantLeg(call.ID, "guest1", signaling.LegConnected)
		w.pass(time.Second)
		w.wantLeg(call.ID, "guest1", signaling.LegLeft) // it never came
		w.wantLeg(call.ID, "host", signaling.LegConnected)
	})
}

// Who lost the connection with the node has the time to come back anew.
func TestRoom_MovedGivesTheLostTheirTimeAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.inRoom()
		w.connect(call.ID, signaling.RouteSFU, "host/h", "guest1/g1")
		w.pass(signaling.LostAfter + time.Second) // nobody is heard
		w.wantLeg(call.ID, "guest1", signaling.LegReconnecting)
		w.pass(signaling.ReconnectGrace - 2*time.Second)
		w.room.lose()
		w.moveRooms(1)
		w.pass(signaling.ReconnectGrace - time.Second)
		w.wantState(call.ID, signaling.Active, "")
		w.join(call.ID, 2, "host/h", "guest1/g1")
		w.connect(call.ID, signaling.RouteSFU, "host/h")
		w.report(call.ID, true, "guest1/g1")
		if err := w.calls.SFUAlive(t.Context(), "node_2", call.ID, "guest1", true); err != nil {
			t.Fatal(err)
		}
		w.wantLeg(call.ID, "guest1", signaling.LegConnected)
		w.wantLeg(call.ID, "host", signaling.LegConnected)
	})
}

// Without another node the room stays; the first join after that moves it.
func TestRoom_StaysWhereThereIsNoOtherNode(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.inRoom()
		w.room.lose()
		w.room.lose()
		w.moveRooms(0)
		_, err := w.calls.Join(t.Context(), on("host/h"), call.ID, sdpOffer)
		wantErr(t, err, signaling.ErrNoSFU)
		if v := w.get(call.ID); v.Room != 1 || len(w.sent.take()) != 0 {
			t.Errorf("got %+v", v)
		}
		w.room.hosts = []string{"node_3"}
		w.join(call.ID, 2, "host/h")
		if got := heard(w.sent.take(), "guest1/g1"); !slices.Equal(got, []string{"call.updated"}) {
			t.Errorf("the other one heard %q", got)
		}
		w.join(call.ID, 2, "guest1/g1")
	})
}

// The room moves in the middle of a join: the answer is that of the room there is now.
func TestJoin_FollowsARoomThatMoves(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.inRoom()
		w.answer("guest2/g2", call.ID)
		w.room.during = func() {
			w.room.during = nil
			w.room.lose()
			w.moveRooms(1)
		}
		w.join(call.ID, 2, "guest2/g2")
		if got := w.room.take(); !slices.Equal(got, []string{"join node_1 guest2/g2", "join node_2 guest2/g2"}) {
			t.Errorf("the SFU was told %q", got)
		}
	})
}

// An ended call has no room to move.
func TestRoom_OfAnEndedCallStays(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.inRoom()
		for _, who := range []string{"host/h", "guest1/g1"} {
			if _, err := w.calls.Hangup(t.Context(), on(who), call.ID); err != nil {
				t.Fatal(err)
			}
		}
		w.wantState(call.ID, signaling.Ended, signaling.Completed)
		w.room.lose()
		w.moveRooms(0)
		w.view("SELECT id, host, '' FROM calls WHERE host <> ''", func(id, host, _ string) { t.Errorf("%s is still looked at on %s", id, host) })
	})
}
