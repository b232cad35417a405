package turn_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"parley/turn"
)

// raw is a TURN client that says exactly what a test tells it to.
type raw struct {
	t                  testing.TB
	conn               net.Conn
	username, password string
	realm, nonce       string
	fingerprint        bool
	buf                []byte // of datagrams read
}

// dialRaw connects without a credential; from is a local address or "".
func dialRaw(t testing.TB, s *turn.Server, transport, from string) *raw {
	t.Helper()
	var conn net.Conn
	var err error
	to := s.Addr(transport).String()
	switch transport {
	case "udp":
		d := net.Dialer{}
		if from != "" {
			d.LocalAddr = net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from))
		}
		conn, err = d.Dial("udp", to)
	case "tcp":
		conn, err = net.Dial("tcp", to)
	default:
		conn, err = tls.Dial("tcp", to, trusting(s))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &raw{t: t, conn: conn}
}

// login connects as a user in a call and fetches realm and nonce.
func login(t testing.TB, s *turn.Server, transport, call, user string) *raw {
	t.Helper()
	r := dialRaw(t, s, transport, "")
	r.as(s, call, user)
	return r
}

// as takes on a user's credential and a fresh nonce.
func (r *raw) as(s *turn.Server, call, user string) {
	r.t.Helper()
	r.username, r.password = s.Credentials(call, user, time.Hour)
	r.challenge()
}

// challenge fetches realm and nonce with an unsigned request.
func (r *raw) challenge() *stun.Message {
	r.t.Helper()
	answer := r.exchange(stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), transportUDP))
	r.realm, r.nonce = text(answer, stun.AttrRealm), text(answer, stun.AttrNonce)
	if code(answer) != 401 || r.nonce == "" {
		r.t.Fatalf("challenge answered %d: %v", code(answer), answer)
	}
	return answer
}

// signed builds a request with the client's credential.
func (r *raw) signed(method stun.Method, attrs ...stun.Setter) *stun.Message {
	list := []stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}
	list = append(list, attrs...)
	list = append(list, stun.NewUsername(r.username), stun.NewRealm(r.realm), stun.NewNonce(r.nonce),
		stun.NewLongTermIntegrity(r.username, r.realm, r.password))
	if r.fingerprint {
		list = append(list, stun.Fingerprint)
	}
	return stun.MustBuild(list...)
}

// ask sends a signed request and returns its answer.
func (r *raw) ask(method stun.Method, attrs ...stun.Setter) *stun.Message {
	r.t.Helper()
	return r.exchange(r.signed(method, attrs...))
}

// exchange sends m and returns the answer to it.
func (r *raw) exchange(m *stun.Message) *stun.Message {
	r.t.Helper()
	r.write(m.Raw)
	answer := r.message()
	if answer.TransactionID != m.TransactionID {
		r.t.Fatalf("got %v, an answer to something else", answer)
	}
	return answer
}

// unanswered sends b and checks that the server says nothing to it: the next
// thing it says answers a Binding sent after it.
func (r *raw) unanswered(b []byte) {
	r.t.Helper()
	r.write(b)
	if answer := r.exchange(bindingRequest()); answer.Type != stun.BindingSuccess {
		r.t.Fatalf("got %v", answer)
	}
}

func (r *raw) write(b []byte) {
	r.t.Helper()
	if _, err := r.conn.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

// read returns the next datagram or frame.
func (r *raw) read() []byte {
	r.t.Helper()
	b, err := r.tryRead()
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (r *raw) tryRead() ([]byte, error) {
	_ = r.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, ok := r.conn.(*net.UDPConn); ok {
		if r.buf == nil {
			r.buf = make([]byte, 65536)
		}
		n, err := r.conn.Read(r.buf)
		return r.buf[:n], err
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(r.conn, head); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint16(head[2:]))
	rest := (length + 3) &^ 3
	if head[0] < 0x40 {
		rest = length + 16
	}
	body := make([]byte, rest)
	if _, err := io.ReadFull(r.conn, body); err != nil {
		return nil, err
	}
	if head[0] >= 0x40 {
		body = body[:length]
	}
	return append(head, body...), nil
}

func (r *raw) message() *stun.Message {
	r.t.Helper()
	m := &stun.Message{Raw: append([]byte(nil), r.read()...)}
	if err := m.Decode(); err != nil {
		r.t.Fatal(err)
	}
	return m
}

// closed checks that the server closes the connection.
func (r *raw) closed() {
	r.t.Helper()
	for {
		if _, err := r.tryRead(); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				r.t.Fatal("the server left the connection open")
			}
			return
		}
	}
}

