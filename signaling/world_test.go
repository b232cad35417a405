package signaling_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/signaling"
	"parley/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixtures are the tables of the parts around calls, so that what they write
// is undone with the transaction it was written in.
var fixtures = fstest.MapFS{"00001_t.sql": {Data: []byte(`-- +goose Up
CREATE TABLE t_log (n TEXT PRIMARY KEY, conv TEXT NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL);
CREATE TABLE t_review (payment TEXT NOT NULL, reason TEXT NOT NULL);
`)}}

// world is a hub's calls with everything around them played.
type world struct {
	t     *testing.T
	db    *sqldb.DB
	clock *manual
	calls *signaling.Service
	sent  *recorder
	room  *room
	reg   *prometheus.Registry

	mu       sync.Mutex
	members  map[wire.ConversationID][]wire.UserID
	payments map[wire.PaymentID]signaling.PaymentFacts
	strange  map[wire.UserID]bool // related to nobody
	refuse   error                // what the log answers
	number   atomic.Int64         // of entries
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	sqldbtest.Each(t, sqldbtest.Schemas{"signaling": signaling.Schema(), "fixtures": fixtures}, func(t *testing.T, db *sqldb.DB) {
		f(t, newWorld(t, db))
	})
}

func newWorld(t *testing.T, db *sqldb.DB) *world {
	w := &world{
		t: t, db: db, clock: newManual(), sent: &recorder{}, room: &room{hosts: []string{"node_1", "node_2"}, lost: map[string]bool{}}, reg: prometheus.NewRegistry(),
		members: map[wire.ConversationID][]wire.UserID{
			"conv_4": {"host", "guest1", "guest2", "guest3"},
		},
		payments: map[wire.PaymentID]signaling.PaymentFacts{
			"pay_1": {Payer: "buyer", Payee: "seller", Conversation: "conv_1"},
		},
		strange: map[wire.UserID]bool{"stranger": true},
	}
	w.calls = w.node()
	return w
}

// node returns one more service over the same database.
func (w *world) node() *signaling.Service {
	return signaling.New(signaling.Deps{
		DB: w.db, Publisher: w.sent, Log: w, Relations: w, Rooms: w, Payments: w,
		ICE: relays{}, SFU: w.room, Cards: signer{}, Clock: w.clock,
	}, signaling.Config{})
}

func (w *world) Append(tx *sqldb.Tx, conv wire.ConversationID, e wire.Entry) (wire.Event, error) {
	if w.refuse != nil {
		return wire.Event{}, w.refuse
	}
	if conv == "" {
		return wire.Event{}, errors.New("an entry for no conversation")
	}
	_, err := tx.Exec("INSERT INTO t_log (n, conv, type, data) VALUES (?, ?, ?, ?)",
		fmt.Sprintf("%012d", w.number.Add(1)), conv, e.Type, string(e.Data))
	return wire.Event{}, err
}

func (w *world) Direct(_ *sqldb.Tx, a, b wire.UserID) (wire.ConversationID, error) {
	return wire.ConversationID("conv_" + string(min(a, b)) + "_" + string(max(a, b))), nil
}

func (w *world) Related(_ context.Context, a, b wire.UserID) (bool, error) {
	return !w.strange[a] && !w.strange[b], nil
}

func (w *world) Members(_ context.Context, conv wire.ConversationID) ([]wire.UserID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m, ok := w.members[conv]; ok {
		return m, nil
	}
	return nil, signaling.ErrConversationUnknown
}

func (w *world) Payment(_ context.Context, id wire.PaymentID) (signaling.PaymentFacts, error) {
	if p, ok := w.payments[id]; ok {
		return p, nil
	}
	return signaling.PaymentFacts{}, signaling.ErrPaymentUnknown
}

func (w *world) Review(tx *sqldb.Tx, id wire.PaymentID, reason string) error {
	_, err := tx.Exec("INSERT INTO t_review (payment, reason) VALUES (?, ?)", id, reason)
	return err
}

