package media_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"parley/media"
	"parley/wire"
)

func TestMain(m *testing.M) {
	if os.Getenv(serverEnv) != "" {
		if err := serveBench(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	room     wire.CallID = "call_test"
	patience             = 20 * time.Second
	levelURI             = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
)

// served starts an SFU that ends with the test.
func served(t testing.TB, cfg media.Config, deps media.Deps) *media.SFU {
	t.Helper()
	s, err := media.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func as(name string) media.Participant {
	return media.Participant{User: wire.UserID(name), Device: wire.DeviceID("dev_" + name)}
}

// heard is a packet that a client received.
type heard struct {
	mid string
	rtp.Packet
}

// client is a participant made of a real PeerConnection.
type client struct {
	media.Participant
	pc        *webrtc.PeerConnection
	mux       *ice.UDPMuxDefault
	socket    net.PacketConn
	mic       *webrtc.TrackLocalStaticRTP
	sender    *webrtc.RTPSender
	connected chan struct{}
	heard     chan heard
	readers   sync.WaitGroup
	saying    sync.Mutex
	seq       uint16
	level     uint8
	others    int // packets of others that came while waiting for somebody
	answer    string
	slots     []media.Slot
}

var silence = &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}

// clientAPI makes an API whose connections use a socket of their own, which
// the test may close to make the client vanish without a word.
func clientAPI(t testing.TB) (*webrtc.API, *ice.UDPMuxDefault, net.PacketConn) {
	t.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	mux := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: socket, Logger: silence.NewLogger("ice")})
	me := &webrtc.MediaEngine{}
	for pt, c := range map[webrtc.PayloadType]webrtc.RTPCodecCapability{
		111: {MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1"},
		63:  {MimeType: "audio/red", ClockRate: 48000, Channels: 2, SDPFmtpLine: "111/111"},
	} {
		if err := me.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: c, PayloadType: pt}, webrtc.RTPCodecTypeAudio); err != nil {
			t.Fatal(err)
		}
	}
	if err := me.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: levelURI}, webrtc.RTPCodecTypeAudio); err != nil {
		t.Fatal(err)
	}
	se := webrtc.SettingEngine{LoggerFactory: silence}
	se.SetIncludeLoopbackCandidate(true)
	se.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	se.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	se.SetHostAcceptanceMinWait(0)
	se.SetPrflxAcceptanceMinWait(0)
	se.SetICEUDPMux(mux)
	return webrtc.NewAPI(webrtc.WithMediaEngine(me), webrtc.WithSettingEngine(se),
		webrtc.WithInterceptorRegistry(&interceptor.Registry{})), mux, socket
}

// newClient makes a participant with a microphone and so many slots, and its offer.
func newClient(t testing.TB, name string, slots int) (*client, string) {
	t.Helper()
	return newClientWith(t, name, slots, webrtc.MimeTypeOpus)
}

// newClientWith makes a participant whose microphone sends mime.
func newClientWith(t testing.TB, name string, slots int, mime string) (*client, string) {
	t.Helper()
	api, mux, socket := clientAPI(t)
	pc, err := api.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{Participant: as(name), pc: pc, mux: mux, socket: socket, connected: make(chan struct{}), heard: make(chan heard, 4096)}
	var once sync.Once
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(c.connected) })
		}
	})
	pc.OnTrack(c.listen)
	codec := webrtc.RTPCodecCapability{MimeType: mime, ClockRate: 48000, Channels: 2}
	if mime != webrtc.MimeTypeOpus {
		codec.SDPFmtpLine = "111/111"
	}
	if c.mic, err = webrtc.NewTrackLocalStaticRTP(codec, "mic", name); err != nil {
		t.Fatal(err)
	}
	send := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}
	tr, err := pc.AddTransceiverFromTrack(c.mic, send)
	if err != nil {
		t.Fatal(err)
	}
	c.sender = tr.Sender()
	for range slots {
		recv := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
		if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio, recv); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(c.hangUp)
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	return c, offer.SDP
}

func (c *client) hangUp() {
	_ = c.pc.GracefulClose()
	c.readers.Wait()
	_ = c.mux.Close()
	_ = c.socket.Close()
}

