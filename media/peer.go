package media

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

const receiveMTU = 1500

// peer is one participant's connection: a feed in, slots out.
type peer struct {
	Participant
	pc     *webrtc.PeerConnection
	offer  *offer
	feed   *feed
	slots  []*slot
	epoch  time.Time // of the monotonic nanoseconds that feeds and slots use
	notify func()    // called when state has changed

	state   atomic.Int32 // webrtc.PeerConnectionState
	readers sync.WaitGroup
	mic     chan *incoming
	done    chan struct{} // closed by close
	end     sync.Once

	// Guarded by the SFU's mutex:
	joined       time.Time
	wasConnected bool
	reported     bool // the observer was told Connected
	changed      bool // slots differ from what the client was told
	counted      counted
}

// newPeer answers o. The caller owns the peer and must close it.
func newPeer(ctx context.Context, e *engine, who Participant, o *offer, epoch time.Time, notify func()) (*peer, string, error) {
	pc, err := e.connection(o)
	if err != nil {
		return nil, "", fmt.Errorf("media: connection: %w", err)
	}
	p := &peer{
		Participant: who, pc: pc, offer: o, feed: &feed{user: who.User}, epoch: epoch, notify: notify,
		mic: make(chan *incoming, 1), done: make(chan struct{}),
	}
	p.readers.Go(p.listen)
	answer, err := p.answer(ctx)
	if err != nil {
		p.close()
		return nil, "", err
	}
	return p, answer, nil
}

func (p *peer) answer(ctx context.Context) (string, error) {
	p.pc.OnTrack(func(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
		select {
		case p.mic <- &incoming{t, r}:
		default: // one microphone; whatever else sends is not heard
		}
	})
	p.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		p.state.Store(int32(s))
		p.notify()
	})
	if err := p.addSections(); err != nil {
		return "", err
	}
	remote := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: p.offer.sdp}
	if err := p.pc.SetRemoteDescription(remote); err != nil {
		return "", refuse("the WebRTC stack does not take it")
	}
	p.nameSlots()
	answer, err := p.pc.CreateAnswer(nil)
	if err != nil {
		return "", refuse("the WebRTC stack cannot answer it")
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(answer); err != nil {
		return "", refuse("the WebRTC stack cannot apply its answer")
	}
	select {
	case <-gathered: // host addresses only: at once
		return p.pc.LocalDescription().SDP, nil
	case <-ctx.Done():
		return "", fmt.Errorf("media: gathering: %w", ctx.Err())
	}
}

// addSections makes a receiving transceiver for the microphone and a sending
// one for every receive-only section. pion pairs them with the sections in
// order; without the first, a sendrecv microphone would be given a slot.
func (p *peer) addSections() error {
	mic := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
	if _, err := p.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio, mic); err != nil {
		return fmt.Errorf("media: microphone: %w", err)
	}
	for i := range p.offer.slots {
		s := newSlot(i)
		init := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}
		t, err := p.pc.AddTransceiverFromTrack(s, init)
		if err != nil {
			return fmt.Errorf("media: slot: %w", err)
		}
		p.slots = append(p.slots, s)
		p.readers.Go(func() { p.drain(t.Sender()) })
	}
	return nil
}

// nameSlots takes the mids over that pion has given the transceivers.
func (p *peer) nameSlots() {
	for _, t := range p.pc.GetTransceivers() {
		if t.Sender() == nil {
			continue
		}
		if s, ok := t.Sender().Track().(*slot); ok {
			s.mid = t.Mid()
		}
	}
}

// drain reads the receiver's reports on a slot, which pion would keep otherwise.
func (p *peer) drain(s *webrtc.RTPSender) {
	buf := make([]byte, receiveMTU)
	for {
		if _, _, err := s.Read(buf); err != nil {
			return
		}
	}
}

// incoming is the microphone's track once its first packet is there.
type incoming struct {
	track    *webrtc.TrackRemote
	receiver *webrtc.RTPReceiver
}

// listen waits for the microphone and reads it until the connection closes.
func (p *peer) listen() {
	select {
	case in := <-p.mic:
		p.readers.Go(func() { p.readReports(in.receiver) })
		p.read(in)
	case <-p.done:
	}
}

func (p *peer) read(in *incoming) {
	var levelID uint8
	for _, x := range in.receiver.GetParameters().HeaderExtensions {
		if x.URI == levelURI {
			levelID = uint8(x.ID)
		}
	}
	ssrc := uint32(in.track.SSRC())
	buf := make([]byte, receiveMTU)
	var pkt packet
	for {
		n, _, err := in.track.Read(buf)
		if err != nil {
			return
		}
		if parsePacket(buf[:n], levelID, &pkt) && (pkt.pt == p.offer.opusPT || pkt.pt == p.offer.redPT) {
			pkt.red = pkt.pt == p.offer.redPT
			p.take(ssrc, &pkt)
		}
	}
}

// readReports takes the client's sender reports, from which it learns the round trip.
func (p *peer) readReports(r *webrtc.RTPReceiver) {
	buf := make([]byte, receiveMTU)
	for {
		n, _, err := r.Read(buf)
		if err != nil {
			return
		}
		packets, err := rtcp.Unmarshal(buf[:n])
		if err != nil {
			continue
		}
		for _, one := range packets {
			if sr, ok := one.(*rtcp.SenderReport); ok {
				p.feed.reported(sr.SSRC, sr.NTPTime, int64(time.Since(p.epoch)))
			}
		}
	}
}

// take counts and forwards one packet of the microphone.
func (p *peer) take(ssrc uint32, pkt *packet) {
	now := int64(time.Since(p.epoch))
	p.feed.arrived(ssrc, pkt, now)
	if p.feed.pace.admit(now, len(pkt.payload)) {
		p.feed.push(pkt, now)
	} else {
		p.feed.flooded.Add(1)
	}
}

// report tells the client how its microphone arrives.
func (p *peer) report() {
	if block, ok := p.feed.report(int64(time.Since(p.epoch))); ok {
		_ = p.pc.WriteRTCP([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{block}}})
	}
}

// close ends the connection and waits for its goroutines. Never call it with a
// lock held or from a callback of pion.
func (p *peer) close() {
	p.end.Do(func() { close(p.done) })
	_ = p.pc.GracefulClose() // what fails to close was not open
	p.readers.Wait()
}

// attached lists the slots that carry somebody. The SFU's mutex must be held.
func (p *peer) attached() []Slot {
	out := []Slot{}
	for _, s := range p.slots {
		if s.source != nil {
			out = append(out, Slot{MID: s.mid, User: s.source.user})
		}
	}
	return out
}
