package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// TestProtocol_ExamplesHold plays the examples of docs/protocol.md over plain
// WebSockets, without our client: what is documented is what happens.
func TestProtocol_ExamplesHold(t *testing.T) {
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	n := start(t, t.TempDir())
	play := &protocolPlay{t: t, vars: map[string]any{"$buyer_token": n.token("buyer"), "$seller_token": n.token("seller")}, sockets: map[string]*plainSocket{}}
	steps := 0
	for _, example := range regexp.MustCompile("(?s)```frames\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(example[1]) {
			play.line(n, strings.TrimSpace(line))
			steps++
		}
	}
	if steps < 30 {
		t.Errorf("only %d lines in the examples", steps)
	}
}

// protocolPlay is an example under way.
type protocolPlay struct {
	t       *testing.T
	vars    map[string]any // $name to value
	sockets map[string]*plainSocket
}

// plainSocket is a WebSocket and what came over it unread.
type plainSocket struct {
	ws     *websocket.Conn
	unread []any
}

func (p *protocolPlay) line(n *node, line string) {
	p.t.Helper()
	who, rest, _ := strings.Cut(line, " ")
	arrow, frame, _ := strings.Cut(rest, " ")
	s := p.sockets[who]
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if s == nil {
		ws, _, err := websocket.Dial(ctx, n.info.SocketURL, &websocket.DialOptions{Subprotocols: []string{"parley.v1"}})
		if err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(func() { _ = ws.CloseNow() })
		s = &plainSocket{ws: ws}
		p.sockets[who] = s
	}
	if arrow == "->" {
		for name, value := range p.vars {
			frame = strings.ReplaceAll(frame, `"`+name+`"`, string(raw(p.t, value)))
		}
		if err := s.ws.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
			p.t.Fatalf("%s: %v", line, err)
		}
		return
	}
	var want any
	if err := json.Unmarshal([]byte(frame), &want); err != nil {
		p.t.Fatalf("%s: %v", line, err)
	}
	p.receive(ctx, s, line, want)
}

// receive reads until a message fits want; others stay for later lines.
func (p *protocolPlay) receive(ctx context.Context, s *plainSocket, line string, want any) {
	p.t.Helper()
	var misses []string
	for {
		for i, got := range s.unread {
			vars := map[string]any{}
			why := p.fits(want, got, "", vars)
			if why == "" {
				s.unread = append(s.unread[:i:i], s.unread[i+1:]...)
				for name, value := range vars {
					p.vars[name] = value
				}
				return
			}
			misses = append(misses, why)
		}
		_, frame, err := s.ws.Read(ctx)
		if err != nil {
			p.t.Fatalf("%s\nnever came (%v); what came did not fit: %v", line, err, misses)
		}
		var got any
		if err := json.Unmarshal(frame, &got); err != nil {
			p.t.Fatal(err)
		}
		if batch, ok := got.([]any); ok {
			s.unread = append(s.unread, batch...)
		} else {
			s.unread = append(s.unread, got)
		}
	}
}

// fits tells why got lacks something of want, or "".
func (p *protocolPlay) fits(want, got any, at string, vars map[string]any) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s is %v", at, got)
		}
		for key, inner := range w {
			value, there := g[key]
			if !there {
				return fmt.Sprintf("%s.%s is missing", at, key)
			}
			if why := p.fits(inner, value, at+"."+key, vars); why != "" {
				return why
			}
		}
		return ""
	case string:
		if w == "…" {
			return ""
		}
		if strings.HasPrefix(w, "$") {
			known, ok := p.vars[w]
			if !ok {
				vars[w] = got
				return ""
			}
			want = known
		}
	}
	if fmt.Sprint(want) != fmt.Sprint(got) {
		return fmt.Sprintf("%s is %v, want %v", at, got, want)
	}
	return ""
}
