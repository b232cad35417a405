package hub

import (
	"bytes"
	"compress/flate"
	"errors"
	"net/http"
	"strings"
	"testing"
	"unsafe"
)

func TestDeflate_OffersOfRFC7692(t *testing.T) {
	const plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for offer, want := range map[string]string{
		"":                   "",
		"permessage-deflate": plain,
		"Permessage-Deflate; client_max_window_bits":                                                      plain,
		"permessage-deflate; client_max_window_bits=8":                                                    plain,
		`permessage-deflate; client_max_window_bits="15"; client_no_context_takeover`:                     plain,
		"permessage-deflate;server_no_context_takeover;client_no_context_takeover":                        plain,
		"permessage-deflate; server_max_window_bits=15":                                                   plain + "; server_max_window_bits=15",
		"permessage-deflate; server_max_window_bits=10":                                                   "",
		"permessage-deflate; server_max_window_bits=10, permessage-deflate; client_max_window_bits":       plain,
		"permessage-deflate; server_max_window_bits":                                                      "",
		"permessage-deflate; client_max_window_bits=7":                                                    "",
		"permessage-deflate; client_max_window_bits=16":                                                   "",
		"permessage-deflate; client_max_window_bits=010":                                                  "",
		"permessage-deflate; client_no_context_takeover=1":                                                "",
		"permessage-deflate; client_max_window_bits; client_max_window_bits":                              "",
		"permessage-deflate; more":                                                                        "",
		"permessage-bzip2, x-webkit-deflate-frame, permessage-deflate; client_max_window_bits; bad=\"a\"": "",
		"permessage-bzip2; a=1, permessage-deflate":                                                       plain,
	} {
		if got := deflateOffered(http.Header{"Sec-Websocket-Extensions": {"x-other", offer}}); got != want {
			t.Errorf("%q is answered with %q, want %q", offer, got, want)
		}
	}
}

// squeezed makes what a client sends, with or without a last block.
func squeezed(t testing.TB, text string, last bool) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write([]byte(text))
	if last {
		return b.String() + closed(t, w, &b, err)
	}
	if err := errors.Join(err, w.Flush()); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// closed ends the stream with a last block, padded as RFC 7692, section 7.2.3.4, wants it.
func closed(t testing.TB, w *flate.Writer, b *bytes.Buffer, err error) string {
	t.Helper()
	before := b.Len()
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()[before:] + "\x00"
}

func TestInflate_ReadsWhatRFC7692Shows(t *testing.T) {
	for name, tt := range map[string]struct {
		data string
		want string
		err  error
	}{
		"fixed codes (7.2.3.1)":       {"\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello", nil},
		"no compression (7.2.3.3)":    {"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello", nil},
		"a last block (7.2.3.4)":      {"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello", nil},
		"two blocks (7.2.3.5)":        {"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello", nil},
		"nothing (7.2.3.6)":           {"\x00", "", nil},
		"not even a block":            {"", "", errDeflate},
		"the most there may be":       {squeezed(t, strings.Repeat("x", 1000), false), strings.Repeat("x", 1000), nil},
		"one more":                    {squeezed(t, strings.Repeat("x", 1001), false), "", errOversize},
		"a bomb":                      {squeezed(t, strings.Repeat("\x00", 5<<20), false), "", errOversize},
		"a bomb with a last block":    {squeezed(t, strings.Repeat("\x00", 5<<20), true), "", errOversize},
		"no deflate":                  {"\xff\xff\xff", "", errDeflate},
		"cut short":                   {squeezed(t, strings.Repeat("not the same each time", 9), false)[:12], "", errDeflate},
		"a reference before its time": {"\x73\x04\x21\x00\x00", "", errDeflate},
		"more behind a last block":    {"\xf3\x48\xcd\xc9\xc9\x07\x00\x00 and some more", "", errDeflate},
	} {
		out, err := inflate([]byte(tt.data), 1000)
		if string(out) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %q %v, want %q %v", name, out, err, tt.want, tt.err)
		}
	}
}

