package webhook_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/webhook"
	"parley/wire"
)

func TestDelivery_IsAStandardWebhookWithACloudEvent(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		k := newKit(t, db, webhook.Config{Source: "https://node.example"})
		rec := receive(t, nil)
		e := k.create(rec.URL)
		if !strings.HasPrefix(e.Secret, "whsec_") || !strings.HasPrefix(e.PublicKey, "whpk_") || !strings.HasPrefix(e.ID, "whe_") {
			t.Errorf("made %+v", e)
		}
		run(t, k.Service)
		ev := k.event("pay_1", 7)
		k.emit(ev)
		got := rec.next()
		if !verify(got, e.Secret) || !verify(got, e.PublicKey) {
			t.Errorf("signature %q does not verify", got.header.Get("webhook-signature"))
		}
		if ct := got.header.Get("content-type"); !strings.HasPrefix(ct, "application/cloudevents+json") {
			t.Errorf("content type %q", ct)
		}
		want := fmt.Sprintf(`{"specversion":"1.0","id":"evt_pay_1_7","source":"https://node.example","type":"payment.held","subject":"pay_1",`+
			`"time":%q,"datacontenttype":"application/json","seq":7,"data":{"n":7}}`, ev.Time.Format(time.RFC3339Nano))
		if string(got.body) != want {
			t.Errorf("body %s\nwant %s", got.body, want)
		}
		d := k.settled(e.ID, "evt_pay_1_7", 1)
		if d.State != webhook.Succeeded || d.Attempts[0].Status != 200 || d.Type != "payment.held" {
			t.Errorf("delivery %+v", d)
		}
		if again, err := k.Get(t.Context(), server, e.ID); err != nil || again.Secret != "" || again.PublicKey != e.PublicKey {
			t.Errorf("get %+v, %v", again, err)
		}
	})
}

func TestConsume_IsExactlyOncePerEndpointAndEvent(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		k := newKit(t, db, webhook.Config{})
		before := k.event("pay_0", 1)
		before.Time = before.Time.Add(-time.Minute)
		all, some, none, off := k.create("http://127.0.0.1:1"), k.create("http://127.0.0.1:1", "payment.*"), k.create("http://127.0.0.1:1", "call.ended"), k.create("http://127.0.0.1:1")
		disabled := true
		if _, err := k.Update(t.Context(), server, off.ID, webhook.Change{Disabled: &disabled}); err != nil {
			t.Fatal(err)
		}
		ev := k.event("pay_1", 1)
		k.emit(ev, ev, before, ev)
		for id, want := range map[string]int{all.ID: 1, some.ID: 1, none.ID: 0, off.ID: 0} {
			if got := k.deliveries(id); len(got) != want {
				t.Errorf("%d deliveries, want %d: %+v", len(got), want, got)
			}
		}
	})
}

func TestOrder_AnObjectWaitsForItsEarlierEventAndOthersDoNot(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		k := newKit(t, db, webhook.Config{Workers: 1})
		var broken atomic.Bool
		broken.Store(true)
		rec := receive(t, func(w http.ResponseWriter, r request) {
			if r.id == "evt_a_1" && broken.Load() {
				w.WriteHeader(500)
			}
		})
		e := k.create(rec.URL)
		run(t, k.Service)
		k.emit(k.event("a", 1), k.event("a", 2), k.event("a", 3))
		same(t, rec.ids(1), []string{"evt_a_1"})
		k.settled(e.ID, "evt_a_1", 1)
		k.emit(k.event("b", 1), k.event("b", 2))
		same(t, rec.ids(2), []string{"evt_b_1", "evt_b_2"})
		k.settled(e.ID, "evt_b_2", 1)
		broken.Store(false)
		k.clock.Advance(6 * time.Second)
		same(t, rec.ids(3), []string{"evt_a_1", "evt_a_2", "evt_a_3"})
	})
}

