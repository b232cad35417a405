package media

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

const (
	maxOffer = 64 << 10 // bytes
	maxMID   = 16       // characters
	mimeRED  = "audio/red"
	levelURI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
)

// offer is what the SFU needs to know of a client's SDP.
type offer struct {
	sdp     string   // without candidates
	mic     string   // mid of the section that sends
	slots   []string // mids of the sections that receive, in their order
	opusPT  uint8
	opusFmt string
	redPT   uint8 // 0: not offered
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrOffer, fmt.Sprintf(format, args...))
}

// parseOffer checks the whole shape of an offer before pion sees it, and says
// what to change in words that quote none of it.
func parseOffer(text string) (*offer, error) {
	if len(text) > maxOffer {
		return nil, refuse("it is longer than %d bytes", maxOffer)
	}
	var sd sdp.SessionDescription
	if err := sd.UnmarshalString(text); err != nil {
		return nil, refuse("it is not SDP (RFC 8866)")
	}
	if n := len(sd.MediaDescriptions); n == 0 || n > maxSlots+1 {
		return nil, refuse("it must have one sending and at most %d receive-only audio sections", maxSlots)
	}
	o := &offer{sdp: withoutCandidates(text)}
	for i, m := range sd.MediaDescriptions {
		if err := o.section(i, &sd, m); err != nil {
			return nil, err
		}
	}
	if o.mic == "" {
		return nil, refuse("one audio section must be sendonly or sendrecv: the microphone")
	}
	return o, o.bundled(&sd)
}

// section checks the i-th media section.
func (o *offer) section(i int, sd *sdp.SessionDescription, m *sdp.MediaDescription) error {
	if m.MediaName.Media != "audio" {
		return refuse("section %d is not audio: offer only audio sections", i)
	}
	if m.MediaName.Port.Value == 0 {
		return refuse("section %d is switched off by port 0: leave it out", i)
	}
	if err := secured(i, sd, m); err != nil {
		return err
	}
	mid, _ := m.Attribute("mid")
	if mid == "" || len(mid) > maxMID || strings.ContainsFunc(mid, notToken) {
		return refuse("section %d needs an a=mid of 1 to %d letters, digits, - or _", i, maxMID)
	}
	for _, a := range m.Attributes {
		if a.Key == "rid" || a.Key == "simulcast" {
			return refuse("section %d offers simulcast, which audio has no use for", i)
		}
	}
	opus, red := codecs(m)
	if opus == nil {
		return refuse("section %d does not offer opus/48000/2", i)
	}
	return o.place(i, mid, m, opus, red)
}

// place notes the section as the microphone or as a slot.
func (o *offer) place(i int, mid string, m *sdp.MediaDescription, opus, red *sdp.Codec) error {
	if slices.Contains(o.mids(), mid) {
		return refuse("section %d has the a=mid of another one", i)
	}
	if i > 0 && opus.PayloadType != o.opusPT {
		return refuse("section %d gives opus another payload type than the first one", i)
	}
	if o.opusPT, o.opusFmt = opus.PayloadType, opus.Fmtp; red != nil {
		o.redPT = red.PayloadType
	}
	switch direction(m) {
	case "sendrecv", "sendonly":
		if o.mic != "" {
			return refuse("section %d sends, and so does another: one microphone, the others recvonly", i)
		}
		o.mic = mid
	case "recvonly":
		o.slots = append(o.slots, mid)
	default:
		return refuse("section %d is inactive: leave it out", i)
	}
	return nil
}

// secured checks that the section is ICE and DTLS-SRTP with RTCP multiplexed.
func secured(i int, sd *sdp.SessionDescription, m *sdp.MediaDescription) error {
	for _, need := range []string{"ice-ufrag", "ice-pwd", "fingerprint", "setup"} {
		_, here := m.Attribute(need)
		_, above := sd.Attribute(need)
		if !here && !above {
			return refuse("section %d lacks a=%s", i, need)
		}
	}
	if _, ok := m.Attribute("rtcp-mux"); !ok {
		return refuse("section %d lacks a=rtcp-mux", i)
	}
	return nil
}

// bundled checks that all sections share one transport.
func (o *offer) bundled(sd *sdp.SessionDescription) error {
	group, _ := sd.Attribute("group")
	words := strings.Fields(group)
	if len(words) == 0 || words[0] != "BUNDLE" {
		return refuse("it lacks a=group:BUNDLE (bundlePolicy max-bundle)")
	}
	in := make(map[string]bool, len(words))
	for _, w := range words[1:] {
		in[w] = true
	}
	for _, mid := range o.mids() {
		if !in[mid] {
			return refuse("a=group:BUNDLE does not name every section")
		}
	}
	return nil
}

// mids of all sections seen so far, the microphone's last.
func (o *offer) mids() []string { return slices.Concat(o.slots, []string{o.mic}) }

// codecs returns the section's Opus, and the RED whose content is that Opus.
func codecs(m *sdp.MediaDescription) (opus, red *sdp.Codec) {
	var reds []*sdp.Codec
	one := sdp.SessionDescription{MediaDescriptions: []*sdp.MediaDescription{m}}
	known := one.GetCodecMap()
	for _, f := range m.MediaName.Formats {
		pt, err := strconv.ParseUint(f, 10, 7)
		if err != nil || pt == 0 {
			continue
		}
		c, ok := known[uint8(pt)]
		if !ok || c.ClockRate != 48000 || c.EncodingParameters != "2" {
			continue
		}
		switch {
		case strings.EqualFold(c.Name, "opus") && opus == nil:
			opus = &c
		case strings.EqualFold(c.Name, "red"):
			reds = append(reds, &c)
		}
	}
	for _, r := range reds {
		if opus != nil && strings.HasPrefix(r.Fmtp, fmt.Sprintf("%d/%d", opus.PayloadType, opus.PayloadType)) {
			red = r
		}
	}
	return opus, red
}

func direction(m *sdp.MediaDescription) string {
	for _, a := range m.Attributes {
		switch a.Key {
		case "sendrecv", "sendonly", "recvonly", "inactive":
			return a.Key
		}
	}
	return "sendrecv" // RFC 8866, 6.7
}

func notToken(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// withoutCandidates drops the client's addresses: the client finds the server,
// never the other way round, so that nobody can aim the server's checks.
func withoutCandidates(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "a=candidate") && !strings.HasPrefix(line, "a=end-of-candidates") &&
			!strings.HasPrefix(line, "a=remote-candidates") {
			b.WriteString(line)
		}
	}
	return b.String()
}
