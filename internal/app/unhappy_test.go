package app_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"parley/client"
	"parley/wire"
)

// held makes a request and puts it on hold.
func held(buyer, seller *person) string {
	buyer.t.Helper()
	pay := request(seller)
	buyer.do("payments.hold", map[string]any{"payment": pay, "version": 1, "idempotency_key": "hold-" + pay})
	seller.awaitPayment("held")
	return pay
}

// inCall makes a held payment that buyer and seller talk about, with equal words.
func inCall(buyer, seller *person) string {
	pay := held(buyer, seller)
	talk(buyer, seller, map[string]any{"to": []string{seller.user}, "payment": pay, "client_id": "c-" + pay}, client.DirectOptions{})
	matchWords(buyer, seller)
	buyer.register()
	seller.register()
	return pay
}

func stateOf(p *person, pay string) string {
	p.t.Helper()
	return p.do("payments.get", map[string]any{"payment": pay})["state"].(string)
}

func offeredCall(p *person) string {
	p.t.Helper()
	return p.awaitType("call.offered")["call"].(map[string]any)["id"].(string)
}

func endReason(p *person, call string) string {
	p.t.Helper()
	d := p.await("end of "+call, func(ev wire.Event, d map[string]any) bool {
		c, _ := d["call"].(map[string]any)
		return ev.Type == "call.ended" && c["id"] == call
	})
	return d["call"].(map[string]any)["reason"].(string)
}

func startCall(p *person, params map[string]any) string {
	p.t.Helper()
	return p.do("calls.start", params)["call"].(map[string]any)["id"].(string)
}

func TestStory_DecliningKeepsTheHoldAndTellsNoReason(t *testing.T) {
	n := start(t, t.TempDir())
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	pay := held(buyer, seller)
	call := startCall(buyer, map[string]any{"to": []string{"seller"}, "payment": pay, "client_id": "c1"})
	seller.do("calls.decline", map[string]any{"call": offeredCall(seller), "note": "not now, in a meeting"})
	if reason := endReason(buyer, call); reason != "declined" {
		t.Errorf("reason %s", reason)
	}
	got := buyer.do("calls.get", map[string]any{"call": call})
	if got["text"] != "Could not be reached right now." || got["note"] != nil {
		t.Errorf("the buyer sees %v, note %v", got["text"], got["note"])
	}
	if state := stateOf(buyer, pay); state != "held" {
		t.Errorf("payment is %s", state)
	}
}

func TestStory_BusyWhenInAnotherCall(t *testing.T) {
	n := start(t, t.TempDir())
	buyer, seller, mira := n.join("buyer", "b1"), n.join("seller", "s1"), n.join("mira", "m1")
	inCall(buyer, seller)
	call := startCall(mira, map[string]any{"to": []string{"buyer"}, "client_id": "c2"})
	if reason := endReason(mira, call); reason != "busy" {
		t.Errorf("reason %s", reason)
	}
}

func TestStory_BothCallAtOnceLeavesOneCall(t *testing.T) {
	n := start(t, t.TempDir())
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	pay := held(buyer, seller)
	var wg sync.WaitGroup
	calls := make([]string, 2)
	for i, p := range []*person{buyer, seller} {
		to := []string{"seller", "buyer"}[i]
		wg.Go(func() {
			calls[i] = startCall(p, map[string]any{"to": []string{to}, "payment": pay, "client_id": "glare"})
		})
	}
	wg.Wait()
	list := buyer.do("calls.list", map[string]any{"active": true})["items"].([]any)
	if len(list) != 1 {
		t.Fatalf("%d calls survive: %v", len(list), list)
	}
	survivor := list[0].(map[string]any)["id"].(string)
	if survivor != calls[0] && survivor != calls[1] {
		t.Errorf("survivor %s is neither %v", survivor, calls)
	}
}

