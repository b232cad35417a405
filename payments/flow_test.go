package payments_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
)

// each runs f on every database with a buyer who has 500.00 EUR and a fee of 1 %.
func each(t *testing.T, f func(t *testing.T, w *world)) {
	eachWith(t, payments.Config{FeeBasisPoints: 100}, f)
}

// eachWith is each under other rules.
func eachWith(t *testing.T, cfg payments.Config, f func(t *testing.T, w *world)) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, cfg)
		w.fund("buyer", 50_000)
		f(t, w)
		w.check()
	})
}

// sweep lets passed deadlines take effect.
func (w *world) sweep() {
	w.t.Helper()
	if _, err := w.Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(id string) payments.Payment {
	w.t.Helper()
	return w.must(w.Get(w.t.Context(), server, id))
}

// has reports whether a text has every part.
func has(text string, parts ...string) bool {
	return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(text, p) })
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestEdit_DownReducesTheHoldAndVoidsConfirmations(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		v1 := w.held(12_000, "")
		w.must(w.confirm(w.as("buyer"), v1, "t1"))
		v2 := w.must(w.Edit(t.Context(), w.as("seller"), v1.ID, payments.EditInput{Version: 1, Amount: 11_000}))
		if v2.State != payments.Held || v2.Version != 2 || v2.Digest == v1.Digest || len(v2.ConfirmedBy) != 0 || w.available("buyer") != 39_000 {
			t.Fatalf("after the edit: %+v, buyer has %d", v2, w.available("buyer"))
		}
		_, err := w.confirm(w.as("buyer"), v1, "t1")
		wantErr(t, err, payments.ErrVersionStale)
		w.must(w.confirm(w.as("seller"), v2, "t1"))
		if p := w.must(w.confirm(w.as("buyer"), v2, "t1")); p.State != payments.Captured || w.available("seller") != 10_890 {
			t.Errorf("after both confirmed version 2: %+v", p)
		}
	})
}

func TestEdit_UpGivesTheHoldBackAndWaitsForANewOne(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.held(12_000, "")
		p = w.must(w.Edit(t.Context(), w.as("seller"), p.ID, payments.EditInput{Version: 1, Amount: 13_000}))
		if p.State != payments.Requested || p.HoldExpires != nil || w.available("buyer") != 50_000 {
			t.Fatalf("after the edit: %+v", p)
		}
		_, err := w.confirm(w.as("buyer"), p, "t1")
		wantErr(t, err, payments.ErrState)
		p = w.must(w.Hold(t.Context(), w.as("buyer"), p.ID, 2))
		if p.State != payments.Held || p.Version != 2 || w.available("buyer") != 37_000 {
			t.Errorf("after the new hold: %+v", p)
		}
	})
}

func TestDeadlines_GiveBackAndNeverCapture(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		asked := w.request(1_000, "")
		held := w.held(2_000, "")
		half := w.held(3_000, "")
		w.must(w.confirm(w.as("buyer"), half, "t1"))
		w.sweep()
		if p := w.get(half.ID); p.State != payments.Confirming {
			t.Fatalf("swept too early: %+v", p)
		}

		w.clock.Advance(121 * time.Second)
		_, err := w.confirm(w.as("seller"), half, "t1")
		wantErr(t, err, payments.ErrConfirmationExpired)
		w.sweep()
		if p := w.get(half.ID); p.State != payments.Held || len(p.ConfirmedBy) != 0 || p.ConfirmBefore != nil {
			t.Errorf("after the time to confirm: %+v", p)
		}

		w.clock.Advance(24 * time.Hour)
		_, err = w.Hold(t.Context(), w.as("buyer"), asked.ID, 0)
		wantErr(t, err, payments.ErrState)
		w.sweep()
		if p := w.get(asked.ID); p.State != payments.Expired {
			t.Errorf("the request is %s", p.State)
		}

		w.clock.Advance(7 * 24 * time.Hour)
		_, err = w.confirm(w.as("buyer"), held, "t1")
		wantErr(t, err, payments.ErrHoldExpired)
		w.sweep()
		for _, id := range []string{held.ID, half.ID} {
			if p := w.get(id); p.State != payments.Voided || p.Captured != 0 {
				t.Errorf("after the hold: %+v", p)
			}
		}
		if w.available("buyer") != 50_000 || w.available("seller") != 0 {
			t.Errorf("buyer has %d, seller %d", w.available("buyer"), w.available("seller"))
		}
		want := []string{"requested", "held", "confirming", "confirmations_void", "voided"}
		if got := w.changes(half.ID); !slices.Equal(got, want) {
			t.Errorf("events %v, want %v", got, want)
		}
	})
}

