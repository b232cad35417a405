package payments_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"parley/payments"
)

func TestFeeRule_Of(t *testing.T) {
	for _, c := range []struct {
		rule   string
		amount int64
		want   int64
	}{
		{"EUR basis_points=100", 12_000, 120},
		{"EUR basis_points=100", 99, 0},
		{"EUR basis_points=133", 9_999, 132},
		{"EUR fixed=25", 10_000, 25},
		{"EUR fixed=25", 10, 10}, // never more than what is captured
		{"EUR fixed=25 paid_by=payer", 10, 25},
		{"EUR fixed=25 basis_points=150", 10_000, 175},
		{"EUR basis_points=150 min=50", 1_000, 50},
		{"EUR basis_points=150 max=500", 100_000, 500},
		{"EUR fixed=25 basis_points=150 min=50 max=500 paid_by=payer", 100, 50},
		{"EUR basis_points=10000", 777, 777},
		{"EUR basis_points=10000 paid_by=payer", payments.MaxAmount, payments.MaxAmount},
		{"EUR basis_points=150", 0, 0},
	} {
		rules, err := payments.ParseFees([]string{c.rule})
		if err != nil {
			t.Fatal(err)
		}
		if got := rules["EUR"].Of(c.amount); got != c.want {
			t.Errorf("%s of %d: got %d, want %d", c.rule, c.amount, got, c.want)
		}
	}
}

func TestParseFees_Refuses(t *testing.T) {
	for _, texts := range [][]string{
		{"EUR"}, {""}, {"XXX fixed=1"}, {"eur fixed=1"}, {"EUR fixed=-1"}, {"EUR fixed=1.5"}, {"EUR fixed"}, {"EUR basis_points=10001"},
		{"EUR min=2 max=1"}, {"EUR paid_by=bank"}, {"EUR on_refund=half"}, {"EUR tax=1"}, {"* fixed=1"}, {"* basis_points=100 min=1"},
		{"EUR fixed=1", "EUR fixed=2"}, {"EUR fixed=9999999999999"},
	} {
		if _, err := payments.ParseFees(texts); !errors.Is(err, payments.ErrFeeRule) {
			t.Errorf("%q: %v", texts, err)
		}
	}
	rules, err := payments.ParseFees([]string{"* basis_points=100", "JPY fixed=30 paid_by=payer on_refund=keep"})
	if want := (payments.FeeRule{Fixed: 30, PaidBy: payments.FeeByPayer, OnRefund: payments.FeeKept}); err != nil || rules["JPY"] != want || rules["*"].BasisPoints != 100 {
		t.Errorf("%+v, %v", rules, err)
	}
}

// TestFeeRule_GrowsWithTheAmount is what lets fees of several captures be
// differences: never negative, and never more than what the payee gets.
func TestFeeRule_GrowsWithTheAmount(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rule := anyFees(rt)
		less := rapid.Int64Range(0, payments.MaxAmount-1_000).Draw(rt, "less")
		more := less + rapid.OneOf(rapid.Int64Range(0, 1_000), rapid.Int64Range(0, payments.MaxAmount-less)).Draw(rt, "more")
		grown := rule.Of(more) - rule.Of(less)
		if grown < 0 {
			rt.Fatalf("%+v: of %d %d, of %d %d", rule, less, rule.Of(less), more, rule.Of(more))
		}
		if rule.PaidBy == payments.FeeByPayee && grown > more-less {
			rt.Fatalf("%+v: a capture of %d costs %d", rule, more-less, grown)
		}
	})
}

func FuzzParseFees(f *testing.F) {
	for _, text := range []string{"EUR basis_points=150 fixed=25 min=50 max=1000 paid_by=payer on_refund=keep", "* basis_points=1", "JPY max=", "EUR fixed=9223372036854775807", "= = ="} {
		f.Add(text, int64(12_000))
	}
	f.Fuzz(func(t *testing.T, text string, amount int64) {
		rules, err := payments.ParseFees([]string{text})
		if err != nil || amount < 0 || amount > payments.MaxAmount {
			return
		}
		for _, r := range rules {
			if fee := r.Of(amount); fee < 0 || r.PaidBy == payments.FeeByPayee && fee > amount || r.Max > 0 && fee > r.Max {
				t.Fatalf("%q of %d is %d", text, amount, fee)
			}
		}
	})
}

// feeWorld runs f with a buyer who has 500.00 EUR and a rule for EUR.
func feeWorld(t *testing.T, rule payments.FeeRule, f func(t *testing.T, w *world)) {
	eachWith(t, payments.Config{Fees: map[string]payments.FeeRule{"EUR": rule}}, f)
}

