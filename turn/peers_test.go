package turn_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v3"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"parley/turn"
)

var everything = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

func TestPeers_NotPublicOnesAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		allow []netip.Prefix
		want  map[string]int
	}{
		"by default": {nil, map[string]int{
			"127.0.0.1": 0, "127.0.0.2": 403, // 127.0.0.1 is the relay address itself: other legs live there
			"0.0.0.0": 403, "0.1.2.3": 403, "10.0.0.1": 403, "100.64.0.1": 403, "169.254.1.1": 403, "172.16.0.1": 403,
			"172.31.255.255": 403, "192.0.0.1": 403, "192.0.2.9": 403, "192.168.1.1": 403, "198.18.0.1": 403,
			"198.51.100.1": 403, "203.0.113.1": 403, "224.0.0.1": 403, "239.1.1.1": 403, "240.0.0.1": 403, "255.255.255.255": 403,
			"169.254.169.254": 403, "100.100.100.200": 403, "168.63.129.16": 403, "192.0.0.192": 403,
			"8.8.8.8": 0, "172.32.0.1": 0, "192.0.1.1": 0, "100.128.0.1": 0,
		}},
		"whatever is allowed": {everything, map[string]int{
			"127.0.0.2": 0, "10.0.0.1": 0, "192.168.1.1": 0, "169.254.1.1": 0,
			"0.0.0.0": 403, "0.0.0.1": 403, "224.0.0.1": 403, "255.255.255.255": 403, "169.254.169.254": 403,
			"::": 403, "::ffff:127.0.0.1": 403, "::ffff:8.8.8.8": 403, "::127.0.0.1": 403, "::ffff:0:127.0.0.1": 403,
			"64:ff9b::127.0.0.1": 403, "64:ff9b::8.8.8.8": 403, "64:ff9b:1::10.0.0.1": 403,
			"2002:7f00:1::1": 403, "2001:0:7f00:1::": 403, "ff02::1": 403, "fd00:ec2::254": 403,
			"2606:4700::1111": 443, "fe80::1": 443, "::1": 443, // allowed, but the relay is an IPv4 one
		}},
		"a metadata address by name": {[]netip.Prefix{netip.MustParsePrefix("169.254.169.254/32")}, map[string]int{
			"169.254.169.254": 0, "169.254.169.253": 403,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, turn.Config{AllowPeers: tt.allow})
			r := login(t, s, "udp", "call_1", "alice")
			r.allocate()
			for ip, want := range tt.want {
				to := peerAddress(netip.AddrPortFrom(netip.MustParseAddr(ip), 4000))
				if got := code(r.ask(stun.MethodCreatePermission, to)); got != want {
					t.Errorf("permission for %s: %d, want %d", ip, got, want)
				}
				if want == 0 && ip == "127.0.0.1" {
					want = 403 // no leg at that port
				}
				if got := code(r.ask(stun.MethodChannelBind, channelNumber(0x4000), to)); got != want && got != 400 {
					t.Errorf("channel to %s: %d, want %d", ip, got, want)
				}
			}
		})
	}
}

func TestPermission_AllOrNone(t *testing.T) {
	s := start(t, turn.Config{AllowPeers: loopback})
	conn, addr := listenPeer(t)
	r := login(t, s, "udp", "call_1", "alice")
	r.allocate()
	r.expect(r.ask(stun.MethodCreatePermission, peerAddress(addr), peer("10.0.0.1:9")), 403)
	r.unanswered(sendIndication(addr, []byte("early")))
	r.expect(r.ask(stun.MethodCreatePermission, peerAddress(addr)), 0)
	r.write(sendIndication(addr, []byte("now")))
	receives(t, conn, []byte("now"))
}

func TestPeers_OwnListenersAreRefused(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := startWith(t, turn.Config{AllowPeers: loopback}, reg)
	r := login(t, s, "udp", "call_1", "alice")
	r.allocate()
	for _, transport := range []string{"udp", "tcp"} {
		own := peerAddress(s.Addr(transport))
		r.expect(r.ask(stun.MethodCreatePermission, own), 403)
		r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4000), own), 403)
	}
	r.expect(r.ask(stun.MethodCreatePermission, peer("127.0.0.1:9")), 0) // a permission knows no port
	r.unanswered(sendIndication(s.Addr("udp"), bindingRequest().Raw))
	if n := counted(t, reg, "parley_turn_drops_total", "forbidden"); n != 1 {
		t.Errorf("%v packets to an own listener dropped, want 1", n)
	}
}

