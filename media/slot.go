package media

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// rtpWriter sends one packet to one receiver. pion's write stream is one;
// whatever encrypts and writes by itself can be another.
type rtpWriter interface {
	WriteRTP(header *rtp.Header, payload []byte) (int, error)
}

// binding is what the negotiation gave a slot.
type binding struct {
	out    rtpWriter
	ssrc   uint32
	opusPT uint8
	redPT  uint8 // 0: the receiver did not take RED
}

// slot is one receive-only section of a receiver: a stream that goes on while
// the talkers in it change. It is pion's local track of that section.
type slot struct {
	id  string // track id
	mid string // set before anybody can be attached

	bound   atomic.Pointer[binding]
	packets atomic.Uint64 // sent
	failed  atomic.Uint64 // not sent: the transport refused

	mu     sync.Mutex // guards what follows
	source *feed      // nil: free
	turn   uint32     // the source's turn when it last sent
	rw     rewriter
}

func newSlot(n int) *slot {
	s := &slot{id: fmt.Sprintf("slot-%d", n)}
	// Half the range: SRTP's rollover counter must not turn before both ends have seen a packet.
	s.rw.start(uint16(rand.N(1<<15)), rand.Uint32())
	return s
}

// attach makes f the talker of the slot, nil frees it.
func (s *slot) attach(f *feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.source != f {
		s.source = f
		s.rw.change()
	}
}

// send forwards a packet of f. hdr is f's scratch space.
func (s *slot) send(f *feed, p *packet, hdr *rtp.Header, now int64) {
	b := s.bound.Load()
	if b == nil {
		return
	}
	pt, payload := b.opusPT, p.payload
	if p.red {
		if b.redPT != 0 {
			pt = b.redPT
		} else if payload = redPrimary(payload); payload == nil {
			return
		}
	}
	if !s.number(f, p, hdr, now) {
		return
	}
	hdr.Version, hdr.PayloadType, hdr.SSRC = 2, pt, b.ssrc
	if n, err := b.out.WriteRTP(hdr, payload); err != nil {
		s.failed.Add(1)
	} else if n > 0 {
		s.packets.Add(1)
	}
}

// number fills in sequence number, timestamp and marker, unless the slot has another talker by now.
func (s *slot) number(f *feed, p *packet, hdr *rtp.Header, now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.source != f {
		return false
	}
	if turn := f.turn.Load(); s.turn != turn {
		s.turn = turn
		s.rw.change()
	}
	seq, ts, first, ok := s.rw.next(p.seq, p.ts, now)
	hdr.SequenceNumber, hdr.Timestamp, hdr.Marker = seq, ts, p.marker || first
	return ok
}

// Bind implements webrtc.TrackLocal.
func (s *slot) Bind(ctx webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	b := &binding{out: ctx.WriteStream(), ssrc: uint32(ctx.SSRC())}
	var opus webrtc.RTPCodecParameters
	for _, c := range ctx.CodecParameters() {
		switch {
		case strings.EqualFold(c.MimeType, webrtc.MimeTypeOpus) && b.opusPT == 0:
			b.opusPT, opus = uint8(c.PayloadType), c
		case strings.EqualFold(c.MimeType, mimeRED):
			b.redPT = uint8(c.PayloadType)
		}
	}
	if b.opusPT == 0 {
		return opus, webrtc.ErrUnsupportedCodec
	}
	s.bound.Store(b)
	return opus, nil
}

// Unbind implements webrtc.TrackLocal.
func (s *slot) Unbind(webrtc.TrackLocalContext) error {
	s.bound.Store(nil)
	return nil
}

// ID implements webrtc.TrackLocal.
func (s *slot) ID() string { return s.id }

// RID implements webrtc.TrackLocal.
func (s *slot) RID() string { return "" }

// StreamID implements webrtc.TrackLocal. Each slot is its own stream: voices are not played in step.
func (s *slot) StreamID() string { return s.id }

// Kind implements webrtc.TrackLocal.
func (s *slot) Kind() webrtc.RTPCodecType { return webrtc.RTPCodecTypeAudio }
