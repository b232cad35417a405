package app_test

import (
	"context"
	"testing"
	"time"

	"parley/client"
	"parley/internal/app"
	"parley/internal/config"
	"parley/wire"
)

// request makes a payment request of 120.00 EUR from the seller to the buyer.
func request(seller *person) string {
	seller.t.Helper()
	p := seller.do("payments.create", map[string]any{
		"payer": "buyer", "amount": 12000, "currency": "EUR", "order": "ord_77", "memo": "Bike",
		"conversation": directWith(seller, "buyer"), "idempotency_key": wire.NewID[string]("k_", time.Now()),
	})
	return p["id"].(string)
}

// directWith finds the direct conversation with other.
func directWith(p *person, other wire.UserID) string {
	p.t.Helper()
	c := p.do("conversations.create", map[string]any{"kind": "direct", "members": []wire.UserID{other}})
	return c["id"].(string)
}

// available is what a user can spend, in cents.
func available(n *node, user wire.UserID) int64 {
	n.t.Helper()
	var out struct {
		Items []struct{ Available, Held int64 }
	}
	if err := n.server(user).Do(context.Background(), "GET", "/v1/balances?user="+string(user), "", nil, &out); err != nil {
		n.t.Fatal(err)
	}
	if len(out.Items) != 1 {
		n.t.Fatalf("balances of %s: %+v", user, out)
	}
	return out.Items[0].Available
}

// checkLedger proves the whole ledger of a stopped or running node.
func checkLedger(t *testing.T, dir string) {
	t.Helper()
	cfg := config.Default()
	cfg.Database.URL = dir + "/parley.db"
	if err := app.CheckLedger(t.Context(), cfg, t.Output()); err != nil {
		t.Error(err)
	}
}

func TestStory_TalkConfirmAndPay(t *testing.T) { talkConfirmAndPay(t, client.JSON, client.JSON) }

// talkConfirmAndPay is the story of a payment between people on two transports.
func talkConfirmAndPay(t *testing.T, buyerVia, sellerVia client.Transport) {
	dir := t.TempDir()
	n := start(t, dir)
	buyer, seller := n.joinVia(buyerVia, "buyer", "b1"), n.joinVia(sellerVia, "seller", "s1")
	tablet := n.join("seller", "s2")

	pay := request(seller)
	card := buyer.awaitPayment("requested")
	if card["payee_name"] != "V. Seller" || card["amount"] != 12000.0 {
		t.Errorf("card shows %v", card)
	}
	sheet := buyer.do("payments.sheet", map[string]any{"payment": pay})
	if relation := sheet["payee"].(map[string]any)["relation"]; relation != "first_payment" {
		t.Errorf("relation %v", relation)
	}
	buyer.do("payments.hold", map[string]any{"payment": pay, "version": 1, "idempotency_key": "hold-1"})
	seller.awaitPayment("held")
	if left := available(n, "buyer"); left != 38000 {
		t.Errorf("buyer has %d left after the hold", left)
	}

	talk(buyer, seller, map[string]any{"to": []string{"seller"}, "payment": pay, "client_id": "c1"}, client.DirectOptions{})
	ended := tablet.awaitType("call.ended")
	if reason := ended["call"].(map[string]any)["reason"]; reason != "answered_elsewhere" {
		t.Errorf("the tablet heard %v", reason)
	}
	matchWords(buyer, seller)
	buyer.register()
	seller.register()
	buyer.do("confirmations.submit", buyer.confirmation(pay, 1))
	seller.awaitPayment("confirming")
	seller.do("confirmations.submit", seller.confirmation(pay, 1))
	if p := buyer.awaitPayment("captured"); p["captured"] != 12000.0 || p["fee"] != 120.0 {
		t.Errorf("captured %v", p)
	}
	seller.awaitPayment("captured")
	buyer.do("calls.hangup", map[string]any{"call": buyer.call.ID()})
	record := seller.awaitType("call.ended")["call"].(map[string]any)
	if record["reason"] != "completed" || record["verified"] != "words_match" {
		t.Errorf("call record %v", record)
	}
	if b, s := available(n, "buyer"), available(n, "seller"); b != 38000 || s != 61880 {
		t.Errorf("buyer has %d, seller %d", b, s)
	}
	bundle := buyer.do("evidence.get", map[string]any{"payment": pay})
	if rows := bundle["rows"].([]any); len(rows) < 3 {
		t.Errorf("evidence has %d rows", len(rows))
	}
	if len(bundle["transfers"].([]any)) == 0 || len(bundle["calls"].([]any)) != 1 {
		t.Errorf("evidence lacks transfers or calls: %v", bundle)
	}
	n.stop()
	checkLedger(t, dir)
}
