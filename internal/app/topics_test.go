package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/client"
	"parley/internal/app"
	"parley/internal/auth"
	"parley/internal/config"
	"parley/internal/redisdb/redistest"
	"parley/wire"
)

// grant gives a demo user a token with these patterns of topics.
func (n *node) grant(user string, join, publish []string) {
	n.t.Helper()
	token, err := app.MintToken(config.Config{}, true, user, "", "1h", &wire.TopicGrants{Join: join, Publish: publish})
	if err != nil {
		n.t.Fatal(err)
	}
	for i := range n.info.Users {
		if n.info.Users[i].ID == user {
			n.info.Users[i].Token = token
		}
	}
}

// publish publishes over REST with the server key.
func (n *node) publish(topic string, data any) {
	n.t.Helper()
	err := n.server("").Do(n.t.Context(), http.MethodPost, "/v1/topics/"+topic+"/publications", "", map[string]any{"data": data}, nil)
	if err != nil {
		n.t.Fatal(err)
	}
}

// topicNumber waits for the publication of a topic whose data is n.
func (p *person) topicNumber(topic string, n int) wire.Event {
	p.t.Helper()
	var found wire.Event
	p.await(fmt.Sprint(topic, " ", n), func(ev wire.Event, d map[string]any) bool {
		found = ev
		return ev.Type == "topic.message" && ev.Topic == topic && d["n"] == float64(n)
	})
	return found
}

func number(n int) map[string]any { return map[string]any{"n": n} }

// joined are the numbers in the history of an answer to topic.join.
func joined(t *testing.T, answer map[string]any) (numbers []int) {
	t.Helper()
	for _, h := range answer["history"].([]any) {
		ev := h.(map[string]any)
		if ev["type"] != "topic.message" || ev["epoch"] != answer["epoch"] {
			t.Errorf("history holds %v", ev)
		}
		numbers = append(numbers, int(ev["data"].(map[string]any)["n"].(float64)))
	}
	return numbers
}

func TestTopics_AShopsPricesReachWhoMayJoin(t *testing.T) {
	n := start(t, t.TempDir(), "topics.history=prices:* size=3 ttl=10m", "topics.public=news:**")
	n.grant("buyer", []string{"prices:*"}, nil)
	n.grant("seller", []string{"prices:*", "queue:till-7"}, []string{"queue:*"})
	buyer, seller := n.join("buyer", "b1"), n.join("seller", "s1")

	n.publish("prices:eur", number(1))
	first := buyer.do("topic.join", map[string]any{"topic": "prices:eur", "last": 10})
	if first["seq"] != float64(1) || first["gap"] != false || first["count"] != float64(1) || !slices.Equal(joined(t, first), []int{1}) {
		t.Errorf("joined with %v", first)
	}
	n.publish("prices:eur", number(2))
	ev := buyer.topicNumber("prices:eur", 2)
	if ev.Seq != 2 || ev.Epoch != first["epoch"] || ev.Author != "" || ev.Time.IsZero() {
		t.Errorf("event %+v", ev)
	}

	second := seller.do("topic.join", map[string]any{"topic": "prices:eur"})
	if second["count"] != float64(2) || len(second["history"].([]any)) != 0 {
		t.Errorf("joined with %v", second)
	}
	seller.do("topic.join", map[string]any{"topic": "queue:till-7"})
	seller.do("topic.publish", map[string]any{"topic": "queue:till-7", "data": number(9), "client_id": "c1"})
	seller.do("topic.publish", map[string]any{"topic": "queue:till-7", "data": number(9), "client_id": "c1"})
	if ev := seller.topicNumber("queue:till-7", 9); ev.Author != "seller" || ev.Seq != 1 {
		t.Errorf("event %+v", ev)
	}
	state := seller.do("topics.get", map[string]any{"topic": "queue:till-7"})
	if state["seq"] != float64(1) || state["count"] != float64(1) {
		t.Errorf("a resend counts: %v", state)
	}
	seller.do("topic.leave", map[string]any{"topic": "prices:eur"})
	n.publish("prices:eur", number(3))
	buyer.topicNumber("prices:eur", 3)
	seller.do("topic.publish", map[string]any{"topic": "queue:till-7", "data": number(10)})
	seller.topicNumber("queue:till-7", 10)
	for _, ev := range seller.seen("topic.message") {
		if ev.Topic == "prices:eur" {
			t.Errorf("who left got %+v", ev)
		}
	}
	page := buyer.do("topics.history", map[string]any{"topic": "prices:eur", "after": 1, "limit": 1})
	if len(page["items"].([]any)) != 1 || page["gap"] != false || page["more"] != true {
		t.Errorf("history %v", page)
	}
}

