package hub

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// item is what inbound.next answers.
type item struct {
	op      byte
	payload string
}

// takeApart feeds data in pieces of the given sizes, over and over, and returns
// all items and the error that ended it.
func takeApart(t *testing.T, data []byte, sizes []byte, most int) (items []item, err error) {
	t.Helper()
	return takeApartBy(t, new(inbound), data, sizes, most)
}

func takeApartBy(t *testing.T, in *inbound, data []byte, sizes []byte, most int) (items []item, err error) {
	t.Helper()
	data = bytes.Clone(data) // it is changed
	for i := 0; len(data) > 0; i++ {
		n := len(data)
		if len(sizes) > 0 {
			n = min(n, int(sizes[i%len(sizes)])+1)
		}
		in.fill(data[:n:n])
		data = data[n:]
		for {
			op, payload, err := in.next(most)
			if err != nil {
				return items, err
			}
			if op == 0 {
				break
			}
			items = append(items, item{op, string(payload)})
		}
		if kept := len(in.held) + len(in.message); kept > 2*most+14+maxControl {
			t.Fatalf("%d bytes are kept, of messages of at most %d", kept, most)
		}
	}
	return items, nil
}

// clientFrame makes a masked frame.
func clientFrame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := []byte{1, 2, 3, 250}
	b = append(b, mask...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

func TestInbound_TakesMessagesApart(t *testing.T) {
	long := string(bytes.Repeat([]byte("long "), 30))
	stream := bytes.Join([][]byte{
		clientFrame(0x81, "one"), clientFrame(0x01, "tw"), clientFrame(0x89, "ping"), clientFrame(0x8A, "pong"),
		clientFrame(0x80, "o"), clientFrame(0x82, long), clientFrame(0x81, ""), clientFrame(0x88, "\x03\xe8bye"),
	}, nil)
	want := []item{{opText, "one"}, {opPing, "ping"}, {opText, "two"}, {opBinary, long}, {opText, ""}, {opClose, "\x03\xe8bye"}}
	for _, sizes := range [][]byte{nil, {0}, {1}, {6, 0, 40}} {
		got, err := takeApart(t, stream, sizes, 200)
		if err != nil || len(got) != len(want) {
			t.Fatalf("in pieces of %v: %d items, %v", sizes, len(got), err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("in pieces of %v: item %d is %v, want %v", sizes, i, got[i], want[i])
			}
		}
	}
}

func TestInbound_RefusesWhatIsNoMessage(t *testing.T) {
	const most = 100
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"reserved bit":            {clientFrame(0xC1, "x"), errReserved},
		"opcode":                  {clientFrame(0x83, "x"), errOpcode},
		"control opcode":          {clientFrame(0x8B, "x"), errOpcode},
		"unmasked":                {[]byte{0x81, 1, 'x'}, errUnmasked},
		"fragmented ping":         {clientFrame(0x09, "x"), errControl},
		"long ping":               {clientFrame(0x89, string(make([]byte, 126))), errControl},
		"stray continuation":      {clientFrame(0x80, "x"), errContinuation},
		"second beginning":        {append(clientFrame(0x01, "x"), clientFrame(0x81, "y")...), errUnfinished},
		"too long":                {clientFrame(0x81, string(make([]byte, most+1))), errOversize},
		"too long by its header":  {clientFrame(0x81, string(make([]byte, 70_000)))[:14], errOversize},
		"too long in parts":       {append(clientFrame(0x01, string(make([]byte, most))), clientFrame(0x80, "x")...), errOversize},
		"length without a number": {[]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, errOversize},
		"never ending":            {append(clientFrame(0x01, "x"), bytes.Repeat(clientFrame(0x00, ""), 40)...), errEndless},
	} {
		for _, sizes := range [][]byte{nil, {0}} {
			if _, err := takeApart(t, tt.data, sizes, most); !errors.Is(err, tt.want) {
				t.Errorf("%s, in pieces of %v: %v, want %v", name, sizes, err, tt.want)
			}
		}
	}
}

// An idle connection keeps nothing, whatever it received before.
func TestInbound_KeepsNothingBetweenMessages(t *testing.T) {
	var in inbound
	for _, piece := range [][]byte{clientFrame(0x01, "a")[:3], clientFrame(0x01, "a")[3:], clientFrame(0x80, "b")} {
		in.fill(piece)
		for op := byte(1); op != 0; {
			var err error
			if op, _, err = in.next(10); err != nil {
				t.Fatal(err)
			}
		}
	}
	if in.held != nil || in.message != nil || in.rest != nil {
		t.Errorf("kept %q %q %q", in.held, in.message, in.rest)
	}
}

func TestCloseStatus_FollowsTheRegistry(t *testing.T) {
	for payload, want := range map[string]struct {
		code int
		ok   bool
	}{
		"": {1005, true}, "\x03": {0, false}, "\x03\xe8": {1000, true}, "\x03\xe8bye": {1000, true}, "\x03\xed": {1005, false},
		"\x03\xee": {1006, false}, "\x03\xec": {1004, false}, "\x03\xe7": {999, false}, "\x0f\xa1": {4001, true}, "\x13\x88": {5000, false},
		"\x03\xf7": {1015, false}, "\x0b\xb8": {3000, true},
	} {
		if code, ok := closeStatus([]byte(payload)); code != want.code || ok != want.ok {
			t.Errorf("%x: %d %v, want %d %v", payload, code, ok, want.code, want.ok)
		}
	}
}

// FuzzInbound: however a stream is cut into pieces, the same messages and the
// same end come out, none is larger than allowed, and what is kept is bounded.
func FuzzInbound(f *testing.F) {
	f.Add(append(clientFrame(0x01, "tw"), clientFrame(0x80, "o")...), []byte{0})
	f.Add(append(clientFrame(0x89, "ping"), clientFrame(0x81, "a text that is longer")...), []byte{3, 1})
	f.Add(clientFrame(0x82, string(make([]byte, 200)))[:40], []byte{7})
	f.Add(clientFrame(0x88, "\x03\xe8"), []byte{1})
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		const most = 64
		whole, wholeErr := takeApart(t, data, nil, most)
		parts, partsErr := takeApart(t, data, sizes, most)
		if !errors.Is(partsErr, wholeErr) || len(whole) != len(parts) {
			t.Fatalf("%d items and %v at once, %d and %v in pieces", len(whole), wholeErr, len(parts), partsErr)
		}
		for i := range whole {
			if whole[i] != parts[i] {
				t.Fatalf("item %d: %v at once, %v in pieces", i, whole[i], parts[i])
			}
			if n := len(whole[i].payload); n > most && whole[i].op < opClose || n > maxControl {
				t.Fatalf("item %d has %d bytes", i, n)
			}
		}
	})
}