func TestPeers_OtherPortsOfThisMachineNeedAllowing(t *testing.T) {
	reg := prometheus.NewRegistry()
	open, sfu := listenPeer(t)
	s := startWith(t, turn.Config{SelfPorts: []uint16{sfu.Port()}}, reg)
	_, addr := listenPeer(t)
	r := login(t, s, "udp", "call_1", "alice")
	r.allocate()
	r.expect(r.ask(stun.MethodCreatePermission, peerAddress(addr)), 0) // a leg of the call might come
	r.unanswered(sendIndication(addr, []byte("to a local service")))
	r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4000), peerAddress(addr)), 403)
	if n := counted(t, reg, "parley_turn_drops_total", "forbidden"); n != 1 {
		t.Errorf("%v dropped, want 1", n)
	}
	r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4000), peerAddress(sfu)), 0)
	r.write(channelData(0x4000, []byte("to the SFU")))
	receives(t, open, []byte("to the SFU"))
}

func TestLegs_OfOneCallReachEachOther(t *testing.T) {
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			s := start(t, turn.Config{TLSAddr: "127.0.0.1:0", SelfSigned: true})
			a, b := login(t, s, transport, "call_1", "alice"), login(t, s, "udp", "call_1", "bob")
			relayA, relayB := a.allocate(), b.allocate()
			a.expect(a.ask(stun.MethodChannelBind, channelNumber(0x4000), peerAddress(relayB)), 0)
			a.unanswered(channelDataPadded(0x4000, []byte("without b's permission"), transport))
			b.expect(b.ask(stun.MethodChannelBind, channelNumber(0x4001), peerAddress(relayA)), 0)

			a.write(channelDataPadded(0x4000, []byte("hello, bob"), transport))
			if got := b.read(); string(got) != string(channelData(0x4001, []byte("hello, bob"))) {
				t.Errorf("b got %q", got)
			}
			b.write(channelData(0x4001, []byte("hello, a")))
			if got := a.read(); string(got) != string(channelData(0x4000, []byte("hello, a"))) {
				t.Errorf("a got %q", got)
			}
			b.write(sendIndication(relayA, []byte("hello again")))
			if got := a.read(); string(got) != string(channelData(0x4000, []byte("hello again"))) {
				t.Errorf("a got %q", got)
			}
		})
	}
}

func TestLegs_OfAnotherCallAreRefused(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := startWith(t, turn.Config{AllowPeers: loopback}, reg)
	a, b := login(t, s, "udp", "call_1", "alice"), login(t, s, "udp", "call_2", "bob")
	relayA, relayB := a.allocate(), b.allocate()
	a.expect(a.ask(stun.MethodChannelBind, channelNumber(0x4000), peerAddress(relayB)), 403)
	a.expect(a.ask(stun.MethodCreatePermission, peerAddress(relayB)), 0)
	b.expect(b.ask(stun.MethodCreatePermission, peerAddress(relayA)), 0)
	a.unanswered(sendIndication(relayB, []byte("hello, stranger")))
	b.unanswered(sendIndication(relayA, []byte("hello, stranger")))
	if n := counted(t, reg, "parley_turn_drops_total", "forbidden"); n != 2 {
		t.Errorf("%v dropped, want 2", n)
	}
}

func TestRelay_DataWithoutPermissionIsDropped(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := startWith(t, turn.Config{AllowPeers: loopback}, reg)
	conn, addr := listenPeer(t)
	r := login(t, s, "udp", "call_1", "alice")
	relay := r.allocate()
	r.unanswered(sendIndication(addr, []byte("x")))
	r.unanswered(channelData(0x4000, []byte("x")))
	if _, err := conn.WriteToUDPAddrPort([]byte("unwanted"), relay); err != nil {
		t.Fatal(err)
	}
	waitCounted(t, reg, "parley_turn_drops_total", "no_permission", 3)
	r.expect(r.ask(stun.MethodCreatePermission, peerAddress(addr)), 0)
	r.unanswered(stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication),
		peerAddress(addr), value(stun.AttrDontFragment), value(stun.AttrData, 1)).Raw)
	r.unanswered(stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication), peerAddress(addr)).Raw)
	r.write(sendIndication(addr, []byte("first")))
	receives(t, conn, []byte("first"))

	if _, err := conn.WriteToUDPAddrPort([]byte("wanted"), relay); err != nil {
		t.Fatal(err)
	}
	m := r.message()
	if m.Type != stun.NewType(stun.MethodData, stun.ClassIndication) || text(m, stun.AttrData) != "wanted" {
		t.Errorf("got %v", m)
	}
	var from stun.XORMappedAddress
	if err := from.GetFromAs(m, stun.AttrXORPeerAddress); err != nil || from.String() != addr.String() {
		t.Errorf("from %v, %v", from, err)
	}
}

func TestRelay_ChannelDataMustBeWhatItSays(t *testing.T) {
	s := start(t, turn.Config{AllowPeers: loopback})
	conn, addr := listenPeer(t)
	r := login(t, s, "udp", "call_1", "alice")
	r.allocate()
	r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4000), peerAddress(addr)), 0)
	good := channelData(0x4000, []byte("good"))
	r.unanswered(append(good[:len(good):len(good)], 0, 0, 0, 0)) // more than padding
	r.unanswered(good[:len(good)-1])
	r.unanswered(channelData(0x4001, []byte("not bound")))
	r.write(channelDataPadded(0x4000, []byte("padded"), "tcp")) // allowed over UDP
	receives(t, conn, []byte("padded"))
}