func TestTopics_RefusalsSayWhy(t *testing.T) {
	n := start(t, t.TempDir(), "topics.public=news:**", "topics.max_per_session=2")
	n.grant("buyer", []string{"prices:*"}, []string{"queue:till-7"})
	buyer := n.join("buyer", "b1")
	for _, c := range []struct {
		code, method string
		params       map[string]any
	}{
		{"topic_forbidden", "topic.join", map[string]any{"topic": "secret:eur"}},
		{"topic_forbidden", "topic.join", map[string]any{"topic": "prices:eur:hidden"}},
		{"topic_forbidden", "topic.join", map[string]any{"topic": "queue:till-7"}},
		{"topic_forbidden", "topics.get", map[string]any{"topic": "queue:till-7"}},
		{"topic_forbidden", "topics.history", map[string]any{"topic": "queue:till-7"}},
		{"topic_forbidden", "topic.publish", map[string]any{"topic": "prices:eur", "data": 1}},
		{"topic_forbidden", "topic.publish", map[string]any{"topic": "news:all", "data": 1}},
		{"invalid_params", "topic.join", map[string]any{"topic": "prices:*"}},
		{"invalid_params", "topic.join", map[string]any{"topic": "a b"}},
		{"invalid_params", "topic.join", map[string]any{"topic": strings.Repeat("a", 129)}},
		{"publication_too_large", "topic.publish", map[string]any{"topic": "queue:till-7", "data": strings.Repeat("x", 64<<10)}},
	} {
		buyer.refused(c.code, c.method, c.params)
	}
	buyer.do("topic.publish", map[string]any{"topic": "queue:till-7", "data": strings.Repeat("x", 64<<10-2)})
	buyer.do("topic.join", map[string]any{"topic": "news:all"})
	buyer.do("topic.join", map[string]any{"topic": "prices:eur"})
	buyer.do("topic.join", map[string]any{"topic": "prices:eur"}) // again is no other
	buyer.refused("topic_limit", "topic.join", map[string]any{"topic": "prices:usd"})
	buyer.do("topic.leave", map[string]any{"topic": "news:all"})
	buyer.do("topic.join", map[string]any{"topic": "prices:usd"})

	rest := &client.REST{URL: n.info.URL, Token: n.token("buyer")}
	wantCode(t, rest.Do(t.Context(), http.MethodPost, "/v1/topics/prices:eur/publications", "", map[string]any{"data": 1}, nil), "topic_forbidden")
	var place struct{ Seq int }
	if err := rest.Do(t.Context(), http.MethodPost, "/v1/topics/queue:till-7/publications", "", map[string]any{"data": 1}, &place); err != nil || place.Seq != 2 {
		t.Errorf("over REST: %+v %v", place, err)
	}
}

