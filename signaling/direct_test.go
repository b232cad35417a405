package signaling_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/signaling"
	"parley/wire"
)

func TestConnected_BothEndsMakeItActive(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		_, err := w.calls.Connected(t.Context(), on("buyer/b1"), call.ID, signaling.RouteDirect)
		wantErr(t, err, signaling.ErrState)
		w.answer("seller/s1", call.ID)
		if v := w.connect(call.ID, signaling.RouteDirect, "seller/s1"); v.State != signaling.Connecting {
			t.Errorf("with one end it is %s", v.State)
		}
		w.clock.Advance(time.Second)
		v := w.connect(call.ID, signaling.RouteRelay, "buyer/b1")
		if v.State != signaling.Active || v.Route != signaling.RouteRelay || v.ActiveAt.Sub(*v.AnsweredAt) < time.Second {
			t.Errorf("with both it is %+v", v)
		}
		_, err = w.calls.Connected(t.Context(), on("seller/s2"), call.ID, signaling.RouteDirect)
		wantErr(t, err, signaling.ErrTaken)
		_, err = w.calls.Connected(t.Context(), on("seller/s1"), call.ID, signaling.RouteSFU)
		wantErr(t, err, signaling.ErrState)
		if v := w.connect(call.ID, signaling.RouteDirect, "buyer/b1"); v.Route != signaling.RouteDirect {
			t.Errorf("after an ICE restart the route is %s", v.Route)
		}
	})
}

func TestHangup_WritesTheRecordWithItsDuration(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		w.clock.Advance(61 * time.Second)
		w.sent.take()
		if _, err := w.calls.Hangup(t.Context(), on("seller/s1"), call.ID); err != nil {
			t.Fatal(err)
		}
		w.wantState(call.ID, signaling.Ended, signaling.Completed)
		wantHeard(t, w.sent.take(), "buyer/b1", "call.ended completed")
		var last struct {
			Call signaling.CallView `json:"call"`
		}
		w.view("SELECT data, '', '' FROM t_log ORDER BY n", func(data, _, _ string) {
			if err := json.Unmarshal([]byte(data), &last); err != nil {
				t.Fatal(err)
			}
		})
		if d := last.Call.DurationMS; d < 61000 || d > 61100 || last.Call.Reason != signaling.Completed {
			t.Errorf("the record is %+v", last.Call)
		}
		if again, err := w.calls.Hangup(t.Context(), on("buyer/b1"), call.ID); err != nil || again.Reason != signaling.Completed {
			t.Errorf("a second hang-up: %+v, %v", again, err)
		}
		if got := w.entries(); len(got) != 2 {
			t.Errorf("log has %q", got)
		}
	})
}

func TestNoMediaPath_AfterTwentySeconds(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		w.clock.Advance(40 * time.Second)
		w.answer("seller/s1", call.ID)
		w.connect(call.ID, signaling.RouteDirect, "buyer/b1")
		for range 9 {
			w.pass(2 * time.Second) // the ring deadline means nothing any more
			w.report(call.ID, true, "buyer/b1")
		}
		w.wantState(call.ID, signaling.Connecting, "")
		w.pass(3 * time.Second)
		v := w.wantState(call.ID, signaling.Ended, signaling.Failed)
		if v.Detail != signaling.DetailNoMediaPath || legOf(v, "seller") != signaling.LegAnswered || legOf(v, "buyer") != signaling.LegLeft {
			t.Errorf("the failing leg does not show: %+v", v)
		}
	})
}

func TestReports_MissingMeanReconnectingAndThenGone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		for range 10 {
			w.report(call.ID, true, "buyer/b1", "seller/s1")
			w.pass(9 * time.Second)
		}
		w.wantLeg(call.ID, "buyer", signaling.LegConnected)
		w.report(call.ID, true, "seller/s1")
		w.pass(2 * time.Second)
		w.wantLeg(call.ID, "buyer", signaling.LegReconnecting)
		w.wantState(call.ID, signaling.Active, "")
		wantHeard(t, lastOf(w.sent.take(), 2), "seller/s1", "call.updated")

		// Back in time on another address: the same call goes on.
		w.pass(8 * time.Second)
		w.report(call.ID, true, "buyer/b1", "seller/s1")
		w.wantLeg(call.ID, "buyer", signaling.LegConnected)

		for range 14 {
			w.pass(2 * time.Second)
			w.report(call.ID, true, "seller/s1")
		}
		w.wantState(call.ID, signaling.Active, "")
		w.pass(3 * time.Second)
		w.wantState(call.ID, signaling.Ended, signaling.MediaTimeout)
		err := w.calls.Report(t.Context(), on("seller/s1"), call.ID, signaling.Report{Alive: true})
		wantErr(t, err, signaling.ErrEnded)
	})
}

