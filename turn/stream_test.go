package turn_test

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/pion/stun/v3"
	"github.com/prometheus/client_golang/prometheus"

	"parley/turn"
)

const soon = 100 * time.Millisecond

func TestStream_FramesCutAndJoinedAnyhow(t *testing.T) {
	s := start(t, turn.Config{AllowPeers: loopback})
	for _, transport := range []string{"tcp"} {
		r := login(t, s, transport, "call_1", "alice")
		r.allocate()
		conn, addr := listenPeer(t)
		r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4000), peerAddress(addr)), 0)

		request := bindingRequest()
		for i := range request.Raw {
			r.write(request.Raw[i : i+1])
		}
		if got := r.message(); got.TransactionID != request.TransactionID {
			t.Fatalf("got %v", got)
		}
		var joined []byte
		for _, payload := range []string{"a", "bb", "ccc", "dddd", ""} {
			joined = append(joined, channelDataPadded(0x4000, []byte(payload), transport)...)
		}
		again := bindingRequest()
		r.write(append(joined, again.Raw...))
		for _, payload := range []string{"a", "bb", "ccc", "dddd", ""} {
			receives(t, conn, []byte(payload))
		}
		if got := r.message(); got.TransactionID != again.TransactionID {
			t.Fatalf("got %v", got)
		}
	}
}

func TestStream_LiesAboutFramesEndIt(t *testing.T) {
	header := func(kind, length uint16) []byte {
		b := binary.BigEndian.AppendUint16(nil, kind)
		b = binary.BigEndian.AppendUint16(b, length)
		return append(b, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	}
	reg := prometheus.NewRegistry()
	s := startWith(t, turn.Config{TLSAddr: "127.0.0.1:0", SelfSigned: true}, reg)
	refused := 0.0
	for name, b := range map[string][]byte{
		"STUN length 0xFFEC":         append(header(0x0001, 0xFFEC), make([]byte, 48)...),
		"STUN length 0xFFFC":         header(0x0001, 0xFFFC),
		"STUN length not padded":     header(0x0001, 0x0003),
		"STUN larger than allowed":   header(0x0001, 0x1000),
		"STUN without cookie":        append([]byte{0, 1, 0, 8}, make([]byte, 20)...),
		"ChannelData length 0xFFFC":  header(0x4000, 0xFFFC),
		"ChannelData length 0xFFFF":  header(0x4000, 0xFFFF),
		"ChannelData too large":      header(0x4000, 0x1000),
		"reserved channel 0x5000":    {0x50, 0, 0, 0},
		"reserved channel 0x7FFF":    {0x7F, 0xFF, 0, 0},
		"neither STUN nor a channel": {0x80, 0, 0, 0},
		"HTTP":                       []byte("GET / HTTP/1.1\r\n\r\n"),
	} {
		for _, transport := range []string{"tcp", "tls"} {
			t.Run(name+" over "+transport, func(t *testing.T) {
				r := dialRaw(t, s, transport, "")
				r.write(b)
				r.closed()
				refused++
				waitCounted(t, reg, "parley_turn_streams_refused_total", "frame", refused)
			})
		}
	}
	eventually(t, func() bool { return counted(t, reg, "parley_turn_streams", "") == 0 }, "a read loop goes on")
}

func TestStream_SilenceEndsIt(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := startWith(t, turn.Config{SilentAfter: soon, TLSAddr: "127.0.0.1:0", SelfSigned: true}, reg)
	request := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), transportUDP).Raw
	for name, behave := range map[string]func(*raw){
		"nothing":       func(*raw) {},
		"half a header": func(r *raw) { r.write(request[:3]) },
		"half a frame":  func(r *raw) { r.write(request[:len(request)-1]) },
		"a request":     func(r *raw) { r.write(request) },
		"requests without end": func(r *raw) { // traffic without an allocation does not extend it
			for {
				if _, err := r.conn.Write(bindingRequest().Raw); err != nil {
					return
				}
				if _, err := r.tryRead(); err != nil {
					return
				}
			}
		},
	} {
		for _, transport := range []string{"tcp", "tls"} {
			t.Run(name+" over "+transport, func(t *testing.T) {
				r := dialRaw(t, s, transport, "")
				behave(r)
				r.closed()
			})
		}
	}
	eventually(t, func() bool { // on a busy machine even a handshake may take too long
		const refused = "parley_turn_streams_refused_total"
		return counted(t, reg, refused, "silent")+counted(t, reg, refused, "handshake") == 10
	}, "not every silent stream is counted")
	eventually(t, func() bool { return counted(t, reg, "parley_turn_streams", "") == 0 }, "a read loop goes on")
}