func TestRun_SweepsByItselfAndEnds(t *testing.T) {
	db := sqldbtest.Open(t, schemas())
	woken := make(chan struct{}, 16)
	w := newWorld(t, db, payments.Config{}, func(d *payments.Deps) { d.Wake = func() { woken <- struct{}{} } })
	w.fund("buyer", 5_000)
	p := w.held(2_000, "")
	ctx, cancel := contextOf(t)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for range 2 {
		<-woken // requested, held
	}
	w.clock.Advance(8 * 24 * time.Hour)
	<-woken
	if got := w.get(p.ID); got.State != payments.Voided {
		t.Errorf("%+v", got)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestCapture_InPartReleasesTheRest(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.held(12_000, payments.ConfirmNone)
		_, err := w.Capture(t.Context(), w.as("seller"), p.ID, 0)
		wantErr(t, err, payments.ErrNotParty)
		_, err = w.Capture(t.Context(), w.as("server"), p.ID, 12_001)
		wantErr(t, err, payments.ErrTooMuch)
		p = w.must(w.Capture(t.Context(), w.as("buyer"), p.ID, 5_050))
		if p.Captured != 5_050 || p.Fee != 50 || w.available("buyer") != 44_950 || w.available("seller") != 5_000 || w.posted("user:buyer:held") != 0 {
			t.Errorf("%+v, buyer %d, seller %d", p, w.available("buyer"), w.available("seller"))
		}
		_, err = w.Capture(t.Context(), w.as("server"), p.ID, 0)
		wantErr(t, err, payments.ErrState)
	})
}

func TestRefund_InPartsGivesTheWholeFeeBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.captured(9_999)
		if p.Fee != 99 {
			t.Fatalf("fee %d", p.Fee)
		}
		for _, part := range []int64{3_333, 3_333, 0} {
			p = w.must(w.Refund(t.Context(), w.as("seller"), p.ID, part))
		}
		if p.State != payments.Refunded || p.Refunded != 9_999 || w.available("buyer") != 50_000 || w.available("seller") != 0 || w.posted("fees") != 0 {
			t.Errorf("%+v: buyer %d, seller %d, fees %d", p, w.available("buyer"), w.available("seller"), w.posted("fees"))
		}
	})
}

func TestReview_StopsUntilResolved(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.held(12_000, "")
		w.must(w.confirm(w.as("seller"), p, "t1"))
		if err := w.Review(t.Context(), p.ID); err != nil {
			t.Fatal(err)
		}
		if got := w.get(p.ID); got.State != payments.InReview || len(got.ConfirmedBy) != 0 {
			t.Fatalf("%+v", got)
		}
		_, err := w.confirm(w.as("buyer"), p, "t1")
		wantErr(t, err, payments.ErrState)
		_, err = w.Resolve(t.Context(), w.as("seller"), p.ID, payments.Payee)
		wantErr(t, err, payments.ErrNotParty)
		if got := w.must(w.Resolve(t.Context(), w.as("server"), p.ID, payments.Payee)); got.State != payments.Held {
			t.Errorf("resolved for the payee: %+v", got)
		}
		if got := w.must(w.Report(t.Context(), w.as("buyer"), p.ID)); got.State != payments.InReview {
			t.Errorf("reported: %+v", got)
		}
		if got := w.must(w.Resolve(t.Context(), w.as("server"), p.ID, payments.Payer)); got.State != payments.Voided || w.available("buyer") != 50_000 {
			t.Errorf("resolved for the payer: %+v", got)
		}
		if err := w.Review(t.Context(), p.ID); err != nil {
			t.Errorf("review of what is over: %v", err)
		}
	})
}

