package turn_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"parley/turn"
)

// frozen is a clock that stands still until it is set forward.
type frozen struct {
	mu    sync.Mutex
	now   time.Time
	moved chan struct{}
}

func newFrozen() *frozen {
	return &frozen{now: time.Now().Truncate(time.Second), moved: make(chan struct{})}
}

func (f *frozen) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *frozen) Wait(ctx context.Context, until time.Time) error {
	for {
		f.mu.Lock()
		now, moved := f.now, f.moved
		f.mu.Unlock()
		if !now.Before(until) {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *frozen) advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
	close(f.moved)
	f.moved = make(chan struct{})
}

func TestCredentials_AreWhatRESTClientsExpect(t *testing.T) {
	now := newFrozen()
	s := start(t, turn.Config{Secret: "s3cret", MaxTTL: time.Hour, Clock: now})
	for _, tt := range []struct {
		call, user   string
		ttl, granted time.Duration
		want         string
	}{
		{"call_1", "alice", time.Minute, time.Minute, "call_1:alice"},
		{"call_1", "alice", 48 * time.Hour, time.Hour, "call_1:alice"},
		{"call_1", "alice", -time.Hour, time.Second, "call_1:alice"},
		{"call:1", "auth0|a:b c%", time.Minute, time.Minute, "call%3A1:auth0%7Ca%3Ab+c%25"},
		{"call_1", strings.Repeat("ü", 300), time.Minute, time.Minute, "call_1:sha256-"},
	} {
		username, password := s.Credentials(tt.call, tt.user, tt.ttl)
		want := fmt.Sprintf("%d:%s", now.Now().Add(tt.granted).Unix(), tt.want)
		if !strings.HasPrefix(username, want) || strings.Count(username, ":") != 2 || len(username) > 508 {
			t.Errorf("username %q, want %q", username, want)
		}
		mac := hmac.New(sha1.New, []byte("s3cret"))
		mac.Write([]byte(username))
		if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); password != want {
			t.Errorf("password %q, want %q", password, want)
		}
		r := dialRaw(t, s, "udp", "")
		r.username, r.password = username, password
		r.challenge()
		r.allocate()
		r.expect(r.ask(stun.MethodRefresh, lifetime(0)), 0)
	}
}

func TestCredentials_WrongOnesAllLookTheSame(t *testing.T) {
	now := newFrozen()
	s := start(t, turn.Config{Secret: "s3cret", Realm: "parley", MaxTTL: time.Hour, Clock: now})
	sign := func(username string) (string, string) {
		mac := hmac.New(sha1.New, []byte("s3cret"))
		mac.Write([]byte(username))
		return username, base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	at := func(d time.Duration, rest string) string { return fmt.Sprintf("%d%s", now.Now().Add(d).Unix(), rest) }
	good, goodPassword := sign(at(time.Minute, ":call:alice"))

	var size int
	for name, c := range map[string][3]string{
		"wrong password":  {good, "nonsense", "parley"},
		"unknown user":    {"mallory", goodPassword, "parley"},
		"foreign realm":   {good, goodPassword, "evil.example"},
		"empty realm":     {good, goodPassword, ""},
		"expired":         pair(sign(at(-time.Second, ":call:alice"))),
		"expires now":     pair(sign(at(0, ":call:alice"))),
		"too long a life": pair(sign(at(2*time.Hour, ":call:alice"))),
		"no call":         pair(sign(at(time.Minute, ":alice"))),
		"empty user":      pair(sign(at(time.Minute, ":call:"))),
		"empty call":      pair(sign(at(time.Minute, "::alice"))),
		"another colon":   pair(sign(at(time.Minute, ":call:alice:x"))),
		"not a number":    pair(sign("soon:call:alice")),
		"plus sign":       pair(sign("+" + at(time.Minute, ":call:alice"))),
		"bad escape":      pair(sign(at(time.Minute, ":call:%zz"))),
	} {
		r := dialRaw(t, s, "udp", "")
		r.challenge()
		r.username, r.password = c[0], c[1]
		if c[2] != "parley" {
			r.realm = c[2]
		}
		answer := r.ask(stun.MethodAllocate, transportUDP)
		if code(answer) != 401 || text(answer, stun.AttrNonce) == "" || text(answer, stun.AttrRealm) != "parley" {
			t.Errorf("%s: %d %v", name, code(answer), answer)
		}
		if size == 0 {
			size = len(answer.Raw)
		}
		if len(answer.Raw) != size {
			t.Errorf("%s: answer of %d bytes tells it from others of %d", name, len(answer.Raw), size)
		}
	}
	r := dialRaw(t, s, "udp", "")
	r.username, r.password = good, goodPassword
	r.challenge()
	r.allocate()
}

func pair(username, password string) [3]string { return [3]string{username, password, "parley"} }

func TestRealm_IsTheServersEvenWhenSignedRight(t *testing.T) {
	s := start(t, turn.Config{})
	r := login(t, s, "udp", "call_1", "alice")
	answer := r.exchange(stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), transportUDP,
		stun.NewUsername(r.username), stun.NewRealm("evil.example"), stun.NewNonce(r.nonce),
		stun.NewLongTermIntegrity(r.username, r.realm, r.password)))
	if code(answer) != 401 || s.Allocations() != 0 {
		t.Errorf("answered %d", code(answer))
	}
}

