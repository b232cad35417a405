package app_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"parley/client"
)

// api calls REST as one caller; every write has a key of its own.
type api struct {
	t    *testing.T
	rest *client.REST
	name string
	n    int
}

func (n *node) api(token, name string) *api {
	return &api{t: n.t, rest: &client.REST{URL: n.info.URL, Token: token}, name: name}
}

func (a *api) call(method, path string, body map[string]any) (out map[string]any, err error) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a.n++
	err = a.rest.Do(ctx, method, path, fmt.Sprintf("%s-%d", a.name, a.n), body, &out)
	return out, err
}

func (a *api) post(path string, body map[string]any) map[string]any {
	a.t.Helper()
	out, err := a.call(http.MethodPost, path, body)
	if err != nil {
		a.t.Fatalf("%s posts %s %v: %v", a.name, path, body, err)
	}
	return out
}

func (a *api) get(path string) map[string]any {
	a.t.Helper()
	out, err := a.call(http.MethodGet, path, nil)
	if err != nil {
		a.t.Fatalf("%s gets %s: %v", a.name, path, err)
	}
	return out
}

func (a *api) refused(code, path string, body map[string]any) {
	a.t.Helper()
	_, err := a.call(http.MethodPost, path, body)
	wantCode(a.t, err, code)
}

// want compares fields of an answer.
func want(t *testing.T, got map[string]any, fields map[string]any) {
	t.Helper()
	for name, value := range fields {
		if n, ok := value.(int); ok {
			value = float64(n)
		}
		if got[name] != value {
			t.Errorf("%s is %v, want %v, in %v", name, got[name], value, got)
		}
	}
}

// TestREST_AutomaticCapturePaysWithTheHold plays a shop that asks for no more than the hold.
func TestREST_AutomaticCapturePaysWithTheHold(t *testing.T) {
	n := start(t, t.TempDir())
	app, buyer := n.api(n.info.Keys.Secret, "app"), n.api(n.token("buyer"), "buyer")
	p := app.post("/v1/payments", map[string]any{"payer": "buyer", "payee": "seller", "amount": 2_000, "currency": "EUR", "confirm": "none", "capture": "automatic"})
	want(t, p, map[string]any{"state": "requested", "capture": "automatic", "held": 0})
	p = buyer.post("/v1/payments/"+p["id"].(string)+"/hold", map[string]any{})
	want(t, p, map[string]any{"state": "captured", "captured": 2_000, "fee": 20, "held": 0})
	if b, s := available(n, "buyer"), available(n, "seller"); b != 48_000 || s != 51_980 {
		t.Errorf("buyer has %d, seller %d", b, s)
	}
}

// TestREST_SeveralCapturesThenARefund plays an order that ships in parts.
func TestREST_SeveralCapturesThenARefund(t *testing.T) {
	n := start(t, t.TempDir())
	app, buyer, seller := n.api(n.info.Keys.Secret, "app"), n.api(n.token("buyer"), "buyer"), n.api(n.token("seller"), "seller")
	p := app.post("/v1/payments", map[string]any{"payer": "buyer", "payee": "seller", "amount": 10_000, "currency": "EUR", "confirm": "none"})
	path := "/v1/payments/" + p["id"].(string)
	want(t, buyer.post(path+"/hold", map[string]any{}), map[string]any{"state": "held", "capturable": 10_000, "capture": "manual"})
	want(t, app.post(path+"/capture", map[string]any{"amount": 3_000, "final": false}),
		map[string]any{"state": "part_captured", "captured": 3_000, "held": 7_000, "fee": 30})
	app.refused("amount_invalid", path+"/capture", map[string]any{"amount": 7_001, "final": false})
	want(t, seller.post(path+"/refund", map[string]any{"amount": 1_000}), map[string]any{"state": "part_captured", "refunded": 1_000, "fee_refunded": 10})
	p = app.post(path+"/capture", map[string]any{"amount": 5_000})
	want(t, p, map[string]any{"state": "part_refunded", "captured": 8_000, "held": 0, "capturable": 0, "fee": 80})
	want(t, seller.post(path+"/refund", map[string]any{}), map[string]any{"state": "refunded", "refunded": 8_000, "fee_refunded": 80})
	if b, s := available(n, "buyer"), available(n, "seller"); b != 50_000 || s != 50_000 {
		t.Errorf("buyer has %d, seller %d", b, s)
	}
}

// TestREST_AFeeThatThePayerPays is on hold, on the sheet and in what both confirm.
func TestREST_AFeeThatThePayerPays(t *testing.T) {
	n := start(t, t.TempDir(), "payments.fees=EUR basis_points=150 fixed=25 max=500 paid_by=payer on_refund=keep")
	app, buyer := n.api(n.info.Keys.Secret, "app"), n.api(n.token("buyer"), "buyer")
	p := app.post("/v1/payments", map[string]any{"payer": "buyer", "payee": "seller", "amount": 10_000, "currency": "EUR", "confirm": "none"})
	path := "/v1/payments/" + p["id"].(string)
	want(t, p, map[string]any{"total": 10_175, "fee_expected": 175, "fee": 0})
	sheet := buyer.get(path + "/sheet")["payment"].(map[string]any)
	want(t, sheet, map[string]any{"amount": 10_000, "total": 10_175})
	want(t, buyer.post(path+"/hold", map[string]any{}), map[string]any{"held": 10_175, "capturable": 10_000})
	if got := available(n, "buyer"); got != 39_825 {
		t.Errorf("buyer has %d", got)
	}
	want(t, app.post(path+"/capture", map[string]any{"amount": 4_000}), map[string]any{"captured": 4_000, "fee": 85, "held": 0})
	if b, s := available(n, "buyer"), available(n, "seller"); b != 45_915 || s != 54_000 {
		t.Errorf("buyer has %d, seller %d", b, s)
	}
	want(t, app.post(path+"/refund", map[string]any{}), map[string]any{"state": "refunded", "fee_refunded": 0})
	if b, s := available(n, "buyer"), available(n, "seller"); b != 49_915 || s != 50_000 {
		t.Errorf("buyer has %d, seller %d", b, s)
	}
}

