package safety_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/safety"
)

// spends is a small ledger of commitments, in the database like the real one.
type spends struct{}

var spendsSchema = fstest.MapFS{"00001_init.sql": {Data: []byte(
	"-- +goose Up\nCREATE TABLE test_spends (payment TEXT PRIMARY KEY, payer TEXT NOT NULL, payee TEXT NOT NULL, currency TEXT NOT NULL, amount BIGINT NOT NULL, at BIGINT NOT NULL);")}}

func (spends) where(c safety.Count) (string, []any) {
	text, args := " FROM test_spends WHERE payer = ? AND currency = ? AND at > ? AND payment <> ?", []any{c.Payer, c.Currency, c.Since.UnixMilli(), c.Except}
	if c.Payee != "" {
		text, args = text+" AND payee = ?", append(args, c.Payee)
	}
	return text, args
}

func (s spends) SumTx(tx *sqldb.Tx, c safety.Count) (sum, n int64, err error) {
	where, args := s.where(c)
	err = tx.QueryRow("SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT), COUNT(*)"+where, args...).Scan(&sum, &n)
	return sum, n, err
}

func (s spends) SpendsTx(tx *sqldb.Tx, c safety.Count, limit int) (list []safety.Spend, err error) {
	where, args := s.where(c)
	rows, err := tx.Query("SELECT at, amount"+where+" ORDER BY at LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var at int64
		var one safety.Spend
		if err := rows.Scan(&at, &one.Amount); err != nil {
			return nil, err
		}
		one.At = time.UnixMilli(at).UTC()
		list = append(list, one)
	}
	return list, rows.Err()
}

func (spends) RequestsTx(*sqldb.Tx, string, time.Time) (int64, error) { return 0, nil }

// told collects what people were told.
type told struct {
	mu   sync.Mutex
	news []string
}

func (t *told) TellTx(tx *sqldb.Tx, user, _, kind string, _ time.Time, data json.RawMessage) error {
	tx.AfterCommit(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.news = append(t.news, user+" "+kind+" "+string(data))
	})
	return nil
}

// world is a service that commits what it lets pass.
type world struct {
	*safety.Service
	t     *testing.T
	db    *sqldb.DB
	clock *clock.Shifted
	told  *told
}

func schemas() sqldbtest.Schemas {
	return sqldbtest.Schemas{"safety": safety.Schema(), "spends": spendsSchema}
}

func newWorld(t *testing.T, db *sqldb.DB, rules string) *world {
	t.Helper()
	w := &world{t: t, db: db, clock: &clock.Shifted{}, told: &told{}}
	w.open(rules)
	return w
}

// open makes the service, as after a restart.
func (w *world) open(rules string) {
	w.t.Helper()
	s, err := safety.New(safety.Config{}, safety.Deps{DB: w.db, Clock: w.clock, Rules: parse(w.t, rules), Counts: spends{}, Teller: w.told})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Service = s
}

// hold tries to commit f.
func (w *world) hold(f safety.Facts, ack *safety.Acknowledgement) safety.Ruling {
	w.t.Helper()
	r, err := w.try(safety.Ask{Facts: f, Step: safety.StepHold, Actor: f.Payer, Acknowledge: ack})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) try(ask safety.Ask) (r safety.Ruling, err error) {
	err = w.db.Update(context.Background(), func(tx *sqldb.Tx) error {
		if r, err = w.PassTx(tx, ask); err != nil || r.Stop != safety.Go || ask.Step != safety.StepHold {
			return err
		}
		_, err := tx.Exec("INSERT INTO test_spends (payment, payer, payee, currency, amount, at) VALUES (?, ?, ?, ?, ?, ?)",
			ask.Facts.Payment, ask.Facts.Payer, ask.Facts.Payee, ask.Facts.Currency, ask.Facts.Amount, w.clock.Now().UnixMilli())
		return err
	})
	return r, err
}

// check asks whether held money may leave.
func (w *world) check(f safety.Facts, byPayee bool) (r safety.Ruling) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx *sqldb.Tx) (err error) {
		r, err = w.CheckTx(tx, f.Payment, f.Version, byPayee)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) want(r safety.Ruling, stop safety.Stop) safety.Ruling {
	w.t.Helper()
	if r.Stop != stop {
		w.t.Fatalf("got %s (%+v), want %s", r.Stop, r, stop)
	}
	return r
}