// entries lists "conversation type" of what the logs hold, in order of writing.
func (w *world) entries() (out []string) {
	w.t.Helper()
	w.view("SELECT conv, type, data FROM t_log ORDER BY n", func(conv, kind, _ string) { out = append(out, conv+" "+kind) })
	return out
}

func (w *world) view(query string, row func(a, b, c string)) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(query)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var a, b, c string
			if err := rows.Scan(&a, &b, &c); err != nil {
				return err
			}
			row(a, b, c)
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) reviews() (out []string) {
	w.t.Helper()
	w.view("SELECT payment, reason, '' FROM t_review", func(p, r, _ string) { out = append(out, p+" "+r) })
	return out
}

// on is a person at a device, for example on("buyer/b1").
func on(who string) wire.Caller {
	user, device, _ := strings.Cut(who, "/")
	return wire.Caller{Role: wire.RoleUser, User: wire.UserID(user), Device: wire.DeviceID(device), Session: wire.SessionID("ses_" + device)}
}

// start rings and fails the test when it cannot.
func (w *world) start(who string, in signaling.Start) signaling.CallView {
	w.t.Helper()
	if in.ClientID == "" {
		in.ClientID = wire.NewID[string]("c", w.clock.Now())
	}
	j, err := w.calls.Start(w.t.Context(), on(who), in)
	if err != nil {
		w.t.Fatalf("%s starts: %v", who, err)
	}
	return j.Call
}

func (w *world) answer(who string, id wire.CallID) signaling.CallView {
	w.t.Helper()
	j, err := w.calls.Answer(w.t.Context(), on(who), id, "")
	if err != nil {
		w.t.Fatalf("%s answers: %v", who, err)
	}
	return j.Call
}

func (w *world) connect(id wire.CallID, route signaling.Route, who ...string) (v signaling.CallView) {
	w.t.Helper()
	for _, p := range who {
		var err error
		if v, err = w.calls.Connected(w.t.Context(), on(p), id, route); err != nil {
			w.t.Fatalf("%s connects: %v", p, err)
		}
	}
	return v
}

func (w *world) report(id wire.CallID, alive bool, who ...string) {
	w.t.Helper()
	for _, p := range who {
		if err := w.calls.Report(w.t.Context(), on(p), id, signaling.Report{Alive: alive}); err != nil {
			w.t.Fatalf("%s reports: %v", p, err)
		}
	}
}

// talking returns a direct call of pay_1 with media on both ends.
func (w *world) talking() signaling.CallView {
	w.t.Helper()
	call := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
	w.answer("seller/s1", call.ID)
	return w.connect(call.ID, signaling.RouteDirect, "buyer/b1", "seller/s1")
}

func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.clock.Advance(d)
	if err := w.calls.Sweep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(id wire.CallID) signaling.CallView {
	w.t.Helper()
	v, err := w.calls.Get(w.t.Context(), wire.Caller{Role: wire.RoleOperator}, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) wantState(id wire.CallID, state signaling.State, reason signaling.Reason) signaling.CallView {
	w.t.Helper()
	v := w.get(id)
	if v.State != state || v.Reason != reason {
		w.t.Fatalf("call is %s %q, want %s %q", v.State, v.Reason, state, reason)
	}
	return v
}

func (w *world) wantLeg(id wire.CallID, user wire.UserID, leg signaling.Leg) {
	w.t.Helper()
	if got := legOf(w.get(id), user); got != leg {
		w.t.Fatalf("%s is %s, want %s", user, got, leg)
	}
}

func legOf(v signaling.CallView, user wire.UserID) signaling.Leg {
	for _, p := range v.Participants {
		if p.User == user {
			return p.State
		}
	}
	return ""
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func transcript(n int) string { return fmt.Sprintf("%064x", n) }

// recorder keeps what is published.
type recorder struct {
	mu  sync.Mutex
	log []sent
}

type sent struct {
	wire.Event
	to wire.To
}

func (r *recorder) Publish(_ context.Context, ev wire.Event, to ...wire.To) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range to {
		r.log = append(r.log, sent{ev, t})
	}
}

// take returns what reached a device since the last take, and forgets it.
func (r *recorder) take() []sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.log
	r.log = nil
	return out
}

