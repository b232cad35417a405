package load

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"parley/wire"
)

// socket is a bare client connection, cheap enough to hold tens of thousands of
// them in one process: the SDK's convenience would cost the machine more than
// the node under load does.
type socket struct {
	index int
	user  wire.UserID
	conn  net.Conn
	in    *bufio.Reader
	mu    sync.Mutex // guards writing
	out   []byte
	id    int64
}

// handler takes a message from the node on the socket's reading goroutine; the
// bytes are valid until it returns.
type handler func(s *socket, message []byte)

// Frames of RFC 6455 that matter here.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
	final   = 0x80
)

// socketsPerAddr spreads the sockets over source addresses, so that neither
// ports nor a node's limit per address run out.
const socketsPerAddr = 500

// sourceAddr is the loopback address from which socket number i connects.
func sourceAddr(i int) netip.Addr {
	k := i / socketsPerAddr
	return netip.AddrFrom4([4]byte{127, 1, byte(k / 250), byte(k%250 + 1)})
}

// readBuffer is a socket's; larger ones cost more memory than they save reads.
const readBuffer = 4 << 10

// errRefused says that the node answered the handshake with something else than a socket.
type errRefused struct {
	status int
	after  time.Duration
}

func (e *errRefused) Error() string { return fmt.Sprintf("load: handshake answered with %d", e.status) }

// dialSocket makes a connection to the node's socket address, without a session.
// With deflate it offers permessage-deflate.
func dialSocket(ctx context.Context, socketURL string, index int, user wire.UserID, deflate bool) (*socket, error) {
	u, err := url.Parse(socketURL)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	host := u.Host
	dialer := net.Dialer{}
	if name := u.Hostname(); name == "localhost" || strings.HasPrefix(name, "127.") {
		host = net.JoinHostPort("127.0.0.1", u.Port())
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(sourceAddr(index), 0))
		dialer.Control = bindLate
	}
	conn, err := dialer.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	s := newSocket(conn, index, user)
	if err := s.handshake(ctx, u, deflate); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

func newSocket(conn net.Conn, index int, user wire.UserID) *socket {
	return &socket{index: index, user: user, conn: conn, in: bufio.NewReaderSize(conn, readBuffer)}
}

// bindLate lets the kernel choose the port when it knows the destination, so
// that an address has its whole range of ports for each.
func bindLate(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		const ipBindAddressNoPort = 24 // <linux/in.h>
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipBindAddressNoPort, 1)
	})
	return errors.Join(err, failed)
}

func (s *socket) handshake(ctx context.Context, u *url.URL, deflate bool) error {
	if deadline, ok := ctx.Deadline(); ok {
		_ = s.conn.SetDeadline(deadline)
	}
	extensions := ""
	if deflate {
		extensions = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"
	}
	_, err := fmt.Fprintf(s.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: parley.v1\r\n%s\r\n", u.RequestURI(), u.Host, extensions)
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return &errRefused{status: resp.StatusCode, after: time.Duration(seconds) * time.Second}
	}
	if deflate && !strings.Contains(resp.Header.Get("Sec-WebSocket-Extensions"), "server_no_context_takeover") {
		return errors.New("load: the node does not compress; start it with hub.compress=true")
	}
	return nil
}

// call sends a request and returns its id.
func (s *socket) call(method string, params any) (id int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id++
	s.out = append(s.out[:0], `{"jsonrpc":"2.0","id":`...)
	s.out = append(strconv.AppendInt(s.out, s.id, 10), ',')
	return s.id, s.askLocked(method, params)
}

// notify sends a notification, which gets no answer.
func (s *socket) notify(method string, params any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = append(s.out[:0], `{"jsonrpc":"2.0",`...)
	return s.askLocked(method, params)
}

// askLocked completes the message begun in out with its method and parameters, and sends it.
func (s *socket) askLocked(method string, params any) error {
	body, err := json.Marshal(params)
	if err != nil {
		return err
	}
	s.out = append(s.out, `"method":"`...)
	s.out = append(s.out, method...)
	s.out = append(s.out, `","params":`...)
	s.out = append(append(s.out, body...), '}')
	return s.writeLocked(opText, s.out)
}

// writeLocked writes one frame, masked with zeros.
func (s *socket) writeLocked(op byte, payload []byte) error {
	frame := make([]byte, 0, 14+len(payload))
	frame = append(frame, final|op)
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n <= 0xffff:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	frame = append(append(frame, 0, 0, 0, 0), payload...)
	_, err := s.conn.Write(frame)
	return err
}

func (s *socket) write(op byte, payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writeLocked(op, payload)
}

