package media

import (
	"sync"

	"github.com/pion/rtcp"
)

// reception keeps what a receiver report says of one incoming stream (RFC 3550,
// A.3 and A.8): without it a browser does not know what is lost on its way up.
type reception struct {
	rmu      sync.Mutex // guards what follows
	ssrc     uint32
	received uint32
	baseSeq  uint32
	highSeq  uint32 // extended by its cycles
	transit  int64
	jitter   float64

	lastExpected, lastReceived uint32 // at the last report

	srTime uint32 // middle bits of the NTP time in the last sender report
	srAt   int64  // when it came; 0: none did
}

// arrived counts a packet that came at now (ns).
func (r *reception) arrived(ssrc uint32, p *packet, now int64) {
	r.rmu.Lock()
	defer r.rmu.Unlock()
	transit := now*48/1e6 - int64(p.ts)
	if r.received == 0 || r.ssrc != ssrc {
		r.ssrc, r.received, r.jitter = ssrc, 1, 0
		r.baseSeq, r.highSeq, r.transit = uint32(p.seq), uint32(p.seq), transit
		r.lastExpected, r.lastReceived, r.srAt = 0, 0, 0
		return
	}
	r.received++
	ahead := int16(p.seq - uint16(r.highSeq))
	if ahead > 0 {
		r.highSeq += uint32(ahead)
	}
	d := int64(int32(transit - r.transit)) // timestamps wrap
	r.transit = transit
	r.jitter += (float64(max(d, -d)) - r.jitter) / 16
}

// reported notes a sender report that came at now.
func (r *reception) reported(ssrc uint32, ntp uint64, now int64) {
	r.rmu.Lock()
	defer r.rmu.Unlock()
	if ssrc == r.ssrc {
		r.srTime, r.srAt = uint32(ntp>>16), now
	}
}

// report returns the block for the time since the last one; ok is false before
// the first packet.
func (r *reception) report(now int64) (b rtcp.ReceptionReport, ok bool) {
	r.rmu.Lock()
	defer r.rmu.Unlock()
	if r.received == 0 {
		return b, false
	}
	expected := r.highSeq - r.baseSeq + 1
	since, got := expected-r.lastExpected, r.received-r.lastReceived
	r.lastExpected, r.lastReceived = expected, r.received
	b = rtcp.ReceptionReport{SSRC: r.ssrc, LastSequenceNumber: r.highSeq, Jitter: uint32(r.jitter)}
	if since > got {
		b.FractionLost = uint8(min((since-got)*256/since, 255))
	}
	if r.srAt != 0 {
		b.LastSenderReport, b.Delay = r.srTime, uint32((now-r.srAt)*65536/1e9)
	}
	if expected > r.received {
		b.TotalLost = min(expected-r.received, 1<<23-1)
	}
	return b, true
}

// lost returns how many packets of the stream never came.
func (r *reception) lost() uint32 {
	r.rmu.Lock()
	defer r.rmu.Unlock()
	if expected := r.highSeq - r.baseSeq + 1; r.received > 0 && expected > r.received {
		return expected - r.received
	}
	return 0
}