func TestCredentials_PreviousSecretIsStillTaken(t *testing.T) {
	old := start(t, turn.Config{Secret: "old"})
	s := start(t, turn.Config{Secret: "new", PreviousSecret: "old"})
	r := dialRaw(t, s, "udp", "")
	r.username, r.password = old.Credentials("call_1", "alice", time.Hour)
	r.challenge()
	r.allocate()
}

func TestRequest_IncompleteCredentialsAre400(t *testing.T) {
	s := start(t, turn.Config{})
	r := login(t, s, "udp", "call_1", "alice")
	for name, left := range map[string][]stun.Setter{
		"username": {stun.NewRealm(r.realm), stun.NewNonce(r.nonce)},
		"realm":    {stun.NewUsername(r.username), stun.NewNonce(r.nonce)},
		"nonce":    {stun.NewUsername(r.username), stun.NewRealm(r.realm)},
	} {
		list := append([]stun.Setter{stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), transportUDP}, left...)
		list = append(list, stun.NewLongTermIntegrity(r.username, r.realm, r.password))
		if got := code(r.exchange(stun.MustBuild(list...))); got != 400 {
			t.Errorf("without %s: %d", name, got)
		}
	}
}

func TestNonce_IsBoundToSourceAndTime(t *testing.T) {
	now := newFrozen()
	s := start(t, turn.Config{Clock: now})
	r := login(t, s, "udp", "call_1", "alice")
	captured := r.signed(stun.MethodAllocate, transportUDP)

	for _, transport := range []string{"udp", "tcp"} {
		thief := dialRaw(t, s, transport, "")
		answer := thief.exchange(captured)
		if code(answer) != 438 || text(answer, stun.AttrNonce) == "" || text(answer, stun.AttrRealm) == "" {
			t.Fatalf("replay over %s: %d", transport, code(answer))
		}
	}
	if n := s.Allocations(); n != 0 {
		t.Fatalf("%d allocations by replay", n)
	}

	now.advance(10*time.Minute + time.Second)
	answer := r.exchange(captured)
	if code(answer) != 438 {
		t.Fatalf("stale nonce: %d", code(answer))
	}
	r.nonce = text(answer, stun.AttrNonce)
	r.allocate()

	for name, nonce := range map[string]string{"none of ours": strings.Repeat("A", 24), "short": "A", "not base64": strings.Repeat("!", 24), "empty": ""} {
		r.nonce = nonce
		if got := code(r.ask(stun.MethodRefresh)); got != 438 {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestIntegrity_WhatStandsBehindItIsIgnored(t *testing.T) {
	s := start(t, turn.Config{AllowPeers: loopback})
	r := login(t, s, "udp", "call_1", "alice")
	r.allocate()

	m := r.signed(stun.MethodRefresh)
	m.Add(stun.AttrLifetime, []byte{0, 0, 0, 0})
	r.expect(r.exchange(m), 0)
	if s.Allocations() != 1 {
		t.Fatal("a LIFETIME behind MESSAGE-INTEGRITY deleted the allocation")
	}
	m = r.signed(stun.MethodCreatePermission)
	_ = peerAddress(netip.MustParseAddrPort("127.0.0.1:9")).AddTo(m)
	r.expect(r.exchange(m), 400)
}

func TestFingerprint_IsCheckedAndAnswered(t *testing.T) {
	s := start(t, turn.Config{})
	r := login(t, s, "udp", "call_1", "alice")
	m := stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.Fingerprint)
	answer := r.exchange(m)
	if err := stun.Fingerprint.Check(answer); err != nil {
		t.Error(err)
	}
	bad := append([]byte(nil), m.Raw...)
	bad[len(bad)-1] ^= 1
	r.unanswered(bad)

	notLast := stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.Fingerprint)
	notLast.Add(stun.AttrSoftware, []byte("x"))
	r.unanswered(notLast.Raw)

	r.fingerprint = true
	for _, answer := range []*stun.Message{
		r.ask(stun.MethodRefresh), // 437
		r.ask(stun.MethodAllocate, transportUDP),
		r.exchange(stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodRefresh, stun.ClassRequest), stun.Fingerprint)), // 401
	} {
		if err := stun.Fingerprint.Check(answer); err != nil {
			t.Errorf("%v: %v", answer, err)
		}
	}
}