// reaches reports whether s goes to the device.
func (s sent) reaches(who string) bool {
	c := on(who)
	return s.to.User == c.User && (s.to.Device == "" || s.to.Device == c.Device) &&
		(s.to.NotDevice == "" || s.to.NotDevice != c.Device) && (s.to.NotSession == "" || s.to.NotSession != c.Session)
}

// heard lists the types, with reasons, of what reached who.
func heard(all []sent, who string) (out []string) {
	for _, s := range all {
		if !s.reaches(who) {
			continue
		}
		var data struct {
			Call struct {
				Reason string `json:"reason"`
			} `json:"call"`
		}
		_ = json.Unmarshal(s.Data, &data) // call may be an id
		name := s.Type
		if data.Call.Reason != "" {
			name += " " + data.Call.Reason
		}
		out = append(out, name)
	}
	return out
}

func wantHeard(t *testing.T, all []sent, who string, want ...string) {
	t.Helper()
	if got := heard(all, who); !slices.Equal(got, want) {
		t.Fatalf("%s heard %q, want %q", who, got, want)
	}
}

// dataOf decodes the only event of a type that reached who.
func dataOf[T any](t *testing.T, all []sent, who, kind string) (out T) {
	t.Helper()
	n := 0
	for _, s := range all {
		if s.Type == kind && s.reaches(who) {
			n++
			if err := json.Unmarshal(s.Data, &out); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n != 1 {
		t.Fatalf("%s got %d of %s", who, n, kind)
	}
	return out
}

type relays struct{}

func (relays) Servers(call wire.CallID, user wire.UserID, relayOnly bool) []signaling.ICEServer {
	return []signaling.ICEServer{{URLs: []string{"turn:relay"}, Username: fmt.Sprint(call, ":", user, ":", relayOnly)}}
}

type signer struct{}

func (signer) Sign(_ context.Context, from, to wire.UserID, payment wire.PaymentID) (string, error) {
	return fmt.Sprintf("card:%s:%s:%s", from, to, payment), nil
}

// room plays the SFU.
type room struct {
	mu  sync.Mutex
	did []string
	// during, if set, runs in the middle of a join.
	during func()
	hosts  []string // the best first
	lost   map[string]bool
}

func (r *room) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.did = append(r.did, fmt.Sprintf(format, args...))
}

func (r *room) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.did
	r.did = nil
	return out
}

// Host answers the node that now names, unless it was lost: then the next of hosts.
func (r *room) Host(_ context.Context, now string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case now != "" && !r.lost[now]:
		return now, nil
	case len(r.hosts) == 0:
		return "", signaling.ErrNoSFU
	}
	return r.hosts[0], nil
}

// lose has the first of hosts hold no rooms any longer.
func (r *room) lose() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost[r.hosts[0]], r.hosts = true, r.hosts[1:]
}

func (r *room) Join(_ context.Context, node string, _ wire.CallID, user wire.UserID, device wire.DeviceID, _ string) (string, []signaling.Slot, error) {
	r.note("join %s %s/%s", node, user, device)
	if r.during != nil {
		r.during()
	}
	return "v=0", nil, nil
}
func (r *room) Leave(_ wire.CallID, user wire.UserID, device wire.DeviceID) {
	r.note("leave %s/%s", user, device)
}
func (r *room) Close(wire.CallID)                                { r.note("close") }
func (r *room) Mute(_ wire.CallID, user wire.UserID, muted bool) { r.note("mute %s %v", user, muted) }
func (r *room) Play(_ context.Context, node string, _ wire.CallID, p string) error {
	r.note("play %s %s", node, p)
	return nil
}

// manual is a clock that stands until it is moved.
type manual struct {
	mu      sync.Mutex
	now     time.Time
	changed chan struct{}
}

func newManual() *manual {
	return &manual{now: time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC), changed: make(chan struct{})}
}

func (m *manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(time.Microsecond) // so that ids made one after the other sort
	return m.now
}

func (m *manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *manual) Wait(ctx context.Context, until time.Time) error {
	for {
		m.mu.Lock()
		reached, changed := !m.now.Before(until), m.changed
		m.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}
