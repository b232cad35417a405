package turn

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"net"
	"net/netip"
	"reflect"
	"strconv"
	"testing"
	"time"
)

// Vectors of RFC 5769, whose messages RFC 8489 still makes.
const (
	vectorRequest = "\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae" +
		"\x80\x22\x00\x10STUN test client\x00\x24\x00\x04\x6e\x00\x01\xff\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36" +
		"\x00\x06\x00\x09evtj:h6vY   " +
		"\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2" +
		"\x80\x28\x00\x04\xe5\x7a\x3b\xcf"
	vectorResponse4 = "\x01\x01\x00\x3c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae" +
		"\x80\x22\x00\x0btest vector \x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43" +
		"\x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b\xe7\xd7" +
		"\x80\x28\x00\x04\xc0\x7d\x4c\x96"
	vectorResponse6 = "\x01\x01\x00\x48\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae" +
		"\x80\x22\x00\x0btest vector \x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9" +
		"\x00\x08\x00\x14\xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c\x82\x92\xc2\x75\xbf\xe3\xed\x41" +
		"\x80\x28\x00\x04\xc8\xfb\x0b\x4c"
	vectorLongTerm = "\x00\x01\x00\x60\x21\x12\xa4\x42\x78\xad\x34\x33\xc6\xad\x72\xc0\x29\xda\x41\x2e" +
		"\x00\x06\x00\x12\u30DE\u30C8\u30EA\u30C3\u30AF\u30B9\x00\x00" +
		"\x00\x15\x00\x1cf//499k954d6OL34oL9FSTvy64sA\x00\x14\x00\x0bexample.org\x00" +
		"\x00\x08\x00\x14\xf6\x70\x24\x65\x6d\xd6\x4a\x3e\x02\xb8\xe0\x71\x2e\x85\xc9\xa2\x8c\xa8\x96\x66"
)

