package app_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/client"
	"parley/wire"
)

// ask is a request of p's for 42.50 EUR to payer; every call has its own key.
func (p *person) ask(payer string) (map[string]any, error) {
	p.t.Helper()
	return p.try("payments.create", map[string]any{"payer": payer, "amount": 4250, "currency": "EUR", "idempotency_key": freshKey()})
}

func freshKey() string { return wire.NewID[string]("k_", time.Now()) }

// keyed adds a fresh idempotency key to params.
func keyed(params map[string]any) map[string]any {
	params["idempotency_key"] = freshKey()
	return params
}

func TestRequests_AStrangersIsRefusedThenSilentThenOrdinary(t *testing.T) {
	n := start(t, t.TempDir())
	seller, lea := n.join("seller", "s1"), n.join("lea", "l1")

	_, err := seller.ask("lea")
	wantCode(t, err, "no_relation")
	// A conversation that the stranger opens is no invitation.
	conv := directWith(seller, "lea")
	seller.do("messages.send", map[string]any{"conversation": conv, "client_id": "m1", "text": "Pay me?"})
	_, err = seller.ask("lea")
	wantCode(t, err, "no_relation")
	seller.refused("no_relation", "calls.start", map[string]any{"to": []string{"lea"}, "client_id": "c1"})
	seller.refused("no_relation", "calls.start", map[string]any{"conversation": conv, "client_id": "c2"})

	accepted := lea.do("conversations.accept", map[string]any{"conversation": conv})
	for _, m := range accepted["members"].([]any) {
		if m := m.(map[string]any); m["accepted"] != true {
			t.Errorf("member %v", m)
		}
	}
	if _, err = seller.ask("lea"); err != nil {
		t.Fatalf("asks whom it knows: %v", err)
	}
	card := lea.awaitPayment("requested")
	headline := card["headline"].(map[string]any)
	if card["silent"] != true || headline["code"] != "pay" || headline["text"] != "You will PAY 42.50 EUR to V. Seller" {
		t.Errorf("lea sees %v", card)
	}
	seller.refused("memo_refused", "payments.create", keyed(map[string]any{"payer": "lea", "amount": 1, "currency": "EUR", "memo": "call 0170 1234567"}))

	lea.do("payments.decline", keyed(map[string]any{"payment": card["id"], "reason": "not_mine"}))
	if p := seller.awaitPayment("declined"); p["decline_reason"] != "not_mine" {
		t.Errorf("the seller hears %v", p)
	}
	_, err = seller.ask("lea")
	wantCode(t, err, "request_limited")
	if p := err.(*wire.Problem); p.RetryAfter < 86390 || p.RetryAfter > 86400 { //nolint:errorlint // the client returns it bare
		t.Errorf("retry after %d", p.RetryAfter)
	}
}

func TestRequests_BlockingIsQuietAndCoversRequestsConversationsAndCalls(t *testing.T) {
	n := start(t, t.TempDir())
	seller, buyer := n.join("seller", "s1"), n.join("buyer", "b1")
	_, stranger := seller.ask("lea")

	buyer.do("users.block", map[string]any{"user": "seller"})
	if list := buyer.do("users.blocks", map[string]any{})["items"].([]any); len(list) != 1 || list[0].(map[string]any)["user"] != "seller" {
		t.Errorf("blocked: %v", list)
	}
	_, blocked := seller.ask("buyer")
	wantCode(t, blocked, "no_relation")
	if b, s := blocked.(*wire.Problem), stranger.(*wire.Problem); b.Detail != s.Detail || b.Title != s.Title || b.Status != s.Status { //nolint:errorlint // the client returns them bare
		t.Errorf("blocked hears %+v, a stranger %+v", b, s)
	}
	seller.refused("no_relation", "calls.start", map[string]any{"to": []string{"buyer"}, "client_id": "c1"})
	seller.refused("no_relation", "calls.start", map[string]any{"conversation": directWith(seller, "buyer"), "client_id": "c2"})
	seller.refused("user_unknown", "conversations.create", map[string]any{"kind": "group", "members": []string{"buyer"}, "client_id": "g1"})
	group := seller.do("conversations.create", map[string]any{"kind": "group", "members": []string{"mira"}, "client_id": "g2"})
	seller.refused("user_unknown", "members.add", map[string]any{"conversation": group["id"], "user": "buyer"})
	if _, err := buyer.ask("seller"); err != nil {
		t.Errorf("the blocker asks: %v", err)
	}

	buyer.do("users.unblock", map[string]any{"user": "seller"})
	if _, err := seller.ask("buyer"); err != nil {
		t.Errorf("let in again: %v", err)
	}
}