func TestRelay_RateIsLimitedByDirection(t *testing.T) {
	reg, now := prometheus.NewRegistry(), newFrozen()
	s := startWith(t, turn.Config{AllowPeers: loopback, Bandwidth: 1000, Clock: now}, reg)
	conn, addr := listenPeer(t)
	r := login(t, s, "udp", "call_1", "alice")
	relay := r.allocate()
	r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4000), peerAddress(addr)), 0)
	payload := make([]byte, 400)
	for range 5 { // two fit into a second
		r.write(channelData(0x4000, payload))
	}
	r.exchange(bindingRequest())
	receives(t, conn, payload)
	receives(t, conn, payload)
	if n := counted(t, reg, "parley_turn_drops_total", "bandwidth"); n != 3 {
		t.Errorf("%v packets over the rate dropped, want 3", n)
	}
	if _, err := conn.WriteToUDPAddrPort(payload, relay); err != nil { // the other direction has its own
		t.Fatal(err)
	}
	if got := r.read(); len(got) != 4+len(payload) {
		t.Errorf("got %d bytes", len(got))
	}
	now.advance(time.Second)
	r.write(channelData(0x4000, payload))
	receives(t, conn, payload)
}

func TestRelay_IPv6(t *testing.T) {
	probe, err := listenOn(netip.MustParseAddrPort("[::1]:0"))
	if err != nil {
		t.Logf("this machine has no IPv6 loopback, nothing is checked: %v", err)
		return
	}
	_ = probe.Close()
	s := start(t, turn.Config{
		UDPAddr: "[::1]:0", RelayIP6: netip.IPv6Loopback(), AllowPeers: []netip.Prefix{netip.MustParsePrefix("::1/128")},
	})
	conn, err := listenOn(netip.MustParseAddrPort("[::1]:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	addr := netip.MustParseAddrPort(conn.LocalAddr().String())
	r := login(t, s, "udp", "call_1", "alice")
	relay := r.allocate(value(stun.AttrRequestedAddressFamily, 2, 0, 0, 0))
	if !relay.Addr().Is6() {
		t.Fatalf("relay %v", relay)
	}
	r.expect(r.ask(stun.MethodCreatePermission, peer("8.8.8.8:9")), 443)
	r.expect(r.ask(stun.MethodCreatePermission, peer("[::ffff:8.8.8.8]:9")), 403)
	r.expect(r.ask(stun.MethodCreatePermission, peer("[fd00::1]:9")), 403)
	r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4000), peerAddress(addr)), 0)
	r.write(channelData(0x4000, []byte("six")))
	receives(t, conn, []byte("six"))
	if _, err := conn.WriteToUDPAddrPort([]byte("back"), relay); err != nil {
		t.Fatal(err)
	}
	if got := r.read(); string(got[4:]) != "back" {
		t.Errorf("got %q", got)
	}
}

func TestMetrics_CountAndNameNobody(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := startWith(t, turn.Config{AllowPeers: loopback}, reg)
	conn, addr := listenPeer(t)
	r := login(t, s, "udp", "call_secret", "alice_secret")
	r.allocate()
	r.expect(r.ask(stun.MethodCreatePermission, peerAddress(addr)), 0)
	r.write(sendIndication(addr, []byte("12345")))
	receives(t, conn, []byte("12345"))
	r.expect(r.ask(stun.MethodRefresh, lifetime(0)), 0)
	for _, want := range []struct {
		name, label string
		value       float64
	}{
		{"parley_turn_packets_total", "to_peer", 1}, {"parley_turn_bytes_total", "to_peer", 5},
		{"parley_turn_allocations_total", "udp", 1}, {"parley_turn_allocations_total", "tls", 0},
		{"parley_turn_allocations_ended_total", "lifetime", 1}, {"parley_turn_allocations", "", 0},
		{"parley_turn_errors_total", "401", 1}, {"parley_turn_drops_total", "slow_stream", 0},
	} {
		if got := counted(t, reg, want.name, want.label); got != want.value {
			t.Errorf("%s{%s} = %v, want %v", want.name, want.label, got, want.value)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if all := fmt.Sprint(families); strings.Contains(all, "secret") {
		t.Error("a metric names a user or a call")
	}
}

// counted reads one value of a metric, chosen by the value of its label.
func counted(t testing.TB, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name && labelOf(m) == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s{%s}", name, label)
	return 0
}

// waitCounted waits until a metric has reached a value.
func waitCounted(t testing.TB, reg *prometheus.Registry, name, label string, want float64) {
	t.Helper()
	eventually(t, func() bool { return counted(t, reg, name, label) >= want }, "%s{%s} below %v", name, label, want)
}

func labelOf(m *dto.Metric) string {
	for _, l := range m.Label {
		return l.GetValue()
	}
	return ""
}
