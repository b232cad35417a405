package app_test

import (
	"testing"
	"time"

	"parley/client"
	"parley/internal/app"
	"parley/internal/config"
	"parley/wire"
)

func TestToken_ThatExpiresInACallLeavesAMinuteForTheCallAlone(t *testing.T) {
	n := start(t, t.TempDir())
	for i, u := range n.info.Users {
		if u.ID == "buyer" {
			token, err := app.MintToken(config.Config{}, true, "buyer", "A. Buyer", "10s", nil)
			if err != nil {
				t.Fatal(err)
			}
			n.info.Users[i].Token = token
		}
	}
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")
	conv := directWith(buyer, "seller")
	talk(buyer, seller, map[string]any{"to": []string{"seller"}, "client_id": "c1"}, client.DirectOptions{})
	alive := map[string]any{"call": buyer.call.ID(), "alive": true}
	for range 3 { // past the token's life and the verifier's leeway of 5 s, but never 10 s without a report
		buyer.do("calls.report", alive)
		seller.do("calls.report", alive)
		n.clock.Advance(6 * time.Second)
	}
	waitUntil(t, "chat needs a new token", func() bool {
		_, err := buyer.try("conversations.get", map[string]any{"conversation": conv})
		p, ok := err.(*wire.Problem) //nolint:errorlint // the client returns it bare
		return ok && p.Code == "token_expired"
	})
	buyer.do("calls.report", alive)
	n.clock.Advance(2 * time.Minute)
	select {
	case <-buyer.conn.Done():
	case <-time.After(patience):
		t.Fatal("the socket outlives its token")
	}
	if code := buyer.conn.CloseCode(); code != wire.CloseTokenExpired {
		t.Errorf("closed with %d", code)
	}
}
