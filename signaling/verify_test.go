package signaling_test

import (
	"errors"
	"slices"
	"testing"

	"parley/signaling"
	"parley/wire"
)

func (w *world) verify(who string, id wire.CallID, n int, match bool) signaling.CallView {
	w.t.Helper()
	v, err := w.calls.Verify(w.t.Context(), on(who), id, transcript(n), match)
	if err != nil {
		w.t.Fatalf("%s verifies: %v", who, err)
	}
	return v
}

func TestVerify_BothSayMatch(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		if v := w.verify("buyer/b1", call.ID, 1, true); v.Verified != signaling.WordsNone || v.E2E || v.Transcript != "" {
			t.Errorf("one word is enough: %+v", v)
		}
		w.sent.take()
		v := w.verify("seller/s1", call.ID, 1, true)
		if v.Verified != signaling.WordsMatch || !v.E2E || v.Transcript != transcript(1) || v.State != signaling.Active {
			t.Errorf("both matched: %+v", v)
		}
		wantHeard(t, w.sent.take(), "buyer/b1", "call.updated")
		live, err := w.calls.ActiveFor(t.Context(), "pay_1")
		if err != nil || live.Transcript != transcript(1) || live.Verified != signaling.WordsMatch || !live.E2E ||
			!slices.Equal(live.Users, []wire.UserID{"buyer", "seller"}) {
			t.Errorf("live is %+v, %v", live, err)
		}
		w.verify("buyer/b1", call.ID, 1, true) // a resend
		if got := w.get(call.ID); got.Version != v.Version || len(w.sent.take()) != 0 {
			t.Error("a resend changed something")
		}
		if got := w.reviews(); len(got) != 0 {
			t.Errorf("reviews %q", got)
		}
	})
}

func TestVerify_AMismatchEndsTheCallAndReviewsThePayment(t *testing.T) {
	for name, say := range map[string]func(w *world, id wire.CallID){
		"the caller says differ": func(w *world, id wire.CallID) { w.verify("buyer/b1", id, 1, false) },
		"the callee says differ": func(w *world, id wire.CallID) {
			w.verify("buyer/b1", id, 1, true)
			w.verify("seller/s1", id, 1, false)
		},
		"unequal transcripts": func(w *world, id wire.CallID) {
			w.verify("buyer/b1", id, 1, true)
			w.verify("seller/s1", id, 2, true)
		},
		"differ after both matched": func(w *world, id wire.CallID) {
			w.verify("buyer/b1", id, 1, true)
			w.verify("seller/s1", id, 1, true)
			w.verify("buyer/b1", id, 1, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				call := w.talking()
				w.sent.take()
				say(w, call.ID)
				v := w.wantState(call.ID, signaling.Ended, signaling.Policy)
				if v.Verified != signaling.WordsDiffer || v.E2E || v.Transcript != "" || v.Detail != signaling.DetailVerificationFailed {
					t.Errorf("the call says %+v", v)
				}
				if got := w.reviews(); !slices.Equal(got, []string{"pay_1 verification_failed"}) {
					t.Errorf("reviews %q", got)
				}
				if got := w.entries(); !slices.Equal(got, []string{"conv_1 call.started", "conv_1 note", "conv_1 call.ended"}) {
					t.Errorf("log has %q", got)
				}
				out := w.sent.take()
				ended := false
				for _, who := range []string{"buyer/b1", "seller/s1"} {
					ended = ended || slices.Contains(heard(out, who), "call.ended policy")
				}
				if !slices.Contains(heard(out, "buyer/b2"), "call.ended policy") || !ended {
					t.Errorf("the end was not told: %v", out)
				}
				_, err := w.calls.ActiveFor(t.Context(), "pay_1")
				wantErr(t, err, signaling.ErrUnknown)
			})
		})
	}
}

func TestVerify_ReviewAndEndStandOrFallTogether(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		w.refuse = errors.New("log is full")
		if _, err := w.calls.Verify(t.Context(), on("buyer/b1"), call.ID, transcript(1), false); !errors.Is(err, w.refuse) {
			t.Fatal(err)
		}
		w.wantState(call.ID, signaling.Active, "")
		if got := w.reviews(); len(got) != 0 {
			t.Errorf("the payment is in review though the call goes on: %q", got)
		}
	})
}

func TestVerify_NewKeysVoidTheOldAgreementAndCountAsAnAttempt(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		for round := 1; round <= signaling.MaxVerifyAttempts; round++ {
			w.verify("buyer/b1", call.ID, round, true)
			if live, err := w.calls.ActiveFor(t.Context(), "pay_1"); err != nil || live.Verified != signaling.WordsNone || live.Transcript != "" {
				t.Fatalf("round %d: live is %+v, %v", round, live, err)
			}
			if v := w.verify("seller/s1", call.ID, round, true); v.Verified != signaling.WordsMatch || v.Transcript != transcript(round) {
				t.Fatalf("round %d: %+v", round, v)
			}
		}
		w.verify("buyer/b1", call.ID, 9, true)
		w.wantState(call.ID, signaling.Ended, signaling.Policy)
		if got := w.reviews(); len(got) != 1 {
			t.Errorf("reviews %q", got)
		}
	})
}

func TestVerify_NeedsADirectCallAndATranscript(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("buyer/b1", signaling.Start{Payment: "pay_1", SFU: true})
		w.answer("seller/s1", call.ID)
		w.connect(call.ID, signaling.RouteSFU, "buyer/b1", "seller/s1")
		_, err := w.calls.Verify(t.Context(), on("buyer/b1"), call.ID, transcript(1), true)
		wantErr(t, err, signaling.ErrNotEndToEnd)
		if v := w.get(call.ID); v.Verified != signaling.WordsNone || v.E2E {
			t.Errorf("through the SFU it says %+v", v)
		}
		for _, bad := range []string{"", "abc", transcript(1)[1:], transcript(0xabc)[:61] + "ABC"} {
			_, err := w.calls.Verify(t.Context(), on("buyer/b1"), call.ID, bad, true)
			wantErr(t, err, signaling.ErrInput)
		}
	})
}