func TestMessage_RFC5769Vectors(t *testing.T) {
	longTerm := md5.Sum([]byte("\u30DE\u30C8\u30EA\u30C3\u30AF\u30B9:example.org:TheMatrIX"))
	for name, tt := range map[string]struct {
		raw    string
		class  uint8
		key    []byte
		mapped string
		sealed bool
	}{
		"request":       {vectorRequest, classRequest, []byte("VOkJxbRl1RmTxUk/WvJxBt"), "", true},
		"IPv4 response": {vectorResponse4, classSuccess, []byte("VOkJxbRl1RmTxUk/WvJxBt"), "192.0.2.1:32853", true},
		"IPv6 response": {vectorResponse6, classSuccess, []byte("VOkJxbRl1RmTxUk/WvJxBt"), "[2001:db8:1234:5678:11:2233:4455:6677]:32853", true},
		"long-term":     {vectorLongTerm, classRequest, longTerm[:], "", false},
	} {
		var m message
		if err := m.parse([]byte(tt.raw)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m.method != methodBinding || m.class != tt.class || m.fingerprint != tt.sealed {
			t.Errorf("%s: method %d class %d sealed %t", name, m.method, m.class, m.fingerprint)
		}
		if !m.authentic(tt.key) || m.authentic([]byte("another")) {
			t.Errorf("%s: MESSAGE-INTEGRITY", name)
		}
		if v, ok := m.get(attrXORMappedAddress); ok {
			if got, _ := decodeAddress(v, m.id); got.String() != tt.mapped {
				t.Errorf("%s: mapped %v, want %s", name, got, tt.mapped)
			}
		}
	}
}

func TestBuilder_WritesWhatParseReads(t *testing.T) {
	for _, method := range []uint16{methodBinding, methodChannelBind, 0x0FFF, 0x0A5A} {
		for class := range uint8(4) {
			at := netip.MustParseAddrPort("[2001:db8::1]:4242")
			w := newBuilder(nil, method, class, [12]byte{1, 2, 3}).address(attrXORPeerAddress, at).
				attr(attrData, []byte("odd")).sign([]byte("key")).seal()
			var m message
			if err := m.parse(w.b); err != nil {
				t.Fatal(err)
			}
			v, _ := m.get(attrXORPeerAddress)
			got, ok := decodeAddress(v, m.id)
			data, _ := m.get(attrData)
			if m.method != method || m.class != class || !m.authentic([]byte("key")) || !ok || got != at || !bytes.Equal(data, []byte("odd")) {
				t.Errorf("method %#x class %d came back as %+v", method, class, m)
			}
		}
	}
}

func TestMessage_FingerprintComesLast(t *testing.T) {
	w := newBuilder(nil, methodBinding, classRequest, [12]byte{})
	w.setLength(16)
	w.b = append(w.b, 0x80, 0x28, 0, 4)
	w.b = binary.BigEndian.AppendUint32(w.b, fingerprintOf(w.b[:headerSize])) // right but for its place
	w.b = append(w.b, 0x80, 0x22, 0, 4, 'x', 'x', 'x', 'x')
	var m message
	if err := m.parse(w.b); err != errMalformed {
		t.Errorf("got %v", err)
	}
}

func TestNonce_IsForOneSourceAndTransport(t *testing.T) {
	n, now := newNoncer(time.Minute), time.Unix(1000, 0)
	at := netip.MustParseAddrPort
	nonce := n.make(overUDP, at("192.0.2.1:1000"), now)
	for name, tt := range map[string]struct {
		over transport
		src  string
		now  time.Time
		want bool
	}{
		"at once":           {overUDP, "192.0.2.1:1000", now, true},
		"to the end":        {overUDP, "192.0.2.1:1000", now.Add(time.Minute), true},
		"after its life":    {overUDP, "192.0.2.1:1000", now.Add(time.Minute + time.Second), false},
		"before its time":   {overUDP, "192.0.2.1:1000", now.Add(-time.Minute), false},
		"another port":      {overUDP, "192.0.2.1:1001", now, false},
		"another address":   {overUDP, "192.0.2.2:1000", now, false},
		"another transport": {overTCP, "192.0.2.1:1000", now, false},
	} {
		if got := n.valid(nonce, tt.over, at(tt.src), tt.now); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if newNoncer(time.Minute).valid(nonce, overUDP, at("192.0.2.1:1000"), now) {
		t.Error("another server's nonce")
	}
}

func TestPorts_StepsOverForeignOnes(t *testing.T) {
	foreign, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(foreign.LocalAddr().(*net.UDPAddr).Port)
	loopback := netip.MustParseAddr("127.0.0.1")

	taken := newPorts(loopback, port, port)
	if _, _, err := taken.open(false); err != errNoPort {
		t.Errorf("opened a foreign port: %v", err)
	}
	_ = foreign.Close()
	conn, _, err := taken.open(false)
	if err != nil {
		t.Fatalf("a port that was foreign is lost: %v", err)
	}
	defer conn.Close() // and foreign to the next range
	first := port - 5
	p := newPorts(loopback, first, port)
	p.free = []uint16{port, first} // whatever the shuffle says
	other, got, err := p.open(false)
	if err != nil || got != first {
		t.Fatalf("opened %d: %v", got, err)
	}
	_ = other.Close()
	if got, ok := p.take(port%2 == 1); ok && port%2 == 1 {
		t.Errorf("took odd port %d for an even one", got)
	}
}

func TestLimiter_CountsNetworksNotPorts(t *testing.T) {
	l := newLimiter(2)
	now := time.Unix(1000, 0)
	for i, tt := range []struct {
		src  string
		now  time.Time
		want bool
	}{
		{"192.0.2.1", now, true},
		{"::ffff:192.0.2.1", now, true},
		{"192.0.2.1", now, false},
		{"2001:db8::1", now, true},
		{"2001:db8::2", now, true},
		{"2001:db8::ffff:0:0:3", now, false},
		{"192.0.2.1", now.Add(time.Second), true},
	} {
		if got := l.allow(netip.MustParseAddr(tt.src), tt.now); got != tt.want {
			t.Errorf("%d: %s: %t", i, tt.src, got)
		}
	}
}

func TestStreams_NoneIsTakenAfterTheEnd(t *testing.T) {
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &streams{perIP: 2, total: 2, metrics: m, open: map[net.Conn]netip.Addr{}, bySrc: map[netip.Addr]int{}}
	a, b := net.Pipe()
	defer b.Close()
	if refusal := s.add(a); refusal != "" {
		t.Fatal(refusal)
	}
	s.closeAll()
	if _, err := b.Read(make([]byte, 1)); err == nil {
		t.Error("an open stream was not closed")
	}
	if refusal := s.add(b); refusal != refuseTotal {
		t.Errorf("a stream was taken in afterwards: %q", refusal)
	}
}

func TestRevocations_ForgetTheOldest(t *testing.T) {
	var r revocations
	for i := range maxRevoked + 2 {
		r.add(strconv.Itoa(i))
		r.add(strconv.Itoa(i))
	}
	if r.has("0") || r.has("1") || !r.has("2") || !r.has(strconv.Itoa(maxRevoked+1)) || len(r.calls) != maxRevoked {
		t.Errorf("%d remembered", len(r.calls))
	}
}

func TestTable_OldEventsMissNewAllocations(t *testing.T) {
	tb := newTable()
	c := client{addr: netip.MustParseAddrPort("192.0.2.1:1")}
	made := func(relay string) *allocation {
		return &allocation{client: c, relay: netip.MustParseAddrPort(relay), id: identity{call: "call_1"}, gone: make(chan struct{})}
	}
	old, fresh := made("127.0.0.1:1"), made("127.0.0.1:2")
	tb.add(old)
	close(old.gone)
	tb.remove(old)
	tb.add(fresh)
	tb.remove(old)
	if tb.of(c) != fresh || tb.event(old.relay) != old || tb.relayAt(old.relay) != nil || len(tb.ofCall("call_1")) != 1 {
		t.Error("an ended allocation still counts")
	}
	tb.forget(old)
	if tb.event(old.relay) != nil {
		t.Error("a released relay is still known")
	}
}

func TestConfig_ZeroValueIsSafe(t *testing.T) {
	c, err := Config{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	other, _ := Config{}.withDefaults()
	if len(c.Secret) < 32 || c.Secret == other.Secret {
		t.Error("the secret can be guessed")
	}
	c.Secret, c.Clock = "", nil
	want := Config{
		UDPAddr: "127.0.0.1:0", TCPAddr: "127.0.0.1:0", TLSAddr: Off, Realm: "parley",
		RelayIP: netip.MustParseAddr("127.0.0.1"), ExternalIP: netip.MustParseAddr("127.0.0.1"), RelayPorts: [2]uint16{49152, 65535},
		MaxTTL: 24 * time.Hour, NonceLife: 10 * time.Minute, UserCallQuota: 4, UserQuota: 8, CallQuota: 16,
		Bandwidth: 256 << 10, UnauthorizedPerSecond: 100, StreamsPerIP: 64, MaxStreams: 8192,
		SilentAfter: 10 * time.Second, ReloadEvery: 30 * time.Second,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v", c)
	}
}