// Who was away gets what it missed, or is told that some is lost.
func TestTopics_ResumeBringsWhatWasMissedOrSaysGap(t *testing.T) {
	n := start(t, t.TempDir(), "topics.history=prices:* size=3 ttl=10m")
	n.grant("buyer", []string{"prices:*"}, nil)
	buyer := n.join("buyer", "b1")
	place := buyer.do("topic.join", map[string]any{"topic": "prices:eur"})
	resume := func(place map[string]any) map[string]any {
		return buyer.do("topic.join", map[string]any{"topic": "prices:eur", "resume": map[string]any{"epoch": place["epoch"], "seq": place["seq"]}})
	}
	buyer.conn.Close()
	for i := range 3 {
		n.publish("prices:eur", number(i+1))
	}
	buyer.connect(nil)
	back := resume(place)
	if back["gap"] != false || !slices.Equal(joined(t, back), []int{1, 2, 3}) {
		t.Errorf("back with %v", back)
	}
	if again := resume(back); again["gap"] != false || len(again["history"].([]any)) != 0 {
		t.Errorf("nothing was missed: %v", again)
	}
	buyer.conn.Close()
	for i := range 4 {
		n.publish("prices:eur", number(i+4))
	}
	buyer.connect(nil)
	late := resume(back)
	if late["gap"] != true || !slices.Equal(joined(t, late), []int{5, 6, 7}) {
		t.Errorf("back with %v", late)
	}
	if other := resume(map[string]any{"epoch": "another", "seq": 7}); other["gap"] != true {
		t.Errorf("another epoch is no gap: %v", other)
	}
	n.publish("prices:eur", number(8))
	if ev := buyer.topicNumber("prices:eur", 8); ev.Seq != 8 {
		t.Errorf("goes on with %+v", ev)
	}
	if gaps := buyer.seen("topic.gap"); len(gaps) != 0 {
		t.Errorf("told of gaps: %v", gaps)
	}
}

// A token that grants less, or has ended, takes its owner out of topics.
func TestTopics_EndWithTheGrant(t *testing.T) {
	n := start(t, t.TempDir())
	n.grant("buyer", []string{"prices:*", "news:*"}, nil)
	buyer := n.join("buyer", "b1")
	buyer.do("topic.join", map[string]any{"topic": "prices:eur"})
	buyer.do("topic.join", map[string]any{"topic": "news:all"})
	n.grant("buyer", []string{"news:*"}, nil)
	buyer.do("session.refresh", map[string]any{"token": n.token("buyer")})
	left := buyer.await("topic.left", func(ev wire.Event, _ map[string]any) bool { return ev.Type == "topic.left" && ev.Topic == "prices:eur" })
	if left["reason"] != "token" {
		t.Errorf("told %v", left)
	}
	n.publish("prices:eur", number(1))
	n.publish("news:all", number(2))
	buyer.topicNumber("news:all", 2)
	for _, ev := range buyer.seen("topic.message") {
		if ev.Topic == "prices:eur" {
			t.Errorf("got %+v without a grant", ev)
		}
	}
	if err := n.server("").Do(t.Context(), http.MethodPost, "/v1/users/buyer/sign_out", "", nil, nil); err != nil {
		t.Fatal(err)
	}
	buyer.awaitClosed(wire.CloseRevoked)
	waitUntil(t, "nobody has joined", func() bool {
		var state struct{ Count int }
		err := n.server("").Do(t.Context(), http.MethodGet, "/v1/topics/news:all", "", nil, &state)
		return err == nil && state.Count == 0
	})
}

// A token of a shared secret carries the claim as backends write it.
func TestTopics_ClaimOfABackend(t *testing.T) {
	v := struct {
		Topics wire.TopicGrants `json:"topics"`
	}{wire.TopicGrants{Join: []string{"prices:*"}, Publish: []string{"queue:till-7"}}}
	b, err := json.Marshal(v)
	if err != nil || string(b) != `{"topics":{"join":["prices:*"],"publish":["queue:till-7"]}}` {
		t.Errorf("%s %v", b, err)
	}
	var many wire.TopicGrants
	for i := range 101 {
		many.Join = append(many.Join, fmt.Sprint("t", i))
	}
	n := start(t, t.TempDir())
	token, err := auth.Mint([]byte("parley-dev-mode-secret-that-everybody-knows"), "", time.Now(), "buyer", time.Hour, auth.MintOptions{Topics: &many})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, (&client.REST{URL: n.info.URL, Token: token}).Do(t.Context(), http.MethodGet, "/v1/users/me", "", nil, nil), "unauthenticated")
}

