package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"parley/client"
)

// operator calls REST as the console does.
func (n *node) operator() *client.REST {
	_, token, _ := strings.Cut(n.info.ConsoleLink, "#token=")
	return &client.REST{URL: n.info.URL, Token: token}
}

// operatorRefused fails unless an operator's call is refused with code.
func operatorRefused(t *testing.T, rest *client.REST, code, method, path string, body map[string]any) {
	t.Helper()
	err := rest.Do(t.Context(), method, path, "k1", body, nil)
	if err == nil {
		t.Fatalf("an operator may %s %s", method, path)
	}
	wantCode(t, err, code)
}

func TestOperator_SeesWebhooksAndDeliversAgain(t *testing.T) {
	n := start(t, t.TempDir())
	heard := make(chan string, 16)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- r.Header.Get("webhook-id") }))
	t.Cleanup(backend.Close)
	var hook struct{ ID string }
	if err := n.server("").Do(t.Context(), "POST", "/v1/webhooks", "", map[string]any{"url": backend.URL}, &hook); err != nil {
		t.Fatal(err)
	}
	if err := n.server("").Do(t.Context(), "POST", "/v1/webhooks/"+hook.ID+"/test", "", map[string]any{}, nil); err != nil {
		t.Fatal(err)
	}
	first := await(t, heard, "the test event")

	operator := n.operator()
	var hooks struct {
		Items []struct{ ID, Secret string }
	}
	if err := operator.Do(t.Context(), "GET", "/v1/webhooks", "", nil, &hooks); err != nil || len(hooks.Items) != 1 || hooks.Items[0].Secret != "" {
		t.Fatalf("webhooks: %+v, %v", hooks, err)
	}
	var list struct{ Items []struct{ ID, State string } }
	for deadline := time.Now().Add(patience); len(list.Items) != 1 || list.Items[0].State != "succeeded"; {
		if err := operator.Do(t.Context(), "GET", "/v1/webhooks/"+hook.ID+"/deliveries", "", nil, &list); err != nil || time.Now().After(deadline) {
			t.Fatalf("deliveries: %+v, %v", list, err)
		}
	}
	var done struct{ Replayed int }
	err := operator.Do(t.Context(), "POST", "/v1/webhooks/"+hook.ID+"/replay", "", map[string]any{"delivery": list.Items[0].ID}, &done)
	if err != nil || done.Replayed != 1 {
		t.Fatalf("replay: %+v, %v", done, err)
	}
	if again := await(t, heard, "the event again"); again != first {
		t.Errorf("got %s again, want %s", again, first)
	}
	operatorRefused(t, operator, "forbidden", "POST", "/v1/webhooks", map[string]any{"url": backend.URL})
	operatorRefused(t, operator, "forbidden", "DELETE", "/v1/webhooks/"+hook.ID, nil)
	operatorRefused(t, operator, "forbidden", "POST", "/v1/payments", map[string]any{"payer": "buyer", "payee": "seller", "amount": 1, "currency": "EUR"})
	operatorRefused(t, operator, "forbidden", "POST", "/v1/sandbox/fund", map[string]any{"user": "buyer", "amount": 1, "currency": "EUR"})
}

func TestOperator_ReadsTheLedgerByPages(t *testing.T) {
	n := start(t, t.TempDir())
	var page struct {
		Items []struct{ ID string }
		Next  string
	}
	if err := n.operator().Do(t.Context(), "GET", "/v1/ledger/accounts?limit=1", "", nil, &page); err != nil || len(page.Items) != 1 || page.Next == "" {
		t.Fatalf("%+v, %v", page, err)
	}
	operatorRefused(t, n.operator(), "forbidden", "POST", "/v1/ledger/accounts", map[string]any{"account": "app:bank", "currency": "EUR"})
}

func TestOperator_DecidesADispute(t *testing.T) {
	n := start(t, t.TempDir())
	buyer := n.join("buyer", "b1")
	ask := map[string]any{"payer": "buyer", "payee": "seller", "amount": 700, "currency": "EUR", "confirm": "none", "conversation": directWith(buyer, "seller")}
	var pay struct {
		ID      string
		Version int
	}
	if err := n.server("").Do(t.Context(), "POST", "/v1/payments", "c", ask, &pay); err != nil {
		t.Fatal(err)
	}
	id := pay.ID
	buyer.do("payments.hold", map[string]any{"payment": id, "version": pay.Version, "idempotency_key": "h"})
	if err := n.server("").Do(t.Context(), "POST", "/v1/payments/"+id+"/capture", "p", map[string]any{}, nil); err != nil {
		t.Fatal(err)
	}
	buyer.do("payments.report", map[string]any{"payment": id, "idempotency_key": "d"})
	var after struct {
		State    string
		Refunded int64
	}
	if err := n.operator().Do(t.Context(), "POST", "/v1/payments/"+id+"/resolve", "r", map[string]any{"outcome": "payer"}, &after); err != nil {
		t.Fatal(err)
	}
	if after.State != "refunded" || after.Refunded != 700 {
		t.Errorf("%+v, want 7 EUR back with the buyer", after)
	}
}

func TestOverview_TotalsGrow(t *testing.T) {
	n := start(t, t.TempDir())
	totals := func() map[string]int64 {
		var o struct{ Counters map[string]int64 }
		if err := n.operator().Do(t.Context(), "GET", "/v1/operator/overview", "", nil, &o); err != nil {
			t.Fatal(err)
		}
		return o.Counters
	}
	before := totals()
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	conv := directWith(buyer, "seller")
	buyer.say(conv, "one")
	buyer.say(conv, "two")
	seller.awaitText("two")
	after := totals()
	for _, name := range []string{"messages_in_total", "published_total", "delivered_total", "entries_total", "operations_total"} {
		if after[name] < before[name]+2 {
			t.Errorf("%s went from %d to %d, with two messages said", name, before[name], after[name])
		}
	}
	if after["sockets"] != 2 {
		t.Errorf("%d sockets, want 2", after["sockets"])
	}
}

// await returns what comes out of c in time.
func await[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}