func (c *client) listen(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
	c.readers.Add(1)
	defer c.readers.Done()
	mid := r.RTPTransceiver().Mid()
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		select {
		case c.heard <- heard{mid, *p}:
		default:
		}
	}
}

// join takes a client into the room and waits until both ends are connected.
func join(t testing.TB, s *media.SFU, name string, slots int) *client {
	t.Helper()
	c, offer := newClient(t, name, slots)
	c.enter(t, s, room, offer)
	c.await(t)
	waitUntil(t, "the server is connected, too", func() bool { return stateOf(s, c.Participant) == "connected" })
	return c
}

func (c *client) enter(t testing.TB, s *media.SFU, room wire.CallID, offer string) {
	t.Helper()
	answer, got, err := s.Join(t.Context(), room, c.Participant, offer)
	if err != nil {
		t.Fatal(err)
	}
	c.answer, c.slots = answer, got
	c.accept(t, answer)
}

func (c *client) accept(t testing.TB, answer string) {
	t.Helper()
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
}

func (c *client) await(t testing.TB) {
	t.Helper()
	select {
	case <-c.connected:
	case <-time.After(patience):
		t.Fatalf("%s does not get connected", c.User)
	}
}

// say sends one packet whose payload names the client and the number of the packet.
func (c *client) say(t testing.TB) []byte {
	t.Helper()
	c.saying.Lock()
	defer c.saying.Unlock()
	c.seq++
	payload := fmt.Appendf(nil, "%s %d", c.User, c.seq)
	p := &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: c.seq, Timestamp: uint32(c.seq) * 960}, Payload: payload}
	if c.level != 0 {
		if err := p.SetExtension(c.levelID(), []byte{c.level}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.mic.WriteRTP(p); err != nil {
		t.Fatal(err)
	}
	return payload
}

func (c *client) levelID() uint8 {
	for _, x := range c.sender.GetParameters().HeaderExtensions {
		if x.URI == levelURI {
			return uint8(x.ID)
		}
	}
	return 0
}

// hears keeps talker talking until c has heard a packet of it, and returns it.
func (c *client) hears(t testing.TB, talker *client) heard {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		talker.say(t)
		select {
		case <-deadline:
			t.Fatalf("%s does not hear %s", c.User, talker.User)
		case <-tick.C:
		}
		for len(c.heard) > 0 {
			h := <-c.heard
			if bytes.HasPrefix(h.Payload, []byte(talker.User+" ")) {
				return h
			}
			c.others++
		}
	}
}

func slotOf(slots []media.Slot, user wire.UserID) string {
	for _, s := range slots {
		if s.User == user {
			return s.MID
		}
	}
	return ""
}

// slotsNow is what the SFU says of a participant's slots at this moment.
func slotsNow(s *media.SFU, who media.Participant) []media.Slot { return infoOf(s, who).Slots }

func stateOf(s *media.SFU, who media.Participant) string { return infoOf(s, who).State }

func infoOf(s *media.SFU, who media.Participant) media.ParticipantInfo {
	for _, r := range s.Rooms() {
		for _, p := range r.Participants {
			if r.Room == room && p.Participant == who {
				return p
			}
		}
	}
	return media.ParticipantInfo{}
}

// number returns which of the talker's packets h is, by its payload.
func (h heard) number(talker *client) int {
	var n int
	_, _ = fmt.Sscanf(string(h.Payload), string(talker.User)+" %d", &n)
	return n
}

// clear forgets what was heard so far.
func (c *client) clear() {
	for len(c.heard) > 0 {
		<-c.heard
	}
}

// next calls send until something is heard after now.
func (c *client) next(t testing.TB, send func()) heard {
	t.Helper()
	c.clear()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		send()
		select {
		case h := <-c.heard:
			return h
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s hears nothing", c.User)
		}
	}
}

// talk sends a packet per interval until stopped.
func (c *client) talk(t testing.TB, every time.Duration) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				c.say(t)
			}
		}
	}()
	return func() { close(done); <-ended }
}
