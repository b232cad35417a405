package signaling

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"parley/wire"
)

const fuzzSDP = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" +
	"a=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F\r\n" +
	"a=candidate:1 1 udp 2130706431 192.168.1.7 50000 typ host\r\n" +
	"a=candidate:2 1 udp 41885439 203.0.113.5 3478 typ relay raddr 198.51.100.9 rport 6000\r\n"

// FuzzScreen throws data at what devices may pass to each other.
func FuzzScreen(f *testing.F) {
	quoted, _ := json.Marshal(fuzzSDP)
	for _, seed := range []string{
		string(quoted), `{"type":"offer","sdp":` + string(quoted) + `}`, `null`, `{}`, `""`, `[]`, `"candidate:"`,
		`{"candidate":"candidate:1 1 udp 1 10.0.0.1 5 typ host","sdpMid":"0"}`, `{"candidate":"","sdpMLineIndex":0}`,
		`["candidate:2 1 udp 1 203.0.113.5 6 TYP Relay RADDR 10.0.0.1 RPORT 7",{"candidate":"candidate:1 1 udp 1 10.0.0.1 5 typ srflx"}]`,
		`{"commit":"00"}`, `{"sdp":null}`, `"v=0\na=candidate:1"`,
	} {
		for i := range SignalKinds() {
			f.Add(i, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, kind int, data []byte) {
		kinds := SignalKinds()
		k := kinds[((kind%len(kinds))+len(kinds))%len(kinds)]
		out, pass, err := screen(k, data, false)
		if err == nil && (!pass || !bytes.Equal(out, data)) {
			t.Fatalf("%s: open data changed: %q -> %q", k, data, out)
		}
		hidden, pass, relayErr := screen(k, data, true)
		if (err == nil) != (relayErr == nil) {
			t.Fatalf("%s: %v and %v", k, err, relayErr)
		}
		if relayErr != nil || !pass {
			return
		}
		if len(hidden) > 0 && !json.Valid(hidden) {
			t.Fatalf("%s: not JSON: %q", k, hidden)
		}
		if k == SignalCommit || k == SignalNonce || k == SignalReveal {
			return
		}
		tells(t, hidden)
		again, pass, err := screen(k, hidden, true)
		if err != nil || !pass || !bytes.Equal(again, hidden) {
			t.Fatalf("%s: not the same a second time: %q -> %q, %v", k, hidden, again, err)
		}
	})
}

// tells fails if relay-only data has a candidate that is not relayed, or a related address.
func tells(t *testing.T, data []byte) {
	t.Helper()
	var v any
	if len(data) == 0 || json.Unmarshal(data, &v) != nil {
		return
	}
	items, ok := v.([]any)
	if !ok {
		items = []any{v}
	}
	for _, item := range items {
		if object, ok := item.(map[string]any); ok {
			for _, name := range []string{"sdp", "candidate"} {
				if s, ok := object[name].(string); ok {
					tellsLine(t, s)
				}
			}
		} else if s, ok := item.(string); ok {
			tellsLine(t, s)
		}
	}
}

func tellsLine(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line, attribute := strings.CutPrefix(strings.ToLower(strings.TrimSpace(line)), "a=")
		if !strings.HasPrefix(line, "candidate:") || (!attribute && strings.Contains(text, "\n")) {
			continue // in an SDP only attributes count
		}
		f := strings.Fields(line)
		if len(f) < 8 || f[7] != "relay" {
			t.Fatalf("tells %q", line)
		}
		for i := 8; i+1 < len(f); i += 2 {
			if f[i] == "raddr" && f[i+1] != "0.0.0.0" {
				t.Fatalf("tells %q", line)
			}
		}
	}
}

func TestScreenSDP_RelayOnlyKeepsEverythingElse(t *testing.T) {
	got, err := screenSDP(fuzzSDP, true)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(strings.Replace(fuzzSDP, "a=candidate:1 1 udp 2130706431 192.168.1.7 50000 typ host\r\n", "", 1),
		"raddr 198.51.100.9 rport 6000", "raddr 0.0.0.0 rport 9", 1)
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Every edge of the table can be walked, so that the diagram promises nothing that never happens.
func TestTable_EveryEdgeIsReachable(t *testing.T) {
	type edge struct {
		on       Action
		from, to State
	}
	missing := map[edge]bool{}
	for _, row := range transitions {
		for _, to := range row.to {
			missing[edge{row.on, row.from, to}] = true
		}
	}
	legEdges := map[[2]Leg]bool{}
	for from, tos := range legs {
		for _, to := range tos {
			legEdges[[2]Leg{from, to}] = true
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	users := []wire.UserID{"a", "b", "c", "d"}
	for walk := 0; walk < 20000 && len(missing)+len(legEdges) > 0; walk++ {
		now := time.Unix(0, 0)
		o := Offer{ID: "call_1", Kind: Direct, Media: P2P, From: Endpoint{"a", "d1"}, To: []Callee{{User: "b"}}}
		switch random.IntN(6) {
		case 0, 1:
			o.Kind, o.Media = Group, SFU
			o.To = append(o.To, Callee{User: "c", Busy: random.IntN(3) == 0})
		case 2:
			o.Media = SFU
		}
		c, _ := Open(o, now)
		for range 40 {
			now = now.Add(time.Duration(random.IntN(15)) * time.Second)
			cmd := Command{
				Action: transitions[random.IntN(len(transitions))].on, By: Endpoint{users[random.IntN(4)], "d1"}, Member: true,
				Invitee: users[random.IntN(4)], Match: random.IntN(3) > 0, Transcript: "t", Muted: random.IntN(2) == 0,
				Route: []Route{RouteDirect, RouteSFU}[random.IntN(2)], Was: c.Host, Host: []string{"n1", "n2"}[random.IntN(2)],
			}
			next, _, err := c.Apply(cmd, now)
			if err != nil || (next.State == Ended && c.State != Ended && random.IntN(8) > 0) { // few ends, so that walks are long
				continue
			}
			delete(missing, edge{cmd.Action, c.State, next.State})
			for _, p := range c.Participants {
				q, _ := next.Find(p.User)
				delete(legEdges, [2]Leg{p.Leg, q.Leg})
			}
			c = next
		}
	}
	for e := range missing {
		t.Errorf("%s never leads from %s to %s", e.on, e.from, e.to)
	}
	for e := range legEdges {
		t.Errorf("nobody ever goes from %s to %s", e[0], e[1])
	}
}
