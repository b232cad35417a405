package turn_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun/v3"
	"github.com/prometheus/client_golang/prometheus"

	"parley/turn"
)

func TestRevoke_EndsACallAtOnce(t *testing.T) {
	s := start(t, turn.Config{TLSAddr: "127.0.0.1:0", SelfSigned: true, AllowPeers: loopback})
	conn, addr := listenPeer(t)
	other := login(t, s, "udp", "call_2", "alice")
	other.allocate()
	other.expect(other.ask(stun.MethodChannelBind, channelNumber(0x4000), peerAddress(addr)), 0)

	var legs []*raw
	for _, transport := range []string{"udp", "tcp", "tls"} {
		r := login(t, s, transport, "call_1", "alice")
		r.allocate()
		r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4000), peerAddress(addr)), 0)
		legs = append(legs, r)
	}
	if n := s.Revoke("call_1"); n != 3 || s.Allocations() != 1 {
		t.Fatalf("revoked %d, %d left", n, s.Allocations())
	}
	udp := legs[0]
	udp.unanswered(channelData(0x4000, []byte("after the end")))
	udp.expect(udp.ask(stun.MethodRefresh), 437)
	udp.expect(udp.ask(stun.MethodAllocate, transportUDP), 403)
	legs[1].closed()
	legs[2].closed()
	other.write(channelData(0x4000, []byte("goes on")))
	receives(t, conn, []byte("goes on"))
	if n := s.Revoke("call_1"); n != 0 {
		t.Errorf("revoked %d again", n)
	}
	bob := login(t, s, "tcp", "call_1", "bob")
	bob.expect(bob.ask(stun.MethodAllocate, transportUDP), 403)
}

func TestExpiry_EndsWhatItsCredentialPaidFor(t *testing.T) {
	reg, now := prometheus.NewRegistry(), newFrozen()
	s := startWith(t, turn.Config{Clock: now}, reg)
	r := dialRaw(t, s, "tcp", "")
	r.username, r.password = s.Credentials("call_1", "alice", time.Minute)
	r.challenge()
	answer := r.ask(stun.MethodAllocate, transportUDP)
	r.expect(answer, 0)
	if got := binary.BigEndian.Uint32([]byte(text(answer, stun.AttrLifetime))); got != 60 {
		t.Errorf("lifetime %d beyond the credential's 60", got)
	}

	now.advance(30 * time.Second)
	r.username, r.password = s.Credentials("call_1", "alice", 5*time.Minute)
	r.expect(r.ask(stun.MethodRefresh), 0)
	now.advance(4 * time.Minute)
	r.expect(r.ask(stun.MethodRefresh), 0) // the newer credential counts

	now.advance(time.Minute)
	eventually(t, func() bool { now.advance(time.Second); return s.Allocations() == 0 }, "an allocation outlives its credential")
	r.closed()
	if n := counted(t, reg, "parley_turn_allocations_ended_total", "expired"); n != 1 {
		t.Errorf("%v expired, want 1", n)
	}
}

func TestExpiry_WaitsForTheEndOfALiveCall(t *testing.T) {
	now := newFrozen()
	var over atomic.Bool
	s := start(t, turn.Config{Clock: now, CallLive: func(_ context.Context, call string) bool { return call == "call_1" && !over.Load() }})
	r := login(t, s, "udp", "call_1", "alice")
	r.username, r.password = s.Credentials("call_1", "alice", time.Minute)
	r.challenge()
	r.allocate()
	other := login(t, s, "udp", "call_2", "bob")
	other.username, other.password = s.Credentials("call_2", "bob", time.Minute)
	other.challenge()
	other.allocate()
	eventually(t, func() bool { now.advance(5 * time.Second); return s.Allocations() == 1 }, "the call that is not live keeps its allocation")
	now.advance(time.Minute)
	r.expect(r.ask(stun.MethodRefresh), 0)
	stranger := dialRaw(t, s, "udp", "")
	stranger.username, stranger.password = r.username, r.password
	stranger.challenge()
	if got := code(stranger.ask(stun.MethodAllocate, transportUDP)); got != 401 {
		t.Errorf("an expired credential allocates anew: %d", got)
	}
	over.Store(true)
	eventually(t, func() bool { now.advance(30 * time.Second); return s.Allocations() == 0 }, "the allocation outlives its call")
}

func TestExpiry_RefusesRefresh(t *testing.T) {
	now := newFrozen()
	s := start(t, turn.Config{Clock: now})
	r := dialRaw(t, s, "udp", "")
	r.username, r.password = s.Credentials("call_1", "alice", time.Minute)
	r.challenge()
	r.allocate()
	now.advance(time.Minute)
	if got := code(r.ask(stun.MethodRefresh)); got != 401 {
		t.Errorf("refresh with an expired credential: %d", got)
	}
}

