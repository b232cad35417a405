package payments_test

import (
	"slices"
	"testing"
	"time"

	"parley/payments"
)

// create makes the buyer's payment to the seller that needs no live confirmation.
func (w *world) create(amount int64, confirm, capture string) payments.Payment {
	w.t.Helper()
	return w.must(w.Create(w.t.Context(), w.as("server"), payments.CreateInput{
		Payer: "buyer", Payee: "seller", Amount: amount, Currency: "EUR", Confirm: confirm, Capture: capture,
	}))
}

func TestCapture_AutomaticWithoutConfirmationComesWithTheHold(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.create(3_000, payments.ConfirmNone, payments.CaptureAutomatic)
		p = w.must(w.Hold(t.Context(), w.as("buyer"), p.ID, 0))
		if p.State != payments.Captured || p.Captured != 3_000 || w.available("seller") != 2_970 || p.Next != nil {
			t.Errorf("%+v", p)
		}
		if got := w.changes(p.ID); !slices.Equal(got, []string{"requested", "held", "captured"}) {
			t.Errorf("events %v", got)
		}
		poor := w.create(60_000, payments.ConfirmNone, payments.CaptureAutomatic)
		_, err := w.Hold(t.Context(), w.as("buyer"), poor.ID, 0)
		wantErr(t, err, payments.ErrInsufficientFunds)
		if got := w.get(poor.ID); got.State != payments.Requested {
			t.Errorf("%+v", got)
		}
	})
}

func TestCapture_ManualAfterBothConfirmedTakesAtMostThat(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.create(10_000, payments.ConfirmLive, payments.CaptureManual)
		p = w.must(w.Hold(t.Context(), w.as("buyer"), p.ID, 0))
		_, err := w.CapturePart(t.Context(), w.as("server"), p.ID, 1)
		wantErr(t, err, payments.ErrLiveRequired)
		w.must(w.confirm(w.as("buyer"), p, "t1"))
		p = w.must(w.confirm(w.as("seller"), p, "t1"))
		if p.State != payments.Confirmed || p.Next == nil || p.Next.Outcome != "voided" || w.posted("user:buyer:held") != 10_000 {
			t.Fatalf("%+v", p)
		}
		_, err = w.Edit(t.Context(), w.as("seller"), p.ID, payments.EditInput{Amount: 9_000})
		wantErr(t, err, payments.ErrState)
		_, err = w.CapturePart(t.Context(), w.as("server"), p.ID, 10_001)
		wantErr(t, err, payments.ErrTooMuch)
		p = w.must(w.CapturePart(t.Context(), w.as("server"), p.ID, 4_000))
		if p.State != payments.PartCaptured || p.Held != 6_000 || p.Next == nil || p.Next.Outcome != "released" {
			t.Errorf("%+v", p)
		}
		p = w.must(w.Void(t.Context(), w.as("buyer"), p.ID))
		if p.State != payments.Captured || p.Captured != 4_000 || p.Capturable != 0 || w.available("buyer") != 46_000 {
			t.Errorf("%+v, buyer has %d", p, w.available("buyer"))
		}
		_, err = w.Capture(t.Context(), w.as("server"), p.ID, 0)
		wantErr(t, err, payments.ErrState)
	})
}

func TestCapture_SeveralUntilTheHoldIsUsedUp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.held(10_000, payments.ConfirmNone)
		for _, amount := range []int64{2_500, 2_500, 5_000} {
			p = w.must(w.CapturePart(t.Context(), w.as("server"), p.ID, amount))
		}
		if p.State != payments.Captured || p.Captured != 10_000 || p.Fee != 100 || p.HoldExpires != nil || w.posted("user:buyer:held") != 0 {
			t.Errorf("%+v", p)
		}
		want := []string{"requested", "held", "part_captured", "part_captured", "captured"}
		if got := w.changes(p.ID); !slices.Equal(got, want) {
			t.Errorf("events %v", got)
		}
	})
}

func TestHold_ThatExpiresGivesTheUncapturedRestBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.held(10_000, payments.ConfirmNone)
		w.must(w.CapturePart(t.Context(), w.as("server"), p.ID, 4_000))
		w.must(w.Refund(t.Context(), w.as("seller"), p.ID, 1_000))
		w.clock.Advance(7 * 24 * time.Hour)
		_, err := w.CapturePart(t.Context(), w.as("server"), p.ID, 1)
		wantErr(t, err, payments.ErrHoldExpired)
		w.sweep()
		if got := w.get(p.ID); got.State != payments.PartRefunded || got.Captured != 4_000 || got.Held != 0 || w.available("buyer") != 47_000 {
			t.Errorf("%+v, buyer has %d", got, w.available("buyer"))
		}
	})
}