func (w *world) decisions(payment string) (results []string) {
	w.t.Helper()
	list, _, err := w.Decisions(w.t.Context(), safety.DecisionFilter{Payment: payment})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range slices.Backward(list) {
		results = append(results, string(d.Result))
	}
	slices.Sort(results)
	return results
}

func rule(name, when, then string) string {
	return fmt.Sprintf("  - {name: %s, when: {%s}, then: [%s], explain: {en: because %s}}\n", name, when, then, name)
}

func each(t *testing.T, rules string, f func(w *world)) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) { f(newWorld(t, db, rules)) })
}

const pauseRules = "rules:\n  - {name: wait, when: {amount: {gte: {EUR: 100}}}, then: [pause: 30s], explain: {en: wait}}\n"

func TestPause_BeginsWithTheFirstTryAndEndsByTheServersClock(t *testing.T) {
	each(t, pauseRules, func(w *world) {
		f := plain()
		first := w.want(w.hold(f, nil), safety.StopPause)
		if d := first.Until.Sub(w.clock.Now()); d > 30*time.Second || d < 28*time.Second {
			w.t.Errorf("until %v from now", d)
		}
		w.clock.Advance(20 * time.Second)
		again := w.want(w.hold(f, nil), safety.StopPause)
		if !again.Until.Equal(first.Until) || again.Decision != first.Decision {
			w.t.Errorf("another try moved the end from %v to %v, decision %s to %s", first.Until, again.Until, first.Decision, again.Decision)
		}
		w.open(pauseRules) // as another node, or after a restart
		w.want(w.hold(f, nil), safety.StopPause)
		w.clock.Advance(11 * time.Second)
		w.want(w.hold(f, nil), safety.Go)
		if got := w.decisions(f.Payment); !slices.Equal(got, []string{"go", "pause"}) {
			w.t.Errorf("decisions %v", got)
		}
	})
}

func TestPause_AnotherAmountBeginsAnew(t *testing.T) {
	each(t, pauseRules, func(w *world) {
		f := plain()
		w.hold(f, nil)
		w.clock.Advance(31 * time.Second)
		same := f
		same.Version = 2
		w.want(w.hold(same, nil), safety.Go)
		more := f
		more.Version, more.Amount = 3, f.Amount+1
		w.want(w.hold(more, nil), safety.StopPause)
		back := f
		back.Version = 4
		w.want(w.hold(back, nil), safety.StopPause)
	})
}

func TestPause_LeavingOutASignalDoesNotHelp(t *testing.T) {
	each(t, "rules:\n"+rule("watched", "signals: screen_sharing", "pause: 30s"), func(w *world) {
		f := plain()
		f.Signals = []string{"screen_sharing"}
		w.want(w.hold(f, nil), safety.StopPause)
		f.Signals = nil
		w.want(w.hold(f, nil), safety.StopPause)
		w.clock.Advance(31 * time.Second)
		w.want(w.hold(f, nil), safety.Go)
	})
}

func TestDenial_LeavingOutASignalDoesNotHelp(t *testing.T) {
	each(t, "rules:\n"+rule("watched", "signals: screen_sharing", "deny"), func(w *world) {
		f := plain()
		f.Signals = []string{"screen_sharing"}
		r := w.want(w.hold(f, nil), safety.StopDenied)
		if r.Explain != "because watched" {
			w.t.Errorf("explained by %q", r.Explain)
		}
		f.Signals = nil
		w.want(w.hold(f, nil), safety.StopDenied)
	})
}

func TestPause_AfterAnEditOfHeldMoneyStopsTheConfirmation(t *testing.T) {
	each(t, pauseRules, func(w *world) {
		f := plain()
		f.Amount = 50_00
		w.want(w.hold(f, nil), safety.Go)
		w.want(w.check(f, false), safety.Go)
		f.Version, f.Amount = 2, 100_00
		if _, err := w.try(safety.Ask{Facts: f, Step: safety.StepEdit, Actor: "seller"}); err != nil {
			w.t.Fatal(err)
		}
		w.want(w.check(f, false), safety.StopPause)
		w.want(w.check(f, true), safety.Go)
		w.clock.Advance(31 * time.Second)
		w.want(w.check(f, false), safety.Go)
	})
}

