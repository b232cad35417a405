package signaling_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"parley/signaling"
	"parley/wire"
)

const sdpOffer = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n" +
	"a=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F\r\n" +
	"a=candidate:1 1 udp 2130706431 192.168.1.7 50000 typ host\r\n" +
	"a=candidate:2 1 udp 41885439 203.0.113.5 3478 typ relay raddr 198.51.100.9 rport 6000\r\n"

func (w *world) signal(who string, in signaling.Signal) error {
	return w.calls.Signal(w.t.Context(), on(who), in)
}

func raw(t *testing.T, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSignal_ReachesTheOtherDeviceUnchanged(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("buyer/b1", signaling.Start{Payment: "pay_1"})
		offer := raw(t, map[string]string{"type": "offer", "sdp": sdpOffer})
		err := w.signal("buyer/b1", signaling.Signal{Call: call.ID, Kind: signaling.SignalOffer, Data: offer})
		wantErr(t, err, signaling.ErrState) // nobody has answered
		err = w.signal("seller/s1", signaling.Signal{Call: call.ID, Kind: signaling.SignalOffer, Data: offer})
		wantErr(t, err, signaling.ErrNotParticipant)
		w.answer("seller/s1", call.ID)
		w.sent.take()
		for kind, data := range map[signaling.SignalKind]json.RawMessage{
			signaling.SignalOffer:     offer,
			signaling.SignalAnswer:    raw(t, sdpOffer),
			signaling.SignalCandidate: raw(t, map[string]any{"candidate": "candidate:1 1 udp 1 10.0.0.1 5 typ host", "sdpMid": "0"}),
			signaling.SignalCommit:    raw(t, map[string]string{"commit": transcript(7)}),
			signaling.SignalRestart:   nil,
		} {
			if err := w.signal("seller/s1", signaling.Signal{Call: call.ID, Kind: kind, Data: data}); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			out := w.sent.take()
			wantHeard(t, out, "buyer/b1", "call.signal")
			wantHeard(t, out, "buyer/b2")
			wantHeard(t, out, "seller/s1")
			got := dataOf[struct {
				From signaling.Endpoint   `json:"from"`
				Kind signaling.SignalKind `json:"kind"`
				Data json.RawMessage      `json:"data"`
			}](t, out, "buyer/b1", "call.signal")
			if got.Kind != kind || !bytes.Equal(got.Data, data) || got.From != (signaling.Endpoint{User: "seller", Device: "s1"}) {
				t.Errorf("%s arrived as %+v", kind, got)
			}
		}
	})
}

func TestSignal_OnlyBetweenDevicesInTheCall(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		w.sent.take()
		for name, tc := range map[string]struct {
			who  string
			to   signaling.Endpoint
			want error
		}{
			"another device of a participant": {"seller/s2", signaling.Endpoint{}, signaling.ErrNotParticipant},
			"a stranger":                      {"guest1/g1", signaling.Endpoint{User: "buyer"}, signaling.ErrNotParticipant},
			"to another device":               {"seller/s1", signaling.Endpoint{User: "buyer", Device: "b2"}, signaling.ErrState},
			"to a stranger":                   {"seller/s1", signaling.Endpoint{User: "guest1"}, signaling.ErrState},
			"to oneself":                      {"seller/s1", signaling.Endpoint{User: "seller"}, signaling.ErrState},
		} {
			err := w.signal(tc.who, signaling.Signal{Call: call.ID, To: tc.to, Kind: signaling.SignalRestart})
			wantErr(t, err, tc.want)
			if out := w.sent.take(); len(out) != 0 {
				t.Errorf("%s: passed", name)
			}
		}
		if _, err := w.calls.Hangup(t.Context(), on("buyer/b1"), call.ID); err != nil {
			t.Fatal(err)
		}
		w.sent.take()
		err := w.signal("seller/s1", signaling.Signal{Call: call.ID, Kind: signaling.SignalRestart})
		wantErr(t, err, signaling.ErrEnded)
		if len(w.sent.take()) != 0 {
			t.Error("a signal passed after the end")
		}
	})
}

