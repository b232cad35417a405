package signaling_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/signaling"
	"parley/wire"
)

func TestStart_RingsAllDevicesWithACardAboutThePayment(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		if call.State != signaling.Ringing || call.Kind != signaling.Direct || call.Media != signaling.P2P ||
			call.Conversation != "conv_1" || call.Payment != "pay_1" || call.Card != "" || call.E2E {
			t.Errorf("the caller sees %+v", call)
		}
		out := w.sent.take()
		for _, device := range []string{"seller/s1", "seller/s2"} {
			offered := dataOf[struct {
				Call  signaling.CallView `json:"call"`
				Card  string             `json:"card"`
				RingS int                `json:"ring_s"`
			}](t, out, device, "call.offered")
			if offered.Card != "card:buyer:seller:pay_1" || offered.RingS != 45 || offered.Call.ID != call.ID {
				t.Errorf("%s was offered %+v", device, offered)
			}
		}
		wantHeard(t, out, "buyer/b1")
		if got := w.entries(); !slices.Equal(got, []string{"conv_1 call.started"}) {
			t.Errorf("log has %q", got)
		}
	})
}

func TestStart_SentAgainAnswersTheSameCall(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.start("buyer/b1", signaling.Start{Payment: "pay_1", ClientID: "c1"})
		w.sent.take()
		if again := w.start("buyer/b1", signaling.Start{Payment: "pay_1", ClientID: "c1"}); again.ID != first.ID {
			t.Errorf("%s became %s", first.ID, again.ID)
		}
		if _, err := w.calls.Hangup(t.Context(), on("buyer/b1"), first.ID); err != nil {
			t.Fatal(err)
		}
		w.sent.take()
		if again := w.start("buyer/b1", signaling.Start{Payment: "pay_1", ClientID: "c1"}); again.ID != first.ID || again.State != signaling.Ended {
			t.Errorf("after its end a resend answers %+v", again)
		}
		if out := w.sent.take(); len(out) != 0 {
			t.Errorf("a resend rang again: %v", out)
		}
	})
}

func TestStart_RefusesWhoMayNotRing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.payments["pay_closed"] = signaling.PaymentFacts{Payer: "buyer", Payee: "stranger"}
		for name, tc := range map[string]struct {
			who  string
			in   signaling.Start
			want error
		}{
			"a stranger":                       {"stranger/x", signaling.Start{To: []wire.UserID{"seller"}}, signaling.ErrNoRelation},
			"to a stranger":                    {"buyer/b1", signaling.Start{To: []wire.UserID{"stranger"}}, signaling.ErrNoRelation},
			"a closed payment is no relation":  {"buyer/b1", signaling.Start{Payment: "pay_closed"}, signaling.ErrNoRelation},
			"somebody else's payment":          {"guest1/g1", signaling.Start{Payment: "pay_1"}, signaling.ErrNotParty},
			"a payment with somebody else":     {"buyer/b1", signaling.Start{Payment: "pay_1", To: []wire.UserID{"guest1"}}, signaling.ErrNotParty},
			"no payment":                       {"buyer/b1", signaling.Start{Payment: "pay_x"}, signaling.ErrPaymentUnknown},
			"somebody else's conversation":     {"buyer/b1", signaling.Start{Conversation: "conv_4"}, signaling.ErrConversationUnknown},
			"no conversation":                  {"buyer/b1", signaling.Start{Conversation: "conv_x"}, signaling.ErrConversationUnknown},
			"nobody":                           {"buyer/b1", signaling.Start{}, signaling.ErrInput},
			"oneself":                          {"buyer/b1", signaling.Start{To: []wire.UserID{"buyer"}}, signaling.ErrInput},
			"several without a conversation":   {"buyer/b1", signaling.Start{To: []wire.UserID{"seller", "host"}}, signaling.ErrInput},
			"without a device":                 {"buyer/", signaling.Start{To: []wire.UserID{"seller"}}, signaling.ErrDevice},
			"a guest from outside of the room": {"host/h", signaling.Start{Conversation: "conv_4", To: []wire.UserID{"guest1", "stranger"}}, signaling.ErrNoRelation},
		} {
			tc.in.ClientID = "c"
			if _, err := w.calls.Start(t.Context(), on(tc.who), tc.in); !errors.Is(err, tc.want) {
				t.Errorf("%s: got %v, want %v", name, err, tc.want)
			}
		}
		if out := w.sent.take(); len(out) != 0 {
			t.Errorf("somebody rang: %v", out)
		}
		if got := w.entries(); len(got) != 0 {
			t.Errorf("log has %q", got)
		}
	})
}

