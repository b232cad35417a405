package app_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"parley/wire/jsoncbor"
)

// examples are the blocks of a kind in docs/protocol.md, line by line.
func examples(t *testing.T, kind string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, block := range regexp.MustCompile("(?s)```"+kind+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		lines = append(lines, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	if len(lines) < 3 {
		t.Fatalf("%d lines of %s", len(lines), kind)
	}
	return lines
}

func TestProtocol_CBORExamplesHold(t *testing.T) {
	for _, line := range examples(t, "cbor") {
		text, code, _ := strings.Cut(line, " = ")
		want, err := hex.DecodeString(strings.TrimSpace(code))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got, err := jsoncbor.FromJSON([]byte(text))
		if err != nil || hex.EncodeToString(got) != hex.EncodeToString(want) {
			t.Errorf("%s is %x (%v)", text, got, err)
		}
		if back, err := jsoncbor.ToJSON(want, 1<<20); err != nil || string(back) != text {
			t.Errorf("%s is %s (%v)", code, back, err)
		}
	}
}

// TestProtocol_StreamExampleHolds plays what is documented of server-sent
// events with plain HTTP.
func TestProtocol_StreamExampleHolds(t *testing.T) {
	n := start(t, t.TempDir())
	s := &streamPlay{protocolPlay: protocolPlay{t: t, vars: map[string]any{"$buyer_token": n.token("buyer")}}, url: n.info.URL}
	defer http.DefaultClient.CloseIdleConnections()
	for _, line := range examples(t, "stream") {
		if request, ok := strings.CutPrefix(line, "-> "); ok {
			s.ask(request)
			continue
		}
		s.expect(line, strings.TrimPrefix(line, "<- "))
	}
}

type streamPlay struct {
	protocolPlay
	url    string
	status int
	body   string // of the last answer, unless it is the stream
	stream *bufio.Reader
}

func (s *streamPlay) ask(request string) {
	s.t.Helper()
	for name, value := range s.vars {
		request = strings.ReplaceAll(request, name, fmt.Sprint(value))
	}
	method, rest, _ := strings.Cut(request, " ")
	path, body, _ := strings.Cut(rest, " ")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if key, ok := s.vars["$key"]; ok {
		req.Header.Set("Authorization", "Bearer "+fmt.Sprint(key))
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	s.status = res.StatusCode
	if res.Header.Get("Content-Type") == "text/event-stream" {
		s.stream = bufio.NewReader(res.Body)
		s.t.Cleanup(func() { _ = res.Body.Close() })
		return
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = res.Body.Close()
	s.body = string(text)
}

// expect holds an answer ("200 {…}") or lines of the stream ("event: …", "data: …") against what came.
func (s *streamPlay) expect(line, text string) {
	s.t.Helper()
	switch head, rest, _ := strings.Cut(text, " "); head {
	case "event:":
		s.until(line, func(got string) bool { return got == text })
	case "data:":
		s.until(line, func(got string) bool {
			data, ok := strings.CutPrefix(got, "data: ")
			return ok && s.fitsJSON(line, rest, data)
		})
	default:
		if fmt.Sprint(s.status) != head || rest != "" && !s.fitsJSON(line, rest, s.body) {
			s.t.Fatalf("%s\ngot %d %s", line, s.status, s.body)
		}
	}
}

// until reads the stream up to a line that is wanted.
func (s *streamPlay) until(line string, wanted func(string) bool) {
	s.t.Helper()
	for {
		got, err := s.stream.ReadString('\n')
		if err != nil {
			s.t.Fatalf("%s never came: %v", line, err)
		}
		if wanted(strings.TrimSuffix(got, "\n")) {
			return
		}
	}
}

func (s *streamPlay) fitsJSON(line, want, got string) bool {
	s.t.Helper()
	var w, g any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		s.t.Fatalf("%s: %v", got, err)
	}
	vars := map[string]any{}
	if s.fits(w, g, "", vars) != "" {
		return false
	}
	for name, value := range vars {
		s.vars[name] = value
	}
	return true
}