const askRules = "questions:\n  told:\n    text: {en: Told to?}\n    options:\n      - {id: \"no\", text: {en: \"No\"}}\n      - {id: \"yes\", text: {en: \"Yes\"}, then: [deny], explain: {en: Hang up.}}\n" +
	"      - {id: unsure, text: {en: Unsure}, then: [pause: 5m], explain: {en: Think.}}\n" +
	"rules:\n  - {name: careful, then: [warn], explain: {en: Careful.}}\n  - {name: asks, then: [ask: [told]], explain: {en: A question.}}\n"

func TestAcknowledge(t *testing.T) {
	each(t, askRules, func(w *world) {
		f := plain()
		r := w.want(w.hold(f, nil), safety.StopAcknowledge)
		if len(r.Warnings) != 1 || r.Warnings[0].Text != "Careful." || len(r.Questions) != 1 || len(r.Questions[0].Options) != 3 {
			w.t.Fatalf("asked %+v", r)
		}
		for _, wrong := range []map[string]string{nil, {"told": "perhaps"}, {"other": "no"}} {
			_, err := w.try(safety.Ask{Facts: f, Step: safety.StepHold, Actor: f.Payer, Acknowledge: &safety.Acknowledgement{Decision: r.Decision, Answers: wrong}})
			if !errors.Is(err, safety.ErrAnswers) {
				w.t.Errorf("answers %v: %v", wrong, err)
			}
		}
		w.want(w.hold(f, &safety.Acknowledgement{Decision: "sfd_other", Answers: map[string]string{"told": "no"}}), safety.StopAcknowledge)
		ok := &safety.Acknowledgement{Decision: r.Decision, Answers: map[string]string{"told": "no"}}
		w.want(w.hold(f, ok), safety.Go)
		other := plain()
		other.Payment = "pay_2"
		w.want(w.hold(other, ok), safety.StopAcknowledge) // another payment asks again
	})
}

func TestAcknowledge_AnAnswerRaises(t *testing.T) {
	each(t, askRules, func(w *world) {
		f := plain()
		r := w.hold(f, nil)
		w.want(w.hold(f, &safety.Acknowledgement{Decision: r.Decision, Answers: map[string]string{"told": "unsure"}}), safety.StopPause)
		w.clock.Advance(4 * time.Minute)
		// Another answer later does not shorten it.
		w.want(w.hold(f, &safety.Acknowledgement{Decision: r.Decision, Answers: map[string]string{"told": "no"}}), safety.StopPause)
		w.clock.Advance(time.Minute + time.Second)
		w.want(w.hold(f, nil), safety.Go)

		g := plain()
		g.Payment = "pay_2"
		r = w.hold(g, nil)
		r = w.want(w.hold(g, &safety.Acknowledgement{Decision: r.Decision, Answers: map[string]string{"told": "yes"}}), safety.StopDenied)
		if r.Explain != "Hang up." {
			w.t.Errorf("explained by %q", r.Explain)
		}
		g.Version, g.Amount = 2, 1
		w.want(w.hold(g, nil), safety.StopDenied) // an edit by a cent does not undo the answer
	})
}

func TestAcknowledge_OfHeldMoney(t *testing.T) {
	each(t, askRules, func(w *world) {
		f := plain()
		if _, err := w.try(safety.Ask{Facts: f, Step: safety.StepEdit, Actor: "seller"}); err != nil {
			w.t.Fatal(err)
		}
		r := w.want(w.check(f, false), safety.StopAcknowledge)
		a := safety.Acknowledgement{Decision: r.Decision, Answers: map[string]string{"told": "no"}}
		if _, err := w.Acknowledge(w.t.Context(), "seller", f.Payment, 1, a); !errors.Is(err, safety.ErrNotAllowed) {
			w.t.Errorf("the payee answers: %v", err)
		}
		if _, err := w.Acknowledge(w.t.Context(), "buyer", f.Payment, 2, a); !errors.Is(err, safety.ErrStale) {
			w.t.Errorf("another version: %v", err)
		}
		got, err := w.Acknowledge(w.t.Context(), "buyer", f.Payment, 1, a)
		if err != nil {
			w.t.Fatal(err)
		}
		w.want(got, safety.Go)
		w.want(w.check(f, false), safety.Go)
	})
}

