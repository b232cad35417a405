package app_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/app"
	"parley/internal/config"
	"parley/wire"
)

// awaitTransfer waits until the person hears that a payout, top-up or authorisation is in a state.
func (p *person) awaitTransfer(kind, state string) map[string]any {
	p.t.Helper()
	data := p.await(kind+" "+state, func(ev wire.Event, d map[string]any) bool { return ev.Type == kind && d["change"] == state })
	return data["transfer"].(map[string]any)
}

func (p *person) balance() (available float64) {
	p.t.Helper()
	items := p.do("balances.get", map[string]any{})["items"].([]any)
	return items[0].(map[string]any)["available"].(float64)
}

func TestPayout_OverTheDoors(t *testing.T) {
	n := start(t, t.TempDir())
	p := n.join("buyer", "b1")
	p.refused("payout_name_mismatch", "payouts.create", map[string]any{"amount": 4_000, "currency": "EUR", "destination": "sandbox:close_name", "holder": "A. Buyer", "idempotency_key": "p-0"})
	placed := p.do("payouts.create", map[string]any{"amount": 4_000, "currency": "EUR", "destination": "sandbox:late_refusal", "holder": "A. Buyer", "idempotency_key": "p-1"})
	if placed["state"] != "queued" || placed["name_check"] != "match" || p.balance() != 46_000 {
		t.Errorf("placed %v, balance %v", placed, p.balance())
	}
	p.awaitTransfer("payout.updated", "pending")
	n.clock.Advance(time.Minute)
	if got := p.awaitTransfer("payout.updated", "refused"); got["reason"] != "AC06" || p.balance() != 50_000 {
		t.Errorf("refused %v, balance %v", got, p.balance())
	}
	var out map[string]any
	err := n.server("").Do(t.Context(), "POST", "/v1/payouts", "p-2", map[string]any{"user": "buyer", "amount": 1_000, "currency": "EUR", "destination": "sandbox:timeout_lost"}, &out)
	if err != nil {
		t.Fatal(err)
	}
	p.awaitTransfer("payout.updated", "unknown")
	n.clock.Advance(15 * time.Second)
	p.awaitTransfer("payout.updated", "done")
	var got struct{ State string }
	if err := n.server("").Do(t.Context(), "GET", fmt.Sprint("/v1/payouts/", out["id"]), "", nil, &got); err != nil || got.State != "done" {
		t.Errorf("%+v, %v", got, err)
	}
	var list struct{ Items []struct{ ID string } }
	if err := n.server("").Do(t.Context(), "GET", "/v1/payouts?user=buyer", "", nil, &list); err != nil || len(list.Items) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	seller := n.join("seller", "s1")
	seller.refused("transfer_unknown", "payouts.get", map[string]any{"payout": out["id"]})
	seller.refused("forbidden", "topups.create", map[string]any{"user": "seller", "amount": 1, "currency": "EUR", "idempotency_key": "t-0"})
}

func TestHoldByRail_OverTheDoors(t *testing.T) {
	n := start(t, t.TempDir())
	buyer := n.join("buyer", "b1")
	var p struct{ ID, State string }
	err := n.server("").Do(t.Context(), "POST", "/v1/payments", "c-1", map[string]any{"payer": "buyer", "payee": "seller", "amount": 90_000, "currency": "EUR", "confirm": "none"}, &p)
	if err != nil {
		t.Fatal(err)
	}
	hold := func(key, source, account string) map[string]any {
		return map[string]any{"payment": p.ID, "source": source, "account": account, "idempotency_key": key}
	}
	buyer.refused("insufficient_funds", "payments.hold", hold("h-0", "balance", ""))
	buyer.refused("rail_refused", "payments.hold", hold("h-1", "rail", "sandbox:insufficient_funds"))
	if got := buyer.do("payments.hold", hold("h-2", "rail", "sandbox:late_success")); got["state"] != "requested" {
		t.Errorf("held %v", got)
	}
	n.clock.Advance(time.Minute)
	buyer.awaitPayment("held")
	if err := n.server("").Do(t.Context(), "POST", "/v1/payments/"+p.ID+"/capture", "c-2", map[string]any{"amount": 30_000}, &p); err != nil || p.State != "captured" {
		t.Errorf("%+v, %v", p, err)
	}
	if got := buyer.balance(); got != 50_000 {
		t.Errorf("the payer's own balance is %v", got)
	}
}

// stripeDouble answers like Stripe: payouts are in transit until told otherwise.
type stripeDouble struct {
	mu     sync.Mutex
	status string
	form   url.Values
}

func (s *stripeDouble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := r.ParseForm(); err == nil && r.Method == http.MethodPost {
		s.form = r.PostForm
	}
	object := fmt.Sprintf(`{"id":"tr_1","object":"payout","status":%q,"amount":4000,"metadata":{"reference":%q}}`, s.status, s.form.Get("metadata[reference]"))
	if r.URL.Path == "/v1/payment_intents" {
		object = fmt.Sprintf(`{"id":"pi_1","object":"payment_intent","status":"succeeded","amount":%s,"metadata":{"reference":%q}}`, s.form.Get("amount"), s.form.Get("metadata[reference]"))
	}
	_, _ = fmt.Fprint(w, object) // the node may be gone
}

func (s *stripeDouble) say(status string) (reference string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
	return s.form.Get("metadata[reference]")
}

// TestStripe_TellsANodeOfTheOutcome: a node with the Stripe rail, and an event that Stripe signs.
func TestStripe_TellsANodeOfTheOutcome(t *testing.T) {
	double := &stripeDouble{status: "in_transit"}
	api := httptest.NewServer(double)
	t.Cleanup(api.Close)
	n := start(t, t.TempDir(), "payments.sandbox=false", "payments.rail=stripe", "stripe.key=sk_test_1", "stripe.webhook_secret=whsec_1", "stripe.url="+api.URL)
	p := n.join("buyer", "b1")
	p.do("payouts.create", map[string]any{"amount": 4_000, "currency": "EUR", "destination": "ba_1", "idempotency_key": "p-1"})
	p.awaitTransfer("payout.updated", "pending")
	reference := double.say("failed")
	body := fmt.Sprintf(`{"type":"payout.failed","data":{"object":{"id":"tr_1","metadata":{"reference":%q}}}}`, reference)
	stamp := fmt.Sprint(n.clock.Now().Unix())
	mac := hmac.New(sha256.New, []byte("whsec_1"))
	mac.Write([]byte(stamp + "." + body))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.info.URL+"/v1/rails/stripe/events", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Stripe-Signature", "t="+stamp+",v1="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	p.awaitTransfer("payout.updated", "refused")
	if got := p.balance(); got != 50_000 {
		t.Errorf("balance %v", got)
	}
}

func TestRail_ConfigurationsThatMakeNoSense(t *testing.T) {
	for name, sets := range map[string][]string{
		"two rails":              {"payments.rail=stripe", "stripe.key=sk_1"},
		"no such rail":           {"payments.sandbox=false", "payments.rail=carrier_pigeon"},
		"stripe without a key":   {"payments.sandbox=false", "payments.rail=stripe"},
		"sandbox on the network": {"payments.sandbox=false", "payments.rail=sandbox", "http.listen=0.0.0.0:0"},
	} {
		cfg, err := config.Load("", nil, append(app.DevSettings(t.TempDir(), 0), sets...))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := app.New(t.Context(), app.Options{Config: cfg}); err == nil {
			t.Errorf("%s: the node was made", name)
		}
	}
}