func TestStory_OfTwoAnswersOneWins(t *testing.T) {
	n := start(t, t.TempDir())
	buyer, phone, tablet := n.join("buyer", "b1"), n.join("seller", "s1"), n.join("seller", "s2")
	pay := held(buyer, phone)
	call := startCall(buyer, map[string]any{"to": []string{"seller"}, "payment": pay, "client_id": "c1"})
	offeredCall(phone)
	offeredCall(tablet)
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i, p := range []*person{phone, tablet} {
		wg.Go(func() { _, errs[i] = p.try("calls.answer", map[string]any{"call": call}) })
	}
	wg.Wait()
	loser := phone
	if errs[0] == nil {
		loser = tablet
		wantCode(t, errs[1], "call_taken")
	} else {
		wantCode(t, errs[0], "call_taken")
		if errs[1] != nil {
			t.Fatalf("nobody won: %v", errs)
		}
	}
	if reason := endReason(loser, call); reason != "answered_elsewhere" {
		t.Errorf("the loser heard %s", reason)
	}
	winner := map[*person]*person{phone: tablet, tablet: phone}[loser]
	for _, ev := range winner.seen("call.ended") {
		t.Errorf("the winner heard the end: %s", ev.Data)
	}
	loser.refused("not_participant", "calls.signal", map[string]any{"call": call, "kind": "offer", "data": map[string]string{"sdp": "v=0"}})
}

func TestStory_AnEditVoidsConfirmationsAndReducesTheHold(t *testing.T) {
	n := start(t, t.TempDir())
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	pay := inCall(buyer, seller)
	stale := buyer.confirmation(pay, 1)
	seller.do("confirmations.submit", seller.confirmation(pay, 1))
	edited := seller.do("payments.edit", map[string]any{"payment": pay, "version": 1, "amount": 11000, "idempotency_key": "edit-1"})
	if edited["version"] != 2.0 || edited["state"] != "held" || len(edited["confirmed_by"].([]any)) != 0 {
		t.Errorf("after the edit: %v", edited)
	}
	buyer.refused("payment_version_stale", "confirmations.submit", stale)
	if left := available(n, "buyer"); left != 50000-11000 {
		t.Errorf("the hold was not reduced: %d available", left)
	}
	buyer.do("confirmations.submit", buyer.confirmation(pay, 2))
	seller.do("confirmations.submit", seller.confirmation(pay, 2))
	if p := buyer.awaitPayment("captured"); p["captured"] != 11000.0 {
		t.Errorf("captured %v", p)
	}
	up := held(buyer, seller)
	raised := seller.do("payments.edit", map[string]any{"payment": up, "version": 1, "amount": 13000, "idempotency_key": "edit-2"})
	if raised["state"] != "requested" || available(n, "buyer") != 50000-11000 {
		t.Errorf("raising the amount: %v with %d available", raised["state"], available(n, "buyer"))
	}
}

func TestStory_DifferentWordsEndTheCallAndStopThePayment(t *testing.T) {
	n := start(t, t.TempDir())
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	pay := held(buyer, seller)
	talk(buyer, seller, map[string]any{"to": []string{"seller"}, "payment": pay, "client_id": "c1"}, client.DirectOptions{})
	if err := seller.call.Verify(t.Context(), "differ"); err != nil {
		t.Fatal(err)
	}
	if reason := endReason(buyer, string(buyer.call.ID())); reason != "policy" {
		t.Errorf("reason %s", reason)
	}
	if p := buyer.awaitPayment("review"); p["state"] != "review" {
		t.Errorf("payment %v", p)
	}
	got := buyer.do("calls.get", map[string]any{"call": buyer.call.ID()})
	if got["verified"] != "words_differ" || got["text"] != "The call was ended. Do not continue on this line." {
		t.Errorf("call %v %v", got["verified"], got["text"])
	}
	seller.refused("payment_state", "payments.edit", map[string]any{"payment": pay, "version": 1, "amount": 100, "idempotency_key": "late"})
}