// Compressed messages come whole or in parts, and nothing is kept between them.
func TestInbound_TakesCompressedMessagesApart(t *testing.T) {
	text := strings.Repeat("long enough ", 10)
	z := squeezed(t, text, false)
	stream := bytes.Join([][]byte{
		clientFrame(0xC1, z), clientFrame(0x81, "plain"), clientFrame(0x41, z[:5]), clientFrame(0x89, "ping"), clientFrame(0x80, z[5:]),
		clientFrame(0x01, "pl"), clientFrame(0x80, "ain"), clientFrame(0xC2, "\x00"),
	}, nil)
	want := []item{{opText, text}, {opText, "plain"}, {opPing, "ping"}, {opText, text}, {opText, "plain"}, {opBinary, ""}}
	for _, sizes := range [][]byte{nil, {0}, {6, 0, 40}} {
		in := inbound{squeeze: true}
		got, err := takeApartBy(t, &in, stream, sizes, 200)
		if err != nil || len(got) != len(want) {
			t.Fatalf("in pieces of %v: %d items, %v", sizes, len(got), err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("in pieces of %v: item %d is %v, want %v", sizes, i, got[i], want[i])
			}
		}
		if in.held != nil || in.message != nil || in.rest != nil {
			t.Errorf("kept %q %q %q", in.held, in.message, in.rest)
		}
	}
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"a control frame":       {clientFrame(0xC9, "x"), errReserved},
		"a continuation":        {append(clientFrame(0x41, "x"), clientFrame(0xC0, "y")...), errReserved},
		"another reserved bit":  {clientFrame(0xA1, "x"), errReserved},
		"too long when it is":   {clientFrame(0xC1, squeezed(t, strings.Repeat("x", 201), false)), errOversize},
		"too long in its frame": {clientFrame(0xC1, strings.Repeat("x", 201)), errOversize},
		"not compressed at all": {clientFrame(0xC1, "\xff\xff\xff"), errDeflate},
	} {
		if _, err := takeApartBy(t, &inbound{squeeze: true}, tt.data, nil, 200); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// Short messages, and those that would not become shorter, are sent as they are.
func TestDeflated_OnlyWhatBecomesShorter(t *testing.T) {
	noise := make([]byte, 2000)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	for name, tt := range map[string]struct {
		payload []byte
		shorter bool
	}{
		"short":       {bytes.Repeat([]byte("a"), deflateFrom-1), false},
		"long enough": {bytes.Repeat([]byte("a"), deflateFrom), true},
		"noise":       {noise, false},
		"huge":        {bytes.Repeat([]byte("a"), 1<<20), true},
	} {
		out, err := formJSONDeflated.of(textFrame(tt.payload))
		if err != nil {
			t.Fatal(err)
		}
		payload := payloadOf(out)
		if tt.shorter != (out[0] == finText|rsv1) || tt.shorter && len(payload) >= len(tt.payload) {
			t.Errorf("%s: %x, %d of %d bytes", name, out[0], len(payload), len(tt.payload))
		}
		if tt.shorter {
			payload, err = inflate(payload, 2<<20)
		}
		if err != nil || !bytes.Equal(payload, tt.payload) {
			t.Errorf("%s: does not come back: %v", name, err)
		}
	}
}

// What goes to many sockets is compressed once for all, and is not joined to batches.
func TestDeflated_OnceForAll(t *testing.T) {
	long := textFrame([]byte(`{"jsonrpc":"2.0","method":"` + strings.Repeat("x", 400) + `"}`))
	for _, f := range []form{formJSONDeflated, formCBORDeflated} {
		var c shared
		first, err := c.in(f, long)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := c.in(f, long); unsafe.SliceData(again) != unsafe.SliceData(first) {
			t.Errorf("%s: compressed again", transports[f])
		}
		short, err := c.in(f, textFrame([]byte(`{"a":1}`)))
		if err != nil {
			t.Fatal(err)
		}
		b := f.appendFrames(nil, []queued{{frame: short}, {frame: first}, {frame: first}, {frame: short}, {frame: short}})
		want := append(append(append(bytes.Clone(short), first...), first...), f.appendBatch(nil, []queued{{frame: short}, {frame: short}})...)
		if !bytes.Equal(b, want) {
			t.Errorf("%s: sent as %x, want %x", transports[f], b, want)
		}
	}
}

// FuzzInflate: whatever a client calls compressed is a message within its bound
// or an error, and what is a message stays the same when it is compressed anew.
func FuzzInflate(f *testing.F) {
	f.Add([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"))
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"))
	f.Add([]byte(squeezed(f, strings.Repeat("\x00", 1<<20), false)))
	f.Add([]byte(squeezed(f, strings.Repeat(`{"jsonrpc":"2.0"}`, 40), true)))
	f.Fuzz(func(t *testing.T, data []byte) {
		const most = 4096
		out, err := inflate(data, most)
		switch {
		case err != nil && !errors.Is(err, errDeflate) && !errors.Is(err, errOversize):
			t.Fatal(err)
		case len(out) > most || err != nil && out != nil:
			t.Fatalf("%d bytes, %v", len(out), err)
		case err != nil:
			return
		}
		again, err := deflated(textFrame(out))
		if err != nil {
			t.Fatal(err)
		}
		back := payloadOf(again)
		if again[0]&rsv1 != 0 {
			back, err = inflate(back, most)
		}
		if err != nil || !bytes.Equal(back, out) {
			t.Fatalf("%q became %q, %v", out, back, err)
		}
	})
}
