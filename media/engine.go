package media

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/sdp/v3"
	"github.com/pion/stun/v4"
	"github.com/pion/webrtc/v4"
)

const (
	socketBuffer = 4 << 20 // bytes each way on a shared socket: a burst of 4,000 participants
	// certificateLife outlives any process: pion refuses to use an expired
	// certificate, and peers look at the fingerprint only.
	certificateLife = 20 * 365 * 24 * time.Hour
)

// engine makes PeerConnections. Its sockets and certificate belong to the whole SFU.
type engine struct {
	cfg         Config
	certificate webrtc.Certificate
	sockets     []*net.UDPConn // empty when each participant gets its own
	mux         ice.UDPMux     // made by start
}

// listen opens the engine's sockets and starts nothing.
func listen(cfg Config) (*engine, error) {
	e := &engine{cfg: cfg}
	var err error
	if e.certificate, err = newCertificate(time.Now()); err != nil {
		return nil, err
	}
	if cfg.PortMin != 0 {
		return e, nil
	}
	addr, err := net.ResolveUDPAddr("udp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("media: address: %w", err)
	}
	hosts := []netip.Addr{addr.AddrPort().Addr().Unmap()}
	if addr.IP == nil || addr.IP.IsUnspecified() {
		if hosts, err = machineAddrs(); err != nil {
			return nil, err
		}
	}
	return e, e.bind(hosts, uint16(addr.Port))
}

// bind opens one socket on each host. The port that the first one gets is everybody's.
func (e *engine) bind(hosts []netip.Addr, port uint16) error {
	for _, h := range hosts {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(h, port)))
		if err != nil {
			e.close()
			return fmt.Errorf("media: listen: %w", err)
		}
		_ = c.SetReadBuffer(socketBuffer)  // the kernel's limit is good enough
		_ = c.SetWriteBuffer(socketBuffer) // likewise
		e.sockets = append(e.sockets, c)
		port = c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	}
	return nil
}

// machineAddrs lists the addresses on which others may reach this machine.
func machineAddrs() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("media: interfaces: %w", err)
	}
	var out []netip.Addr
	for _, a := range all {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().IsGlobalUnicast() {
			out = append(out, p.Addr())
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("media: this machine has no address but loopback: name one to listen on")
	}
	return out, nil
}

// start begins to read the sockets.
func (e *engine) start() {
	muxes := make([]ice.UDPMux, 0, len(e.sockets))
	for _, c := range e.sockets {
		// A reader that takes RTP off the socket before pion sees it goes between c and the mux.
		muxes = append(muxes, ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: c, Logger: quiet.NewLogger("ice")}))
	}
	switch len(muxes) {
	case 0:
	case 1:
		e.mux = muxes[0]
	default:
		e.mux = ice.NewMultiUDPMuxDefault(muxes...)
	}
}

func (e *engine) close() {
	if e.mux != nil {
		_ = e.mux.Close()
	}
	for _, c := range e.sockets {
		_ = c.Close()
	}
}

// quiet keeps pion's own log, which quotes SDP and addresses, out of ours.
var quiet = &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}

// connection makes the PeerConnection that will answer o.
func (e *engine) connection(o *offer) (*webrtc.PeerConnection, error) {
	me, err := mediaEngine(o)
	if err != nil {
		return nil, err
	}
	se, err := e.settings()
	if err != nil {
		return nil, err
	}
	// No interceptors: voice at 20 ms needs neither NACK nor transport-wide
	// feedback nor their statistics, which cost more than all the rest; receiver
	// reports are written by the peer itself.
	api := webrtc.NewAPI(webrtc.WithMediaEngine(me), webrtc.WithSettingEngine(se),
		webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	return api.NewPeerConnection(webrtc.Configuration{
		Certificates:  []webrtc.Certificate{e.certificate},
		BundlePolicy:  webrtc.BundlePolicyMaxBundle,
		RTCPMuxPolicy: webrtc.RTCPMuxPolicyRequire,
	})
}

// mediaEngine knows Opus, and RED if it was offered: nothing else can be negotiated.
func mediaEngine(o *offer) (*webrtc.MediaEngine, error) {
	me := &webrtc.MediaEngine{}
	opus := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: o.opusFmt}
	err := me.RegisterCodec(webrtc.RTPCodecParameters{
		RTPCodecCapability: opus, PayloadType: webrtc.PayloadType(o.opusPT),
	}, webrtc.RTPCodecTypeAudio)
	if err == nil && o.redPT != 0 {
		red := webrtc.RTPCodecCapability{
			MimeType: mimeRED, ClockRate: 48000, Channels: 2, SDPFmtpLine: fmt.Sprintf("%d/%d", o.opusPT, o.opusPT),
		}
		err = me.RegisterCodec(webrtc.RTPCodecParameters{
			RTPCodecCapability: red, PayloadType: webrtc.PayloadType(o.redPT),
		}, webrtc.RTPCodecTypeAudio)
	}
	for _, uri := range []string{levelURI, sdp.SDESMidURI} {
		if err == nil {
			err = me.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri},
				webrtc.RTPCodecTypeAudio, webrtc.RTPTransceiverDirectionRecvonly)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("media: codecs: %w", err)
	}
	return me, nil
}