func TestUnauthenticated_AnswersStaySmallAndAnonymous(t *testing.T) {
	s := start(t, turn.Config{Realm: "turn.example.org"})
	r := login(t, s, "udp", "call_1", "alice")
	for name, m := range map[string]*stun.Message{
		"bare Allocate":      stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest)),
		"Allocate":           stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), transportUDP),
		"Refresh":            stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodRefresh, stun.ClassRequest)),
		"Binding":            bindingRequest(),
		"Binding, sealed":    stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.Fingerprint),
		"unknown attributes": stun.MustBuild(stun.TransactionID, stun.BindingRequest, value(0x24, 1), value(0x25), value(0x7777, 1)),
	} {
		answer := r.exchange(m)
		if ratio := float64(len(answer.Raw)) / float64(len(m.Raw)); ratio >= 4 {
			t.Errorf("%s: %d bytes for %d", name, len(answer.Raw), len(m.Raw))
		}
		if answer.Contains(stun.AttrSoftware) {
			t.Errorf("%s: SOFTWARE tells what runs here", name)
		}
	}
	if m := r.exchange(stun.MustBuild(stun.TransactionID, stun.BindingRequest, value(0x24, 1), value(0x7777, 1))); code(m) != 420 || text(m, stun.AttrUnknownAttributes) != "\x00\x24\x77\x77" {
		t.Errorf("Binding with unknown attributes: %d %x", code(m), text(m, stun.AttrUnknownAttributes))
	}
}

func TestUnauthenticated_AnswersFourTimesTheRequestAreNotGiven(t *testing.T) {
	s := start(t, turn.Config{Realm: strings.Repeat("x", 48)})
	r := login(t, s, "udp", "call_1", "alice") // with REQUESTED-TRANSPORT it is below
	r.unanswered(stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest)).Raw)
}

func TestUnauthenticated_AnswersAreLimitedPerSource(t *testing.T) {
	now := newFrozen()
	s := start(t, turn.Config{Clock: now, UnauthorizedPerSecond: 10})
	flood := login(t, s, "udp", "call_1", "alice") // one answer
	flood.allocate()
	for range 9 {
		flood.exchange(bindingRequest())
	}
	another := dialRaw(t, s, "udp", "") // the same address: the limit is not per port
	for range 100 {
		another.write(stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), transportUDP).Raw)
	}
	flood.expect(flood.ask(stun.MethodRefresh), 0) // who has a credential is served
	elsewhere := dialRaw(t, s, "udp", "127.0.0.2:0")
	elsewhere.challenge()
	now.advance(time.Second)
	another.challenge() // the first answer after the flood
}

func TestAllocation_BelongsToItsUser(t *testing.T) {
	s := start(t, turn.Config{AllowPeers: loopback})
	r := login(t, s, "udp", "call_1", "alice")
	r.allocate()
	for _, other := range [][2]string{{"call_1", "mallory"}, {"call_2", "alice"}} {
		r.as(s, other[0], other[1])
		r.expect(r.ask(stun.MethodRefresh, lifetime(0)), 441)
		r.expect(r.ask(stun.MethodRefresh), 441)
		r.expect(r.ask(stun.MethodCreatePermission, peer("127.0.0.1:9")), 441)
		r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4000), peer("127.0.0.1:9")), 441)
		r.expect(r.ask(stun.MethodAllocate, transportUDP), 437)
	}
	if s.Allocations() != 1 {
		t.Fatal("another user ended the allocation")
	}
	r.as(s, "call_1", "alice") // a newer credential of the same user
	r.expect(r.ask(stun.MethodRefresh), 0)
}
