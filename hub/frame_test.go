package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"parley/wire"
)

// FuzzParseFrame holds the parser against encoding/json: it must agree on what
// is JSON, on how many requests there are and on their parts, and every answer
// must be JSON.
func FuzzParseFrame(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"echo","params":{"a":[1,2]}}`,
		`[{"jsonrpc":"2.0","id":"x","method":"a"},1,[],{"jsonrpc":"2.0","method":"b","params":[]}]`,
		` [ ] `, `{}`, `null`, `"]"`, `[`, `{"id":{"a":"}"},"method":"\u0061"}`, `{"i\u0064":1}`, `[[[[1]]]]`, "\"\xff\"",
		`{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}`, `{"jsonrpc":"2.0","id":-0.5e+3,"method":"m","params":{"a":"\\\""}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const most = 8
		got, err := parseFrame(data, most)
		if json.Valid(data) == errors.Is(err, errParse) {
			t.Fatalf("valid %v, error %v", json.Valid(data), err)
		}
		if err != nil {
			mustBeJSON(t, appendError(nil, nil, invalid(err)))
			return
		}
		for i, raw := range rawRequests(t, data) {
			compareRequest(t, got.requests[i], raw)
		}
	})
}

func mustBeJSON(t *testing.T, b []byte) {
	t.Helper()
	if !json.Valid(b) {
		t.Fatalf("answer %q", b)
	}
}

// rawRequests splits a frame as encoding/json does.
func rawRequests(t *testing.T, data []byte) []json.RawMessage {
	t.Helper()
	if data = bytes.TrimLeft(data, " \t\r\n"); data[0] != '[' {
		return []json.RawMessage{data}
	}
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func compareRequest(t *testing.T, got request, raw json.RawMessage) {
	t.Helper()
	mustBeJSON(t, appendResult(nil, orNull(got.id), got.params))
	mustBeJSON(t, appendError(nil, got.id, invalid(errParams)))
	if got.bad != nil {
		return
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatalf("%q is no object: %v", raw, err)
	}
	var method string
	if err := json.Unmarshal(members["method"], &method); err != nil || method != got.method {
		t.Fatalf("method %q, want %q (%v)", got.method, method, err)
	}
	if !bytes.Equal(got.params, members["params"]) || !bytes.Equal(got.id, members["id"]) || string(members["jsonrpc"]) != `"2.0"` {
		t.Fatalf("parts %q %q of %q", got.id, got.params, raw)
	}
	if _, has := members["id"]; has == got.notification() {
		t.Fatalf("notification %v of %q", got.notification(), raw)
	}
}

func orNull(id json.RawMessage) json.RawMessage {
	if id == nil {
		return null
	}
	return id
}

func TestFrame_CorpusIsCommitted(t *testing.T) {
	files, err := filepath.Glob("testdata/fuzz/FuzzParseFrame/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, name := range files {
		if b, err := os.ReadFile(name); err != nil || !strings.HasPrefix(string(b), "go test fuzz v1\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFrame_DeepNestingIsRefused(t *testing.T) {
	deep := strings.Repeat("[", 40_000) + strings.Repeat("]", 40_000)
	if _, err := parseFrame([]byte(deep), 50); !errors.Is(err, errParse) {
		t.Errorf("error %v", err)
	}
}

func TestFrame_HeadersOfEveryLength(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 0xffff, 0x10000, 200_000} {
		frame := textFrame(bytes.Repeat([]byte("x"), n))
		head := map[bool]int{true: 2, false: 4}[n < 126]
		if n > 0xffff {
			head = 10
		}
		if len(frame) != head+n || frame[0] != finText || cap(frame) > n+headerRoom+64+n/4 {
			t.Errorf("%d bytes make a frame of %d (capacity %d)", n, len(frame), cap(frame))
		}
	}
	long := closeFrame(4010, strings.Repeat("r", 500))
	if len(long) != 2+125 || long[1] != 125 {
		t.Errorf("close frame of %d bytes", len(long))
	}
}

// Encoding an event costs a fixed handful of allocations, whatever reads it later.
func TestFrame_EventIsEncodedWithFewAllocations(t *testing.T) {
	ev := wire.Event{Type: "message.created", Conversation: "conv_a", Seq: 7, Data: json.RawMessage(`{"text":"hello"}`)}
	if n := testing.AllocsPerRun(100, func() { _, _ = eventFrame(&ev) }); n > 6 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParseFrame(b *testing.B) {
	data := []byte(`{"jsonrpc":"2.0","id":17,"method":"messages.send","params":{"conversation":"conv_01","client_id":"c","text":"` +
		strings.Repeat("hello ", 20) + `"}}`)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseFrame(data, 50); err != nil {
			b.Fatal(err)
		}
	}
}

func TestBucket_RefillsAndForgives(t *testing.T) {
	b := bucket{tokens: 3}
	for i, step := range []struct {
		n    int
		at   float64 // seconds
		ok   bool
		wait string
	}{
		{3, 0, true, "0s"}, {1, 0, false, "500ms"}, {1, 0.5, true, "0s"}, {2, 0.75, false, "750ms"},
		{2, 1.5, true, "0s"}, {9, 9, true, "0s"}, {9, 9, false, "1.5s"},
	} {
		wait, ok := b.take(step.n, secondsOf(step.at), 2, 3)
		if ok != step.ok || wait.String() != step.wait {
			t.Errorf("step %s: %v %v", strconv.Itoa(i), wait, ok)
		}
	}
	if b.strikes != 1 {
		t.Errorf("%d strikes", b.strikes)
	}
}
