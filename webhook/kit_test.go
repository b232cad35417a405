package webhook_test

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/clock"
	"parley/internal/crash"
	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/webhook"
	"parley/wire"
)

func TestMain(m *testing.M) {
	crash.Main(crash.Roles{"writer": commitAndWait})
	goleak.VerifyTestMain(m)
}

// patience bounds every wait of a test; what it waits for takes milliseconds.
const patience = 20 * time.Second

var server = wire.Caller{Role: wire.RoleServer}

func schemas() sqldbtest.Schemas { return sqldbtest.Schemas{"webhook": webhook.Schema()} }

// kit is a service on a database with a clock that can be moved.
type kit struct {
	*webhook.Service
	t     *testing.T
	db    *sqldb.DB
	clock *clock.Shifted
}

func newKit(t *testing.T, db *sqldb.DB, cfg webhook.Config) *kit {
	k := &kit{t: t, db: db, clock: &clock.Shifted{}}
	k.Service = k.node(cfg, webhook.Deps{})
	return k
}

// node is another service on the same database and clock.
func (k *kit) node(cfg webhook.Config, d webhook.Deps) *webhook.Service {
	cfg.AllowPrivate = d.Resolver == nil
	cfg.Jitter = func() float64 { return 0 }
	d.DB, d.Clock = k.db, k.clock
	return webhook.New(cfg, d)
}

// run runs a service until the test ends or stop is called.
func run(t *testing.T, s *webhook.Service) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// event makes an event of one object.
func (k *kit) event(object string, seq int) webhook.Event {
	return webhook.Event{
		ID: wire.EventID(fmt.Sprintf("evt_%s_%d", object, seq)), Type: "payment.held", Object: object, Seq: int64(seq),
		Time: k.clock.Now(), Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, seq)),
	}
}

func (k *kit) emit(events ...webhook.Event) {
	k.t.Helper()
	for _, ev := range events {
		if err := k.db.Update(k.t.Context(), func(tx *sqldb.Tx) error { return k.Consume(tx, ev) }); err != nil {
			k.t.Fatal(err)
		}
	}
}

func (k *kit) create(url string, filters ...string) webhook.Endpoint {
	k.t.Helper()
	e, err := k.Create(k.t.Context(), server, webhook.Change{URL: &url, Events: &filters})
	if err != nil {
		k.t.Fatal(err)
	}
	return e
}

// delivery returns the newest delivery of an event's id.
func (k *kit) delivery(endpoint, event string) (found webhook.Delivery) {
	k.t.Helper()
	for _, d := range k.deliveries(endpoint) {
		if string(d.Event) == event {
			return d
		}
	}
	k.t.Fatalf("%s has no delivery of %s", endpoint, event)
	return found
}

func (k *kit) deliveries(endpoint string) []webhook.Delivery {
	k.t.Helper()
	list, _, err := k.Deliveries(k.t.Context(), server, endpoint, webhook.Filter{Limit: 100})
	if err != nil {
		k.t.Fatal(err)
	}
	return list
}

// settled waits until an event's delivery has had n attempts, and returns it.
func (k *kit) settled(endpoint, event string, n int) webhook.Delivery {
	k.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if d := k.delivery(endpoint, event); len(d.Attempts) >= n {
			return d
		}
		select {
		case <-tick.C:
		case <-deadline:
			k.t.Fatalf("%s: not %d attempts: %+v", event, n, k.delivery(endpoint, event))
		}
	}
}

// quiet waits until nothing is pending.
func (k *kit) quiet(endpoint string) {
	k.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		left, _, err := k.Deliveries(k.t.Context(), server, endpoint, webhook.Filter{State: webhook.Pending})
		if err == nil && len(left) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			k.t.Fatalf("still pending: %+v, %v", left, err)
		}
	}
}

// request is what a receiver got.
type request struct {
	header http.Header
	body   []byte
	id     string // webhook-id
	at     time.Time
}

// receiver is a backend with a real port.
type receiver struct {
	*httptest.Server
	t     *testing.T
	heard chan request
}

// receive starts a receiver; answer may be nil for 200.
func receive(t *testing.T, answer func(w http.ResponseWriter, r request)) *receiver {
	rec := &receiver{t: t, heard: make(chan request, 200)}
	rec.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		seconds, timeErr := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
		if err != nil || timeErr != nil || r.Method != http.MethodPost {
			t.Errorf("%s: %v %v", r.Method, err, timeErr)
		}
		got := request{r.Header, body, r.Header.Get("webhook-id"), time.Unix(seconds, 0)}
		rec.heard <- got
		if answer != nil {
			answer(w, got)
		}
	}))
	t.Cleanup(rec.Close)
	return rec
}

// status answers always the same.
func status(code int) func(http.ResponseWriter, request) {
	return func(w http.ResponseWriter, _ request) { w.WriteHeader(code) }
}

// next returns the next request, or fails when none comes.
func (r *receiver) next() request {
	r.t.Helper()
	select {
	case got := <-r.heard:
		return got
	case <-time.After(patience):
		r.t.Fatal("nothing came")
		return request{}
	}
}

// ids returns the webhook-ids of the next n requests.
func (r *receiver) ids(n int) (ids []string) {
	r.t.Helper()
	for range n {
		ids = append(ids, r.next().id)
	}
	return ids
}

// verify checks a request as the Standard Webhooks specification tells
// receivers to, with a secret (whsec_) or a public key (whpk_).
func verify(r request, key string) bool {
	signed := []byte(r.id + "." + r.header.Get("webhook-timestamp") + "." + string(r.body))
	for part := range strings.SplitSeq(r.header.Get("webhook-signature"), " ") {
		version, text, _ := strings.Cut(part, ",")
		sig, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return false
		}
		if secret, ok := strings.CutPrefix(key, "whsec_"); ok && version == "v1" {
			k, _ := base64.StdEncoding.DecodeString(secret)
			mac := hmac.New(sha256.New, k)
			mac.Write(signed)
			if hmac.Equal(sig, mac.Sum(nil)) {
				return true
			}
		}
		if public, ok := strings.CutPrefix(key, "whpk_"); ok && version == "v1a" {
			k, err := base64.StdEncoding.DecodeString(public)
			if err == nil && len(k) == ed25519.PublicKeySize && ed25519.Verify(k, signed, sig) {
				return true
			}
		}
	}
	return false
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
