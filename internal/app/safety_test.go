package app_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/client"
	"parley/internal/app"
	"parley/internal/clock"
	"parley/internal/config"
	"parley/wire"
)

// rulesFile writes a rule file and returns the setting that names it.
func rulesFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "safety.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "safety.rules=" + path
}

// fund gives a user play money.
func fund(n *node, user string, amount int64) {
	n.t.Helper()
	err := n.server("").Do(context.Background(), "POST", "/v1/sandbox/fund", wire.NewID[string]("k_", time.Now()),
		map[string]any{"user": user, "amount": amount, "currency": "EUR"}, nil)
	if err != nil {
		n.t.Fatal(err)
	}
}

// asks makes a request of the seller for amount.
func asks(seller *person, amount int64, more map[string]any) string {
	seller.t.Helper()
	in := map[string]any{"payer": "buyer", "amount": amount, "currency": "EUR", "conversation": directWith(seller, "buyer"), "idempotency_key": wire.NewID[string]("k_", time.Now())}
	for k, v := range more {
		in[k] = v
	}
	return seller.do("payments.create", in)["id"].(string)
}

// stopped calls an operation that the gate must refuse with code, and returns the problem and its details.
func stopped(p *person, code, method string, params map[string]any) (*wire.Problem, map[string]any) {
	p.t.Helper()
	_, err := p.try(method, params)
	wantCode(p.t, err, code)
	problem := err.(*wire.Problem) //nolint:errorlint,forcetypeassert // wantCode checked it
	details, ok := problem.Details.(map[string]any)
	if !ok {
		p.t.Fatalf("%s without details: %+v", code, problem)
	}
	return problem, details
}

func holding(pay, key string) map[string]any {
	return map[string]any{"payment": pay, "idempotency_key": key}
}

