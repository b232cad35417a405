package turn

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/iotest"
	"time"
)

// FuzzFrames feeds a stream's framing any bytes, whole and one at a time.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(vectorRequest + "\x40\x00\x00\x01x\x00\x00\x00" + vectorLongTerm))
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole := frames(t, bufio.NewReaderSize(bytes.NewReader(stream), maxPacket), stream)
		slow := frames(t, bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(stream)), maxPacket), stream)
		if whole != slow {
			t.Errorf("%d frames whole, %d byte by byte", whole, slow)
		}
	})
}

// frames counts what readFrame finds and checks that it takes all and only what it hands out.
func frames(t *testing.T, r *bufio.Reader, stream []byte) (n int) {
	for at := 0; ; n++ {
		frame, size, err := readFrame(r)
		if err != nil {
			return n
		}
		if len(frame) < channelHeader || size < len(frame) || size-len(frame) > 3 || size > maxPacket || size%4 != 0 {
			t.Fatalf("frame of %d in %d", len(frame), size)
		}
		if !bytes.Equal(frame, stream[at:at+len(frame)]) {
			t.Fatalf("frame is not what stands at %d", at)
		}
		at += size
		if _, err := r.Discard(size); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzParse feeds the parser any bytes.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{vectorRequest, vectorResponse4, vectorResponse6, vectorLongTerm} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m message
		if m.parse(b) != nil {
			return
		}
		end := headerSize
		for _, a := range m.attributes {
			if a.at < end+attrHeaderSize || a.at+len(a.value) > len(b) || m.integrity != 0 && a.at > m.integrity {
				t.Fatalf("attribute %#x at %d of %d, integrity at %d", a.kind, a.at, len(b), m.integrity)
			}
			end = a.at + len(a.value)
			_, _ = decodeAddress(a.value, m.id)
		}
		_ = m.authentic([]byte("key"))
		w := newBuilder(nil, m.method, m.class, m.id)
		for _, a := range m.attributes {
			w.attr(a.kind, a.value)
		}
		var again message
		if err := again.parse(w.b); err != nil || again.method != m.method || again.class != m.class || len(again.attributes) != len(m.attributes) {
			t.Fatalf("%v: %+v came back as %+v", err, m, again)
		}
	})
}

// FuzzRequest lets a user with a good credential ask for anything, and the
// guard hold: no panic, quotas and caps kept, no grant that the policy forbids.
func FuzzRequest(f *testing.F) {
	s, c := fuzzServer(f)
	username, pass := s.Credentials("call_1", "alice", time.Hour)
	key := authKey(username, s.cfg.Realm, pass)
	attrs := func(w *builder) []byte { return w.b[headerSize:] }
	empty := func() *builder { return newBuilder(nil, 0, 0, [12]byte{}) }
	peer := netip.MustParseAddrPort("127.0.0.9:9")
	f.Add(uint16(methodAllocate), attrs(empty().attr(attrRequestedTransport, []byte{17, 0, 0, 0})))
	f.Add(uint16(methodRefresh), attrs(empty().uint32(attrLifetime, 0)))
	f.Add(uint16(methodCreatePermission), attrs(empty().address(attrXORPeerAddress, peer)))
	f.Add(uint16(methodChannelBind), attrs(empty().attr(attrChannelNumber, []byte{0x40, 0, 0, 0}).address(attrXORPeerAddress, peer)))
	f.Fuzz(func(t *testing.T, method uint16, body []byte) {
		if len(body)%4 != 0 || len(body) > 2048 {
			return
		}
		g := &guard{s: s}
		ensureAllocation(s, c, g, username, key)
		g.handle(c, fuzzRequest(s, c, method, body, username, key))
		for _, a := range s.table.all() {
			checkGrants(t, s, a.grants.Load())
		}
		if n := s.Allocations(); n > 1 {
			t.Fatalf("%d allocations on one 5-tuple", n)
		}
	})
}

// fuzzServer runs a server and returns a client of it whose answers go to a deaf socket.
func fuzzServer(f *testing.F) (*Server, client) {
	s, err := New(Config{AllowPeers: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, TCPAddr: Off}, nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	deaf, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { cancel(); <-ended; _ = deaf.Close() })
	return s, client{listener: s.listeners[0], addr: addrPortOf(deaf.LocalAddr())}
}

func ensureAllocation(s *Server, c client, g *guard, username string, key []byte) {
	if s.table.of(c) == nil {
		transport := []byte{0, attrRequestedTransport, 0, 4, 17, 0, 0, 0}
		g.handle(c, fuzzRequest(s, c, methodAllocate, transport, username, key))
	}
}

func fuzzRequest(s *Server, c client, method uint16, body []byte, username string, key []byte) []byte {
	w := newBuilder(nil, method, classRequest, [12]byte{})
	w.attr(attrUsername, []byte(username)).attr(attrRealm, []byte(s.cfg.Realm)).
		attr(attrNonce, s.nonces.make(overUDP, c.addr, s.cfg.Clock.Now()))
	w.b = append(w.b, body...)
	return w.sign(key).b
}

func checkGrants(t *testing.T, s *Server, g *grants) {
	if len(g.peers) > maxGrants || len(g.byNumber) > maxGrants || len(g.byNumber) != len(g.byPeer) {
		t.Fatalf("%d permissions, %d channels to %d peers", len(g.peers), len(g.byNumber), len(g.byPeer))
	}
	for peer := range g.peers {
		if !s.policy.addressAllowed(peer) || peer.Is6() {
			t.Fatalf("permission for %v", peer)
		}
	}
	for number, peer := range g.byNumber {
		if number < minChannel || number > maxChannel || g.byPeer[peer] != number || !s.policy.portAllowed(peer) {
			t.Fatalf("channel %#x to %v", number, peer)
		}
	}
}
