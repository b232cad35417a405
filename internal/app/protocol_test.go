package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/wire"
)

// TestProtocol_ExamplesHold plays the examples of docs/protocol.md over plain
// WebSockets, without our client: what is documented is what happens.
func TestProtocol_ExamplesHold(t *testing.T) {
	playExamples(t, start(t, t.TempDir()), "../../docs/protocol.md", 30)
}

// playExamples plays the examples of a document, at least so many lines.
func playExamples(t *testing.T, n *node, document string, least int) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	play := &protocolPlay{t: t, vars: map[string]any{"$buyer_token": n.token("buyer"), "$seller_token": n.token("seller")}, sockets: map[string]*plainSocket{}}
	steps := 0
	for _, example := range regexp.MustCompile("(?s)```frames\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(example[1]) {
			play.line(n, strings.TrimSpace(line))
			steps++
		}
	}
	if steps < least {
		t.Errorf("only %d lines in the examples", steps)
	}
}

// protocolPlay is an example under way.
type protocolPlay struct {
	t        *testing.T
	vars     map[string]any // $name to value
	sockets  map[string]*plainSocket
	answered any // on REST, last
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
	if who == "server" {
		p.server(n, arrow, frame)
		return
	}
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
		if err := s.ws.Write(ctx, websocket.MessageText, []byte(p.fill(frame))); err != nil {
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

// fill puts the remembered values in.
func (p *protocolPlay) fill(frame string) string {
	for name, value := range p.vars {
		frame = strings.ReplaceAll(frame, `"`+name+`"`, string(raw(p.t, value)))
	}
	return frame
}

// server plays a line of the backend: METHOD path body, or what it must answer.
func (p *protocolPlay) server(n *node, arrow, text string) {
	p.t.Helper()
	if arrow == "->" {
		method, rest, _ := strings.Cut(text, " ")
		path, body, _ := strings.Cut(rest, " ")
		req, err := http.NewRequestWithContext(p.t.Context(), method, n.info.URL+path, strings.NewReader(p.fill(body)))
		if err != nil {
			p.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+n.info.Keys.Secret)
		req.Header.Set("Idempotency-Key", wire.NewID[string]("k_", time.Now()))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			p.t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }() // read below
		if err := json.NewDecoder(res.Body).Decode(&p.answered); err != nil {
			p.t.Fatal(err)
		}
		http.DefaultClient.CloseIdleConnections()
		return
	}
	var want any
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		p.t.Fatalf("%s: %v", text, err)
	}
	if why := p.fits(want, p.answered, "", p.vars); why != "" {
		p.t.Fatalf("the server's answer %v: %s", p.answered, why)
	}
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
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Sprintf("%s is %v", at, got)
		}
		for i := range w {
			if why := p.fits(w[i], g[i], fmt.Sprintf("%s[%d]", at, i), vars); why != "" {
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