func TestCoolingOff_LetsHoldButNotLeave(t *testing.T) {
	each(t, "rules:\n"+rule("led", "signals: payee_led", "hold_until: 24h"), func(w *world) {
		f := plain()
		f.Signals = []string{"payee_led"}
		r := w.want(w.hold(f, nil), safety.Go)
		if d := r.CoolUntil.Sub(w.clock.Now()); d > 24*time.Hour || d < 24*time.Hour-2*time.Second {
			w.t.Errorf("cools for %v", d)
		}
		for _, byPayee := range []bool{false, true} {
			if got := w.want(w.check(f, byPayee), safety.StopCooling); !got.Until.Equal(r.CoolUntil) {
				w.t.Errorf("until %v, want %v", got.Until, r.CoolUntil)
			}
		}
		w.clock.Advance(24 * time.Hour)
		w.want(w.check(f, false), safety.Go)
	})
}

func limitRule(then string) string { return "rules:\n" + rule("bound", "relation: known", then) }

func TestLimit_SaysWhatIsLeftAndWhenItFrees(t *testing.T) {
	each(t, limitRule("limit: {amount: {EUR: 300}, window: 24h}"), func(w *world) {
		pay := func(id string, amount int64) safety.Ruling {
			f := plain()
			f.Payment, f.Amount = id, amount
			return w.hold(f, nil)
		}
		began := w.clock.Now()
		w.want(pay("pay_1", 100_00), safety.Go)
		w.clock.Advance(time.Hour)
		w.want(pay("pay_2", 150_00), safety.Go)
		r := w.want(pay("pay_3", 50_01), safety.StopLimit)
		if r.Left != 50_00 || r.LimitRule != "bound" {
			w.t.Errorf("%d left by %s", r.Left, r.LimitRule)
		}
		if d := r.Until.Sub(began); d < 24*time.Hour-time.Second || d > 24*time.Hour+time.Second {
			w.t.Errorf("frees after %v", d)
		}
		if r := w.want(pay("pay_4", 300_01), safety.StopLimit); !r.Until.IsZero() {
			w.t.Errorf("more than the limit frees at %v", r.Until)
		}
		w.want(pay("pay_5", 50_00), safety.Go)
		w.clock.Advance(23*time.Hour + time.Second)
		w.want(pay("pay_3", 50_01), safety.Go)
	})
}

func TestLimit_CountPerPayee(t *testing.T) {
	each(t, limitRule("limit: {count: 2, window: 1h, per: payee}"), func(w *world) {
		pay := func(id, payee string) safety.Ruling {
			f := plain()
			f.Payment, f.Payee = id, payee
			return w.hold(f, nil)
		}
		w.want(pay("pay_1", "a"), safety.Go)
		w.want(pay("pay_2", "a"), safety.Go)
		w.want(pay("pay_3", "b"), safety.Go)
		if r := w.want(pay("pay_4", "a"), safety.StopLimit); r.Left != 0 || r.Until.IsZero() {
			w.t.Errorf("left %d, frees %v", r.Left, r.Until)
		}
	})
}

func TestLimit_OfTwoAtTheEdgeExactlyOneWins(t *testing.T) {
	for _, rules := range []string{
		limitRule("limit: {amount: {EUR: 300}, window: 24h}"),
		"rules:\n" + rule("sum", "payer_sum_24h: {gte: {EUR: 200}}", "deny"),
	} {
		each(t, rules, func(w *world) {
			for round := range 10 {
				base := plain()
				base.Payer, base.Amount = fmt.Sprintf("payer_%d", round), 100_00
				base.Payment = base.Payer + "_base"
				w.want(w.hold(base, nil), safety.Go)
				if n := w.race(base.Payer, 150_00, 8); n != 1 {
					w.t.Fatalf("%d won", n)
				}
			}
		})
	}
}

// race makes payments of amount at once and returns how many passed.
func (w *world) race(payer string, amount int64, tries int) (passed int) {
	w.t.Helper()
	won := make([]safety.Ruling, tries)
	errs := make([]error, tries)
	var wg sync.WaitGroup
	for i := range tries {
		wg.Go(func() {
			f := plain()
			f.Payer, f.Payment, f.Amount = payer, fmt.Sprintf("%s_%d", payer, i), amount
			won[i], errs[i] = w.try(safety.Ask{Facts: f, Step: safety.StepHold, Actor: f.Payer})
		})
	}
	wg.Wait()
	for i, r := range won {
		if errs[i] != nil {
			w.t.Fatal(errs[i])
		}
		if r.Stop == safety.Go {
			passed++
		}
	}
	return passed
}

