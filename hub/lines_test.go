package hub_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"parley/hub"
	"parley/wire/jsoncbor"
)

// line is how a test's client speaks: a WebSocket, one of CBOR, or a stream
// with posts. All take and give JSON.
type line interface {
	Read(ctx context.Context) (websocket.MessageType, []byte, error)
	Write(ctx context.Context, typ websocket.MessageType, data []byte) error
	CloseNow() error
	Close(code websocket.StatusCode, reason string) error
	Ping(ctx context.Context) error
}

// cborLine is a WebSocket that speaks CBOR.
type cborLine struct{ *websocket.Conn }

func (l cborLine) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	typ, data, err := l.Conn.Read(ctx)
	if err != nil {
		return typ, nil, err
	}
	if typ != websocket.MessageBinary {
		return typ, nil, errors.New("not a binary message")
	}
	data, err = jsoncbor.ToJSON(data, 16<<20)
	return typ, data, err
}

func (l cborLine) Write(ctx context.Context, typ websocket.MessageType, data []byte) error {
	body, err := jsoncbor.FromJSON(data)
	if err != nil { // no JSON: as it is, for it is meant to be wrong
		return l.Conn.Write(ctx, typ, data)
	}
	return l.Conn.Write(ctx, websocket.MessageBinary, body)
}

// sseLine is a stream of server-sent events and the posts beside it.
type sseLine struct {
	n      *node
	http   *http.Client
	opened struct{ Session, Ticket, Key string }
	body   io.ReadCloser
	lines  *bufio.Reader
	posted bool
}

// post sends a message; the first one opens the session and its stream.
func (l *sseLine) Write(ctx context.Context, _ websocket.MessageType, data []byte) error {
	if !l.posted {
		l.posted = true
		return l.start(ctx, data)
	}
	status, err := l.post(ctx, "/v1/events/"+l.opened.Session, l.opened.Key, data, nil)
	if err == nil && status != http.StatusAccepted && status != http.StatusNotFound && status != http.StatusRequestEntityTooLarge {
		l.n.t.Errorf("post: %d", status)
	}
	return err
}

func (l *sseLine) post(ctx context.Context, path, key string, data []byte, into any) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.n.url+path, bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := l.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	if into != nil {
		err = json.NewDecoder(res.Body).Decode(into)
	}
	return res.StatusCode, err
}

func (l *sseLine) start(ctx context.Context, data []byte) error {
	status, err := l.post(ctx, "/v1/events/open", "", data, &l.opened)
	if err != nil || status != http.StatusOK {
		l.n.t.Fatalf("open: %d, %v", status, err)
	}
	return l.listen(ctx)
}

// listen reads the stream with the ticket.
func (l *sseLine) listen(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.n.url+"/v1/events?ticket="+l.opened.Ticket, nil)
	if err != nil {
		return err
	}
	res, err := l.http.Do(req)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		l.n.t.Errorf("stream: %d %v", res.StatusCode, res.Header)
	}
	l.body, l.lines = res.Body, bufio.NewReader(res.Body)
	return nil
}

// Read returns the next message, or a websocket.CloseError for the event "close".
func (l *sseLine) Read(context.Context) (websocket.MessageType, []byte, error) {
	kind := ""
	for {
		text, err := l.lines.ReadString('\n')
		if err != nil {
			return 0, nil, err
		}
		text = strings.TrimSuffix(text, "\n")
		switch field, value, _ := strings.Cut(text, ": "); field {
		case "event":
			kind = value
		case "data":
			if kind != "close" {
				return websocket.MessageText, []byte(value), nil
			}
			var c struct {
				Code   int
				Reason string
			}
			err := json.Unmarshal([]byte(value), &c)
			return 0, nil, errors.Join(err, websocket.CloseError{Code: websocket.StatusCode(c.Code), Reason: c.Reason})
		}
	}
}

func (l *sseLine) CloseNow() error {
	if l.body == nil {
		return nil
	}
	return l.body.Close()
}

func (l *sseLine) Close(websocket.StatusCode, string) error { return l.CloseNow() }
func (l *sseLine) Ping(context.Context) error               { return errors.ErrUnsupported }

// overEach runs a test over each way to have a session.
func overEach(t *testing.T, test func(t *testing.T, via string)) {
	for _, via := range []string{"json", "cbor", "sse", "json_deflate", "cbor_deflate"} {
		t.Run(via, func(t *testing.T) { test(t, via) })
	}
}

// dialVia opens a line without a session.
func (n *node) dialVia(via string) *client {
	n.t.Helper()
	compression := websocket.CompressionDisabled
	if strings.HasSuffix(via, "_deflate") {
		compression = websocket.CompressionContextTakeover // which the node turns down to none
	}
	switch via {
	case "cbor", "cbor_deflate":
		c := n.dialWith(&websocket.DialOptions{Subprotocols: []string{hub.SubprotocolCBOR}, CompressionMode: compression, CompressionThreshold: 1})
		c.ws = cborLine{c.ws.(*websocket.Conn)}
		return c
	case "json_deflate":
		return n.dialWith(&websocket.DialOptions{Subprotocols: []string{hub.Subprotocol}, CompressionMode: compression, CompressionThreshold: 1})
	case "sse":
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		l := &sseLine{n: n, http: n.client}
		if l.http == nil {
			transport := &http.Transport{}
			l.http = &http.Client{Transport: transport}
			n.t.Cleanup(transport.CloseIdleConnections)
		}
		n.t.Cleanup(func() { _ = l.CloseNow(); cancel() })
		return &client{t: n.t, ws: l, ctx: ctx}
	}
	return n.dial()
}