func TestRequests_OfTwoPhonesAtALinkOnePays(t *testing.T) {
	n := start(t, t.TempDir())
	seller, mira, jonas := n.join("seller", "s1"), n.join("mira", "m1"), n.join("jonas", "j1")
	link := seller.do("links.create", keyed(map[string]any{"amount": 4250, "currency": "EUR", "memo": "Ticket", "order": "ord-7"}))
	id := link["id"].(string)

	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := browser.Get(link["url"].(string))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close() // a redirect has none
	if to := answer.Header.Get("Location"); answer.StatusCode != http.StatusFound || to != "/demo/?link="+id {
		t.Errorf("the link leads to %d %q", answer.StatusCode, to)
	}
	shown := mira.do("links.get", map[string]any{"link": id})
	if shown["payee_name"] != "V. Seller" || shown["amount"] != 4250.0 || shown["state"] != "open" || shown["order"] != nil {
		t.Errorf("mira is shown %v", shown)
	}
	mira.refused("amount_invalid", "links.pay", keyed(map[string]any{"link": id, "amount": 1}))

	var wg sync.WaitGroup
	errs := make([]error, 2)
	wg.Go(func() { _, errs[0] = mira.try("links.pay", keyed(map[string]any{"link": id})) })
	wg.Go(func() {
		rest := client.REST{URL: n.info.URL, Token: n.token("jonas")}
		errs[1] = rest.Do(context.Background(), "POST", "/v1/links/"+id+"/pay", freshKey(), map[string]any{}, nil)
	})
	wg.Wait()
	winner, loser := mira, 1
	if errs[0] != nil {
		winner, loser = jonas, 0
	}
	if errs[1-loser] != nil {
		t.Fatalf("nobody pays: %v", errs)
	}
	wantCode(t, errs[loser], "link_used")
	if p := winner.awaitPayment("requested"); p["payee"] != "seller" || p["amount"] != 4250.0 || p["payer"] != winner.user || p["silent"] != false {
		t.Errorf("the payment is %v", p)
	}
	state := seller.await("the link's use", func(ev wire.Event, d map[string]any) bool { return ev.Type == "link.updated" && d["change"] == "paid" })["link"].(map[string]any)
	if state["state"] != "used" || state["used"] != 1.0 || state["uses"] != 1.0 {
		t.Errorf("the seller hears %v", state)
	}
	// Paying through the link let the seller in.
	if _, err := seller.ask(winner.user); err != nil {
		t.Errorf("asks who paid: %v", err)
	}
}

func TestRequests_ToSeveralPeopleIsCompleteWhenAllHaveAnswered(t *testing.T) {
	dir := t.TempDir()
	n := start(t, dir)
	buyer, mira, jonas, lea := n.join("buyer", "b1"), n.join("mira", "m1"), n.join("jonas", "j1"), n.join("lea", "l1")
	conv := dinnerClub(buyer)
	made := buyer.do("requests.create", keyed(map[string]any{
		"payers": []map[string]any{{"user": "jonas"}, {"user": "mira"}, {"user": "lea"}}, "split": "equal",
		"amount": 10000, "currency": "EUR", "memo": "Dinner", "conversation": conv,
	}))
	id := made["id"].(string)
	amounts := map[string]any{}
	pays := map[string]string{}
	for _, item := range made["items"].([]any) {
		p := item.(map[string]any)
		amounts[p["payer"].(string)], pays[p["payer"].(string)] = p["amount"], p["id"].(string)
	}
	if fmt.Sprint(amounts) != "map[jonas:3334 lea:3333 mira:3333]" {
		t.Errorf("shares %v", amounts)
	}
	card := mira.await("the request in the conversation", func(ev wire.Event, d map[string]any) bool {
		return ev.Type == "request.updated" && string(ev.Conversation) == conv
	})["request"].(map[string]any)
	if card["amount"] != 10000.0 || len(card["payers"].([]any)) != 3 || len(card["items"].([]any)) != 0 || card["collected"] != nil {
		t.Errorf("the conversation sees %v", card)
	}
	own := lea.do("requests.get", map[string]any{"request": id})
	if items := own["items"].([]any); len(items) != 1 || items[0].(map[string]any)["payer"] != "lea" || !strings.Contains(fmt.Sprint(own["payers"]), "Jonas Weber") {
		t.Errorf("lea sees %v", own)
	}
	n.join("seller", "s1").refused("request_unknown", "requests.get", map[string]any{"request": id})
	lea.refused("not_party", "payments.get", map[string]any{"payment": pays["mira"]})

	mira.do("payments.decline", keyed(map[string]any{"payment": pays["mira"], "reason": "already_paid"}))
	payLive(jonas, buyer, pays["jonas"])
	lea.do("payments.decline", keyed(map[string]any{"payment": pays["lea"]}))
	done := buyer.await("the end of the request", func(ev wire.Event, d map[string]any) bool {
		return ev.Type == "request.updated" && d["change"] == "complete" && string(ev.Conversation) != conv
	})["request"].(map[string]any)
	if done["state"] != "complete" || done["collected"] != 3334.0 {
		t.Errorf("in the end %v", done)
	}
	n.stop()
	checkLedger(t, dir)
}

// dinnerClub is the demo's group of buyer, mira, jonas and lea.
func dinnerClub(p *person) string {
	p.t.Helper()
	for _, item := range p.do("conversations.list", map[string]any{})["items"].([]any) {
		if c := item.(map[string]any); c["title"] == "Dinner club" {
			return c["id"].(string)
		}
	}
	p.t.Fatal("no dinner club")
	return ""
}

// payLive lets payer hold a payment and both confirm it in a call.
func payLive(payer, payee *person, pay string) {
	payer.t.Helper()
	payer.do("payments.hold", keyed(map[string]any{"payment": pay, "version": 1}))
	talk(payer, payee, map[string]any{"to": []string{payee.user}, "payment": pay, "client_id": "c-" + pay}, client.DirectOptions{})
	matchWords(payer, payee)
	for _, p := range []*person{payer, payee} {
		p.register()
		p.do("confirmations.submit", p.confirmation(pay, 1))
	}
	payee.awaitPayment("captured")
}