func TestDrain_WaitsForTheLastAllocation(t *testing.T) {
	s := start(t, turn.Config{})
	r := login(t, s, "udp", "call_1", "alice")
	r.allocate()
	late := login(t, s, "udp", "call_2", "bob")

	drained := make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	eventually(t, func() bool {
		answer := late.ask(stun.MethodAllocate, transportUDP)
		if code(answer) == 0 {
			late.expect(late.ask(stun.MethodRefresh, lifetime(0)), 0)
		}
		return code(answer) == 486
	}, "a draining server still allocates")
	r.expect(r.ask(stun.MethodRefresh), 0)
	select {
	case err := <-drained:
		t.Fatalf("drained with an allocation left: %v", err)
	default:
	}
	r.expect(r.ask(stun.MethodRefresh, lifetime(0)), 0)
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestDrain_DeadlineEndsWhatIsLeft(t *testing.T) {
	s := start(t, turn.Config{})
	r := login(t, s, "tcp", "call_1", "alice")
	r.allocate()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Drain(ctx); !errors.Is(err, turn.ErrDrained) {
		t.Errorf("got %v", err)
	}
	r.closed()
	if s.Allocations() != 0 {
		t.Error("an allocation outlived the drain")
	}
}

func TestRun_EndsWithEverythingItStarted(t *testing.T) {
	s, err := turn.New(turn.Config{TLSAddr: "127.0.0.1:0", SelfSigned: true}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	tcp, secure := login(t, s, "tcp", "call_1", "alice"), login(t, s, "tls", "call_1", "alice")
	udp := login(t, s, "udp", "call_1", "alice")
	for _, r := range []*raw{tcp, secure, udp} {
		r.allocate()
	}
	half := dialRaw(t, s, "tcp", "")
	half.write([]byte{0, 1})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if s.Allocations() != 0 {
		t.Error("an allocation outlived Run")
	}
	tcp.closed()
	secure.closed()
	half.closed()
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, tt := range map[string]struct {
		cfg    turn.Config
		config bool
	}{
		"nothing to listen on":    {turn.Config{UDPAddr: turn.Off, TCPAddr: turn.Off}, true},
		"TLS without certificate": {turn.Config{TLSAddr: "127.0.0.1:0"}, true},
		"TLS with both":           {turn.Config{TLSAddr: "127.0.0.1:0", SelfSigned: true, CertFile: "x"}, true},
		"ports the wrong way":     {turn.Config{RelayPorts: [2]uint16{2, 1}}, true},
		"external IP unspecified": {turn.Config{RelayIP: netip.MustParseAddr("0.0.0.0")}, true},
		"IPv6 as IPv4":            {turn.Config{RelayIP: netip.IPv6Loopback()}, true},
		"IPv4 as IPv6":            {turn.Config{RelayIP6: netip.MustParseAddr("127.0.0.1")}, true},
		"realm too long":          {turn.Config{Realm: string(make([]byte, 49))}, true},
		"negative quota":          {turn.Config{UserQuota: -1}, true},
		"negative life":           {turn.Config{NonceLife: -1}, true},
		"no such certificate":     {turn.Config{TLSAddr: "127.0.0.1:0", CertFile: "/nonexistent", KeyFile: "/nonexistent"}, false},
		"address taken":           {turn.Config{TCPAddr: taken.Addr().String()}, false},
	} {
		s, err := turn.New(tt.cfg, nil, nil)
		if err == nil {
			_ = s.Close()
		}
		if err == nil || errors.Is(err, turn.ErrConfig) != tt.config {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestICEURLs_ListWhatListens(t *testing.T) {
	port := func(s *turn.Server, transport string) string {
		_, p, _ := net.SplitHostPort(s.Addr(transport).String())
		return p
	}
	plain := start(t, turn.Config{})
	want := []string{
		"stun:127.0.0.1:" + port(plain, "udp"),
		"turn:127.0.0.1:" + port(plain, "udp") + "?transport=udp",
		"turn:127.0.0.1:" + port(plain, "tcp") + "?transport=tcp",
	}
	if got := plain.ICEURLs(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	dev := start(t, turn.Config{UDPAddr: turn.Off, TCPAddr: turn.Off, TLSAddr: "127.0.0.1:0", SelfSigned: true})
	if got := dev.ICEURLs(); !slices.Equal(got, []string{"turns:localhost:" + port(dev, "tls") + "?transport=tcp"}) {
		t.Errorf("got %q", got)
	}
	named := start(t, turn.Config{
		TLSAddr: "127.0.0.1:0", SelfSigned: true, Host: "turn.example.org", PublicUDP: 3478, PublicTCP: 80, PublicTLS: 443,
	})
	want = []string{
		"stun:turn.example.org:3478", "turn:turn.example.org:3478?transport=udp",
		"turn:turn.example.org:80?transport=tcp", "turns:turn.example.org:443?transport=tcp",
	}
	if got := named.ICEURLs(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if err := named.Certificate().VerifyHostname("turn.example.org"); err != nil || named.SPKI() == "" {
		t.Errorf("certificate: %v, SPKI %q", err, named.SPKI())
	}
}

func TestCertificate_IsReadAgainWhenItChanges(t *testing.T) {
	reg, now, dir := prometheus.NewRegistry(), newFrozen(), t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key, 1)
	s := startWith(t, turn.Config{TLSAddr: "127.0.0.1:0", CertFile: cert, KeyFile: key, ReloadEvery: time.Minute, Clock: now}, reg)
	presented := func() int64 {
		conn, err := tls.Dial("tcp", s.Addr("tls").String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if n := presented(); n != 1 {
		t.Fatalf("certificate %d", n)
	}
	writeCertificate(t, cert, key, 2)
	eventually(t, func() bool { now.advance(time.Minute); return presented() == 2 }, "the new certificate is not presented")
	if err := os.WriteFile(cert, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		now.advance(time.Minute)
		return counted(t, reg, "parley_turn_certificate_reloads_total", "failed") > 0
	}, "a bad certificate goes unnoticed")
	if n := presented(); n != 2 {
		t.Errorf("certificate %d after a bad file", n)
	}
}

func writeCertificate(t *testing.T, cert, key string, serial int64) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