// leased reports whether a node is at some delivery. Where a machine takes its
// time to write down an answer, a clock that runs on would give the delivery to
// another node, which is right and not what is tested.
func leased(t *testing.T, db *sqldb.DB) bool {
	t.Helper()
	n := 0
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT COUNT(*) FROM webhook_deliveries WHERE lease > 0").Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}

func TestOrder_EveryObjectUnderRandomFailuresOnTwoNodes(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		k := newKit(t, db, webhook.Config{})
		var mu sync.Mutex
		tries, last, busy := map[string]int{}, map[string]int64{}, map[string]bool{}
		done := make(chan string, 100)
		rec := receive(t, func(w http.ResponseWriter, r request) {
			var ev struct {
				Subject string
				Seq     int64
			}
			if err := json.Unmarshal(r.body, &ev); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if busy[ev.Subject] || ev.Seq != last[ev.Subject]+1 {
				t.Errorf("%s: %d after %d", ev.Subject, ev.Seq, last[ev.Subject])
			}
			if tries[r.id]++; tries[r.id] == 1 && len(tries)%3 == 0 {
				w.WriteHeader(503)
				return
			}
			last[ev.Subject] = ev.Seq
			done <- r.id
		})
		e := k.create(rec.URL)
		run(t, k.Service)
		run(t, k.node(webhook.Config{}, webhook.Deps{}))
		for seq := range 6 {
			for object := range 5 {
				k.emit(k.event(fmt.Sprint("o", object), seq+1))
			}
		}
		timeout := time.After(patience)
		for n := 0; n < 30; {
			select {
			case <-done:
				n++
			case <-time.After(20 * time.Millisecond): // what is left waits for its retry, if nobody is at it
				if !leased(t, db) {
					k.clock.Advance(6 * time.Second)
				}
			case <-timeout:
				t.Fatalf("only %d came", n)
			}
		}
		k.quiet(e.ID) // a node stopped before it has written down an answer would leave the delivery to the other
		mu.Lock()
		defer mu.Unlock()
		for id, n := range tries {
			if n > 2 {
				t.Errorf("%s came %d times", id, n)
			}
		}
	})
}

func TestSlowEndpoint_DelaysNobodyElse(t *testing.T) {
	k := newKit(t, sqldbtest.Open(t, schemas()), webhook.Config{Workers: 3})
	hold := make(chan struct{})
	var under, most atomic.Int64
	slow := receive(t, func(http.ResponseWriter, request) {
		if n := under.Add(1); n > most.Load() {
			most.Store(n)
		}
		<-hold
		under.Add(-1)
	})
	fast := receive(t, nil)
	k.create(slow.URL)
	e := k.create(fast.URL)
	run(t, k.Service)
	for i := range 20 {
		k.emit(k.event(fmt.Sprint("o", i), 1))
	}
	fast.ids(20)
	k.settled(e.ID, "evt_o19_1", 1)
	slow.ids(3)
	if len(slow.heard) != 0 || most.Load() != 3 {
		t.Errorf("the slow one has %d at once, and %d more", most.Load(), len(slow.heard))
	}
	close(hold)
	slow.ids(17)
}

func TestRetry_FollowsTheScheduleThenGivesUp(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		k := newKit(t, db, webhook.Config{})
		rec := receive(t, status(500))
		e := k.create(rec.URL)
		run(t, k.Service)
		k.emit(k.event("a", 1), k.event("a", 2))
		pauses := []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour}
		var body []byte
		for i := range 10 {
			got := rec.next()
			if got.id != "evt_a_1" || !verify(got, e.Secret) || i > 0 && string(got.body) != string(body) {
				t.Fatalf("attempt %d: %s, %s", i+1, got.id, got.body)
			}
			body = got.body
			d := k.settled(e.ID, "evt_a_1", i+1)
			if off := got.at.Sub(d.Attempts[i].At).Abs(); off > time.Second {
				t.Errorf("attempt %d: the timestamp is off by %s", i+1, off)
			}
			if i == 9 {
				if d.State != webhook.Dead || d.Due != nil {
					t.Errorf("after the last attempt: %+v", d)
				}
				break
			}
			if off := d.Due.Sub(d.Attempts[i].At) - pauses[i]; off < 0 || off > 2*time.Second {
				t.Errorf("attempt %d waits %s, want %s", i+2, d.Due.Sub(d.Attempts[i].At), pauses[i])
			}
			k.clock.Advance(d.Due.Sub(k.clock.Now()))
		}
		same(t, rec.ids(1), []string{"evt_a_2"}) // the dead letter is out of the way
		dead, _, err := k.Deliveries(t.Context(), server, e.ID, webhook.Filter{State: webhook.Dead})
		if err != nil || len(dead) != 1 || dead[0].Event != "evt_a_1" {
			t.Errorf("dead letters %+v, %v", dead, err)
		}
	})
}

