package turn_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/pion/stun/v3"

	"parley/turn"
)

func TestAllocate_RefusalsSayWhy(t *testing.T) {
	s := start(t, turn.Config{})
	r := login(t, s, "udp", "call_1", "alice")
	token := value(stun.AttrReservationToken, 1, 2, 3, 4, 5, 6, 7, 8)
	for _, tt := range []struct {
		name  string
		attrs []stun.Setter
		want  int
	}{
		{"no transport", nil, 400},
		{"short transport", []stun.Setter{value(stun.AttrRequestedTransport, 17)}, 400},
		{"TCP relay (RFC 6062)", []stun.Setter{value(stun.AttrRequestedTransport, 6, 0, 0, 0)}, 442},
		{"unknown transport", []stun.Setter{value(stun.AttrRequestedTransport, 132, 0, 0, 0)}, 442},
		{"IPv6 without IPv6 relays", []stun.Setter{transportUDP, value(stun.AttrRequestedAddressFamily, 2, 0, 0, 0)}, 440},
		{"unknown family", []stun.Setter{transportUDP, value(stun.AttrRequestedAddressFamily, 3, 0, 0, 0)}, 440},
		{"DONT-FRAGMENT", []stun.Setter{transportUDP, value(stun.AttrDontFragment)}, 420},
		{"unknown attribute", []stun.Setter{transportUDP, value(0x7777, 1)}, 420},
		{"reservation token", []stun.Setter{transportUDP, token}, 508},
		{"token and EVEN-PORT", []stun.Setter{transportUDP, token, value(stun.AttrEvenPort, 0)}, 400},
		{"EVEN-PORT with reservation", []stun.Setter{transportUDP, value(stun.AttrEvenPort, 0x80)}, 508},
	} {
		t.Run(tt.name, func(t *testing.T) { r.expect(r.ask(stun.MethodAllocate, tt.attrs...), tt.want) })
	}
	if s.Allocations() != 0 {
		t.Error("a refused request left an allocation")
	}
	if relay := r.allocate(value(stun.AttrEvenPort, 0)); relay.Port()%2 != 0 {
		t.Errorf("EVEN-PORT got %d", relay.Port())
	}
}

func TestAllocate_AnswersWithAddressesAndLifetime(t *testing.T) {
	s := start(t, turn.Config{})
	for asked, want := range map[uint32]uint32{0: 600, 1: 600, 1000: 1000, 3600: 3599, 1 << 31: 3599} {
		r := login(t, s, "tcp", fmt.Sprint("call_", asked), "alice")
		answer := r.ask(stun.MethodAllocate, transportUDP, lifetime(asked))
		r.expect(answer, 0)
		var mapped stun.XORMappedAddress
		if err := mapped.GetFrom(answer); err != nil || mapped.String() != r.conn.LocalAddr().String() {
			t.Errorf("mapped %v, %v; want %v", mapped, err, r.conn.LocalAddr())
		}
		if got := binary.BigEndian.Uint32([]byte(text(answer, stun.AttrLifetime))); got != want {
			t.Errorf("lifetime %d for %d asked, want %d", got, asked, want)
		}
	}
}

func TestAllocate_OnceBy5Tuple(t *testing.T) {
	s := start(t, turn.Config{})
	for _, transport := range []string{"udp", "tcp"} {
		r := login(t, s, transport, "call_1", "alice")
		m := r.signed(stun.MethodAllocate, transportUDP)
		first, again := r.exchange(m), r.exchange(m) // a retransmission
		r.expect(again, 0)
		if relayed(t, first) != relayed(t, again) {
			t.Error("a retransmitted Allocate got another relay")
		}
		r.expect(r.ask(stun.MethodAllocate, transportUDP), 437)
	}
	if n := s.Allocations(); n != 2 {
		t.Errorf("%d allocations", n)
	}
}

func TestRequest_WithoutAllocationIs437(t *testing.T) {
	s := start(t, turn.Config{AllowPeers: loopback})
	r := login(t, s, "udp", "call_1", "alice")
	r.expect(r.ask(stun.MethodRefresh), 437)
	r.expect(r.ask(stun.MethodRefresh, lifetime(0)), 437)
	r.expect(r.ask(stun.MethodCreatePermission, peer("127.0.0.1:9")), 437)
	r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4000), peer("127.0.0.1:9")), 437)
}

