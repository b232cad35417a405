package app_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"parley/client"
	"parley/internal/act"
	"parley/wire"
)

// play lets a player act as user until the test ends.
func (n *node) play(user string, role act.Role) {
	n.t.Helper()
	p := act.Player{URL: n.info.URL, SocketURL: n.info.SocketURL, Token: n.token(user), User: wire.UserID(user), Role: role, Out: n.t.Output()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	n.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			n.t.Errorf("%s: %v", user, err)
		}
	})
}

// askedBySeller is a payment of 120.00 EUR that the buyer has put on hold.
func askedBySeller(n *node, buyer *person) string {
	n.t.Helper()
	seller := &client.REST{URL: n.info.URL, Token: n.token("seller")}
	var pay struct{ ID string }
	in := map[string]any{"payer": "buyer", "amount": 12000, "currency": "EUR", "memo": "Bike"}
	if err := seller.Do(context.Background(), http.MethodPost, "/v1/payments", "ask", in, &pay); err != nil {
		n.t.Fatal(err)
	}
	buyer.do("payments.hold", map[string]any{"payment": pay.ID, "version": 1, "idempotency_key": "hold"})
	return pay.ID
}

// callTo rings callee about a payment and proves the keys once answered.
func callTo(caller *person, callee, payment string) {
	t := caller.t
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := client.StartCall(ctx, caller.conn, map[string]any{"to": []string{callee}, "payment": payment, "client_id": "c1"}, client.DirectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	caller.setCall(out)
	if _, err := out.WaitProved(ctx); err != nil {
		t.Fatal(err)
	}
	speaking, hush := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); speak(speaking, out) }()
	t.Cleanup(func() { hush(); <-ended })
	matchWords(caller)
	look := time.NewTicker(20 * time.Millisecond) // within hub.rate; who connects last gets no event about it
	defer look.Stop()
	for caller.do("calls.get", map[string]any{"call": out.ID()})["state"] != "active" {
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatal("the call did not become active")
		}
	}
}

func TestAct_ConfirmsWithThePayer(t *testing.T) {
	n := start(t, t.TempDir())
	buyer := n.join("buyer", "b1")
	n.play("seller", act.Confirms)
	pay := askedBySeller(n, buyer)
	callTo(buyer, "seller", pay)
	buyer.register()
	buyer.do("confirmations.submit", buyer.confirmation(pay, 1))
	if p := buyer.awaitPayment("captured"); p["captured"] != 12000.0 {
		t.Errorf("captured %v", p)
	}
}

func TestAct_EditsTheAmountAfterThePayerConfirmed(t *testing.T) {
	n := start(t, t.TempDir())
	buyer := n.join("buyer", "b1")
	n.play("seller", act.EditsAmount)
	pay := askedBySeller(n, buyer)
	callTo(buyer, "seller", pay)
	buyer.register()
	buyer.do("confirmations.submit", buyer.confirmation(pay, 1))
	if p := buyer.awaitPayment("edited"); p["amount"] != 12100.0 || p["version"] != 2.0 || len(p["confirmed_by"].([]any)) != 0 {
		t.Errorf("edited %v", p)
	}
}

func TestAct_Declines(t *testing.T) {
	n := start(t, t.TempDir())
	seller := n.join("seller", "s1")
	n.play("buyer", act.Declines)
	request(seller)
	seller.awaitPayment("declined")
	call := startCall(seller, map[string]any{"to": []string{"buyer"}, "client_id": "c1"})
	if reason := endReason(seller, call); reason != "declined" {
		t.Errorf("the call ended: %s", reason)
	}
}

func TestAct_SilentRingsUntilItIsOver(t *testing.T) {
	n := start(t, t.TempDir())
	seller := n.join("seller", "s1")
	n.play("buyer", act.Silent)
	pay := request(seller)
	call := startCall(seller, map[string]any{"to": []string{"buyer"}, "client_id": "c1"})
	seller.awaitType("call.ringing")
	n.clock.Advance(46 * time.Second)
	if reason := endReason(seller, call); reason != "no_answer" {
		t.Errorf("the call ended: %s", reason)
	}
	if state := stateOf(seller, pay); state != "requested" {
		t.Errorf("the request is %s", state)
	}
}

func TestClock_AdvancingLetsAHoldExpire(t *testing.T) {
	n := start(t, t.TempDir())
	buyer := n.join("buyer", "b1")
	pay := askedBySeller(n, buyer)
	server := n.server("")
	var out struct{ Now time.Time }
	if err := server.Do(context.Background(), http.MethodPost, "/v1/clock/advance", "", map[string]any{"by": "169h"}, &out); err != nil {
		t.Fatal(err)
	}
	if p := buyer.awaitPayment("voided"); p["id"] != pay || available(n, "buyer") != 50000 {
		t.Errorf("after the hold's time: %v, available %d", p, available(n, "buyer"))
	}
	for _, by := range []string{"", "0s", "-1h", "tomorrow", "9000h"} {
		wantCode(t, server.Do(context.Background(), http.MethodPost, "/v1/clock/advance", "", map[string]any{"by": by}, nil), "invalid_params")
	}
	user := &client.REST{URL: n.info.URL, Token: n.token("buyer")}
	wantCode(t, user.Do(context.Background(), http.MethodPost, "/v1/clock/advance", "", map[string]any{"by": "1h"}, nil), "forbidden")
}