func TestGone_DisablesAndReplayAfterEnabling(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		k := newKit(t, db, webhook.Config{})
		var code atomic.Int64
		code.Store(410)
		rec := receive(t, func(w http.ResponseWriter, _ request) { w.WriteHeader(int(code.Load())) })
		e := k.create(rec.URL)
		run(t, k.Service)
		k.emit(k.event("a", 1), k.event("a", 2))
		rec.next()
		d := k.settled(e.ID, "evt_a_1", 1)
		off, err := k.Get(t.Context(), server, e.ID)
		if err != nil || !off.Disabled || off.Reason != "gone" || d.State != webhook.Dead {
			t.Fatalf("%+v, %+v, %v", off, d, err)
		}
		if _, err := k.Replay(t.Context(), server, e.ID, webhook.Selection{Delivery: d.ID}); !errors.Is(err, webhook.ErrDisabled) {
			t.Errorf("replay: %v", err)
		}
		k.emit(k.event("a", 3)) // not collected
		code.Store(204)
		enabled := false
		if on, err := k.Update(t.Context(), server, e.ID, webhook.Change{Disabled: &enabled}); err != nil || on.Disabled || on.Reason != "" {
			t.Fatalf("%+v, %v", on, err)
		}
		same(t, rec.ids(1), []string{"evt_a_2"})
		if n, err := k.Replay(t.Context(), server, e.ID, webhook.Selection{Since: e.CreatedAt, DeadOnly: true}); n != 1 || err != nil {
			t.Errorf("replayed %d, %v", n, err)
		}
		same(t, rec.ids(1), []string{"evt_a_1"})
		if all := k.deliveries(e.ID); len(all) != 2 {
			t.Errorf("deliveries %+v", all)
		}
	})
}

func TestReplay_OneOrAllSinceATimeInOrder(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		k := newKit(t, db, webhook.Config{Workers: 1})
		rec := receive(t, nil)
		e := k.create(rec.URL)
		run(t, k.Service)
		k.emit(k.event("a", 1))
		rec.next()
		first := k.settled(e.ID, "evt_a_1", 1)
		k.clock.Advance(time.Hour)
		since := k.clock.Now()
		k.emit(k.event("a", 2), k.event("a", 3))
		rec.ids(2)
		k.settled(e.ID, "evt_a_3", 1)
		if n, err := k.Replay(t.Context(), server, e.ID, webhook.Selection{Since: since}); n != 2 || err != nil {
			t.Fatalf("replayed %d, %v", n, err)
		}
		same(t, rec.ids(2), []string{"evt_a_2", "evt_a_3"})
		k.settled(e.ID, "evt_a_3", 2)
		if n, err := k.Replay(t.Context(), server, e.ID, webhook.Selection{Delivery: first.ID}); n != 1 || err != nil {
			t.Fatalf("replayed %d, %v", n, err)
		}
		again := rec.next()
		if again.id != "evt_a_1" || !verify(again, e.Secret) {
			t.Errorf("replayed as %q", again.id)
		}
		k.settled(e.ID, "evt_a_1", 2)
		for _, sel := range []webhook.Selection{{}, {Delivery: first.ID, Since: since}} {
			if _, err := k.Replay(t.Context(), server, e.ID, sel); !errors.Is(err, webhook.ErrInput) {
				t.Errorf("%+v: %v", sel, err)
			}
		}
		if _, err := k.Replay(t.Context(), server, e.ID, webhook.Selection{Delivery: "whd_none"}); !errors.Is(err, webhook.ErrDeliveryUnknown) {
			t.Errorf("unknown: %v", err)
		}
	})
}