func TestNewDevice(t *testing.T) {
	each(t, "rules:\n"+rule("device", "new_device: true", "pause: 30s"), func(w *world) {
		pay := func(id, device string) safety.Ruling {
			f := plain()
			f.Payment, f.Device = id, device
			return w.hold(f, nil)
		}
		w.want(pay("pay_1", "phone"), safety.Go)
		w.want(pay("pay_2", "other"), safety.StopPause)
		w.want(pay("pay_3", "other"), safety.StopPause) // a refused try does not make it known
		w.clock.Advance(31 * time.Second)
		w.want(pay("pay_3", "other"), safety.Go)
		w.want(pay("pay_4", "other"), safety.Go)
	})
}

const trustRules = "rules:\n  - {name: ward, then: [require: trusted_person], explain: {en: Somebody you trust looks at it.}}\n"

func TestTrusted_ApprovesOrRefuses(t *testing.T) {
	each(t, trustRules, func(w *world) {
		ctx := w.t.Context()
		if _, err := w.SetTrusted(ctx, "buyer", "guardian"); err != nil {
			w.t.Fatal(err)
		}
		w.clock.Advance(time.Second)
		f := plain()
		if r := w.want(w.hold(f, nil), safety.StopApproval); r.Approver != "guardian" {
			w.t.Fatalf("asked %q", r.Approver)
		}
		w.want(w.hold(f, nil), safety.StopApproval)
		if len(w.told.news) != 1 || !strings.HasPrefix(w.told.news[0], "guardian safety.approval_requested") {
			w.t.Fatalf("told %v", w.told.news)
		}
		for _, by := range []string{"buyer", "seller", ""} {
			if _, err := w.Approve(ctx, by, f.Payment, 1, true); !errors.Is(err, safety.ErrNotAllowed) {
				w.t.Errorf("%q approves: %v", by, err)
			}
		}
		if _, err := w.Approve(ctx, "guardian", f.Payment, 2, true); !errors.Is(err, safety.ErrStale) {
			w.t.Errorf("another version: %v", err)
		}
		for range 2 {
			if a, err := w.Approve(ctx, "guardian", f.Payment, 1, true); err != nil || a.Approval != "approved" || a.Amount != f.Amount {
				w.t.Fatalf("%+v, %v", a, err)
			}
		}
		if _, err := w.Approve(ctx, "guardian", f.Payment, 1, false); !errors.Is(err, safety.ErrDecided) {
			w.t.Errorf("changes their mind: %v", err)
		}
		w.want(w.hold(f, nil), safety.Go)
		if len(w.told.news) != 2 {
			w.t.Errorf("told %v", w.told.news)
		}

		g := plain()
		g.Payment = "pay_2"
		w.hold(g, nil)
		if _, err := w.Approve(ctx, "guardian", g.Payment, 1, false); err != nil {
			w.t.Fatal(err)
		}
		w.want(w.hold(g, nil), safety.StopDenied)
	})
}

func TestTrusted_ChangesAfterACoolingOff(t *testing.T) {
	each(t, trustRules, func(w *world) {
		ctx := w.t.Context()
		set := func(trusted string) safety.Trusted {
			got, err := w.SetTrusted(ctx, "buyer", trusted)
			if err != nil {
				w.t.Fatal(err)
			}
			return got
		}
		if _, err := w.SetTrusted(ctx, "buyer", "buyer"); !errors.Is(err, safety.ErrTrusted) {
			w.t.Errorf("trusts oneself: %v", err)
		}
		set("guardian")
		if got := set("stranger"); got.Trusted != "guardian" || *got.Next != "stranger" {
			w.t.Fatalf("%+v", got)
		}
		w.clock.Advance(23 * time.Hour)
		set("stranger") // does not delay it
		w.clock.Advance(time.Hour)
		if got, _ := w.TrustedOf(ctx, "buyer"); got.Trusted != "stranger" || got.Next != nil {
			w.t.Fatalf("%+v", got)
		}
		if got := set(""); got.Trusted != "stranger" || *got.Next != "" {
			w.t.Fatalf("%+v", got)
		}
		if got := set("stranger"); got.Next != nil {
			w.t.Fatalf("not taken back: %+v", got)
		}
		set("")
		w.clock.Advance(24 * time.Hour)
		if got, _ := w.TrustedOf(ctx, "buyer"); got.Trusted != "" {
			w.t.Fatalf("%+v", got)
		}
	})
}