func TestSignal_RefusesWhatDoesNotFitItsKind(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.talking()
		w.sent.take()
		big := `{"candidate":"candidate:` + strings.Repeat("x", signaling.MaxSignal) + `"}`
		noPrint := strings.ReplaceAll(sdpOffer, "sha-256", "sha-1")
		for name, in := range map[string]signaling.Signal{
			"64 KB":                    {Kind: signaling.SignalCandidate, Data: json.RawMessage(big)},
			"an unknown kind":          {Kind: "chat", Data: json.RawMessage(`"hello"`)},
			"no SDP":                   {Kind: signaling.SignalOffer, Data: json.RawMessage(`{"sdp":"hello"}`)},
			"nothing":                  {Kind: signaling.SignalOffer},
			"SDP without fingerprint":  {Kind: signaling.SignalAnswer, Data: raw(t, noPrint)},
			"a number for a candidate": {Kind: signaling.SignalCandidate, Data: json.RawMessage(`7`)},
			"two lines of candidate":   {Kind: signaling.SignalCandidate, Data: raw(t, "candidate:1 1 udp 1 10.0.0.1 5 typ host\r\na=x")},
			"half JSON":                {Kind: signaling.SignalCandidate, Data: json.RawMessage(`{"candidate":`)},
			"a long commit":            {Kind: signaling.SignalCommit, Data: raw(t, strings.Repeat("x", 2000))},
		} {
			in.Call = call.ID
			if err := w.signal("seller/s1", in); err == nil {
				t.Errorf("%s passed", name)
			} else {
				wantErr(t, err, signaling.ErrSignal)
			}
		}
		if len(w.sent.take()) != 0 {
			t.Error("something was passed on")
		}
	})
}

func TestRelayOnly_PassesNoAddress(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("buyer/b1", signaling.Start{Payment: "pay_1", RelayOnly: true})
		w.sent.take()
		if _, err := w.calls.Answer(t.Context(), on("seller/s1"), call.ID, sdpOffer); err != nil {
			t.Fatal(err)
		}
		host := map[string]any{"candidate": "candidate:1 1 udp 1 192.168.1.7 5 typ host", "sdpMid": "0"}
		relay := map[string]any{"candidate": "candidate:2 1 udp 1 203.0.113.5 6 typ relay raddr 198.51.100.9 rport 7 ufrag u",
			"sdpMid": "0", "relatedAddress": "198.51.100.9"}
		for _, in := range []signaling.Signal{
			{Kind: signaling.SignalOffer, Data: raw(t, map[string]string{"type": "offer", "sdp": sdpOffer})},
			{Kind: signaling.SignalAnswer, Data: raw(t, sdpOffer)},
			{Kind: signaling.SignalCandidate, Data: raw(t, host)},
			{Kind: signaling.SignalCandidate, Data: raw(t, relay)},
			{Kind: signaling.SignalCandidate, Data: raw(t, []any{host, relay, host["candidate"]})},
			{Kind: signaling.SignalRestart, Data: raw(t, sdpOffer)},
		} {
			in.Call = call.ID
			if err := w.signal("seller/s1", in); err != nil {
				t.Fatal(err)
			}
		}
		out := w.sent.take()
		relayed := 0
		for _, s := range out {
			text := string(s.Data)
			if strings.Contains(text, "192.168.1.7") || strings.Contains(text, "198.51.100.9") {
				t.Errorf("%s tells an address: %s", s.Type, text)
			}
			relayed += strings.Count(text, "203.0.113.5")
		}
		if relayed != 6 {
			t.Errorf("%d relayed candidates arrived, want 6", relayed)
		}
	})
}

func TestSignal_IsLoggedNowhere(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var log bytes.Buffer
		w.calls = signaling.New(signaling.Deps{
			DB: w.db, Publisher: w.sent, Log: w, Relations: w, Rooms: w, Payments: w, Clock: w.clock,
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Metrics: w.reg,
		}, signaling.Config{})
		call := w.talking()
		for _, data := range []json.RawMessage{raw(t, sdpOffer), raw(t, "v=0 broken 192.168.1.7")} {
			_ = w.signal("buyer/b1", signaling.Signal{Call: call.ID, Kind: signaling.SignalOffer, Data: data}) // the second is refused
		}
		if strings.Contains(log.String(), "192.168.1.7") {
			t.Errorf("log: %s", log.String())
		}
		_, err := w.calls.Answer(t.Context(), on("seller/s1"), call.ID, "v=0 broken 192.168.1.7")
		wantErr(t, err, signaling.ErrSignal)
		if strings.Contains(err.Error(), "192.168.1.7") {
			t.Errorf("the error quotes the SDP: %v", err)
		}
	})
}

func TestGroup_ASignalNamesItsReceiver(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		call := w.start("host/h", signaling.Start{Conversation: "conv_4"})
		w.answer("guest1/g1", call.ID)
		w.answer("guest2/g2", call.ID)
		w.sent.take()
		err := w.signal("host/h", signaling.Signal{Call: call.ID, Kind: signaling.SignalRestart})
		wantErr(t, err, signaling.ErrInput)
		if err := w.signal("host/h", signaling.Signal{Call: call.ID, Kind: signaling.SignalRestart, To: signaling.Endpoint{User: wire.UserID("guest2")}}); err != nil {
			t.Fatal(err)
		}
		out := w.sent.take()
		wantHeard(t, out, "guest2/g2", "call.signal")
		wantHeard(t, out, "guest1/g1")
	})
}