func TestRotate_BothKeysSignUntilThePreviousEnds(t *testing.T) {
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		k := newKit(t, db, webhook.Config{})
		rec := receive(t, nil)
		old := k.create(rec.URL)
		run(t, k.Service)
		fresh, err := k.Rotate(t.Context(), server, old.ID, time.Hour)
		if err != nil || fresh.Secret == old.Secret || fresh.PublicKey == old.PublicKey || fresh.PreviousUntil == nil {
			t.Fatalf("%+v, %v", fresh, err)
		}
		for i, valid := range []bool{true, false} {
			k.emit(k.event("a", i+1))
			got := rec.next()
			if n := len(strings.Fields(got.header.Get("webhook-signature"))); valid && n != 4 || !valid && n != 2 {
				t.Errorf("%d signatures", n)
			}
			for key, want := range map[string]bool{fresh.Secret: true, fresh.PublicKey: true, old.Secret: valid, old.PublicKey: valid} {
				if verify(got, key) != want {
					t.Errorf("round %d: %.8s… verifies: %v", i, key, !want)
				}
			}
			k.clock.Advance(2 * time.Hour)
		}
	})
}

func TestRetryAfter_LeavesTheEndpointAlone(t *testing.T) {
	for _, code := range []int{429, 502, 504} {
		k := newKit(t, sqldbtest.Open(t, schemas()), webhook.Config{})
		var calls atomic.Int64
		rec := receive(t, func(w http.ResponseWriter, _ request) {
			if calls.Add(1) == 1 {
				w.Header().Set("Retry-After", "600")
				w.WriteHeader(code)
			}
		})
		e := k.create(rec.URL)
		run(t, k.Service)
		k.emit(k.event("a", 1))
		at := rec.next().at
		if d := k.settled(e.ID, "evt_a_1", 1); d.Due.Sub(d.Attempts[0].At) < 600*time.Second {
			t.Errorf("%d: due %s after the attempt", code, d.Due.Sub(d.Attempts[0].At))
		}
		k.emit(k.event("b", 1)) // due at once, if it were not for the pause
		k.clock.Advance(time.Minute)
		k.clock.Advance(10 * time.Minute)
		for range 2 {
			if got := rec.next(); got.at.Sub(at) < 599*time.Second {
				t.Errorf("%d: %s came %s later", code, got.id, got.at.Sub(at))
			}
		}
	}
}

func TestAttempt_FailsOnRedirectTimeoutAndNobodyThere(t *testing.T) {
	k := newKit(t, sqldbtest.Open(t, schemas()), webhook.Config{Timeout: 100 * time.Millisecond})
	elsewhere := receive(t, nil)
	redirect := receive(t, func(w http.ResponseWriter, _ request) {
		w.Header().Set("Location", elsewhere.URL)
		w.WriteHeader(307)
	})
	hold := make(chan struct{})
	hang := receive(t, func(http.ResponseWriter, request) { <-hold })
	defer close(hold)
	closed := receive(t, nil)
	closed.Close()
	endless := receive(t, func(w http.ResponseWriter, _ request) {
		w.WriteHeader(200)
		for range 10_000 {
			if _, err := w.Write(make([]byte, 16<<10)); err != nil {
				return
			}
		}
		t.Error("160 MB of an answer were read")
	})
	run(t, k.Service)
	for url, want := range map[string]string{redirect.URL: "redirect 307", hang.URL: "timeout 0", closed.URL: "connection 0", endless.URL: " 200"} {
		e := k.create(url)
		k.emit(k.event(e.ID, 1))
		d := k.settled(e.ID, "evt_"+e.ID+"_1", 1)
		if got := fmt.Sprint(d.Attempts[0].Error, " ", d.Attempts[0].Status); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if err := k.Delete(t.Context(), server, e.ID); err != nil {
			t.Error(err)
		}
	}
	if len(elsewhere.heard) != 0 {
		t.Error("followed a redirect")
	}
}

func TestStop_InTheMiddleOfARequestMakesItAgain(t *testing.T) {
	k := newKit(t, sqldbtest.Open(t, schemas()), webhook.Config{})
	var calls atomic.Int64
	hold := make(chan struct{})
	rec := receive(t, func(http.ResponseWriter, request) {
		if calls.Add(1) == 1 {
			<-hold
		}
	})
	e := k.create(rec.URL)
	stop := run(t, k.Service)
	k.emit(k.event("a", 1))
	rec.next()
	stop()
	close(hold)
	if d := k.delivery(e.ID, "evt_a_1"); d.State != webhook.Pending || len(d.Attempts) != 0 {
		t.Errorf("after the stop %+v", d)
	}
	run(t, k.Service)
	same(t, rec.ids(1), []string{"evt_a_1"})
	k.settled(e.ID, "evt_a_1", 1)
}

