package client

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// ICEServer is a STUN or TURN server as calls.start and calls.answer give it.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// VoiceOptions of a Voice. Callbacks run on goroutines of the connection and must not block.
type VoiceOptions struct {
	ICEServers []ICEServer
	// RelayOnly never shows a host or reflexive address.
	RelayOnly bool
	// Listen is how many sections to receive on, for calls through the SFU; 0 for direct ones.
	Listen int
	// OnCandidate receives each local candidate as it is found (RTCIceCandidateInit).
	OnCandidate func(webrtc.ICECandidateInit)
	// OnAudio receives every packet of the other side with the mid of its section.
	OnAudio func(mid string, p *rtp.Packet)
	// OnConnected is called when media can flow, and again after each reconnect.
	OnConnected func()
	// Certificate is kept per device, so that the fingerprint survives reconnects. nil makes one.
	Certificate *webrtc.Certificate
}

// Voice is one WebRTC connection that sends and receives Opus.
type Voice struct {
	pc    *webrtc.PeerConnection
	track *webrtc.TrackLocalStaticRTP

	mu      sync.Mutex
	pending []webrtc.ICECandidateInit // remote candidates that came before the remote description
	remote  bool
	seq     uint16
	stamp   uint32
}

// opusPayload is the payload type the packets are written with; pion rewrites it as negotiated.
const opusPayload = 111

// NewVoice makes a connection; Close ends it.
func NewVoice(opts VoiceOptions) (*Voice, error) {
	var media webrtc.MediaEngine
	if err := media.RegisterDefaultCodecs(); err != nil {
		return nil, fmt.Errorf("client: codecs: %w", err)
	}
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.SetHostAcceptanceMinWait(0)
	settings.SetSrflxAcceptanceMinWait(0)
	settings.SetPrflxAcceptanceMinWait(0)
	settings.SetRelayAcceptanceMinWait(relayWait(opts))
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithSettingEngine(settings))
	pc, err := api.NewPeerConnection(configuration(opts))
	if err != nil {
		return nil, fmt.Errorf("client: voice: %w", err)
	}
	v := &Voice{pc: pc}
	if err := v.setUp(opts); err != nil {
		return nil, errors.Join(err, pc.Close())
	}
	return v, nil
}

func configuration(opts VoiceOptions) webrtc.Configuration {
	cfg := webrtc.Configuration{}
	for _, s := range opts.ICEServers {
		cfg.ICEServers = append(cfg.ICEServers, webrtc.ICEServer{URLs: s.URLs, Username: s.Username, Credential: s.Credential})
	}
	if opts.RelayOnly {
		cfg.ICETransportPolicy = webrtc.ICETransportPolicyRelay
	}
	if opts.Certificate != nil {
		cfg.Certificates = []webrtc.Certificate{*opts.Certificate}
	}
	return cfg
}

func (v *Voice) setUp(opts VoiceOptions) error {
	var err error
	v.track, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "voice", "parley")
	if err != nil {
		return fmt.Errorf("client: track: %w", err)
	}
	if _, err := v.pc.AddTrack(v.track); err != nil {
		return fmt.Errorf("client: track: %w", err)
	}
	for range opts.Listen {
		if _, err := v.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			return fmt.Errorf("client: section: %w", err)
		}
	}
	v.pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		if c != nil && opts.OnCandidate != nil {
			opts.OnCandidate(c.ToJSON())
		}
	})
	v.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected && opts.OnConnected != nil {
			opts.OnConnected()
		}
	})
	v.pc.OnTrack(func(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
		mid := v.midOf(r)
		for {
			p, _, err := t.ReadRTP()
			if err != nil {
				return // the connection has ended
			}
			if opts.OnAudio != nil {
				opts.OnAudio(mid, p)
			}
		}
	})
	return nil
}

func (v *Voice) midOf(r *webrtc.RTPReceiver) string {
	for _, t := range v.pc.GetTransceivers() {
		if t.Receiver() == r {
			return t.Mid()
		}
	}
	return ""
}

// Offer makes the local offer and starts gathering.
func (v *Voice) Offer(restart bool) (sdp string, err error) {
	offer, err := v.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: restart})
	if err != nil {
		return "", fmt.Errorf("client: offer: %w", err)
	}
	if err := v.pc.SetLocalDescription(offer); err != nil {
		return "", fmt.Errorf("client: offer: %w", err)
	}
	return offer.SDP, nil
}

