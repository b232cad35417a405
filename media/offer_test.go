package media_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"parley/media"
)

// goodOffer is what a client with two slots offers, as Chromium writes it, cut to what matters.
var goodOffer = strings.ReplaceAll(`v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS
`+section(0, "sendrecv")+section(1, "recvonly")+section(2, "recvonly"), "\n", "\r\n")

func section(mid int, direction string) string {
	return fmt.Sprintf(`m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:AbCd
a=ice-pwd:0123456789abcdef01234567
a=ice-options:trickle
a=fingerprint:sha-256 F3:C3:BE:9E:4B:F2:47:7A:93:FF:26:00:9A:8C:2C:54:02:27:EA:A9:6C:26:C3:5B:5B:67:D1:82:09:0A:D8:0C
a=setup:actpass
a=mid:%d
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=%s
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
`, mid, direction)
}

func TestJoin_AnswersABrowsersOffer(t *testing.T) {
	s := served(t, media.Config{}, media.Deps{})
	answer, slots, err := s.Join(t.Context(), room, as("ann"), goodOffer)
	if err != nil {
		t.Fatal(err)
	}
	if len(slots) != 0 {
		t.Errorf("alone, but slots %v", slots)
	}
	for want, n := range map[string]int{"a=recvonly": 1, "a=sendonly": 2, "m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r": 3, "\r\na=rtcp-fb": 0} {
		if got := strings.Count(answer, want); got != n {
			t.Errorf("%d times %q in the answer, want %d:\n%s", got, want, n, answer)
		}
	}
}

func TestJoin_RefusesBadOffersAndSaysWhatToChange(t *testing.T) {
	s := served(t, media.Config{}, media.Deps{})
	swap := func(old, new string) string { return strings.Replace(goodOffer, old, new, 1) }
	all := func(old, new string) string { return strings.ReplaceAll(goodOffer, old, new) }
	head, _, _ := strings.Cut(goodOffer, "m=audio")
	for name, c := range map[string]struct{ offer, reason string }{
		"empty":          {"", "one sending"},
		"garbage":        {"hello", "not SDP"},
		"huge":           {strings.Repeat("a", 1<<17), "longer than"},
		"no sections":    {head, "one sending"},
		"video":          {swap("m=audio", "m=video"), "is not audio"},
		"data":           {swap("m=audio 9 UDP/TLS/RTP/SAVPF", "m=application 9 UDP/DTLS/SCTP"), "is not audio"},
		"port 0":         {swap("m=audio 9", "m=audio 0"), "port 0"},
		"no microphone":  {swap("a=sendrecv", "a=recvonly"), "microphone"},
		"two":            {swap("a=recvonly", "a=sendrecv"), "one microphone"},
		"inactive":       {swap("a=recvonly", "a=inactive"), "inactive"},
		"no opus":        {swap("opus/48000/2", "vorbis/48000/2"), "does not offer opus"},
		"no mid":         {swap("a=mid:1\r\n", ""), "a=mid"},
		"odd mid":        {swap("a=mid:1", "a=mid:<b>"), "a=mid"},
		"same mid":       {swap("a=mid:1", "a=mid:0"), "a=mid of another"},
		"no bundle":      {swap("a=group:BUNDLE 0 1 2\r\n", ""), "max-bundle"},
		"part bundle":    {swap("BUNDLE 0 1 2", "BUNDLE 0 1"), "every section"},
		"no mux":         {swap("a=rtcp-mux\r\n", ""), "rtcp-mux"},
		"no fingerprint": {all("a=fingerprint:sha-256", "a=x-print:"), "a=fingerprint"},
		"no ufrag":       {all("a=ice-ufrag:AbCd\r\n", ""), "a=ice-ufrag"},
		"simulcast":      {swap("a=mid:0", "a=mid:0\r\na=rid:h send"), "simulcast"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := s.Join(t.Context(), room, as("ann"), c.offer)
			if !errors.Is(err, media.ErrOffer) || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("got %v, want a reason with %q", err, c.reason)
			}
		})
	}
	many := head + section(0, "sendrecv")
	for i := 1; i <= 13; i++ {
		many += section(i, "recvonly")
	}
	if _, _, err := s.Join(t.Context(), room, as("ann"), many); !errors.Is(err, media.ErrOffer) {
		t.Errorf("thirteen slots: %v", err)
	}
}

func TestJoin_NeverAimsAtTheClientsCandidates(t *testing.T) {
	s := served(t, media.Config{FullICE: true}, media.Deps{})
	evil := strings.Replace(goodOffer, "a=mid:0\r\n", "a=mid:0\r\na=candidate:1 1 udp 2130706431 nonsense 9 typ host\r\n", 1)
	if _, _, err := s.Join(t.Context(), room, as("ann"), evil); err != nil {
		t.Errorf("candidates were looked at: %v", err)
	}
}

// FuzzOffer throws SDP at a whole Join: whatever comes in, an answer or
// ErrOffer comes out, and nothing of a refused participant stays.
func FuzzOffer(f *testing.F) {
	f.Add(goodOffer)
	f.Add(strings.ReplaceAll(goodOffer, "\r\n", "\n"))
	f.Add(strings.Replace(goodOffer, "111 63", "63 111", 1))
	f.Add(strings.ReplaceAll(goodOffer, "a=fmtp:111 minptime=10;useinbandfec=1\r\n", ""))
	f.Add(strings.ReplaceAll(goodOffer, "extmap:1 ", "extmap:15 "))
	f.Add(strings.ReplaceAll(goodOffer, "a=setup:actpass", "a=setup:holdconn"))
	s := served(f, media.Config{}, media.Deps{})
	f.Fuzz(func(t *testing.T, offer string) {
		answer, _, err := s.Join(t.Context(), room, as("ann"), offer)
		defer s.Close(room)
		switch {
		case err == nil && !strings.HasPrefix(answer, "v=0"):
			t.Errorf("the answer is not SDP: %q", answer)
		case err != nil && !errors.Is(err, media.ErrOffer):
			t.Errorf("refused with %v", err)
		case err != nil && len(s.Rooms()) != 0:
			t.Error("a refused participant stays")
		}
	})
}
