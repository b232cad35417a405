package payments_test

import (
	"testing"
	"time"

	"parley/payments"
)

// disputed runs f, under the rules given, with a payment of 100.00 EUR that the
// payer disputes after the payee spent so much of it.
func disputed(t *testing.T, cfg payments.Config, spent int64, f func(t *testing.T, w *world, p payments.Payment)) {
	cfg.FeeBasisPoints = 100
	eachWith(t, cfg, func(t *testing.T, w *world) {
		p := w.captured(10_000) // the seller has 99.00
		if spent > 0 {
			s := w.must(w.Create(t.Context(), w.as("server"), payments.CreateInput{Payer: "seller", Payee: "shop", Amount: spent, Currency: "EUR", Confirm: payments.ConfirmNone}))
			w.must(w.Hold(t.Context(), w.as("seller"), s.ID, 0))
			w.must(w.Capture(t.Context(), w.as("server"), s.ID, 0))
		}
		p = w.must(w.Report(t.Context(), w.as("buyer"), p.ID))
		if p.State != payments.Disputed || p.Dispute == nil || p.Reserved != 9_900-spent {
			t.Fatalf("%+v, dispute %+v", p, p.Dispute)
		}
		f(t, w, p)
	})
}

func TestDispute_WithoutAnAnswerGoesToThePayer(t *testing.T) {
	disputed(t, payments.Config{}, 0, func(t *testing.T, w *world, p payments.Payment) {
		if p.Next == nil || p.Next.Outcome != "refunded" || !p.Next.At.Equal(p.Dispute.AnswerBy) {
			t.Errorf("next %+v", p.Next)
		}
		w.clock.Advance(7*24*time.Hour - time.Minute)
		w.sweep()
		if got := w.get(p.ID); got.State != payments.Disputed {
			t.Fatalf("decided too early: %+v", got)
		}
		w.clock.Advance(time.Minute)
		_, err := w.Answer(t.Context(), w.as("seller"), p.ID, "I sent it")
		wantErr(t, err, payments.ErrState)
		w.sweep()
		got := w.get(p.ID)
		if got.State != payments.Refunded || got.Dispute.Outcome != payments.ForPayer || got.Dispute.ClosedAt.IsZero() || w.available("buyer") != 50_000 || w.posted("fees") != 0 {
			t.Errorf("%+v, %+v", got, got.Dispute)
		}
	})
}

func TestDispute_WithoutAnAnswerTakesNoMoreThanThereIs(t *testing.T) {
	disputed(t, payments.Config{}, 6_000, func(t *testing.T, w *world, p payments.Payment) {
		w.fund("seller", 100)
		w.clock.Advance(8 * 24 * time.Hour)
		w.sweep()
		got := w.get(p.ID)
		// 40.00 cover a refund of 40.40, because 0.40 of it are the fee's share.
		if got.State != payments.PartRefunded || got.Refunded != 4_040 || got.Dispute.Uncollected != 5_960 || w.available("seller") != 0 || w.available("buyer") != 44_040 {
			t.Errorf("%+v, %+v, seller has %d, buyer %d", got, got.Dispute, w.available("seller"), w.available("buyer"))
		}
	})
	disputed(t, payments.Config{}, 9_900, func(t *testing.T, w *world, p payments.Payment) {
		w.clock.Advance(8 * 24 * time.Hour)
		w.sweep()
		got := w.get(p.ID)
		if got.State != payments.Captured || got.Refunded != 0 || got.Dispute.Outcome != payments.ForPayer || got.Dispute.Uncollected != 10_000 {
			t.Errorf("%+v, %+v", got, got.Dispute)
		}
	})
}

func TestDispute_AnsweredWaitsForADecision(t *testing.T) {
	disputed(t, payments.Config{}, 0, func(t *testing.T, w *world, p payments.Payment) {
		_, err := w.Answer(t.Context(), w.as("buyer"), p.ID, "no")
		wantErr(t, err, payments.ErrNotParty)
		_, err = w.Answer(t.Context(), w.as("seller"), p.ID, "my card is 4111 1111 1111 1111")
		wantErr(t, err, payments.ErrSensitive)
		p = w.must(w.Answer(t.Context(), w.as("seller"), p.ID, "Sent on Monday, tracked."))
		if p.State != payments.Disputed || p.Dispute.Answer != "Sent on Monday, tracked." || p.Next != nil {
			t.Errorf("%+v, %+v", p, p.Dispute)
		}
		_, err = w.Answer(t.Context(), w.as("seller"), p.ID, "And another thing.")
		wantErr(t, err, payments.ErrState)
		w.clock.Advance(365 * 24 * time.Hour)
		w.sweep()
		if got := w.get(p.ID); got.State != payments.Disputed || got.Reserved != 9_900 {
			t.Errorf("decided by itself: %+v", got)
		}
		if got := w.must(w.Resolve(t.Context(), w.as("server"), p.ID, payments.Payee)); got.State != payments.Captured || got.Dispute.Outcome != payments.ForPayee || w.available("seller") != 9_900 {
			t.Errorf("%+v", got)
		}
	})
}

func TestDispute_UndecidedGoesToWhomTheRulesSay(t *testing.T) {
	disputed(t, payments.Config{IfUndecided: payments.ForPayee}, 0, func(t *testing.T, w *world, p payments.Payment) {
		p = w.must(w.Answer(t.Context(), w.as("seller"), p.ID, "Sent."))
		if p.Next == nil || p.Next.Outcome != "resolved" {
			t.Errorf("next %+v", p.Next)
		}
		w.clock.Advance(31 * 24 * time.Hour)
		w.sweep()
		if got := w.get(p.ID); got.State != payments.Captured || got.Captured != 10_000 || got.Reserved != 0 || w.available("seller") != 9_900 {
			t.Errorf("%+v", got)
		}
	})
	disputed(t, payments.Config{IfUnanswered: payments.ForNobody}, 0, func(t *testing.T, w *world, p payments.Payment) {
		w.clock.Advance(31 * 24 * time.Hour)
		w.sweep()
		if got := w.get(p.ID); got.State != payments.Disputed {
			t.Errorf("%+v", got)
		}
		w.must(w.Answer(t.Context(), w.as("seller"), p.ID, "Late, but here."))
	})
}

func TestDispute_ThePayeeCanGiveIn(t *testing.T) {
	disputed(t, payments.Config{}, 0, func(t *testing.T, w *world, p payments.Payment) {
		_, err := w.Refund(t.Context(), w.as("seller"), p.ID, 100)
		wantErr(t, err, payments.ErrState)
		got := w.must(w.Refund(t.Context(), w.as("seller"), p.ID, 0))
		if got.State != payments.Refunded || got.Dispute.Outcome != payments.ForPayer || w.available("buyer") != 50_000 || w.posted("user:seller:disputed") != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestDispute_EndsTheHoldOfWhatIsNotCaptured(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.held(10_000, payments.ConfirmNone)
		w.must(w.CapturePart(t.Context(), w.as("server"), p.ID, 4_000))
		p = w.must(w.Report(t.Context(), w.as("buyer"), p.ID))
		if p.State != payments.Disputed || p.Held != 0 || p.Reserved != 3_960 || w.available("buyer") != 46_000 {
			t.Errorf("%+v, buyer has %d", p, w.available("buyer"))
		}
		got := w.must(w.Resolve(t.Context(), w.as("server"), p.ID, payments.Payee))
		if got.State != payments.Captured || got.Capturable != 0 {
			t.Errorf("%+v", got)
		}
	})
}
