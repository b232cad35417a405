package app_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/client"
	"parley/internal/redisdb/redistest"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

// twoNodes runs f with two nodes on one database and one Redis.
func twoNodes(t *testing.T, f func(t *testing.T, a, b *node, redis *redistest.Server), sets ...string) {
	t.Helper()
	sqldbtest.OnPostgres(t, func(t *testing.T, url string) {
		redis := redistest.Start(t)
		sets := append([]string{"database.url=" + url, "redis.url=redis://" + redis.Addr, "hub.heartbeat=1s", "hub.rate=10000", "hub.burst=10000", "limits.rules="}, sets...)
		a := start(t, t.TempDir(), sets...)
		b := start(t, t.TempDir(), sets...)
		f(t, a, b, redis)
	})
}

// say sends a message and returns when it is acknowledged.
func (p *person) say(conv, text string) {
	p.t.Helper()
	p.do("messages.send", map[string]any{"conversation": conv, "client_id": wire.NewID[string]("c_", time.Now()), "text": text})
}

// awaitText waits for a message of that text.
func (p *person) awaitText(text string) {
	p.t.Helper()
	p.await("the message "+text, func(ev wire.Event, d map[string]any) bool {
		return ev.Type == "message.created" && strings.Contains(fmt.Sprint(d), text)
	})
}

func TestNodes_ChatPassesBetweenThem(t *testing.T) {
	twoNodes(t, func(_ *testing.T, a, b *node, _ *redistest.Server) {
		buyer, seller, tablet := a.join("buyer", "b1"), b.join("seller", "s1"), a.join("seller", "s2")
		conv := directWith(buyer, "seller")
		buyer.say(conv, "over there")
		seller.awaitText("over there")
		tablet.awaitText("over there")
		seller.say(conv, "and back")
		buyer.awaitText("and back")
		tablet.awaitText("and back")
	})
}

func TestNodes_OneSocketPerDeviceOverAllOfThem(t *testing.T) {
	twoNodes(t, func(_ *testing.T, a, b *node, _ *redistest.Server) {
		first := a.join("buyer", "b1")
		b.join("buyer", "b1")
		first.awaitClosed(wire.CloseReplaced)
	})
}

// Everything that was acknowledged reaches everybody once and in order, though
// Redis was killed twice meanwhile.
func TestNodes_RedisRestartsUnderChat(t *testing.T) {
	twoNodes(t, func(t *testing.T, a, b *node, redis *redistest.Server) {
		buyer, seller := a.join("buyer", "b1"), b.join("seller", "s1")
		conv := directWith(buyer, "seller")
		ctx, stop := context.WithCancel(t.Context())
		var talkers sync.WaitGroup
		sent := map[*person]*int{buyer: new(int), seller: new(int)}
		for p, n := range sent {
			talkers.Go(func() {
				for ctx.Err() == nil {
					*n++
					p.say(conv, fmt.Sprintf("%s says %d.", p.user, *n))
				}
			})
		}
		for round := range 2 {
			seller.awaitText(fmt.Sprintf("buyer says %d.", 20+300*round))
			redis.Kill()
			redis.Restart()
		}
		buyer.awaitText(fmt.Sprintf("buyer says %d.", 700))
		stop()
		talkers.Wait()
		for p := range sent {
			for q, n := range sent {
				p.awaitSeen(fmt.Sprintf("%s says %d.", q.user, *n))
			}
			p.hasLog(conv)
		}
		if got := len(b.entries(conv)); got < *sent[buyer]+*sent[seller] {
			t.Errorf("the log has %d entries of %d and %d messages", got, *sent[buyer], *sent[seller])
		}
	})
}

// What was said while Redis was away is on the other node as soon as Redis is
// back: the next heartbeat would be an hour away.
func TestNodes_ALossIsMadeGoodWithoutAHeartbeat(t *testing.T) {
	twoNodes(t, func(_ *testing.T, a, b *node, redis *redistest.Server) {
		buyer, seller := a.join("buyer", "b1"), b.join("seller", "s1")
		conv := directWith(buyer, "seller")
		buyer.say(conv, "before")
		seller.awaitText("before")
		redis.Kill()
		buyer.say(conv, "meanwhile")
		redis.Restart()
		seller.awaitText("meanwhile")
		seller.hasLog(conv)
	}, "hub.heartbeat=1h")
}

// awaitPresence waits until user is shown in a state.
func (p *person) awaitPresence(user, state string) {
	p.t.Helper()
	p.await(user+" "+state, func(ev wire.Event, d map[string]any) bool {
		return ev.Type == "presence.updated" && d["user"] == user && d["state"] == state
	})
}

// A node that ends without a word takes its people with it, and nobody else.
func TestNodes_PresenceIsSharedAndDiesWithItsNode(t *testing.T) {
	twoNodes(t, func(_ *testing.T, a, b *node, _ *redistest.Server) {
		seller := b.join("seller", "s1")
		directWith(seller, "buyer")
		a.join("buyer", "b1")
		seller.awaitPresence("buyer", "online")
		a.stop()
		seller.awaitPresence("buyer", "offline")
	})
}

// awaitClosed waits until the socket is closed and checks the code.
func (p *person) awaitClosed(code int) {
	p.t.Helper()
	select {
	case <-p.conn.Done():
	case <-time.After(patience):
		p.t.Fatalf("%s on %s: the socket is still open", p.user, p.device)
	}
	if got := p.conn.CloseCode(); got != code {
		p.t.Errorf("%s on %s: closed with %d, want %d", p.user, p.device, got, code)
	}
}