// frame reads one frame into buf, which it may grow.
func (s *socket) frame(buf []byte) (op byte, payload []byte, err error) {
	var head [8]byte
	if _, err = io.ReadFull(s.in, head[:2]); err != nil {
		return 0, buf, err
	}
	squeezed, op, n := head[0]&0x40 != 0, head[0]&0xf, int(head[1]&0x7f)
	switch n {
	case 126:
		if _, err = io.ReadFull(s.in, head[:2]); err != nil {
			return 0, buf, err
		}
		n = int(binary.BigEndian.Uint16(head[:2]))
	case 127:
		if _, err = io.ReadFull(s.in, head[:8]); err != nil {
			return 0, buf, err
		}
		n = int(binary.BigEndian.Uint64(head[:8]))
	}
	if n > maxFrame {
		return 0, buf, fmt.Errorf("load: a frame of %d bytes", n)
	}
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	_, err = io.ReadFull(s.in, buf[:n])
	if err == nil && squeezed {
		buf, err = inflate(buf[:n])
		return op, buf, err
	}
	return op, buf[:n], err
}

// inflate reads a compressed message (RFC 7692, section 7.2.2).
func inflate(b []byte) ([]byte, error) {
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	err := r.(flate.Resetter).Reset(io.MultiReader(bytes.NewReader(b), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")), nil)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxFrame))
}

var inflaters = sync.Pool{New: func() any { return flate.NewReader(bytes.NewReader(nil)) }}

// maxFrame is more than a node sends at once.
const maxFrame = 16 << 20

// open opens the session and returns the answer's result.
func (s *socket) open(token string, resume map[wire.ConversationID]int64) (json.RawMessage, error) {
	params := map[string]any{"token": token, "device": fmt.Sprintf("dev_load%d", s.index)}
	if len(resume) > 0 {
		params["resume"] = resume
	}
	if _, err := s.call("session.open", params); err != nil {
		return nil, err
	}
	return s.reply()
}

// answer is a reply as far as setting up needs it.
type answer struct {
	ID     int64            `json:"id"`
	Result json.RawMessage  `json:"result"`
	Error  *wire.ReplyError `json:"error"`
}

// reply reads until the answer to the last call, which it returns; what comes
// besides is given up. It is for setting up, before serve runs.
func (s *socket) reply() (json.RawMessage, error) {
	var buf []byte
	for {
		op, payload, err := s.frame(buf)
		if err != nil {
			return nil, err
		}
		buf = payload
		var found *answer
		look := func(_ *socket, message []byte) {
			var a answer
			if json.Unmarshal(message, &a) == nil && a.ID == s.id {
				found = &a
			}
		}
		switch {
		case op == opClose && len(payload) >= 2:
			return nil, fmt.Errorf("load: closed with %d %s", binary.BigEndian.Uint16(payload), payload[2:])
		case op != opText || len(payload) == 0:
			continue
		case payload[0] == '[':
			err = s.batch(payload, look)
		default:
			err = s.one(payload, look)
		}
		switch {
		case err != nil:
			return nil, err
		case found == nil:
			continue
		case found.Error != nil:
			return nil, fmt.Errorf("load: %d %s", found.Error.Code, found.Error.Message)
		}
		_ = s.conn.SetDeadline(time.Time{})
		return found.Result, nil
	}
}

var heartbeatMethod = []byte(`"method":"heartbeat"`)

// serve reads until the connection ends; it answers heartbeats and pings, and
// hands other messages, each of a batch by itself, to take.
func (s *socket) serve(take handler) error {
	var buf []byte
	for {
		op, payload, err := s.frame(buf)
		if err != nil {
			return err
		}
		buf = payload
		switch {
		case op == opClose && len(payload) >= 2:
			return fmt.Errorf("load: closed with %d %s", binary.BigEndian.Uint16(payload), payload[2:])
		case op == opPing:
			err = s.write(opPong, payload)
		case op != opText || len(payload) == 0:
		case payload[0] == '[':
			err = s.batch(payload, take)
		default:
			err = s.one(payload, take)
		}
		if err != nil {
			return err
		}
	}
}

func (s *socket) one(message []byte, take handler) error {
	if len(message) < 200 && bytes.Contains(message[:min(len(message), 60)], heartbeatMethod) {
		return s.write(opText, []byte(`{"jsonrpc":"2.0","method":"heartbeat"}`))
	}
	if take != nil {
		take(s, message)
	}
	return nil
}

// batch takes a JSON array of messages apart without decoding them.
func (s *socket) batch(array []byte, take handler) error {
	depth, start, quoted := 0, 0, false
	for i := 0; i < len(array); i++ {
		c := array[i]
		switch {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			if depth++; depth == 1 {
				start = i
			}
		case c == '}':
			if depth--; depth == 0 {
				if err := s.one(array[start:i+1], take); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// cut drops the connection without a farewell, as a lost network does.
func (s *socket) cut() { _ = s.conn.Close() }

// field returns the text of a string or number member called name, wherever in
// message it first occurs; the load's own messages hold each name once.
func field(message []byte, name string) []byte {
	_, rest, ok := bytes.Cut(message, []byte(`"`+name+`":`))
	if !ok {
		return nil
	}
	rest = bytes.TrimPrefix(rest, []byte(`"`))
	if end := bytes.IndexAny(rest, `",}`); end >= 0 {
		return rest[:end]
	}
	return nil
}

func number(message []byte, name string) (int64, bool) {
	n, err := strconv.ParseInt(string(field(message, name)), 10, 64)
	return n, err == nil
}