func TestStart_NothingHappensWhenTheRecordCannotBeWritten(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.refuse = errors.New("log is full")
		if _, err := w.calls.Start(t.Context(), on("buyer/b1"), signaling.Start{Payment: "pay_1", ClientID: "c"}); !errors.Is(err, w.refuse) {
			t.Fatal(err)
		}
		items, _, err := w.calls.List(t.Context(), on("buyer/b1"), signaling.Filter{})
		if err != nil || len(items) != 0 || len(w.sent.take()) != 0 {
			t.Errorf("there are calls %v, %v", items, err)
		}
	})
}

func TestRinging_IsHeardByTheCallerOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		w.sent.take()
		for _, device := range []string{"seller/s1", "seller/s2", "seller/s1"} {
			if _, err := w.calls.Ringing(t.Context(), on(device), call.ID); err != nil {
				t.Fatal(err)
			}
		}
		out := w.sent.take()
		wantHeard(t, out, "buyer/b1", "call.ringing")
		wantHeard(t, out, "buyer/b2")
		_, err := w.calls.Ringing(t.Context(), on("guest1/g"), call.ID)
		wantErr(t, err, signaling.ErrNotParticipant)
	})
}

func TestAnswer_StopsTheOtherDevices(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		w.sent.take()
		j, err := w.calls.Answer(t.Context(), on("seller/s1"), call.ID, sdpOffer)
		if err != nil {
			t.Fatal(err)
		}
		if j.Call.State != signaling.Connecting || j.Call.Card == "" || j.ICEServers[0].Username != string(call.ID)+":seller:false" {
			t.Errorf("the answer is %+v", j)
		}
		out := w.sent.take()
		wantHeard(t, out, "seller/s1")
		wantHeard(t, out, "seller/s2", "call.ended answered_elsewhere")
		wantHeard(t, out, "buyer/b2")
		answered := dataOf[struct {
			Call signaling.CallView `json:"call"`
			By   signaling.Endpoint `json:"by"`
			SDP  string             `json:"sdp"`
		}](t, out, "buyer/b1", "call.answered")
		if answered.By != (signaling.Endpoint{User: "seller", Device: "s1"}) || answered.SDP != sdpOffer || answered.Call.Card != "" {
			t.Errorf("the caller was told %+v", answered)
		}
		for _, query := range []string{"SELECT body, '', '' FROM calls", "SELECT data, '', '' FROM t_log"} {
			w.view(query, func(stored, _, _ string) {
				if strings.Contains(stored, "fingerprint") || strings.Contains(stored, "v=0") {
					t.Errorf("an SDP was stored: %s", stored)
				}
			})
		}
	})
}

// Two nodes, two devices, the same moment: the database decides.
func TestAnswer_OfTwoDevicesAtOnceExactlyOneWins(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		nodes := []*signaling.Service{w.calls, w.node()}
		for range 100 {
			call := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
			w.sent.take()
			errs := make([]error, 2)
			var ready, done sync.WaitGroup
			ready.Add(1)
			for i, device := range []string{"seller/s1", "seller/s2"} {
				done.Go(func() {
					ready.Wait()
					_, errs[i] = nodes[i].Answer(t.Context(), on(device), call.ID, "")
				})
			}
			ready.Done()
			done.Wait()
			won := slices.Index(errs, nil)
			if won < 0 || !errors.Is(errs[1-won], signaling.ErrTaken) {
				t.Fatalf("answers: %v", errs)
			}
			out := w.sent.take()
			devices := []string{"seller/s1", "seller/s2"}
			wantHeard(t, out, devices[won])
			wantHeard(t, out, devices[1-won], "call.ended answered_elsewhere")
			wantHeard(t, out, "buyer/b1", "call.answered")
			// The loser's clean-up does not take the winner's call away, and its media never flows.
			_, err := w.calls.Hangup(t.Context(), on(devices[1-won]), call.ID)
			wantErr(t, err, signaling.ErrTaken)
			err = w.calls.Signal(t.Context(), on(devices[1-won]), signaling.Signal{Call: call.ID, Kind: signaling.SignalCandidate})
			wantErr(t, err, signaling.ErrNotParticipant)
			if _, err := w.calls.Hangup(t.Context(), on("buyer/b1"), call.ID); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestGlare_BothCallAtOnceAndOneCallSurvivesAnswered(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		nodes := []*signaling.Service{w.calls, w.node()}
		for range 50 {
			calls := make([]signaling.CallView, 2)
			var done sync.WaitGroup
			for i, who := range []string{"buyer/b1", "seller/s1"} {
				done.Go(func() {
					j, err := nodes[i].Start(t.Context(), on(who), signaling.Start{Payment: "pay_1", ClientID: wire.NewID[string]("c", w.clock.Now())})
					if err != nil {
						t.Error(err)
					}
					calls[i] = j.Call
				})
			}
			done.Wait()
			if calls[0].ID != calls[1].ID {
				t.Fatalf("two calls: %s and %s", calls[0].ID, calls[1].ID)
			}
			open, _, err := w.calls.List(t.Context(), on("buyer/b1"), signaling.Filter{Active: true})
			if err != nil || len(open) != 1 {
				t.Fatalf("open calls: %+v, %v", open, err)
			}
			call := w.wantState(calls[0].ID, signaling.Connecting, "")
			caller, callee := "buyer/b1", "seller/s1"
			if call.From.User == "seller" {
				caller, callee = callee, caller
			}
			out := w.sent.take()
			wantHeard(t, out, caller, "call.answered") // and it never rang here
			if got := heard(out, callee); len(got) > 1 || (len(got) == 1 && got[0] != "call.offered") {
				t.Fatalf("%s heard %q", callee, got)
			}
			w.connect(call.ID, signaling.RouteDirect, caller, callee)
			if _, err := w.calls.Hangup(t.Context(), on(callee), call.ID); err != nil {
				t.Fatal(err)
			}
			w.sent.take()
		}
	})
}

