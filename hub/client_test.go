package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/hub"
	"parley/wire"
)

// client is a plain WebSocket client that knows nothing of Parley's SDK.
type client struct {
	t      testing.TB
	ws     line
	ctx    context.Context
	lastID int
	events []wire.Event      // received and not asked for yet
	beats  []json.RawMessage // params of heartbeats
	parked []message         // answers nobody has waited for yet
	batch  []json.RawMessage // messages of a frame, not looked at yet
}

type message struct {
	ID     json.RawMessage  `json:"id"`
	Method string           `json:"method"`
	Params json.RawMessage  `json:"params"`
	Result json.RawMessage  `json:"result"`
	Error  *wire.ReplyError `json:"error"`
}

type opened struct {
	Session       wire.SessionID
	User          wire.UserID
	Device        wire.DeviceID
	HeartbeatS    int `json:"heartbeat_s"`
	ServerTime    time.Time
	Conversations []struct {
		ID         wire.ConversationID
		Head, From int64
		Gap        bool
	}
}

func (o opened) head(conv wire.ConversationID) (head, from int64, gap bool) {
	for _, c := range o.Conversations {
		if c.ID == conv {
			return c.Head, c.From, c.Gap
		}
	}
	return -1, -1, false
}

// dial opens a socket without a session.
func (n *node) dial() *client {
	n.t.Helper()
	return n.dialWith(&websocket.DialOptions{Subprotocols: []string{hub.Subprotocol}})
}

func (n *node) dialWith(o *websocket.DialOptions) *client {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	if n.client == nil {
		ctx, cancel = context.WithTimeout(context.Background(), patience)
	}
	if n.client != nil {
		o.HTTPClient = n.client
	}
	ws, _, err := websocket.Dial(ctx, n.url, o)
	if err != nil {
		cancel()
		n.t.Fatalf("dial: %v", err)
	}
	ws.SetReadLimit(8 << 20)
	n.t.Cleanup(func() { _ = ws.CloseNow(); cancel() })
	return &client{t: n.t, ws: ws, ctx: ctx}
}

// open opens a session of user on the device, resuming from the given positions.
func (n *node) open(user, device string, resume map[wire.ConversationID]int64) (*client, opened) {
	n.t.Helper()
	c := n.dial()
	return c, c.open(user, device, resume)
}

func (c *client) open(token, device string, resume map[wire.ConversationID]int64) opened {
	c.t.Helper()
	params := map[string]any{"token": token, "device": "dev_" + device}
	if resume != nil {
		params["resume"] = resume
	}
	var o opened
	c.must("session.open", params, &o)
	return o
}

// send sends text as it is.
func (c *client) send(text string) {
	c.t.Helper()
	if err := c.ws.Write(c.ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// receive returns the next message as it came.
func (c *client) receive() string {
	c.t.Helper()
	_, data, err := c.ws.Read(c.ctx)
	if err != nil {
		c.t.Fatalf("receive: %v", err)
	}
	return string(data)
}

// read returns the next message, of a frame of its own or of a batch.
func (c *client) read() (json.RawMessage, error) {
	if len(c.batch) == 0 {
		_, data, err := c.ws.Read(c.ctx)
		if err != nil || data[0] != '[' {
			return data, err
		}
		if err := json.Unmarshal(data, &c.batch); err != nil {
			return nil, err
		}
	}
	m := c.batch[0]
	c.batch = c.batch[1:]
	return m, nil
}

// next takes in one message from the socket.
func (c *client) next() (message, error) {
	data, err := c.read()
	if err != nil {
		return message{}, err
	}
	var m message
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%s: %w", data, err)
	}
	switch m.Method {
	case "event":
		var ev wire.Event
		if err := json.Unmarshal(m.Params, &ev); err != nil {
			return m, err
		}
		c.events = append(c.events, ev)
	case "heartbeat":
		c.beats = append(c.beats, m.Params)
	}
	return m, nil
}

// start sends a request and returns its id.
func (c *client) start(method string, params any) string {
	c.t.Helper()
	c.lastID++
	id := fmt.Sprint(c.lastID)
	member := ""
	if params != nil {
		body, err := json.Marshal(params)
		if err != nil {
			c.t.Fatal(err)
		}
		member = `,"params":` + string(body)
	}
	c.send(`{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `"` + member + `}`)
	return id
}

// await returns the answer to the request id; events meanwhile are kept.
func (c *client) await(id string) message {
	c.t.Helper()
	for i, m := range c.parked {
		if string(m.ID) == id {
			c.parked = slices.Delete(c.parked, i, i+1)
			return m
		}
	}
	for {
		m, err := c.next()
		if err != nil {
			c.t.Fatalf("waiting for answer %s: %v", id, err)
		}
		switch {
		case m.Method != "":
		case string(m.ID) == id:
			return m
		default:
			c.parked = append(c.parked, m)
		}
	}
}

func (c *client) call(method string, params any) message {
	c.t.Helper()
	return c.await(c.start(method, params))
}

// must calls and decodes the result.
func (c *client) must(method string, params, result any) {
	c.t.Helper()
	m := c.call(method, params)
	if m.Error != nil {
		c.t.Fatalf("%s: %d %s %+v", method, m.Error.Code, m.Error.Message, m.Error.Data)
	}
	if result != nil {
		if err := json.Unmarshal(m.Result, result); err != nil {
			c.t.Fatal(err)
		}
	}
}

// event returns the next event.
func (c *client) event() wire.Event {
	c.t.Helper()
	for len(c.events) == 0 {
		if _, err := c.next(); err != nil {
			c.t.Fatalf("waiting for an event: %v", err)
		}
	}
	ev := c.events[0]
	c.events = c.events[1:]
	return ev
}

// beat returns the heads of the next heartbeat.
func (c *client) beat() map[wire.ConversationID]int64 {
	c.t.Helper()
	for len(c.beats) == 0 {
		if _, err := c.next(); err != nil {
			c.t.Fatalf("waiting for a heartbeat: %v", err)
		}
	}
	var b struct {
		Time  time.Time
		Heads map[wire.ConversationID]int64
	}
	if err := json.Unmarshal(c.beats[0], &b); err != nil || b.Time.IsZero() || b.Heads == nil {
		c.t.Fatalf("heartbeat %s: %v", c.beats[0], err)
	}
	c.beats = c.beats[1:]
	return b.Heads
}

// closed reads until the server closes, and returns its code and reason.
func (c *client) closed() (int, string) {
	c.t.Helper()
	for {
		if _, err := c.next(); err != nil {
			return c.closeOf(err)
		}
	}
}

// closeOf returns the code and reason of the close frame that err stands for.
func (c *client) closeOf(err error) (int, string) {
	c.t.Helper()
	var ce websocket.CloseError
	if !asClose(err, &ce) {
		c.t.Fatalf("ended without a close frame: %v", err)
	}
	return int(ce.Code), ce.Reason
}

func wantClose(t testing.TB, c *client, code int) string {
	t.Helper()
	got, reason := c.closed()
	if got != code {
		t.Fatalf("closed with %d %q, want %d", got, reason, code)
	}
	return reason
}

func wantCode(t testing.TB, m message, rpc int, problem string) {
	t.Helper()
	switch {
	case m.Error == nil:
		t.Fatalf("succeeded with %s, want %d %s", m.Result, rpc, problem)
	case m.Error.Code != rpc:
		t.Fatalf("code %d (%s), want %d", m.Error.Code, m.Error.Message, rpc)
	case problem != "" && (m.Error.Data == nil || m.Error.Data.Code != problem):
		t.Fatalf("problem %+v, want %s", m.Error.Data, problem)
	}
}
