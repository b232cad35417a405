package turn_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/logging"
	pionturn "github.com/pion/turn/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/turn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// start runs a server for the test's duration.
func start(t testing.TB, cfg turn.Config) *turn.Server {
	t.Helper()
	return startWith(t, cfg, nil)
}

// startWith runs a server that counts on reg.
func startWith(t testing.TB, cfg turn.Config, reg prometheus.Registerer) *turn.Server {
	t.Helper()
	s, err := turn.New(cfg, reg, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run did not return after its context ended")
		}
	})
	return s
}

// dial connects a packet conn to the server over a transport.
func dial(t testing.TB, s *turn.Server, transport string) (net.PacketConn, string) {
	t.Helper()
	addr := s.Addr(transport).String()
	switch transport {
	case "udp":
		conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return conn, addr
	case "tcp":
		conn, err := net.Dial("tcp4", addr)
		if err != nil {
			t.Fatal(err)
		}
		return pionturn.NewSTUNConn(conn), addr
	default:
		conn, err := tls.Dial("tcp4", addr, trusting(s))
		if err != nil {
			t.Fatal(err)
		}
		return pionturn.NewSTUNConn(conn), addr
	}
}

// trusting is a TLS client that trusts the server's certificate.
func trusting(s *turn.Server) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

// client is pion's own TURN client, listening.
func client(t testing.TB, s *turn.Server, transport, call, user string) *pionturn.Client {
	t.Helper()
	conn, addr := dial(t, s, transport)
	username, password := s.Credentials(call, user, time.Hour)
	c, err := pionturn.NewClient(&pionturn.ClientConfig{
		TURNServerAddr: addr, STUNServerAddr: addr, Conn: conn,
		Username: username, Password: password, Realm: "parley",
		LoggerFactory: &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); _ = conn.Close() })
	return c
}

// echo is a peer that sends everything back.
func echo(t testing.TB) net.Addr {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(buf[:n], from)
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-ended })
	return conn.LocalAddr()
}

func TestRelay_EchoThroughEveryTransport(t *testing.T) {
	s := start(t, turn.Config{TLSAddr: "127.0.0.1:0", SelfSigned: true, AllowPeers: loopback})
	peer := echo(t)
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			relay, err := client(t, s, transport, "call_1", transport).Allocate()
			if err != nil {
				t.Fatal(err)
			}
			defer relay.Close()
			for _, size := range []int{12, 160, 1200, 9} { // the first goes as an indication, later ones through a channel
				roundTrip(t, relay, peer, bytes.Repeat([]byte{byte(size)}, size))
			}
		})
	}
}

func roundTrip(t testing.TB, relay net.PacketConn, peer net.Addr, sent []byte) {
	t.Helper()
	if _, err := relay.WriteTo(sent, peer); err != nil {
		t.Fatal(err)
	}
	_ = relay.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 4096)
	n, from, err := relay.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(buf[:n], sent) || from.String() != peer.String() {
		t.Fatalf("got %d bytes from %v, sent %d to %v", n, from, len(sent), peer)
	}
}

// eventually waits for what another goroutine is about to make true.
func eventually(t testing.TB, done func() bool, otherwise string, args ...any) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf(otherwise, args...)
		}
		<-tick.C
	}
}