// Two nodes are one: publications reach both in order, joins are counted
// together, and a client that changes nodes resumes.
func TestNodes_TopicsAreShared(t *testing.T) {
	twoNodes(t, func(t *testing.T, a, b *node, _ *redistest.Server) {
		for _, n := range []*node{a, b} {
			n.grant("buyer", []string{"prices:*"}, []string{"prices:*"})
			n.grant("seller", []string{"prices:*"}, []string{"prices:*"})
		}
		buyer, seller := a.join("buyer", "b1"), b.join("seller", "s1")
		place := buyer.do("topic.join", map[string]any{"topic": "prices:eur"})
		seller.do("topic.join", map[string]any{"topic": "prices:eur"})
		for i := range 50 {
			[]*node{a, b}[i%2].publish("prices:eur", number(i+1))
		}
		for _, p := range []*person{buyer, seller} {
			p.topicNumber("prices:eur", 50)
			for i, ev := range p.seen("topic.message") {
				if ev.Seq != int64(i+1) || ev.Epoch != place["epoch"] {
					t.Fatalf("%s got %d %s at %d", p.user, ev.Seq, ev.Epoch, i)
				}
			}
		}
		waitUntil(t, "both are counted on both", func() bool {
			return buyer.do("topics.get", map[string]any{"topic": "prices:eur"})["count"] == float64(2) &&
				seller.do("topics.get", map[string]any{"topic": "prices:eur"})["count"] == float64(2)
		})
		buyer.conn.Close()
		a.publish("prices:eur", number(51))
		buyer.n = b
		buyer.connect(nil)
		back := buyer.do("topic.join", map[string]any{"topic": "prices:eur", "resume": map[string]any{"epoch": place["epoch"], "seq": 50}})
		if back["gap"] != false || !slices.Equal(joined(t, back), []int{51}) {
			t.Errorf("on the other node: %v", back)
		}
	}, "topics.history=prices:* size=100 ttl=10m")
}

// When Redis loses everything, whoever has joined is told of the gap, and what
// is published afterwards arrives.
func TestNodes_TopicsAfterALossOfRedis(t *testing.T) {
	twoNodes(t, func(t *testing.T, a, b *node, redis *redistest.Server) {
		b.grant("buyer", []string{"prices:*"}, nil)
		buyer := b.join("buyer", "b1")
		place := buyer.do("topic.join", map[string]any{"topic": "prices:eur"})
		a.publish("prices:eur", number(1))
		buyer.topicNumber("prices:eur", 1)
		redis.Kill()
		buyer.refused("topics_unavailable", "topic.join", map[string]any{"topic": "prices:usd"})
		redis.Restart()
		gap := wire.Event{}
		buyer.await("the gap", func(ev wire.Event, _ map[string]any) bool { gap = ev; return ev.Type == "topic.gap" })
		if gap.Topic != "prices:eur" || gap.Epoch == place["epoch"] {
			t.Errorf("told %+v", gap)
		}
		a.publish("prices:eur", number(2))
		if ev := buyer.topicNumber("prices:eur", 2); ev.Epoch != gap.Epoch {
			t.Errorf("goes on with %+v after %+v", ev, gap)
		}
	}, "topics.history=prices:* size=100 ttl=10m")
}

// What docs/topics.md shows is what happens.
func TestTopics_ExamplesHold(t *testing.T) {
	n := start(t, t.TempDir(), "topics.history=prices:* size=100 ttl=10m")
	n.grant("buyer", []string{"prices:*"}, []string{"queue:till-7"})
	playExamples(t, n, "../../docs/topics.md", 15)
}