func TestStory_ConfirmingTwiceIsConfirmingOnce(t *testing.T) {
	n := start(t, t.TempDir())
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	pay := inCall(buyer, seller)
	mine := buyer.confirmation(pay, 1)
	first := buyer.do("confirmations.submit", mine)
	buyer.conn.Close()
	buyer.connect(nil)
	again := buyer.do("confirmations.submit", mine)
	if fmt.Sprint(first) != fmt.Sprint(again) {
		t.Errorf("answers differ:\n%v\n%v", first, again)
	}
	seller.do("confirmations.submit", seller.confirmation(pay, 1))
	buyer.awaitPayment("captured")
	if got := available(n, "seller"); got != 61880 {
		t.Errorf("seller has %d", got)
	}
}

func TestStory_AHoldThatExpiresGoesBackAndClosesTheConfirmation(t *testing.T) {
	n := start(t, t.TempDir())
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	pay := inCall(buyer, seller)
	late := seller.confirmation(pay, 1)
	buyer.do("confirmations.submit", buyer.confirmation(pay, 1))
	n.clock.Advance(8 * 24 * time.Hour)
	if p := buyer.awaitPayment("voided"); p["state"] != "voided" {
		t.Errorf("payment %v", p)
	}
	if _, err := seller.try("confirmations.submit", late); err == nil {
		t.Error("a confirmation after the hold expired was taken")
	}
	if b, s := available(n, "buyer"), available(n, "seller"); b != 50000 || s != 50000 {
		t.Errorf("buyer has %d, seller %d", b, s)
	}
}

func TestStory_TheConfirmTimeEndsWithoutCapture(t *testing.T) {
	n := start(t, t.TempDir())
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	pay := inCall(buyer, seller)
	buyer.do("confirmations.submit", buyer.confirmation(pay, 1))
	n.clock.Advance(121 * time.Second)
	if p := seller.await("back to held", func(ev wire.Event, d map[string]any) bool {
		payment, _ := d["payment"].(map[string]any)
		return ev.Type == "payment.updated" && payment["state"] == "held" && len(payment["confirmed_by"].([]any)) == 0 && d["change"] != "held"
	}); p == nil {
		t.Fatal("never")
	}
	if state := stateOf(buyer, pay); state != "held" {
		t.Errorf("payment is %s", state)
	}
}

func TestStory_CardNumbersAreRefusedEverywhere(t *testing.T) {
	n := start(t, t.TempDir())
	buyer := n.join("buyer", "b1")
	conv := directWith(buyer, "seller")
	const number = "4111 1111 1111 1111"
	buyer.refused("sensitive_data", "messages.send", map[string]any{"conversation": conv, "client_id": "m1", "text": "my card is " + number})
	buyer.refused("sensitive_data", "payments.create", map[string]any{"payee": "seller", "amount": 100, "currency": "EUR", "memo": number, "idempotency_key": "k"})
	got := buyer.do("entries.list", map[string]any{"conversation": conv})
	if len(got["entries"].([]any)) != 0 {
		t.Errorf("something was kept: %v", got)
	}
}

func TestStory_DatabaseDownAtCaptureCapturesNothingLater(t *testing.T) {
	dir := t.TempDir()
	n := start(t, dir)
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	pay := inCall(buyer, seller)
	buyer.do("confirmations.submit", buyer.confirmation(pay, 1))
	second := seller.confirmation(pay, 1)
	release := lockDatabase(t, dir)
	seller.refused("ledger_unavailable", "confirmations.submit", second)
	release()
	if state := stateOf(buyer, pay); state != "confirming" {
		t.Errorf("payment is %s right after", state)
	}
	n.clock.Advance(121 * time.Second)
	buyer.await("back to held", func(ev wire.Event, d map[string]any) bool {
		payment, _ := d["payment"].(map[string]any)
		return ev.Type == "payment.updated" && payment["state"] == "held" && len(payment["confirmed_by"].([]any)) == 0 && d["change"] != "held"
	})
	if b, s := available(n, "buyer"), available(n, "seller"); b != 38000 || s != 50000 {
		t.Errorf("buyer has %d, seller %d", b, s)
	}
}