// A device signed out on one node is out on the other, at once and for good;
// the person's other devices stay.
func TestNodes_SigningOutHoldsOnAllOfThem(t *testing.T) {
	twoNodes(t, func(t *testing.T, a, b *node, _ *redistest.Server) {
		phone, tablet := b.join("buyer", "b1"), b.join("buyer", "b2")
		here := a.join("buyer", "b3")
		if n := len(here.do("devices.list", map[string]any{})["items"].([]any)); n < 1 || n > 3 {
			t.Errorf("%d devices", n)
		}
		here.refused("forbidden", "devices.list", map[string]any{"user": "seller"})
		here.refused("forbidden", "devices.sign_out", map[string]any{"user": "seller", "device": "dev_s1"})
		here.do("devices.sign_out", map[string]any{"device": "dev_b1"})
		phone.awaitClosed(wire.CloseRevoked)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := client.Dial(ctx, client.Options{SocketURL: b.info.SocketURL, Token: b.token("buyer"), Device: "dev_b1"})
		wantCode(t, err, "token_revoked")
		tablet.do("devices.list", map[string]any{})
		if err := b.server("").Do(ctx, "POST", "/v1/users/buyer/sign_out", "", nil, nil); err != nil {
			t.Fatal(err)
		}
		tablet.awaitClosed(wire.CloseRevoked)
		here.awaitClosed(wire.CloseRevoked)
	})
}

func TestNodes_ListEachOther(t *testing.T) {
	twoNodes(t, func(_ *testing.T, a, b *node, _ *redistest.Server) {
		b.awaitNodes(a.info.URL, b.info.URL)
		a.stop()
		b.awaitNodes(b.info.URL)
	})
}

func TestNode_ListsItselfWithoutRedis(t *testing.T) {
	n := start(t, t.TempDir())
	n.awaitNodes(n.info.URL)
}

// awaitNodes waits until the list of nodes has exactly these addresses.
func (n *node) awaitNodes(want ...string) {
	n.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		var list struct{ Items []struct{ Address string } }
		if err := n.server("").Do(context.Background(), "GET", "/v1/nodes", "", nil, &list); err != nil {
			n.t.Fatal(err)
		}
		var got []string
		for _, node := range list.Items {
			got = append(got, node.Address)
		}
		slices.Sort(got)
		slices.Sort(want)
		if slices.Equal(got, want) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			n.t.Fatalf("nodes %v, want %v", got, want)
		}
	}
}

// A limit counts on both nodes together and says how long to wait.
func TestNodes_LimitsCountTogether(t *testing.T) {
	twoNodes(t, func(t *testing.T, a, b *node, _ *redistest.Server) {
		here, there := a.join("buyer", "b1"), b.join("buyer", "b2")
		conv := directWith(here, "seller")
		for i := range 2 {
			here.say(conv, fmt.Sprint("here ", i))
			there.say(conv, fmt.Sprint("there ", i))
		}
		for _, p := range []*person{here, there} {
			_, err := p.try("messages.send", map[string]any{"conversation": conv, "client_id": "c5", "text": "once more"})
			wantCode(t, err, "rate_limited")
			if wait := err.(*wire.Problem).RetryAfter; wait < 1 || wait > 900 { //nolint:errorlint // checked above
				t.Errorf("told to wait %d s", wait)
			}
		}
		seller := b.join("seller", "s1")
		seller.say(conv, "somebody else")
		if err := a.server("buyer").Do(t.Context(), "POST", "/v1/conversations/"+conv+"/messages", "", map[string]any{"client_id": "c6", "text": "by the backend"}, nil); err != nil {
			t.Errorf("a server key is limited: %v", err)
		}
	}, "limits.rules=messages.send user 4/1h")
}

// awaitSeen waits until a text has come, whatever else came before or after.
func (p *person) awaitSeen(text string) {
	p.t.Helper()
	p.mu.Lock()
	p.taken = 0
	p.mu.Unlock()
	p.awaitText(text)
}

// numbers are the positions in conv that reached p, in the order in which they came.
func (p *person) numbers(conv string) []int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var seqs []int64
	for _, ev := range p.events {
		if string(ev.Conversation) == conv && ev.Seq > 0 {
			seqs = append(seqs, ev.Seq)
		}
	}
	return seqs
}

// hasLog checks that what reached p of conv has no gap, no repetition and the right order.
func (p *person) hasLog(conv string) {
	p.t.Helper()
	seqs := p.numbers(conv)
	if len(seqs) == 0 {
		p.t.Errorf("%s got nothing", p.user)
	}
	for i, seq := range seqs {
		if seq != seqs[0]+int64(i) {
			p.t.Errorf("%s got %v: not one after another at %d", p.user, seqs[max(0, i-3):min(len(seqs), i+4)], i)
			return
		}
	}
}

// entries pages through a conversation's log with the server key.
func (n *node) entries(conv string) []int64 {
	n.t.Helper()
	var seqs []int64
	for after := int64(0); ; {
		var page struct {
			Entries []struct{ Seq int64 }
		}
		at := fmt.Sprintf("/v1/conversations/%s/entries?after=%d&limit=200", conv, after)
		if err := n.server("").Do(context.Background(), "GET", at, "", nil, &page); err != nil {
			n.t.Fatal(err)
		}
		if len(page.Entries) == 0 {
			return seqs
		}
		for _, e := range page.Entries {
			seqs = append(seqs, e.Seq)
		}
		after = slices.Max(seqs)
	}
}