func TestRefresh_ZeroEndsTheAllocation(t *testing.T) {
	s := start(t, turn.Config{})
	r := login(t, s, "udp", "call_1", "alice")
	r.allocate()
	r.expect(r.ask(stun.MethodRefresh, value(stun.AttrRequestedAddressFamily, 2, 0, 0, 0)), 443)
	r.expect(r.ask(stun.MethodRefresh, value(stun.AttrRequestedAddressFamily, 1, 0, 0, 0)), 0)
	r.expect(r.ask(stun.MethodRefresh, lifetime(0)), 0)
	if s.Allocations() != 0 {
		t.Fatal("still there")
	}
	r.expect(r.ask(stun.MethodRefresh), 437)
	r.allocate()
}

func TestChannelBind_Refusals(t *testing.T) {
	s := start(t, turn.Config{AllowPeers: loopback})
	r := login(t, s, "udp", "call_1", "alice")
	r.allocate()
	here, there := peer("127.0.0.1:1000"), peer("127.0.0.1:2000")
	for number, want := range map[uint16]int{
		0x0000: 400, 0x0001: 400, 0x3FFF: 400, 0x4001: 0, 0x4FFF: 0, 0x5000: 400, 0x7FFF: 400, 0x8000: 400, 0xFFFF: 400,
	} {
		to := peer(fmt.Sprint("127.0.0.1:", 3000+number%1000))
		if got := code(r.ask(stun.MethodChannelBind, channelNumber(number), to)); got != want {
			t.Errorf("channel %#x: %d, want %d", number, got, want)
		}
	}
	r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4100), here), 0)
	r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4100), here), 0) // a refresh
	for name, attrs := range map[string][]stun.Setter{
		"number bound to another peer": {channelNumber(0x4100), there},
		"peer bound to another number": {channelNumber(0x4101), here},
		"no number":                    {there},
		"short number":                 {value(stun.AttrChannelNumber, 0x41, 2), there},
		"no peer":                      {channelNumber(0x4102)},
		"port zero":                    {channelNumber(0x4102), peer("127.0.0.1:0")},
		"short peer":                   {channelNumber(0x4102), value(stun.AttrXORPeerAddress, 0, 1, 2, 3)},
		"unknown family":               {channelNumber(0x4102), value(stun.AttrXORPeerAddress, 0, 3, 2, 3, 4, 5, 6, 7)},
	} {
		if got := code(r.ask(stun.MethodChannelBind, attrs...)); got != 400 {
			t.Errorf("%s: %d", name, got)
		}
	}
	r.expect(r.ask(stun.MethodCreatePermission), 400)
	r.expect(r.ask(stun.MethodCreatePermission, here, value(stun.AttrXORPeerAddress, 1)), 400)
}

func TestGrants_AreCapped(t *testing.T) {
	s := start(t, turn.Config{AllowPeers: loopback})
	r := login(t, s, "udp", "call_1", "alice")
	r.allocate()
	var all []stun.Setter
	for i := range 64 {
		all = append(all, peer(fmt.Sprintf("127.0.1.%d:9", i+1)))
	}
	r.expect(r.ask(stun.MethodCreatePermission, append(all, peer("127.0.2.1:9"))...), 508)
	r.expect(r.ask(stun.MethodCreatePermission, all...), 0)
	r.expect(r.ask(stun.MethodCreatePermission, all...), 0) // a refresh needs no room
	r.expect(r.ask(stun.MethodCreatePermission, peer("127.0.2.1:9")), 508)
	r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4000), peer("127.0.2.1:9")), 508)
	for i := range uint16(64) {
		r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4000+i), peer(fmt.Sprintf("127.0.1.1:%d", 1000+i))), 0)
	}
	r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4FFF), peer("127.0.1.1:999")), 508)
}