// allocate makes an allocation and returns its relay address.
func (r *raw) allocate(attrs ...stun.Setter) netip.AddrPort {
	r.t.Helper()
	answer := r.ask(stun.MethodAllocate, append([]stun.Setter{transportUDP}, attrs...)...)
	r.expect(answer, 0)
	return relayed(r.t, answer)
}

// expect checks the answer's code, 0 for success, and that the server signed it.
func (r *raw) expect(answer *stun.Message, want int) {
	r.t.Helper()
	if got := code(answer); got != want {
		r.t.Fatalf("answered %d, want %d", got, want)
	}
	if err := stun.NewLongTermIntegrity(r.username, r.realm, r.password).Check(answer); err != nil {
		r.t.Fatalf("answer %d not signed: %v", want, err)
	}
}

func relayed(t testing.TB, answer *stun.Message) netip.AddrPort {
	t.Helper()
	var relay stun.XORMappedAddress
	if err := relay.GetFromAs(answer, stun.AttrXORRelayedAddress); err != nil {
		t.Fatal(err)
	}
	ip, _ := netip.AddrFromSlice(relay.IP)
	return netip.AddrPortFrom(ip.Unmap(), uint16(relay.Port))
}

// code is the answer's error code, 0 for success.
func code(m *stun.Message) int {
	if m.Type.Class == stun.ClassSuccessResponse {
		return 0
	}
	var e stun.ErrorCodeAttribute
	if e.GetFrom(m) != nil {
		return -1
	}
	return int(e.Code)
}

func text(m *stun.Message, kind stun.AttrType) string {
	v, _ := m.Get(kind)
	return string(v)
}

func bindingRequest() *stun.Message { return stun.MustBuild(stun.TransactionID, stun.BindingRequest) }

// value is any attribute.
func value(kind stun.AttrType, v ...byte) stun.Setter {
	return stun.RawAttribute{Type: kind, Value: v}
}

var transportUDP = value(stun.AttrRequestedTransport, 17, 0, 0, 0)

func lifetime(seconds uint32) stun.Setter {
	return value(stun.AttrLifetime, binary.BigEndian.AppendUint32(nil, seconds)...)
}

func channelNumber(n uint16) stun.Setter {
	return value(stun.AttrChannelNumber, byte(n>>8), byte(n), 0, 0)
}

// peerAddress is XOR-PEER-ADDRESS in the family it is written in, also when
// that is an IPv4 address inside an IPv6 one.
type peerAddress netip.AddrPort

func (p peerAddress) AddTo(m *stun.Message) error {
	ap := netip.AddrPort(p)
	mask := append([]byte{0x21, 0x12, 0xA4, 0x42}, m.TransactionID[:]...)
	family := byte(1)
	if ap.Addr().Is6() {
		family = 2
	}
	v := []byte{0, family, byte(ap.Port()>>8) ^ 0x21, byte(ap.Port()) ^ 0x12}
	for i, b := range ap.Addr().AsSlice() {
		v = append(v, b^mask[i])
	}
	m.Add(stun.AttrXORPeerAddress, v)
	return nil
}

func peer(s string) stun.Setter { return peerAddress(netip.MustParseAddrPort(s)) }

func channelData(number uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, number)
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	return append(b, payload...)
}

func sendIndication(to netip.AddrPort, payload []byte) []byte {
	return stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication),
		peerAddress(to), value(stun.AttrData, payload...)).Raw
}

// listenPeer is a peer that a test reads by itself.
func listenPeer(t testing.TB) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// receives checks the next datagram at conn.
func receives(t testing.TB, conn *net.UDPConn, want []byte) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil || !bytes.Equal(buf[:n], want) {
		t.Fatalf("peer got %q, %v; want %q", buf[:n], err, want)
	}
}

func listenOn(addr netip.AddrPort) (*net.UDPConn, error) {
	return net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
}

// channelDataPadded is channelData as a stream carries it.
func channelDataPadded(number uint16, payload []byte, transport string) []byte {
	b := channelData(number, payload)
	for transport != "udp" && len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func addrPort(a net.Addr) netip.AddrPort { return netip.MustParseAddrPort(a.String()) }