func TestStream_LivesAsLongAsItsAllocation(t *testing.T) {
	s := start(t, turn.Config{SilentAfter: 4 * soon})
	r := login(t, s, "tcp", "call_1", "alice")
	r.allocate()
	for range 2 {
		dialRaw(t, s, "tcp", "").closed() // so long it may be silent without an allocation
	}
	r.expect(r.ask(stun.MethodRefresh), 0)
	r.expect(r.ask(stun.MethodRefresh, lifetime(0)), 0)
	r.closed()
}

func TestTLS_HandshakesAreBounded(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := startWith(t, turn.Config{SilentAfter: soon, TLSAddr: "127.0.0.1:0", SelfSigned: true}, reg)
	plain := func(b []byte) {
		conn, err := net.Dial("tcp", s.Addr("tls").String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		r := &raw{t: t, conn: conn}
		r.write(b)
		r.closed()
	}
	plain([]byte{22})                // a hello that never comes
	plain(bindingRequest().Raw)      // not TLS
	plain([]byte{22, 3, 1, 0xFF, 0}) // a record that is too large
	old := trusting(s)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if conn, err := tls.Dial("tcp", s.Addr("tls").String(), old); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 accepted")
	}
	waitCounted(t, reg, "parley_turn_streams_refused_total", "handshake", 4)
}

func TestStreams_AreCapped(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := startWith(t, turn.Config{StreamsPerIP: 2, MaxStreams: 3}, reg)
	from := func(ip string) *raw {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
		conn, err := d.Dial("tcp", s.Addr("tcp").String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return &raw{t: t, conn: conn}
	}
	a, b := from("127.0.0.1"), from("127.0.0.1")
	a.exchange(bindingRequest())
	b.exchange(bindingRequest())
	from("127.0.0.1").closed()
	from("127.0.0.2").exchange(bindingRequest())
	from("127.0.0.3").closed()
	for reason, want := range map[string]float64{"per_ip": 1, "total": 1} {
		if got := counted(t, reg, "parley_turn_streams_refused_total", reason); got != want {
			t.Errorf("%s: %v refused, want %v", reason, got, want)
		}
	}
	_ = a.conn.Close()
	eventually(t, func() bool { return counted(t, reg, "parley_turn_streams", "") == 2 }, "a place is not given back")
	from("127.0.0.1").exchange(bindingRequest())
}

func TestStream_SlowClientLosesPacketsAndHoldsNobodyUp(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := startWith(t, turn.Config{AllowPeers: loopback, Bandwidth: 1 << 30}, reg)
	conn, addr := listenPeer(t)
	slow, quick := login(t, s, "tcp", "call_1", "slow"), login(t, s, "tcp", "call_1", "quick")
	relay := slow.allocate()
	quick.allocate()
	slow.expect(slow.ask(stun.MethodChannelBind, channelNumber(0x4000), peerAddress(addr)), 0)
	payload := make([]byte, 1200)
	eventually(t, func() bool {
		for range 100 {
			_, _ = conn.WriteToUDPAddrPort(payload, relay)
		}
		return counted(t, reg, "parley_turn_drops_total", "slow_stream") > 0
	}, "a client that does not read fills no queue")
	quick.expect(quick.ask(stun.MethodRefresh), 0)
}