func TestTrusted_NamedUnderPressureCannotApproveAtOnce(t *testing.T) {
	each(t, trustRules, func(w *world) {
		f := plain()
		if r := w.want(w.hold(f, nil), safety.StopApproval); r.Approver != "" {
			w.t.Fatalf("asked %q", r.Approver)
		}
		w.clock.Advance(time.Second)
		if _, err := w.SetTrusted(w.t.Context(), "buyer", "accomplice"); err != nil {
			w.t.Fatal(err)
		}
		if r := w.want(w.hold(f, nil), safety.StopApproval); r.Approver != "" {
			w.t.Fatalf("asked %q", r.Approver)
		}
		w.clock.Advance(24 * time.Hour)
		if r := w.want(w.hold(f, nil), safety.StopApproval); r.Approver != "accomplice" {
			w.t.Fatalf("asked %q", r.Approver)
		}
		payee := plain()
		payee.Payment, payee.Payee = "pay_2", "accomplice"
		if r := w.want(w.hold(payee, nil), safety.StopApproval); r.Approver != "" {
			w.t.Fatalf("the payee is asked: %q", r.Approver)
		}
	})
}

func TestDecisions_KeepInputsAndWaivers(t *testing.T) {
	each(t, "rules:\n"+rule("live", "relation: known", "require: live_confirmation"), func(w *world) {
		f := plain()
		f.Signals = []string{"x"}
		r, err := w.try(safety.Ask{Facts: f, Step: safety.StepHold, Actor: "server", Insisted: true})
		if err != nil || r.Stop != safety.Go || r.Live {
			w.t.Fatalf("%+v, %v", r, err)
		}
		d, err := w.Decision(w.t.Context(), r.Decision)
		if err != nil {
			w.t.Fatal(err)
		}
		if d.Facts.Amount != f.Amount || d.Facts.Signals[0] != "x" || !slices.Equal(d.Waived, []string{"live_confirmation"}) ||
			d.Actor != "server" || len(d.Rules) != 64 || !slices.Equal(d.Outcome.Rules, []string{"live"}) || d.Result != safety.Go {
			w.t.Errorf("kept %+v", d)
		}
		if _, err := w.Decision(w.t.Context(), "sfd_none"); !errors.Is(err, safety.ErrUnknown) {
			w.t.Errorf("unknown: %v", err)
		}
	})
}

func TestUse_NewRulesStartAfreshButAPauseRunsOn(t *testing.T) {
	each(t, "rules:\n"+rule("no", "relation: known", "deny")+rule("wait", "relation: known", "pause: 30s"), func(w *world) {
		f := plain()
		w.want(w.hold(f, nil), safety.StopDenied)
		w.Use(parse(w.t, "rules:\n"+rule("fine", "relation: known", "allow")))
		w.want(w.hold(f, nil), safety.StopPause)
		w.clock.Advance(31 * time.Second)
		w.want(w.hold(f, nil), safety.Go)
	})
}

func TestPreview_ShowsWhatIsOpenAndWritesNothing(t *testing.T) {
	each(t, pauseRules, func(w *world) {
		f := plain()
		r, err := w.Preview(w.t.Context(), f)
		if err != nil || r.Outcome.Pause != 30*time.Second || r.Decision != "" || !r.Until.IsZero() {
			w.t.Fatalf("%+v, %v", r, err)
		}
		if got := w.decisions(f.Payment); len(got) != 0 {
			w.t.Errorf("decisions %v", got)
		}
		stop := w.hold(f, nil)
		if r, err = w.Preview(w.t.Context(), f); err != nil || r.Decision != stop.Decision || !r.Until.Equal(stop.Until) {
			w.t.Fatalf("%+v, %v", r, err)
		}
	})
}