func TestQuota_IsPerUserAndCallAndReturned(t *testing.T) {
	s := start(t, turn.Config{UserCallQuota: 2, UserQuota: 3, CallQuota: 3})
	allocated := func(call, user string) *raw {
		t.Helper()
		r := login(t, s, "udp", call, user)
		r.allocate()
		return r
	}
	refused := func(call, user string) {
		t.Helper()
		r := login(t, s, "udp", call, user)
		r.expect(r.ask(stun.MethodAllocate, transportUDP), 486)
	}
	first := allocated("call_1", "alice")
	allocated("call_1", "alice")
	refused("call_1", "alice") // per user and call
	allocated("call_2", "alice")
	refused("call_3", "alice") // per user
	allocated("call_1", "bob")
	refused("call_1", "bob") // per call
	first.expect(first.ask(stun.MethodRefresh, lifetime(0)), 0)
	again := login(t, s, "tcp", "call_1", "alice")
	again.allocate()
	refused("call_1", "alice")
	_ = again.conn.Close() // the stream's end ends its allocation
	waitAllocations(t, s, 3)
	allocated("call_1", "alice")
}

// waitAllocations waits until n allocations are in service.
func waitAllocations(t testing.TB, s *turn.Server, n int) {
	t.Helper()
	eventually(t, func() bool { return s.Allocations() == n }, "not %d allocations", n)
}

func TestPorts_RangeIsUsedUpAndReused(t *testing.T) {
	first := freeRange(t, 3)
	s := start(t, turn.Config{RelayPorts: [2]uint16{first, first + 2}})
	var held []*raw
	for i := range 3 {
		r := login(t, s, "udp", fmt.Sprint("call_", i), "alice")
		relay := r.allocate()
		if relay.Port() < first || relay.Port() > first+2 {
			t.Errorf("relay port %d outside the range", relay.Port())
		}
		held = append(held, r)
	}
	more := login(t, s, "udp", "call_9", "alice")
	more.expect(more.ask(stun.MethodAllocate, transportUDP), 508)
	held[1].expect(held[1].ask(stun.MethodRefresh, lifetime(0)), 0)
	more.allocate()
}

// freeRange finds n neighbouring UDP ports that nobody holds.
func freeRange(t *testing.T, n int) uint16 {
	t.Helper()
	for base := 20000; base < 30000; base += n {
		free := true
		for i := range n {
			conn, err := listenOn(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(base+i)))
			if err != nil {
				free = false
				break
			}
			_ = conn.Close()
		}
		if free {
			return uint16(base)
		}
	}
	t.Fatal("no free range")
	return 0
}

func TestMalformed_IsNotAnswered(t *testing.T) {
	s := start(t, turn.Config{})
	r := login(t, s, "udp", "call_1", "alice")
	good := r.signed(stun.MethodAllocate, transportUDP).Raw
	change := func(at int, b ...byte) []byte {
		c := append([]byte(nil), good...)
		copy(c[at:], b)
		return c
	}
	for name, b := range map[string][]byte{
		"empty":               {},
		"header cut short":    good[:19],
		"body cut short":      good[:len(good)-4],
		"trailing bytes":      append(append([]byte(nil), good...), 0, 0, 0, 0),
		"odd length":          change(2, 0, 3),
		"no cookie":           change(4, 0),
		"attribute too long":  change(22, 0xFF, 0xFF),
		"integrity too short": stun.MustBuild(stun.TransactionID, stun.BindingRequest, value(stun.AttrMessageIntegrity, 1, 2)).Raw,
		"DTLS hello":          {22, 254, 253, 0, 0},
		"RTP":                 {0x80, 111, 0, 1},
		"success response":    change(0, 1, 3),
		"error response":      change(0, 1, 0x13),
		"Allocate indication": change(0, 0, 0x13),
		"Connect (RFC 6062)":  change(0, 0, 0x0A),
		"unknown method":      change(0, 0x3E, 0xEF),
		"channel 0x5000":      channelData(0x5000, []byte("x")),
		"channel, no bytes":   {0x40, 0, 0, 9, 1},
		"channel, much more":  append(channelData(0x4000, nil), make([]byte, 8)...),
		"data, no allocation": channelData(0x4000, []byte("x")),
		"oversize":            channelData(0x4000, make([]byte, 5000)),
	} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			r.unanswered(b)
		})
	}
	if s.Allocations() != 0 {
		t.Error("something malformed allocated")
	}
}

func TestAllocate_AtOnceAfterTheLastOneEnded(t *testing.T) {
	s := start(t, turn.Config{})
	r := login(t, s, "udp", "call_1", "alice")
	for range 300 {
		r.allocate()
		r.expect(r.ask(stun.MethodRefresh), 0)
		r.expect(r.ask(stun.MethodRefresh, lifetime(0)), 0)
	}
}