func TestBody_OfALargeEventStaysSmall(t *testing.T) {
	k := newKit(t, sqldbtest.Open(t, schemas()), webhook.Config{})
	rec := receive(t, nil)
	k.create(rec.URL)
	run(t, k.Service)
	ev := k.event("a", 1)
	ev.Data = json.RawMessage(`{"memo":"` + strings.Repeat("x", 30_000) + `"}`)
	k.emit(ev)
	if got := rec.next(); len(got.body) >= 20_000 || !strings.Contains(string(got.body), `"data":{"truncated":true}`) {
		t.Errorf("%d bytes", len(got.body))
	}
}

func TestTest_GoesToOneWhateverItsFilters(t *testing.T) {
	k := newKit(t, sqldbtest.Open(t, schemas()), webhook.Config{})
	rec, other := receive(t, nil), receive(t, nil)
	e := k.create(rec.URL, "call.ended")
	k.create(other.URL)
	run(t, k.Service)
	for i, eventType := range []string{"", "payment.captured"} {
		d, err := k.Test(t.Context(), server, e.ID, eventType)
		got := rec.next()
		if err != nil || string(d.Event) != got.id || d.Seq != int64(i+1) || !strings.Contains(string(got.body), `"data":{"test":true}`) {
			t.Errorf("%+v, %v: %s", d, err, got.body)
		}
	}
	if len(other.heard) != 0 {
		t.Error("another endpoint was tested")
	}
	if _, err := k.Test(t.Context(), server, e.ID, "No Type"); !errors.Is(err, webhook.ErrInput) {
		t.Errorf("type: %v", err)
	}
}

func TestSweep_ForgetsWhatFinishedLongAgo(t *testing.T) {
	k := newKit(t, sqldbtest.Open(t, schemas()), webhook.Config{})
	rec := receive(t, nil)
	e := k.create(rec.URL)
	run(t, k.Service)
	k.emit(k.event("a", 1))
	rec.next()
	k.settled(e.ID, "evt_a_1", 1)
	k.clock.Advance(31 * 24 * time.Hour)
	deadline := time.Now().Add(patience)
	for len(k.deliveries(e.ID)) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("still there")
		}
		k.Wake()
	}
}

func TestService_RefusesWhoHasNoServerKeyAndWhatIsUnknown(t *testing.T) {
	k := newKit(t, sqldbtest.Open(t, schemas()), webhook.Config{})
	url := "http://127.0.0.1:1"
	for _, try := range []struct {
		c    wire.Caller
		want error
	}{{wire.Caller{Role: wire.RoleUser, User: "ann"}, webhook.ErrServerOnly}, {server, webhook.ErrUnknown}} {
		ctx := t.Context()
		errs := map[string]error{"delete": k.Delete(ctx, try.c, "whe_none")}
		_, errs["get"] = k.Get(ctx, try.c, "whe_none")
		_, errs["update"] = k.Update(ctx, try.c, "whe_none", webhook.Change{})
		_, errs["rotate"] = k.Rotate(ctx, try.c, "whe_none", 0)
		_, errs["test"] = k.Test(ctx, try.c, "whe_none", "")
		_, _, errs["deliveries"] = k.Deliveries(ctx, try.c, "whe_none", webhook.Filter{})
		_, errs["replay"] = k.Replay(ctx, try.c, "whe_none", webhook.Selection{Delivery: "x"})
		if !try.c.IsServer() {
			_, errs["create"] = k.Create(ctx, try.c, webhook.Change{URL: &url})
			_, errs["list"] = k.List(ctx, try.c)
		}
		for name, err := range errs {
			if !errors.Is(err, try.want) {
				t.Errorf("%s: %v, want %v", name, err, try.want)
			}
		}
	}
	for _, filter := range []string{"", "payment.", "Payment.*", "pay*", "a..b", ".*", "payment.*.*", strings.Repeat("a", 65)} {
		if _, err := k.Create(t.Context(), server, webhook.Change{URL: &url, Events: &[]string{filter}}); !errors.Is(err, webhook.ErrFilter) {
			t.Errorf("filter %q: %v", filter, err)
		}
	}
	for range webhook.MaxEndpoints {
		k.create(url)
	}
	if _, err := k.Create(t.Context(), server, webhook.Change{URL: &url}); !errors.Is(err, webhook.ErrLimit) {
		t.Errorf("one more: %v", err)
	}
}