func TestGlare_TheLaterStartBringsItsPaymentAlong(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		plain := w.start("seller/s1", signaling.Start{To: []wire.UserID{"buyer"}})
		if both := w.start("buyer/b1", signaling.Start{Payment: "pay_1"}); both.ID != plain.ID || both.Payment != "pay_1" {
			t.Fatalf("the surviving call is %+v", both)
		}
		w.connect(plain.ID, signaling.RouteDirect, "buyer/b1", "seller/s1")
		live, err := w.calls.ActiveFor(t.Context(), "pay_1")
		if err != nil || live.Call != plain.ID {
			t.Errorf("live is %+v, %v", live, err)
		}
	})
}

func TestGlare_AnOfferSentWithASecondAnswerStillArrives(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("seller/s1", signaling.Start{Payment: "pay_1"})
		w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		w.sent.take()
		if _, err := w.calls.Answer(t.Context(), on("buyer/b1"), call.ID, sdpOffer); err != nil {
			t.Fatal(err)
		}
		out := w.sent.take()
		sig := dataOf[struct {
			Kind string `json:"kind"`
			Data struct {
				SDP string `json:"sdp"`
			} `json:"data"`
		}](t, out, "seller/s1", "call.signal")
		if sig.Kind != "offer" || sig.Data.SDP != sdpOffer {
			t.Errorf("got %+v", sig)
		}
		wantHeard(t, out, "buyer/b1")
	})
}

func TestBusy_EndsAtOnceWithoutRinging(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.talking()
		w.sent.take()
		call := w.start("guest1/g1", signaling.Start{To: []wire.UserID{"seller"}})
		if call.State != signaling.Ended || call.Reason != signaling.Busy {
			t.Fatalf("got %s %s", call.State, call.Reason)
		}
		out := w.sent.take()
		wantHeard(t, out, "seller/s1")
		wantHeard(t, out, "seller/s2")
		if got := w.entries(); !slices.Equal(got[1:], []string{"conv_guest1_seller call.started", "conv_guest1_seller call.ended"}) {
			t.Errorf("log has %q", got)
		}
		// Who only rings out is not busy.
		w.start("guest2/g2", signaling.Start{To: []wire.UserID{"guest3"}})
		if call := w.start("guest1/g1", signaling.Start{To: []wire.UserID{"guest2"}}); call.State != signaling.Ringing {
			t.Errorf("got %s %s", call.State, call.Reason)
		}
	})
}

func TestOneCallAtATime(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		other := w.start("guest1/g1", signaling.Start{To: []wire.UserID{"seller"}})
		w.talking()
		_, err := w.calls.Answer(t.Context(), on("seller/s2"), other.ID, "")
		wantErr(t, err, signaling.ErrInCall)
		_, err = w.calls.Start(t.Context(), on("buyer/b2"), signaling.Start{To: []wire.UserID{"guest2"}, ClientID: "c"})
		wantErr(t, err, signaling.ErrInCall)
		w.wantState(other.ID, signaling.Ringing, "")
	})
}