// Answer takes the other side's offer and returns the local answer.
func (v *Voice) Answer(offer string) (sdp string, err error) {
	if err := v.setRemote(webrtc.SDPTypeOffer, offer); err != nil {
		return "", err
	}
	answer, err := v.pc.CreateAnswer(nil)
	if err != nil {
		return "", fmt.Errorf("client: answer: %w", err)
	}
	if err := v.pc.SetLocalDescription(answer); err != nil {
		return "", fmt.Errorf("client: answer: %w", err)
	}
	return answer.SDP, nil
}

// Accept takes the other side's answer.
func (v *Voice) Accept(answer string) error { return v.setRemote(webrtc.SDPTypeAnswer, answer) }

func (v *Voice) setRemote(kind webrtc.SDPType, sdp string) error {
	if err := v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: kind, SDP: sdp}); err != nil {
		return fmt.Errorf("client: remote description: %w", err)
	}
	v.mu.Lock()
	pending := v.pending
	v.pending, v.remote = nil, true
	v.mu.Unlock()
	for _, c := range pending {
		if err := v.pc.AddICECandidate(c); err != nil {
			return fmt.Errorf("client: candidate: %w", err)
		}
	}
	return nil
}

// Candidate takes a candidate of the other side, before or after its description.
func (v *Voice) Candidate(c webrtc.ICECandidateInit) error {
	v.mu.Lock()
	if !v.remote {
		v.pending = append(v.pending, c)
		v.mu.Unlock()
		return nil
	}
	v.mu.Unlock()
	if err := v.pc.AddICECandidate(c); err != nil {
		return fmt.Errorf("client: candidate: %w", err)
	}
	return nil
}

// WriteOpus sends one 20 ms Opus frame.
func (v *Voice) WriteOpus(frame []byte) error {
	v.mu.Lock()
	v.seq++
	v.stamp += 960
	p := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: opusPayload, SequenceNumber: v.seq, Timestamp: v.stamp}, Payload: frame}
	v.mu.Unlock()
	return v.track.WriteRTP(p)
}

// Fingerprints returns the SHA-256 fingerprints of both certificates, as the
// descriptions name them; the connection is closed when the handshake shows another.
func (v *Voice) Fingerprints() (local, remote []byte, err error) {
	l, r := v.pc.LocalDescription(), v.pc.RemoteDescription()
	if l == nil || r == nil {
		return nil, nil, errors.New("client: no descriptions yet")
	}
	if local, err = Fingerprint(l.SDP); err != nil {
		return nil, nil, err
	}
	remote, err = Fingerprint(r.SDP)
	return local, remote, err
}

// Fingerprint reads the SHA-256 certificate fingerprint of an SDP (RFC 8122, section 5).
func Fingerprint(sdp string) ([]byte, error) {
	for line := range strings.Lines(sdp) {
		value, ok := strings.CutPrefix(strings.TrimSpace(line), "a=fingerprint:sha-256 ")
		if !ok {
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(value, ":", ""))
		if err != nil || len(b) != 32 {
			return nil, errors.New("client: malformed fingerprint in the SDP")
		}
		return b, nil
	}
	return nil, errors.New("client: the SDP has no sha-256 fingerprint")
}

// directFirst is how long a path through the relay waits for a direct one that is
// slower to answer: the relay ends with its node, a direct path does not.
const directFirst = 150 * time.Millisecond

func relayWait(opts VoiceOptions) time.Duration {
	if opts.RelayOnly {
		return 0
	}
	return directFirst
}

// Route tells how the media goes: "direct" or "relay".
func (v *Voice) Route() string {
	for _, t := range v.pc.GetSenders() {
		if d := t.Transport(); d != nil && d.ICETransport() != nil {
			if pair, err := d.ICETransport().GetSelectedCandidatePair(); err == nil && pair != nil {
				if pair.Local.Typ == webrtc.ICECandidateTypeRelay || pair.Remote.Typ == webrtc.ICECandidateTypeRelay {
					return "relay"
				}
				return "direct"
			}
		}
	}
	return "direct"
}

// Close ends the connection and everything it started.
func (v *Voice) Close() error { return v.pc.GracefulClose() }