func lastOf(all []sent, n int) []sent { return all[max(0, len(all)-n):] }

// Reports that say nothing is heard do not keep a direct call up: no media path is left.
func TestReports_OfSilenceAreNoLife(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		for range 6 {
			w.pass(2 * time.Second)
			w.report(call.ID, false, "buyer/b1")
			w.report(call.ID, true, "seller/s1")
		}
		w.wantLeg(call.ID, "buyer", signaling.LegReconnecting)
		w.wantLeg(call.ID, "seller", signaling.LegConnected)
		w.report(call.ID, false, "buyer/b1")
		w.wantLeg(call.ID, "buyer", signaling.LegReconnecting)
		w.report(call.ID, true, "buyer/b1")
		w.wantLeg(call.ID, "buyer", signaling.LegConnected)
	})
}

func TestMediaAlive_MeansReportedWithinFiveSeconds(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		alive := func(user wire.UserID) bool {
			t.Helper()
			ok, err := w.calls.MediaAlive(t.Context(), call.ID, user)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		if alive("buyer") {
			t.Error("alive before any report")
		}
		w.report(call.ID, true, "buyer/b1")
		w.report(call.ID, false, "seller/s1")
		if !alive("buyer") || alive("seller") {
			t.Error("a report of silence counts as life, or one of life does not")
		}
		w.clock.Advance(4 * time.Second)
		if !alive("buyer") {
			t.Error("dead after four seconds")
		}
		w.clock.Advance(1100 * time.Millisecond)
		if alive("buyer") {
			t.Error("alive after five seconds without a report")
		}
		err := w.calls.Report(t.Context(), on("buyer/b2"), call.ID, signaling.Report{Alive: true})
		wantErr(t, err, signaling.ErrNotParticipant)
		if alive("buyer") {
			t.Error("another device reported for the one in the call")
		}
		w.report(call.ID, true, "buyer/b1")
		if _, err := w.calls.Hangup(t.Context(), on("buyer/b1"), call.ID); err != nil {
			t.Fatal(err)
		}
		if alive("buyer") {
			t.Error("alive after the end")
		}
	})
}

// A sweep found the part silent; its report came before the sweep could act.
func TestReports_InTheLastMomentCount(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		w.clock.Advance(signaling.LostAfter)
		w.report(call.ID, true, "buyer/b1")
		for _, user := range []wire.UserID{"buyer", "seller"} {
			if err := w.calls.Lose(t.Context(), call.ID, user); err != nil {
				t.Fatal(err)
			}
		}
		w.wantLeg(call.ID, "buyer", signaling.LegConnected)
		w.wantLeg(call.ID, "seller", signaling.LegReconnecting)
	})
}

func TestStore_RefusesAChangeFromAStaleVersion(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		wantErr(t, signaling.StoreStale(t.Context(), w.db, call.ID, w.clock.Now()), signaling.ErrConflict)
		if v := w.get(call.ID); v.Version != call.Version+1 {
			t.Errorf("version %d became %d", call.Version, v.Version)
		}
	})
}

// The node that rang dies; another one over the same database takes it from there.
func TestRestart_TheCallGoesOnOnAnotherNode(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		w.report(call.ID, true, "buyer/b1", "seller/s1")
		w.clock.Advance(12 * time.Second) // nobody reports, nobody sweeps
		w.calls = w.node()
		if err := w.calls.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantState(call.ID, signaling.Active, "")
		w.report(call.ID, true, "buyer/b1", "seller/s1")
		w.wantLeg(call.ID, "seller", signaling.LegConnected)
		ok, err := w.calls.MediaAlive(t.Context(), call.ID, "buyer")
		if err != nil || !ok {
			t.Errorf("alive: %v, %v", ok, err)
		}
	})
}

