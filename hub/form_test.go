package hub

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unsafe"

	"parley/wire"
	"parley/wire/jsoncbor"
)

var sampleEvent = wire.Event{
	ID: "evt_06awrxj2sv4rxn0e0000000000", Type: "message.created", Conversation: "conv_06awrxj2sv4rxn0e0000000000", Seq: 42,
	Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Author: "ann",
	Data: json.RawMessage(`{"id":"msg_06awrxj2sv4rxn0e0000000000","text":"The bike is still here. Come by at six?","client_id":"m-1"}`),
}

// What goes to many sockets is given its form once, and only for who wants it.
func TestShared_EncodesOnce(t *testing.T) {
	frame, err := eventFrame(&sampleEvent)
	if err != nil {
		t.Fatal(err)
	}
	var c shared
	if out, _ := c.in(formJSON, frame); unsafe.SliceData(out) != unsafe.SliceData(frame) {
		t.Error("JSON was copied")
	}
	for _, f := range []form{formCBOR, formSSE} {
		first, err := c.in(f, frame)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = c.in(f, frame) }); n != 0 {
			t.Errorf("form %d: %v allocations for the second socket", f, n)
		}
		other := bytes.Clone(frame)
		if again, _ := c.in(f, other); !bytes.Equal(again, first) || unsafe.SliceData(again) == unsafe.SliceData(first) {
			t.Errorf("form %d: another frame's bytes", f)
		}
	}
}

func TestForm_ControlFramesStayAsTheyAre(t *testing.T) {
	pong := []byte{finPong, 1, 'x'}
	if out, err := formCBOR.of(pong); err != nil || !bytes.Equal(out, pong) {
		t.Errorf("%x %v", out, err)
	}
}

// What waits together leaves as one array, in every length of head.
func TestForm_BatchesOfEveryLength(t *testing.T) {
	for _, n := range []int{2, 23, 24, 255, 256, 300} {
		var list []queued
		for range n {
			frame, err := formCBOR.of(textFrame([]byte(`{"jsonrpc":"2.0","method":"x"}`)))
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, queued{frame: frame})
		}
		list = append(list, queued{frame: closeFrame(4010, "bye")})
		b := formCBOR.appendFrames(nil, list)
		body := payloadOf(b)
		body = body[:len(body)-len(list[n].frame)]
		j, err := jsoncbor.ToJSON(body, 1<<20)
		if b[0] != finBinary || err != nil || strings.Count(string(j), "method") != n || j[0] != '[' {
			t.Errorf("%d messages: %x… %s (%v)", n, b[:12], j, err)
		}
	}
}

// A line break in what an operation answers must not end an event early.
func TestForm_ServerSentEventsAreOneLine(t *testing.T) {
	out, err := formSSE.of(textFrame([]byte("{\r\n\"a\":\n\"b\\n\"}")))
	if err != nil || string(out) != "data: {  \"a\": \"b\\n\"}\n\n" {
		t.Errorf("%q (%v)", out, err)
	}
	if got := string(formSSE.closing(4010, `retry_ms=5 "`)); got != "event: close\ndata: {\"code\":4010,\"reason\":\"retry_ms=5 \\\"\"}\n\n" {
		t.Errorf("%q", got)
	}
}

// FuzzForm: whatever a client sends as CBOR is answered or ends the session;
// what is taken is a JSON message within its bound.
func FuzzForm(f *testing.F) {
	for _, s := range []string{`{"jsonrpc":"2.0","id":1,"method":"echo","params":{"a":[1,2.5,null]}}`, `[{"jsonrpc":"2.0","method":"b"}]`, `"x"`} {
		b, err := jsoncbor.FromJSON([]byte(s))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const most = 4096
		j, wrong, err := formCBOR.message(opBinary, data, most)
		switch {
		case wrong.reason != "" || err != nil:
			if j != nil {
				t.Fatal("refused and taken")
			}
			return
		case !json.Valid(j) || len(j) > most:
			t.Fatalf("%d bytes %q", len(j), j)
		}
		fr, err := parseFrame(j, 8)
		if err != nil {
			return
		}
		for i := range fr.requests {
			if _, err := formCBOR.of(textFrame(appendResult(nil, orNull(fr.requests[i].id), fr.requests[i].params))); err != nil {
				t.Fatalf("no answer to %s: %v", j, err)
			}
		}
	})
}

func BenchmarkForm(b *testing.B) {
	frame, err := eventFrame(&sampleEvent)
	if err != nil {
		b.Fatal(err)
	}
	request := []byte(`{"jsonrpc":"2.0","id":17,"method":"messages.send","params":{"conversation":"conv_06awrxj2sv4rxn0e0000000000","client_id":"m-1","text":"The bike is still here. Come by at six?"}}`)
	coded, err := jsoncbor.FromJSON(request)
	if err != nil {
		b.Fatal(err)
	}
	for name, f := range map[string]func() int{
		"event/json":         func() int { out, _ := eventFrame(&sampleEvent); return len(out) },
		"event/cbor":         func() int { out, _ := formCBOR.of(frame); return len(out) },
		"event/json_deflate": func() int { out, _ := formJSONDeflated.of(frame); return len(out) },
		"event/sse":          func() int { out, _ := formSSE.of(frame); return len(out) },
		"request/json": func() int {
			j, _, _ := formJSON.message(opText, request, 80<<10)
			_, _ = parseFrame(j, 50)
			return len(request)
		},
		"request/cbor": func() int {
			j, _, _ := formCBOR.message(opBinary, coded, 80<<10)
			_, _ = parseFrame(j, 50)
			return len(coded)
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n = f()
			}
			b.ReportMetric(float64(n), "bytes")
		})
	}
}
