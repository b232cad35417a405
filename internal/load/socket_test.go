package load

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSourceAddr_KeepsWithinALimitPerAddress(t *testing.T) {
	seen := map[netip.Addr]int{}
	for i := range 100_000 {
		a := sourceAddr(i)
		if !a.IsLoopback() || a.As4()[3] == 0 || a.As4()[3] == 255 {
			t.Fatalf("socket %d from %s", i, a)
		}
		seen[a]++
	}
	for a, n := range seen {
		if n > socketsPerAddr {
			t.Errorf("%d from %s", n, a)
		}
	}
}

// pipeSocket is a socket whose other end the test holds.
func pipeSocket(t *testing.T) (*socket, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	return newSocket(near, 0, "ann"), far
}

func serverFrame(op byte, payload string) []byte {
	b := []byte{final | op, 126}
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	return append(b, payload...)
}

func TestSocket_TakesBatchesApartAndAnswersHeartbeats(t *testing.T) {
	s, node := pipeSocket(t)
	var got []string
	ended := make(chan error, 1)
	go func() { ended <- s.serve(func(_ *socket, m []byte) { got = append(got, string(m)) }) }()
	const one, two = `{"method":"event","params":{"text":"a}],{\"b"}}`, `{"id":7,"result":[{"x":{}}]}`
	for _, payload := range []string{one, "[" + one + "," + `{"jsonrpc":"2.0","method":"heartbeat","params":{}}` + "," + two + "]"} {
		if _, err := node.Write(serverFrame(opText, payload)); err != nil {
			t.Fatal(err)
		}
	}
	_ = node.SetDeadline(time.Now().Add(10 * time.Second))
	answer := make([]byte, 2+4+len(`{"jsonrpc":"2.0","method":"heartbeat"}`))
	if _, err := io.ReadFull(node, answer); err != nil || string(answer[6:]) != `{"jsonrpc":"2.0","method":"heartbeat"}` {
		t.Errorf("answered %q %v", answer, err)
	}
	if _, err := node.Write(serverFrame(opClose, "\x0f\xa1")); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("a close frame ends nothing")
	}
	if want := []string{one, one, two}; !slices.Equal(got, want) {
		t.Errorf("took %q", got)
	}
}

func TestWords_NumberAMessage(t *testing.T) {
	for message, want := range map[string]struct {
		n  int64
		by int
		ok bool
	}{
		`{"data":{"text":"12 3 xxxx"}}`: {12, 3, true}, `{"data":{}}`: {}, `{"text":"`: {},
	} {
		if n, by, ok := words([]byte(message)); n != want.n || by != want.by || ok != want.ok {
			t.Errorf("%s: %d %d %v", message, n, by, ok)
		}
	}
}

func TestField_FindsStringsAndNumbers(t *testing.T) {
	message := []byte(`{"type":"typing","seq":42,"typing":true}`)
	for name, want := range map[string]string{"type": "typing", "seq": "42", "typing": "true", "none": ""} {
		if got := string(field(message, name)); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// What a node compressed is read as what it was.
func TestSocket_ReadsCompressedMessages(t *testing.T) {
	s, node := pipeSocket(t)
	got := make(chan string, 2)
	ended := make(chan error, 1)
	go func() { ended <- s.serve(func(_ *socket, m []byte) { got <- string(m) }) }()
	message := `{"method":"event","params":{"text":"` + strings.Repeat("again and ", 50) + `"}}`
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(w, message)
	if err := errors.Join(err, w.Flush()); err != nil {
		t.Fatal(err)
	}
	squeezed := strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
	for _, frame := range [][]byte{serverFrame(opText|0x40, squeezed), serverFrame(opText, message)} {
		if _, err := node.Write(frame); err != nil {
			t.Fatal(err)
		}
		if text := <-got; text != message {
			t.Errorf("read %q", text)
		}
	}
	_ = node.Close()
	<-ended
}