func TestDispute_ReservesWhatThePayeeStillHas(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.captured(10_000) // seller has 9,900
		spent := w.must(w.Create(t.Context(), w.as("server"), payments.CreateInput{Payer: "seller", Payee: "shop", Amount: 6_000, Currency: "EUR", Confirm: payments.ConfirmNone}))
		w.must(w.Hold(t.Context(), w.as("server"), spent.ID, 0))
		if got := w.must(w.Report(t.Context(), w.as("buyer"), p.ID)); got.State != payments.Disputed || w.posted("user:seller:disputed") != 3_900 || w.available("seller") != 0 {
			t.Fatalf("%+v, reserve %d", got, w.posted("user:seller:disputed"))
		}
		_, err := w.Resolve(t.Context(), w.as("server"), p.ID, payments.Payer)
		wantErr(t, err, payments.ErrInsufficientFunds)
		w.must(w.Void(t.Context(), w.as("server"), spent.ID))
		if got := w.must(w.Resolve(t.Context(), w.as("server"), p.ID, payments.Payer)); got.State != payments.Refunded || w.available("buyer") != 50_000 || w.posted("user:seller:disputed") != 0 {
			t.Errorf("%+v", got)
		}
		kept := w.captured(10_000)
		w.must(w.Report(t.Context(), w.as("buyer"), kept.ID))
		if got := w.must(w.Resolve(t.Context(), w.as("server"), kept.ID, payments.Payee)); got.State != payments.Captured || w.available("seller") != 9_900 {
			t.Errorf("%+v, seller %d", got, w.available("seller"))
		}
	})
}

func TestUnconfirm_MakesConfirmationsVoid(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.held(1_000, "")
		w.must(w.confirm(w.as("seller"), p, "t1"))
		if err := w.db.Update(t.Context(), func(tx *sqldb.Tx) error { return w.UnconfirmTx(tx, p.ID) }); err != nil {
			t.Fatal(err)
		}
		if got := w.must(w.confirm(w.as("buyer"), p, "t1")); got.State != payments.Confirming || !slices.Equal(got.ConfirmedBy, []string{"payer"}) {
			t.Errorf("%+v", got)
		}
	})
}

func TestConfirm_DeadlineIsTheEarlierOne(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.held(1_000, "")
		opened := w.clock.Now().Add(50 * time.Second)
		confirm := func(deadline time.Time) (got payments.Payment, err error) {
			err = w.db.Update(t.Context(), func(tx *sqldb.Tx) error {
				got, err = w.ConfirmTx(tx, payments.Confirmation{By: w.as("seller"), Payment: p.ID, Version: 1, Call: "c", Transcript: "t", Deadline: deadline})
				return err
			})
			return got, err
		}
		_, err := confirm(w.clock.Now())
		wantErr(t, err, payments.ErrConfirmationExpired)
		got := w.must(confirm(opened))
		if got.ConfirmBefore == nil || got.ConfirmBefore.Sub(opened).Abs() > time.Millisecond {
			t.Errorf("deadline %v, want %v", got.ConfirmBefore, opened)
		}
	})
}

func TestDigest_IsOfTheVersionAndExpiresWithTheHold(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		expires := func(id string) (string, string) {
			t.Helper()
			in, err := w.Intent(t.Context(), server, id)
			if err != nil {
				t.Fatal(err)
			}
			var s payments.Snapshot
			if err := json.Unmarshal([]byte(in.Snapshot), &s); err != nil {
				t.Fatal(err)
			}
			if s.Version != in.Version || s.Amount != in.Amount || s.PayeeID != "seller" || s.Purpose != "order ord_77: Bike" {
				t.Errorf("snapshot %+v of %+v", s, in)
			}
			return s.Expires, in.Digest
		}
		p := w.request(1_000, "")
		asked, _ := expires(p.ID)
		p = w.must(w.Hold(t.Context(), w.as("buyer"), p.ID, 0))
		held, digest := expires(p.ID)
		if want := p.HoldExpires.Format(time.RFC3339); held != want || asked == held {
			t.Errorf("expires %s, then %s, want %s", asked, held, want)
		}
		w.must(w.confirm(w.as("buyer"), p, "t1"))
		if _, after := expires(p.ID); after != digest {
			t.Error("a confirmation changed the digest")
		}
	})
}