func TestFee_PayerPaysOnTopOfTheAmount(t *testing.T) {
	rule := payments.FeeRule{BasisPoints: 100, Fixed: 25, PaidBy: payments.FeeByPayer}
	feeWorld(t, rule, func(t *testing.T, w *world) {
		asked := w.request(10_000, "")
		p := w.must(w.Hold(t.Context(), w.as("buyer"), asked.ID, 0))
		if p.Held != 10_125 || p.Total != 10_125 || p.Capturable != 10_000 || w.available("buyer") != 39_875 {
			t.Fatalf("%+v, buyer has %d", p, w.available("buyer"))
		}
		in, err := w.Intent(t.Context(), server, p.ID)
		if err != nil || !has(in.Snapshot, `"amount":10000`, `"fee":125`) {
			t.Errorf("both confirm %s, %v", in.Snapshot, err)
		}
		p = w.must(w.Edit(t.Context(), w.as("seller"), p.ID, payments.EditInput{Amount: 5_000}))
		if p.State != payments.Held || p.Held != 5_075 {
			t.Errorf("after an edit down: %+v", p)
		}
		p = w.must(w.Edit(t.Context(), w.as("seller"), p.ID, payments.EditInput{Amount: 5_001}))
		if p.State != payments.Requested || p.Held != 0 || w.available("buyer") != 50_000 {
			t.Errorf("after an edit up: %+v", p)
		}
		p = w.must(w.Hold(t.Context(), w.as("buyer"), p.ID, 0))
		w.must(w.confirm(w.as("buyer"), p, "t1"))
		p = w.must(w.confirm(w.as("seller"), p, "t1"))
		if p.State != payments.Captured || p.Captured != 5_001 || p.Fee != 75 || w.available("seller") != 5_001 || w.posted("fees") != 75 {
			t.Errorf("%+v, seller has %d", p, w.available("seller"))
		}
		p = w.must(w.Refund(t.Context(), w.as("seller"), p.ID, 2_000))
		if p.FeeRefunded != 29 || w.available("buyer") != 50_000-5_076+2_029 { // floor(75 * 2000 / 5001)
			t.Errorf("%+v, buyer has %d", p, w.available("buyer"))
		}
		p = w.must(w.Refund(t.Context(), w.as("seller"), p.ID, 0))
		if p.FeeRefunded != 75 || w.available("buyer") != 50_000 || w.posted("fees") != 0 {
			t.Errorf("%+v, buyer has %d", p, w.available("buyer"))
		}
	})
}

func TestFee_OfSeveralCapturesIsTheFeeOfTheirSum(t *testing.T) {
	rule := payments.FeeRule{BasisPoints: 150, Fixed: 25, Max: 100}
	feeWorld(t, rule, func(t *testing.T, w *world) {
		p := w.held(12_000, payments.ConfirmNone)
		for _, step := range []struct{ amount, fee int64 }{{10, 10}, {1_000, 40}, {999, 55}, {5_000, 100}} {
			p = w.must(w.CapturePart(t.Context(), w.as("server"), p.ID, step.amount))
			if p.State != payments.PartCaptured || p.Fee != step.fee {
				t.Errorf("after %d: %+v", step.amount, p)
			}
		}
		p = w.must(w.Capture(t.Context(), w.as("server"), p.ID, 0))
		if p.State != payments.Captured || p.Captured != 12_000 || p.Fee != 100 || w.available("seller") != 11_900 {
			t.Errorf("%+v, seller has %d", p, w.available("seller"))
		}
	})
}

func TestFee_KeptWhenTheRuleSaysSo(t *testing.T) {
	rule := payments.FeeRule{Fixed: 200, OnRefund: payments.FeeKept}
	feeWorld(t, rule, func(t *testing.T, w *world) {
		w.fund("seller", 1_000)
		p := w.captured(5_000)
		p = w.must(w.Refund(t.Context(), w.as("seller"), p.ID, 0))
		if p.State != payments.Refunded || p.FeeRefunded != 0 || w.available("buyer") != 50_000 || w.available("seller") != 800 || w.posted("fees") != 200 {
			t.Errorf("%+v, seller has %d", p, w.available("seller"))
		}
	})
}

func TestFee_RuleStaysWithThePayment(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.held(10_000, payments.ConfirmNone)
		dear := newWorld(t, w.db, payments.Config{FeeBasisPoints: 5_000})
		got := w.must(dear.Capture(t.Context(), payments.Actor{Server: true, Key: "dear"}, p.ID, 0))
		if got.Fee != 100 || got.FeeRule.BasisPoints != 100 {
			t.Errorf("%+v", got)
		}
	})
}

func TestFee_RefusesAnAmountThatIsTooLargeWithIt(t *testing.T) {
	feeWorld(t, payments.FeeRule{Fixed: 2, PaidBy: payments.FeeByPayer}, func(t *testing.T, w *world) {
		_, err := w.Create(t.Context(), w.as("seller"), payments.CreateInput{Payer: "buyer", Amount: payments.MaxAmount - 1, Currency: "EUR"})
		wantErr(t, err, payments.ErrAmount)
		p := w.request(500, "")
		_, err = w.Edit(t.Context(), w.as("seller"), p.ID, payments.EditInput{Amount: payments.MaxAmount - 1})
		wantErr(t, err, payments.ErrAmount)
	})
}

// TestFee_GivenBackIsNeverTakenBack captures more after a refund, so that the
// fee's share of what was refunded before becomes smaller.
func TestFee_GivenBackIsNeverTakenBack(t *testing.T) {
	feeWorld(t, payments.FeeRule{Fixed: 25}, func(t *testing.T, w *world) {
		p := w.held(100, payments.ConfirmNone)
		w.must(w.CapturePart(t.Context(), w.as("server"), p.ID, 10)) // costs all of its 10
		p = w.must(w.Refund(t.Context(), w.as("server"), p.ID, 5))
		if p.Fee != 10 || p.FeeRefunded != 5 {
			t.Errorf("%+v", p)
		}
		w.must(w.Capture(t.Context(), w.as("server"), p.ID, 0)) // 25 of 100: the share of 6 is 1
		p = w.must(w.Refund(t.Context(), w.as("seller"), p.ID, 1))
		if p.Fee != 25 || p.FeeRefunded != 5 || p.Refunded != 6 {
			t.Errorf("%+v", p)
		}
		if p = w.must(w.Refund(t.Context(), w.as("seller"), p.ID, 0)); p.FeeRefunded != 25 || w.available("buyer") != 50_000 || w.posted("fees") != 0 {
			t.Errorf("%+v, buyer has %d", p, w.available("buyer"))
		}
	})
}