func TestDecline_TheCallerLearnsNoReason(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		w.sent.take()
		mine, err := w.calls.Decline(t.Context(), on("seller/s1"), call.ID, "he never pays")
		if err != nil || mine.Note != "he never pays" {
			t.Fatalf("%+v, %v", mine, err)
		}
		out := w.sent.take()
		wantHeard(t, out, "buyer/b1", "call.ended declined")
		wantHeard(t, out, "seller/s2", "call.ended declined")
		theirs := dataOf[struct {
			Call signaling.CallView `json:"call"`
		}](t, out, "buyer/b1", "call.ended").Call
		missed := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		w.pass(signaling.RingTimeout)
		if silent := w.get(missed.ID); theirs.Text == "" || theirs.Text != silent.Text {
			t.Errorf("declined reads %q, no answer reads %q", theirs.Text, silent.Text)
		}
		for _, s := range out {
			if !s.reaches("seller/s2") && strings.Contains(string(s.Data), "never pays") {
				t.Errorf("%s carries the note to %v", s.Type, s.to)
			}
		}
		w.view("SELECT data, '', '' FROM t_log", func(data, _, _ string) {
			if strings.Contains(data, "never pays") || strings.Contains(data, `"device"`) || strings.Contains(data, "card:") {
				t.Errorf("the log says %s", data)
			}
		})
	})
}

func TestNoAnswer_AfterFortyFiveSeconds(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		w.pass(44 * time.Second)
		w.wantState(call.ID, signaling.Ringing, "")
		w.sent.take()
		w.pass(2 * time.Second)
		w.wantState(call.ID, signaling.Ended, signaling.NoAnswer)
		w.wantLeg(call.ID, "seller", signaling.LegMissed)
		out := w.sent.take()
		wantHeard(t, out, "buyer/b1", "call.ended no_answer")
		wantHeard(t, out, "seller/s2", "call.ended no_answer")
		if got := w.entries(); !slices.Equal(got, []string{"conv_1 call.started", "conv_1 call.ended"}) {
			t.Errorf("log has %q", got)
		}
		_, err := w.calls.Answer(t.Context(), on("seller/s1"), call.ID, "")
		wantErr(t, err, signaling.ErrEnded)
	})
}

func TestSessionOpened_OffersAgainWithTheSecondsThatRemain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		w.clock.Advance(30 * time.Second)
		w.sent.take()
		if err := w.node().SessionOpened(t.Context(), "seller", "s3"); err != nil {
			t.Fatal(err)
		}
		out := w.sent.take()
		wantHeard(t, out, "seller/s1")
		again := dataOf[struct {
			Call  signaling.CallView `json:"call"`
			Card  string             `json:"card"`
			RingS int                `json:"ring_s"`
		}](t, out, "seller/s3", "call.offered")
		if again.RingS != 15 || !again.Call.RingDeadline.Equal(call.RingDeadline) || again.Card == "" {
			t.Errorf("offered again: %+v", again)
		}
		w.pass(15 * time.Second)
		w.wantState(call.ID, signaling.Ended, signaling.NoAnswer)
		w.sent.take()
		if err := w.calls.SessionOpened(t.Context(), "seller", "s3"); err != nil {
			t.Fatal(err)
		}
		wantHeard(t, w.sent.take(), "seller/s3")
	})
}

func TestSessionOpened_ShowsADeviceItsRunningCall(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.talking()
		w.sent.take()
		for _, device := range []wire.DeviceID{"s1", "s2"} {
			if err := w.calls.SessionOpened(t.Context(), "seller", device); err != nil {
				t.Fatal(err)
			}
		}
		out := w.sent.take()
		wantHeard(t, out, "seller/s1", "call.updated")
		wantHeard(t, out, "seller/s2")
	})
}

func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		w.sent.take()
		_, err := w.calls.Cancel(t.Context(), on("seller/s1"), call.ID)
		wantErr(t, err, signaling.ErrNotParticipant)
		for range 2 { // a resend changes nothing
			if _, err := w.calls.Cancel(t.Context(), on("buyer/b1"), call.ID); err != nil {
				t.Fatal(err)
			}
		}
		w.wantState(call.ID, signaling.Ended, signaling.Cancelled)
		w.wantLeg(call.ID, "seller", signaling.LegMissed)
		wantHeard(t, w.sent.take(), "seller/s1", "call.ended cancelled")

		late := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		w.answer("seller/s1", late.ID)
		if _, err := w.calls.Cancel(t.Context(), on("buyer/b1"), late.ID); err != nil {
			t.Fatal(err)
		}
		w.wantState(late.ID, signaling.Ended, signaling.Completed)
	})
}