func TestRun_SweepsByTheClock(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		in := make(chan string, 16)
		w.calls = signaling.New(signaling.Deps{
			DB: w.db, Publisher: w.sent, Log: w, Relations: w, Rooms: w, Payments: w, Clock: w.clock, Presence: tell(in),
		}, signaling.Config{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.calls.Run(ctx) }()
		call := w.talking()
		want := func(words ...string) {
			t.Helper()
			for i := range words {
				for words[i] != "" {
					select {
					case got := <-in:
						if at := slices.Index(words, got); at >= 0 {
							words[at] = ""
						}
					case <-time.After(10 * time.Second):
						t.Fatalf("never told %q", words)
					}
				}
			}
		}
		want("buyer true", "seller true")
		for end := time.Now().Add(10 * time.Second); w.get(call.ID).State != signaling.Ended; w.clock.Advance(time.Second) {
			if time.Now().After(end) {
				t.Fatal("never swept")
			}
		}
		want("buyer false", "seller false")
		w.wantState(call.ID, signaling.Ended, signaling.MediaTimeout)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

type tell chan string

func (c tell) SetInCall(user wire.UserID, in bool) {
	word := string(user) + " false"
	if in {
		word = string(user) + " true"
	}
	select {
	case c <- word:
	default:
	}
}

func TestMute(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		w.sent.take()
		for range 2 {
			if _, err := w.calls.Mute(t.Context(), on("buyer/b1"), call.ID, true); err != nil {
				t.Fatal(err)
			}
		}
		out := w.sent.take()
		wantHeard(t, out, "seller/s1", "call.updated")
		wantHeard(t, out, "buyer/b1") // has the answer
		if got := w.room.take(); len(got) != 0 {
			t.Errorf("the SFU was told %q of a direct call", got)
		}
	})
}

func TestTerminate_EndsByPolicy(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		ringing := w.start("guest1/g1", signaling.Start{To: []wire.UserID{"guest2"}})
		if err := w.calls.EndFor(t.Context(), "seller", "restricted"); err != nil {
			t.Fatal(err)
		}
		if v := w.wantState(call.ID, signaling.Ended, signaling.Policy); v.Detail != "restricted" {
			t.Errorf("detail is %q", v.Detail)
		}
		if _, err := w.calls.Hangup(t.Context(), wire.Caller{Role: wire.RoleServer}, ringing.ID); err != nil {
			t.Fatal(err)
		}
		w.wantState(ringing.ID, signaling.Ended, signaling.Policy)
	})
}

func TestReads_AreForParticipants(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var ids []wire.CallID
		for range 3 {
			call := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
			ids = append(ids, call.ID)
			if _, err := w.calls.Hangup(t.Context(), on("buyer/b1"), call.ID); err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(time.Second)
		}
		_, err := w.calls.Get(t.Context(), on("guest1/g1"), ids[0])
		wantErr(t, err, signaling.ErrNotParticipant)
		_, err = w.calls.Get(t.Context(), on("buyer/b1"), "call_none")
		wantErr(t, err, signaling.ErrUnknown)
		_, err = w.calls.Hangup(t.Context(), on("guest1/g1"), ids[0])
		wantErr(t, err, signaling.ErrNotParticipant)
		page, next, err := w.calls.List(t.Context(), on("seller/s1"), signaling.Filter{Limit: 2, Conversation: "conv_1"})
		if err != nil || len(page) != 2 || page[0].ID != ids[2] || next != ids[1] {
			t.Fatalf("page %v next %s, %v", page, next, err)
		}
		page, next, err = w.calls.List(t.Context(), on("seller/s1"), signaling.Filter{Limit: 2, Before: next})
		if err != nil || len(page) != 1 || page[0].ID != ids[0] || next != "" {
			t.Fatalf("page %v next %s, %v", page, next, err)
		}
		if page, _, _ := w.calls.List(t.Context(), on("guest1/g1"), signaling.Filter{}); len(page) != 0 {
			t.Errorf("a guest sees %v", page)
		}
		if page, _, _ := w.calls.List(t.Context(), wire.Caller{Role: wire.RoleOperator}, signaling.Filter{Payment: "pay_1"}); len(page) != 3 {
			t.Errorf("an operator sees %d", len(page))
		}
	})
}

func TestCredentials_OnlyForWhoTakesPart(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("buyer/b1", signaling.Start{Payment: "pay_1", RelayOnly: true})
		for _, who := range []string{"buyer/b1", "seller/s2"} { // who may still answer may prepare
			servers, err := w.calls.Credentials(t.Context(), on(who), call.ID)
			if err != nil || !strings.HasSuffix(servers[0].Username, ":true") {
				t.Errorf("%s gets %v, %v", who, servers, err)
			}
		}
		w.answer("seller/s1", call.ID)
		_, err := w.calls.Credentials(t.Context(), on("seller/s2"), call.ID)
		wantErr(t, err, signaling.ErrNotParticipant)
		_, err = w.calls.Credentials(t.Context(), on("guest1/g1"), call.ID)
		wantErr(t, err, signaling.ErrNotParticipant)
	})
}