// TestREST_AHoldIsExtendedAndReduced follows a hold through its clock.
func TestREST_AHoldIsExtendedAndReduced(t *testing.T) {
	n := start(t, t.TempDir(), "payments.hold_time=24h", "payments.max_hold_time=72h")
	app, buyer, seller := n.api(n.info.Keys.Secret, "app"), n.api(n.token("buyer"), "buyer"), n.api(n.token("seller"), "seller")
	p := app.post("/v1/payments", map[string]any{"payer": "buyer", "payee": "seller", "amount": 10_000, "currency": "EUR", "confirm": "none"})
	path := "/v1/payments/" + p["id"].(string)
	p = buyer.post(path+"/hold", map[string]any{})
	if next := p["next"].(map[string]any); next["outcome"] != "voided" || next["at"] != p["hold_expires"] {
		t.Errorf("next %v", next)
	}
	buyer.refused("invalid_params", path+"/extend", map[string]any{"expires_in": 100 * 3600})
	buyer.refused("invalid_params", path+"/extend", map[string]any{"expires_in": 3600})
	seller.refused("not_party", path+"/extend", map[string]any{"expires_in": 60 * 3600})
	want(t, buyer.post(path+"/extend", map[string]any{"expires_in": 60 * 3600}), map[string]any{"state": "held", "version": 2})
	buyer.refused("not_party", path+"/reduce", map[string]any{"amount": 6_000})
	want(t, seller.post(path+"/reduce", map[string]any{"amount": 6_000}), map[string]any{"held": 6_000, "capturable": 6_000, "amount": 10_000, "version": 2})
	want(t, app.post(path+"/capture", map[string]any{"amount": 2_500, "final": false}), map[string]any{"state": "part_captured", "held": 3_500})
	n.clock.Advance(48 * time.Hour)
	want(t, buyer.get(path), map[string]any{"state": "part_captured"})
	watcher := n.join("buyer", "b1")
	n.clock.Advance(13 * time.Hour)
	watcher.awaitPayment("released")
	want(t, buyer.get(path), map[string]any{"state": "captured", "captured": 2_500, "held": 0})
	if b, s := available(n, "buyer"), available(n, "seller"); b != 47_500 || s != 52_475 {
		t.Errorf("buyer has %d, seller %d", b, s)
	}
}

// TestREST_AConversionIsQuotedAndAcceptedOnce changes money through the exchange.
func TestREST_AConversionIsQuotedAndAcceptedOnce(t *testing.T) {
	n := start(t, t.TempDir(), "payments.rates=EUR/USD=1.0853")
	app, buyer, seller := n.api(n.info.Keys.Secret, "app"), n.api(n.token("buyer"), "buyer"), n.api(n.token("seller"), "seller")
	quote := buyer.post("/v1/conversions", map[string]any{"from": "EUR", "to": "USD", "source": 1_001})
	want(t, quote, map[string]any{"state": "quoted", "source": 1_001, "target": 1_086, "rounding": "target_down", "price": "1.0853"})
	path := "/v1/conversions/" + quote["id"].(string)
	buyer.refused("exchange_empty", path+"/accept", nil)
	seller.refused("conversion_unknown", path+"/accept", nil)
	app.post("/v1/sandbox/fund", map[string]any{"user": "jonas", "amount": 5_000, "currency": "USD"})
	want(t, app.post("/v1/exchange", map[string]any{"user": "jonas", "amount": 5_000, "currency": "USD"}), map[string]any{"available": 5_000})
	want(t, buyer.post(path+"/accept", nil), map[string]any{"state": "accepted"})
	want(t, app.post(path+"/accept", nil), map[string]any{"state": "accepted"})
	items := buyer.get("/v1/balances")["items"].([]any)
	want(t, items[0].(map[string]any), map[string]any{"currency": "EUR", "available": 48_999})
	want(t, items[1].(map[string]any), map[string]any{"currency": "USD", "available": 1_086})

	if _, err := app.call(http.MethodPut, "/v1/rates", map[string]any{"from": "EUR", "to": "USD", "price": "1.2"}); err != nil {
		t.Fatal(err)
	}
	if _, err := app.call(http.MethodPut, "/v1/rates", map[string]any{"from": "USD", "to": "EUR", "price": "0.84"}); err == nil {
		t.Error("rates that gain on the way back were taken")
	}
	back := buyer.post("/v1/conversions", map[string]any{"from": "USD", "to": "EUR", "target": 500})
	want(t, back, map[string]any{"source": 600, "target": 500, "rounding": "source_up", "price": "1/1.2"})
	n.clock.Advance(61 * time.Second)
	buyer.refused("quote_expired", "/v1/conversions/"+back["id"].(string)+"/accept", nil)
	buyer.refused("rate_unknown", "/v1/conversions", map[string]any{"from": "EUR", "to": "JPY", "source": 500})
}
