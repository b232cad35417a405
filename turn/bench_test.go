package turn_test

import (
	"testing"

	"github.com/pion/stun/v3"

	"parley/turn"
)

// BenchmarkRelay sends voice-sized packets through a channel to an echo peer,
// a window of them at a time. ns/packet is for one packet in one direction and
// counts client and peer too.
func BenchmarkRelay(b *testing.B) {
	for _, transport := range []string{"udp", "tcp", "tls"} {
		b.Run(transport, func(b *testing.B) {
			s := start(b, turn.Config{TLSAddr: "127.0.0.1:0", SelfSigned: true, AllowPeers: loopback, Bandwidth: 1 << 40})
			r := login(b, s, transport, "call_1", "alice")
			r.allocate()
			peer := peerAddress(addrPort(echo(b)))
			r.expect(r.ask(stun.MethodChannelBind, channelNumber(0x4000), peer), 0)
			packet := channelData(0x4000, make([]byte, 160))
			b.ReportAllocs()
			for sent := 0; sent < b.N; {
				window := min(32, b.N-sent)
				for range window {
					r.write(packet)
				}
				for range window {
					r.read()
				}
				sent += window
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/packet")
		})
	}
}

// BenchmarkAllocate makes and ends an allocation, its credential checked twice.
func BenchmarkAllocate(b *testing.B) {
	s := start(b, turn.Config{})
	r := login(b, s, "udp", "call_1", "alice")
	for b.Loop() {
		r.allocate()
		r.expect(r.ask(stun.MethodRefresh, lifetime(0)), 0)
	}
}

// BenchmarkUnauthorized is what a stranger's Allocate costs.
func BenchmarkUnauthorized(b *testing.B) {
	s := start(b, turn.Config{UnauthorizedPerSecond: 1 << 30})
	r := dialRaw(b, s, "udp", "")
	for b.Loop() {
		r.challenge()
	}
}