// settings of one connection.
func (e *engine) settings() (webrtc.SettingEngine, error) {
	var se webrtc.SettingEngine
	se.LoggerFactory = quiet
	se.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	se.SetIncludeLoopbackCandidate(e.loopback())
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	se.SetICETimeouts(e.cfg.Disconnected, e.cfg.Failed, 2*time.Second)
	// AES-GCM costs half of AES-CM with HMAC-SHA1; the latter is what everybody has.
	se.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	// The DTLS server chooses. As its client we would get what the browser likes best, the dear one.
	if err := se.SetAnsweringDTLSRole(webrtc.DTLSRoleServer); err != nil {
		return se, fmt.Errorf("media: DTLS role: %w", err)
	}
	// ICE has authenticated whoever comes by the password in our answer: no cookie round.
	se.SetDTLSInsecureSkipHelloVerify(true)
	se.SetReceiveMTU(receiveMTU)
	se.SetHostAcceptanceMinWait(0)
	se.SetSrflxAcceptanceMinWait(0)
	se.SetPrflxAcceptanceMinWait(0)
	se.SetRelayAcceptanceMinWait(0)
	if !e.cfg.FullICE {
		se.SetLite(true)
		se.SetICEBindingRequestHandler(followClient())
	}
	if len(e.cfg.Announce) > 0 {
		err := se.SetICEAddressRewriteRules(webrtc.ICEAddressRewriteRule{
			External: e.cfg.Announce, AsCandidateType: webrtc.ICECandidateTypeHost, Mode: webrtc.ICEAddressRewriteReplace,
		})
		if err != nil {
			return se, fmt.Errorf("media: announced addresses: %w", err)
		}
	}
	if e.mux != nil {
		se.SetICEUDPMux(e.mux)
		return se, nil
	}
	if host, err := netip.ParseAddrPort(e.cfg.Addr); err == nil && !host.Addr().IsUnspecified() {
		only := net.IP(host.Addr().AsSlice())
		se.SetIPFilter(func(ip net.IP) bool { return ip.Equal(only) })
	}
	return se, se.SetEphemeralUDPPortRange(e.cfg.PortMin, e.cfg.PortMax)
}

// loopback reports whether clients are expected on this machine.
func (e *engine) loopback() bool {
	host, err := netip.ParseAddrPort(e.cfg.Addr)
	return err == nil && host.Addr().IsLoopback()
}

// followClient chooses the pair on which an ICE-lite server sends: the one of
// the first authenticated request, so that DTLS starts a round trip before the
// client nominates; then whichever the client nominates, also when it changes
// its network. pion calls it from the agent's one goroutine.
func followClient() func(*stun.Message, ice.Candidate, ice.Candidate, *ice.CandidatePair) bool {
	var current *ice.CandidatePair
	return func(m *stun.Message, _, _ ice.Candidate, pair *ice.CandidatePair) bool {
		if pair == nil || pair == current || (current != nil && !m.Contains(stun.AttrUseCandidate)) {
			return false
		}
		current = pair
		return true
	}
}

// newCertificate makes the certificate whose fingerprint all answers carry.
func newCertificate(now time.Time) (webrtc.Certificate, error) {
	var none webrtc.Certificate
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return none, fmt.Errorf("media: certificate: %w", err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "parley"},
		NotBefore:    now.Add(-24 * time.Hour),
		NotAfter:     now.Add(certificateLife),
	}
	cert, err := webrtc.NewCertificate(key, template)
	if err != nil {
		return none, fmt.Errorf("media: certificate: %w", err)
	}
	return *cert, nil
}