func TestExtend_IsBoundedAndMakesANewVersionWhileUnconfirmed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const day = 24 * time.Hour
		p := w.held(10_000, "")
		w.must(w.confirm(w.as("buyer"), p, "t1"))
		_, err := w.Extend(t.Context(), w.as("seller"), p.ID, 10*day)
		wantErr(t, err, payments.ErrNotParty)
		_, err = w.Extend(t.Context(), w.as("buyer"), p.ID, 6*day)
		wantErr(t, err, payments.ErrInput)
		_, err = w.Extend(t.Context(), w.as("buyer"), p.ID, 31*day)
		wantErr(t, err, payments.ErrInput)
		longer := w.must(w.Extend(t.Context(), w.as("buyer"), p.ID, 20*day))
		if longer.Version != 2 || longer.Digest == p.Digest || longer.State != payments.Held || len(longer.ConfirmedBy) != 0 || longer.HoldExpires.Sub(*p.HoldExpires).Round(time.Hour) != 13*day {
			t.Errorf("%+v", longer)
		}
		_, err = w.confirm(w.as("seller"), p, "t1")
		wantErr(t, err, payments.ErrVersionStale)
		w.clock.Advance(19 * day)
		w.sweep()
		_, err = w.Extend(t.Context(), w.as("buyer"), p.ID, 12*day) // 31 days after the hold began
		wantErr(t, err, payments.ErrInput)
		if got := w.must(w.Extend(t.Context(), w.as("server"), p.ID, 10*day)); got.State != payments.Held || got.Version != 3 {
			t.Errorf("%+v", got)
		}
		w.clock.Advance(10 * day)
		_, err = w.Extend(t.Context(), w.as("buyer"), p.ID, 11*time.Hour)
		wantErr(t, err, payments.ErrHoldExpired)
		w.sweep()
		if got := w.get(p.ID); got.State != payments.Voided || w.available("buyer") != 50_000 {
			t.Errorf("%+v", got)
		}
	})
}

func TestExtend_KeepsWhatBothConfirmed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.create(10_000, payments.ConfirmLive, payments.CaptureManual)
		p = w.must(w.Hold(t.Context(), w.as("buyer"), p.ID, 0))
		w.must(w.confirm(w.as("buyer"), p, "t1"))
		w.must(w.confirm(w.as("seller"), p, "t1"))
		got := w.must(w.Extend(t.Context(), w.as("server"), p.ID, 10*24*time.Hour))
		if got.State != payments.Confirmed || got.Version != 1 || got.Digest != p.Digest || len(got.ConfirmedBy) != 2 {
			t.Errorf("%+v", got)
		}
	})
}

func TestReduce_IsThePayeesStepBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		live := w.held(10_000, "")
		_, err := w.Reduce(t.Context(), w.as("seller"), live.ID, 5_000)
		wantErr(t, err, payments.ErrState)
		w.must(w.Void(t.Context(), w.as("buyer"), live.ID))

		p := w.held(10_000, payments.ConfirmNone)
		_, err = w.Reduce(t.Context(), w.as("buyer"), p.ID, 5_000)
		wantErr(t, err, payments.ErrNotParty)
		_, err = w.Reduce(t.Context(), w.as("seller"), p.ID, 10_000)
		wantErr(t, err, payments.ErrTooMuch)
		got := w.must(w.Reduce(t.Context(), w.as("seller"), p.ID, 6_000))
		if got.State != payments.Held || got.Version != 1 || got.Digest != p.Digest || got.Amount != 10_000 || got.Held != 6_000 || w.available("buyer") != 44_000 {
			t.Errorf("%+v, buyer has %d", got, w.available("buyer"))
		}
		memo := "in two parcels"
		got = w.must(w.Edit(t.Context(), w.as("seller"), p.ID, payments.EditInput{Memo: &memo}))
		if got.Held != 6_000 || got.Capturable != 6_000 {
			t.Errorf("an edit of the memo changed the hold: %+v", got)
		}
		w.must(w.CapturePart(t.Context(), w.as("server"), p.ID, 2_000))
		got = w.must(w.Reduce(t.Context(), w.as("server"), p.ID, 1_000))
		if got.State != payments.PartCaptured || got.Held != 1_000 || got.Capturable != 1_000 {
			t.Errorf("%+v", got)
		}
		_, err = w.Capture(t.Context(), w.as("server"), p.ID, 1_001)
		wantErr(t, err, payments.ErrTooMuch)
		got = w.must(w.Capture(t.Context(), w.as("server"), p.ID, 0))
		if got.State != payments.Captured || got.Captured != 3_000 || w.available("buyer") != 47_000 {
			t.Errorf("%+v, buyer has %d", got, w.available("buyer"))
		}
	})
}

func TestReview_OfAPaymentThatIsCapturedInPart(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		partly := func() payments.Payment {
			p := w.held(10_000, payments.ConfirmNone)
			w.must(w.CapturePart(t.Context(), w.as("server"), p.ID, 4_000))
			if err := w.Review(t.Context(), p.ID); err != nil {
				t.Fatal(err)
			}
			_, err := w.Capture(t.Context(), w.as("server"), p.ID, 0)
			wantErr(t, err, payments.ErrState)
			return p
		}
		p := partly()
		if got := w.must(w.Resolve(t.Context(), w.as("server"), p.ID, payments.Payer)); got.State != payments.Captured || got.Held != 0 || w.available("buyer") != 46_000 {
			t.Errorf("for the payer: %+v", got)
		}
		p = partly()
		if got := w.must(w.Resolve(t.Context(), w.as("server"), p.ID, payments.Payee)); got.State != payments.PartCaptured || got.Held != 6_000 {
			t.Errorf("for the payee: %+v", got)
		}
	})
}
