package app_test

import (
	"slices"
	"testing"
	"time"
)

func TestWebhook_ConversationsAreToldByTheirLog(t *testing.T) {
	n := start(t, t.TempDir())
	secret := make(chan string, 1)
	url, heard := backend(t, secret)
	var hook struct{ ID, Secret string }
	err := n.server("").Do(t.Context(), "POST", "/v1/webhooks", "", map[string]any{"url": url, "events": []string{"message.*", "call.*"}}, &hook)
	secret <- hook.Secret
	if err != nil {
		t.Fatal(err)
	}
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	conv := directWith(buyer, "seller")
	request(seller) // not asked for
	buyer.do("messages.send", map[string]any{"conversation": conv, "client_id": "m1", "text": "Is it still there?"})
	call := startCall(buyer, map[string]any{"conversation": conv, "client_id": "c1"})
	if offered := offeredCall(seller); offered != call {
		t.Fatalf("offered %s, want %s", offered, call)
	}
	seller.do("calls.decline", map[string]any{"call": call})
	last := 0
	var types []string
	for range 3 {
		select {
		case got := <-heard:
			types = append(types, got.Type)
			if got.Subject != conv || got.Seq <= last {
				t.Errorf("%s of %s with seq %d after %d", got.Type, got.Subject, got.Seq, last)
			}
			last = got.Seq
		case <-time.After(patience):
			t.Fatalf("heard only of %v", types)
		}
	}
	if want := []string{"message.created", "call.started", "call.ended"}; !slices.Equal(types, want) {
		t.Errorf("heard of %v, want %v", types, want)
	}
}