func TestSafety_PauseSurvivesARestartAndTheSameKeyGoesThrough(t *testing.T) {
	dir := t.TempDir()
	n := start(t, dir)
	fund(n, "buyer", 3000_00)
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	pay := asks(seller, 1500_00, nil)
	sheet := buyer.do("payments.sheet", map[string]any{"payment": pay})
	if policy := sheet["policy"].(map[string]any); policy["pause_s"] != 30.0 || policy["until"] != nil {
		t.Errorf("the sheet says %v", policy)
	}
	problem, details := stopped(buyer, "safety_pause", "payments.hold", holding(pay, "k1"))
	if details["explain"] != "This is a large first payment to this person. Take half a minute and check it again." {
		t.Errorf("explained by %v", details["explain"])
	}
	if problem.Until == nil || problem.RetryAfter < 25 || problem.RetryAfter > 30 || problem.Status != 409 || details["id"] == nil {
		t.Errorf("refused with %+v", problem)
	}
	sheet = buyer.do("payments.sheet", map[string]any{"payment": pay})
	if policy := sheet["policy"].(map[string]any); policy["id"] != details["id"] || policy["until"] == nil {
		t.Errorf("the sheet says %v", policy)
	}
	hidden := seller.do("payments.sheet", map[string]any{"payment": pay})["policy"].(map[string]any)
	if hidden["id"] != nil || hidden["until"] != nil || len(hidden["rules"].([]any)) != 0 {
		t.Errorf("the payee sees %v", hidden)
	}
	n.stop()

	n = start(t, dir)
	buyer, laptop := n.join("buyer", "b1"), n.join("buyer", "b2")
	again, _ := stopped(laptop, "safety_pause", "payments.hold", holding(pay, "k2"))
	if !again.Until.Equal(*problem.Until) {
		t.Errorf("the pause moved from %v to %v", problem.Until, again.Until)
	}
	n.clock.Advance(31 * time.Second)
	if p := buyer.do("payments.hold", holding(pay, "k1")); p["state"] != "held" || p["confirm"] != "live" {
		t.Errorf("held %v", p)
	}
	if p := buyer.do("payments.hold", holding(pay, "k1")); p["state"] != "held" {
		t.Errorf("the same key again: %v", p)
	}
	buyer.refused("payment_state", "payments.hold", holding(pay, "k2"))

	var list struct{ Items []map[string]any }
	if err := n.server("").Do(t.Context(), "GET", "/v1/safety/decisions?payment="+pay, "", nil, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 2 || list.Items[0]["result"] != "go" || list.Items[1]["result"] != "pause" {
		t.Errorf("decisions %v", list.Items)
	}
	buyer.refused("forbidden", "safety.decisions", map[string]any{})
	rows := buyer.do("evidence.get", map[string]any{"payment": pay})["rows"].([]any)
	if len(rows) != 2 || rows[0].(map[string]any)["kind"] != "decision" {
		t.Errorf("evidence %v", rows)
	}
}

func TestSafety_AnAnswerCanDenyAndTheDenialIsRemembered(t *testing.T) {
	n := start(t, t.TempDir())
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	pay := asks(seller, 100_00, nil)
	watched := func(key string, ack map[string]any) map[string]any {
		in := holding(pay, key)
		if in["signals"] = []string{"screen_sharing"}; ack != nil {
			in["acknowledge"] = ack
		}
		return in
	}
	_, details := stopped(buyer, "safety_acknowledge", "payments.hold", watched("k1", nil))
	question := details["questions"].([]any)[0].(map[string]any)
	if question["id"] != "told_to_pay" || len(question["options"].([]any)) != 2 {
		t.Errorf("asked %v", question)
	}
	answer := func(a string) map[string]any {
		return map[string]any{"decision": details["id"], "answers": map[string]string{"told_to_pay": a}}
	}
	buyer.refused("safety_answers", "payments.hold", watched("k1", answer("perhaps")))
	_, denied := stopped(buyer, "safety_denied", "payments.hold", watched("k1", answer("yes")))
	_, same := stopped(buyer, "safety_denied", "payments.hold", watched("k1", answer("no")))
	if same["explain"] != denied["explain"] || same["explain"] == "" || same["id"] != denied["id"] {
		t.Errorf("first %v, again %v", denied, same)
	}
	stopped(buyer, "safety_denied", "payments.hold", holding(pay, "k2"))

	pay = asks(seller, 100_00, nil)
	_, details = stopped(buyer, "safety_acknowledge", "payments.hold", watched("k3", nil))
	stopped(buyer, "safety_pause", "payments.hold", watched("k3", answer("no")))
	n.clock.Advance(31 * time.Second)
	if p := buyer.do("payments.hold", watched("k3", answer("no"))); p["state"] != "held" {
		t.Errorf("held %v", p)
	}
}

const wardRules = `rules:
  - name: ward
    when: {amount: {gte: {EUR: 20}}}
    then: [require: trusted_person]
    explain: {en: Somebody you trust looks at this first.}
`

func TestSafety_TrustedPersonApproves(t *testing.T) {
	n := start(t, t.TempDir(), rulesFile(t, wardRules))
	buyer, seller, guardian := n.join("buyer", "b1"), n.join("seller", "s1"), n.join("mira", "m1")
	buyer.refused("trusted_person_invalid", "trusted.set", map[string]any{"trusted": "nobody-here"})
	if got := buyer.do("trusted.set", map[string]any{"trusted": "mira"}); got["trusted"] != "mira" {
		t.Fatalf("trusted %v", got)
	}
	n.clock.Advance(time.Second)
	pay := asks(seller, 64_90, nil)
	_, details := stopped(buyer, "safety_approval", "payments.hold", holding(pay, "k1"))
	if details["approver"] != "mira" {
		t.Errorf("asked %v", details)
	}
	asked := guardian.awaitType("safety.approval_requested")
	if asked["payment"] != pay || asked["amount"] != 6490.0 || asked["payee_name"] != "V. Seller" || asked["payer"] != "buyer" {
		t.Errorf("the guardian hears %v", asked)
	}
	in := map[string]any{"payment": pay, "version": asked["version"]}
	for _, p := range []*person{buyer, seller} {
		p.refused("safety_not_yours", "safety.approve", in)
	}
	guardian.do("safety.approve", in)
	if heard := buyer.awaitType("safety.approval"); heard["approval"] != "approved" {
		t.Errorf("the payer hears %v", heard)
	}
	guardian.refused("safety_decided", "safety.refuse", in)
	if p := buyer.do("payments.hold", holding(pay, "k1")); p["state"] != "held" {
		t.Errorf("held %v", p)
	}
	if got := buyer.do("trusted.set", map[string]any{"trusted": "seller"}); got["trusted"] != "mira" || got["next"] != "seller" {
		t.Errorf("changed at once: %v", got)
	}
	if got := buyer.do("trusted.remove", map[string]any{}); got["trusted"] != "mira" || got["next"] != "" {
		t.Errorf("removed at once: %v", got)
	}
	n.clock.Advance(24 * time.Hour)
	if got := buyer.do("trusted.get", map[string]any{}); got["trusted"] != "" {
		t.Errorf("after the cooling-off: %v", got)
	}
}

const limitRules = `rules:
  - name: a_day
    then: [limit: {amount: {EUR: 100}, window: 24h}]
    explain: {en: No more than 100.00 a day.}
`

func TestSafety_OfTwoAtTheLimitOneWins(t *testing.T) {
	n := start(t, t.TempDir(), rulesFile(t, limitRules))
	phone, laptop, seller := n.join("buyer", "b1"), n.join("buyer", "b2"), n.join("seller", "s1")
	pays := []string{asks(seller, 60_00, nil), asks(seller, 70_00, nil)}
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i, p := range []*person{phone, laptop} {
		wg.Go(func() { _, errs[i] = p.try("payments.hold", holding(pays[i], "k-"+string(p.device))) })
	}
	wg.Wait()
	won, lost := 0, 1
	if errs[0] != nil {
		won, lost = 1, 0
	}
	if errs[won] != nil {
		t.Fatalf("nobody won: %v", errs)
	}
	wantCode(t, errs[lost], "safety_limit")
	left := []float64{40_00, 30_00}[won]
	problem, details := stopped(phone, "safety_limit", "payments.hold", holding(pays[lost], "k3"))
	if details["left"] != left || details["frees"] == nil || problem.RetryAfter < 86_000 || problem.Status != 403 {
		t.Errorf("refused with %+v, %v left", problem, details["left"])
	}
	phone.do("payments.void", holding(pays[won], "k4")) // what is given back makes room
	stopped(phone, "safety_limit", "payments.hold", holding(pays[lost], "k3"))
	if p := phone.do("payments.hold", holding(pays[lost], "k5")); p["state"] != "held" {
		t.Errorf("held %v", p)
	}
}

func TestSafety_CoolingOffHoldsButDoesNotCapture(t *testing.T) {
	n := start(t, t.TempDir(), rulesFile(t, `rules:
  - name: led
    when: {signals: payee_led}
    then: [hold_until: 24h]
    explain: {en: It stays on hold for a day.}
  - name: live
    when: {currency: EUR}
    then: [require: live_confirmation]
    explain: {en: Talk first.}
`))
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	var made struct{ ID string }
	err := n.server("").Do(t.Context(), "POST", "/v1/payments", "c1",
		map[string]any{"payer": "buyer", "payee": "seller", "amount": 5000, "currency": "EUR", "confirm": "none"}, &made)
	if err != nil {
		t.Fatal(err)
	}
	pay := made.ID
	in := holding(pay, "k1")
	in["signals"] = []string{"payee_led"}
	if p := buyer.do("payments.hold", in); p["state"] != "held" || p["confirm"] != "none" {
		t.Fatalf("held %v", p)
	}
	policy := seller.do("payments.sheet", map[string]any{"payment": pay})["policy"].(map[string]any)
	if policy["cooling_off_until"] == nil {
		t.Errorf("the payee is not told when: %v", policy)
	}
	problem, _ := stopped(buyer, "safety_cooling_off", "payments.capture", holding(pay, "k2"))
	if problem.Until == nil || problem.RetryAfter < 86_000 {
		t.Errorf("refused with %+v", problem)
	}
	wantCode(t, n.server("").Do(t.Context(), "POST", "/v1/payments/"+pay+"/capture", "k3", nil, nil), "safety_cooling_off")
	n.clock.Advance(24 * time.Hour)
	if p := buyer.do("payments.capture", holding(pay, "k2")); p["state"] != "captured" {
		t.Errorf("captured %v", p)
	}
	var list struct {
		Items []struct{ Waived []string }
	}
	if err := n.server("").Do(t.Context(), "GET", "/v1/safety/decisions?payment="+pay, "", nil, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 || len(list.Items[0].Waived) != 1 {
		t.Errorf("what the server insisted on is not kept: %+v", list.Items)
	}
}

func TestSafety_CoolingOffRefusesTheConfirmation(t *testing.T) {
	n := start(t, t.TempDir())
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	pay := asks(seller, 120_00, nil)
	in := holding(pay, "k1")
	in["signals"] = []string{"payee_led"}
	buyer.do("payments.hold", in)
	talk(buyer, seller, map[string]any{"to": []string{"seller"}, "payment": pay, "client_id": "c1"}, client.DirectOptions{})
	matchWords(buyer, seller)
	buyer.register()
	seller.register()
	stopped(buyer, "safety_cooling_off", "confirmations.submit", buyer.confirmation(pay, 1))
	_, details := stopped(seller, "safety_cooling_off", "confirmations.submit", seller.confirmation(pay, 1))
	if details["id"] != nil || len(details["rules"].([]any)) != 0 {
		t.Errorf("the payee sees %v", details)
	}
	if state := stateOf(buyer, pay); state != "held" {
		t.Errorf("payment is %s", state)
	}
}

func TestSafety_ALargerAmountBecomesLive(t *testing.T) {
	n := start(t, t.TempDir(), rulesFile(t, `rules:
  - name: large
    when: {amount: {gte: {EUR: 100}}}
    then: [require: live_confirmation]
    explain: {en: Talk first.}
`))
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	pay := asks(seller, 50_00, nil)
	seller.do("payments.edit", map[string]any{"payment": pay, "amount": 150_00, "idempotency_key": "e1"})
	if p := buyer.do("payments.hold", holding(pay, "k1")); p["confirm"] != "live" {
		t.Errorf("held %v", p)
	}
	buyer.refused("live_confirmation_required", "payments.capture", holding(pay, "k2"))
	small := asks(seller, 50_00, nil)
	buyer.do("payments.hold", holding(small, "k3"))
	if p := buyer.do("payments.capture", holding(small, "k4")); p["state"] != "captured" {
		t.Errorf("captured %v", p)
	}
}

func TestSafety_RulesAreReadAgainOnHangup(t *testing.T) {
	setting := rulesFile(t, limitRules)
	path := strings.TrimPrefix(setting, "safety.rules=")
	n := start(t, t.TempDir(), setting)
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	pay := asks(seller, 120_00, nil)
	action := func() any {
		return buyer.do("payments.sheet", map[string]any{"payment": pay})["policy"].(map[string]any)["action"]
	}
	reload := func(rules string) {
		if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	if got := action(); got != "limit" {
		t.Fatalf("action %v", got)
	}
	reload("rules: [{name: a, then: [deny], explain: {en: no}}]\n")
	waitUntil(t, "the new rules hold", func() bool { return action() == "deny" })
	buyer.refused("safety_denied", "payments.hold", holding(pay, "k1"))
}

func TestSafety_RulesOfAFileAreChecked(t *testing.T) {
	_, err := tryStart(t, rulesFile(t, "rules:\n  - {name: a, then: [stop], explain: {en: x}}\n"))
	if err == nil {
		t.Fatal("a node started with rules that make no sense")
	}
	t.Log(err)
}

// tryStart makes a node that is expected not to start.
func tryStart(t *testing.T, sets ...string) (*app.Node, error) {
	t.Helper()
	cfg, err := config.Load("", nil, append(app.DevSettings(t.TempDir(), 0), sets...))
	if err != nil {
		t.Fatal(err)
	}
	return app.New(t.Context(), app.Options{Config: cfg, Dev: true, Clock: &clock.Shifted{}})
}
