package safety_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"parley/configs"
	"parley/safety"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func parse(t testing.TB, text string) *safety.Rules {
	t.Helper()
	r, err := safety.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// plain is an ordinary payment between people who know each other.
func plain() safety.Facts {
	age := int64(200)
	return safety.Facts{
		Payment: "pay_1", Version: 1, Payer: "buyer", Payee: "seller", Amount: 120_00, Currency: "EUR", Digits: 2,
		Relation: "known", NameCheck: "match", PayeeAgeDays: &age, PayerAgeDays: &age, Counted: &safety.Counted{},
	}
}

func TestDefaultRules(t *testing.T) {
	rules := parse(t, string(configs.Safety))
	ago := 20 * time.Second
	young := int64(2)
	for _, c := range []struct {
		name   string
		change func(f *safety.Facts)
		action safety.Action
		rules  []string
	}{
		{"known", func(*safety.Facts) {}, safety.Require, []string{"always_live"}},
		{"first", func(f *safety.Facts) { f.Relation = "first_payment" }, safety.Require, []string{"always_live", "first_payment"}},
		{"first, a cent below large", func(f *safety.Facts) { f.Relation, f.Amount = "first_payment", 999_99 }, safety.Require, []string{"always_live", "first_payment"}},
		{"first, large", func(f *safety.Facts) { f.Relation, f.Amount = "first_payment", 1000_00 }, safety.Require, []string{"always_live", "first_payment", "large_first_payment"}},
		{"first, large in yen", func(f *safety.Facts) { f.Relation, f.Amount, f.Currency, f.Digits = "first_payment", 150_000, "JPY", 0 }, safety.Require, []string{"always_live", "first_payment", "large_first_payment"}},
		{"not large in yen", func(f *safety.Facts) { f.Relation, f.Amount, f.Currency, f.Digits = "first_payment", 149_999, "JPY", 0 }, safety.Require, []string{"always_live", "first_payment"}},
		{"stranger, large", func(f *safety.Facts) { f.Stranger, f.Relation, f.Amount = true, "first_payment", 1000_00 }, safety.LimitTo,
			[]string{"always_live", "first_payment", "large_first_payment", "large_stranger", "strangers_in_a_day"}},
		{"close name", func(f *safety.Facts) { f.NameCheck = "close" }, safety.Require, []string{"always_live", "name_differs"}},
		{"wrong name", func(f *safety.Facts) { f.NameCheck = "none" }, safety.Deny, []string{"always_live", "name_wrong"}},
		{"watched", func(f *safety.Facts) { f.Signals = []string{"x", "screen_sharing"} }, safety.Require, []string{"always_live", "pressure"}},
		{"led by the payee", func(f *safety.Facts) { f.Signals, f.Relation = []string{"payee_led"}, "first_payment" }, safety.HoldUntil, []string{"always_live", "first_payment", "payee_led"}},
		{"changed a moment ago", func(f *safety.Facts) { f.SinceEdit, f.Amount = &ago, 2000_00 }, safety.Require, []string{"always_live", "just_changed"}},
		{"new device", func(f *safety.Facts) { f.NewDevice, f.Amount = true, 2000_00 }, safety.Require, []string{"always_live", "new_device_large"}},
		{"asks everybody", func(f *safety.Facts) {
			f.PayeeAgeDays, f.Relation, f.Counted.PayeeRequests24 = &young, "first_payment", 50
		}, safety.Require, []string{"always_live", "first_payment", "many_requests"}},
		{"age unknown", func(f *safety.Facts) {
			f.PayeeAgeDays, f.Relation, f.Counted.PayeeRequests24 = nil, "first_payment", 50
		}, safety.Require, []string{"always_live", "first_payment"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := plain()
			c.change(&f)
			out := rules.Evaluate(f)
			if out.Action != c.action || !slices.Equal(out.Rules, c.rules) {
				t.Errorf("got %s by %v, want %s by %v", out.Action, out.Rules, c.action, c.rules)
			}
		})
	}
}

// ruleText draws one rule; i makes its name.
func ruleText(t *rapid.T, i int) string {
	when := rapid.SampledFrom([]string{
		"", "when: {relation: first_payment}", "when: {amount: {gte: {EUR: 50}}}", "when: {amount: {gte: {'*': 10}, lte: {EUR: 200}}}",
		"when: {stranger: true, new_device: false}", "when: {signals: {in: [screen_sharing, remote_control]}}",
		"when: {payee_account_age_days: {lte: 30}}", "when: {payer_sum_24h: {gte: {EUR: 100}}, currency: {in: [EUR, USD]}}",
		"when: {since_edit_s: {lte: 60}}", "when: {name_check: {in: [none, close]}}",
	}).Draw(t, "when")
	then := rapid.SampledFrom([]string{
		"[allow]", "[warn]", "[deny]", "[pause: 30s]", "[pause: 5m, warn]", "[require: live_confirmation]", "[require: trusted_person]",
		"[hold_until: 24h]", "[limit: {amount: {EUR: 500}, window: 24h}]", "[limit: {count: 3, window: 1h, per: payee}]", "[ask: [told]]",
	}).Draw(t, "then")
	return fmt.Sprintf("  - name: r%d\n    then: %s\n    explain: {en: why}\n    %s\n", i, then, when)
}

const questionText = "version: 1\nquestions:\n  told:\n    text: {en: Told?}\n    options:\n      - {id: n, text: {en: No}}\n      - {id: y, text: {en: Yes}, then: [deny], explain: {en: No}}\nrules:\n" +
	"  - {name: asks, when: {signals: asked}, then: [ask: [told]], explain: {en: why}}\n"

func drawFacts(t *rapid.T) safety.Facts {
	f := plain()
	f.Amount = rapid.Int64Range(1, 1000_00).Draw(t, "amount")
	f.Currency = rapid.SampledFrom([]string{"EUR", "USD", "CHF"}).Draw(t, "currency")
	f.Relation = rapid.SampledFrom([]string{"known", "first_payment"}).Draw(t, "relation")
	f.NameCheck = rapid.SampledFrom([]string{"match", "close", "none", "unavailable"}).Draw(t, "name")
	f.Stranger, f.NewDevice = rapid.Bool().Draw(t, "stranger"), rapid.Bool().Draw(t, "device")
	f.Signals = rapid.SliceOf(rapid.SampledFrom([]string{"screen_sharing", "external_call"})).Draw(t, "signals")
	f.Counted.PayerSum24h = rapid.Int64Range(0, 500_00).Draw(t, "sum")
	if rapid.Bool().Draw(t, "edited") {
		since := time.Duration(rapid.Int64Range(0, 120).Draw(t, "since")) * time.Second
		f.SinceEdit = &since
	}
	return f
}

func TestEvaluate_OneRuleMoreIsNeverLessStrictAndOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := make([]string, rapid.IntRange(1, 8).Draw(t, "n"))
		for i := range texts {
			texts[i] = ruleText(t, i)
		}
		build := func(some []string) *safety.Rules {
			all := questionText
			for _, one := range some {
				all += one
			}
			r, err := safety.Parse([]byte(all))
			if err != nil {
				t.Fatalf("%v in\n%s", err, all)
			}
			return r
		}
		f := drawFacts(t)
		all := build(texts).Evaluate(f)
		fewer := build(texts[1:]).Evaluate(f)
		if got := all.Join(fewer); fmt.Sprint(got) != fmt.Sprint(all) {
			t.Fatalf("less strict with %q: %+v, without %+v", texts[0], all, fewer)
		}
		shuffled := rapid.Permutation(texts).Draw(t, "order")
		if got := build(shuffled).Evaluate(f); fmt.Sprint(got) != fmt.Sprint(all) {
			t.Fatalf("another order gives %+v, not %+v", got, all)
		}
		if got := all.Join(all); fmt.Sprint(got) != fmt.Sprint(all) {
			t.Fatalf("joined with itself: %+v", got)
		}
	})
}
