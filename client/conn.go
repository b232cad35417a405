// Package client is Parley's Go SDK: a socket that resumes where it broke off,
// REST calls, and voice over WebRTC. Bots, the load generator and the
// end-to-end tests are built on it.
//
// A Conn is one connection; after it has ended, dial again and name in Resume
// the last entries seen.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"parley/wire"
)

// Subprotocols of the socket: JSON, and the same messages as CBOR.
const (
	Subprotocol     = "parley.v1"
	SubprotocolCBOR = "parley.v1.cbor"
)

// writeTimeout is how long the network may take to accept a frame.
const writeTimeout = 10 * time.Second

// readLimit bounds one frame from the server, in bytes: a resume batch may be large.
const readLimit = 4 << 20

// ErrClosed says that the connection is gone; the cause is wrapped beside it.
var ErrClosed = errors.New("client: connection closed")

// Options of a Conn.
type Options struct {
	// SocketURL is ws://… or wss://… ending in /v1/socket.
	SocketURL string
	// Transport is how the Conn speaks; the zero value is a WebSocket with JSON.
	Transport Transport
	// Token signs the user in.
	Token string
	// Device names this installation, dev_….
	Device wire.DeviceID
	// Resume holds the last seq seen of each conversation.
	Resume map[wire.ConversationID]int64
	// OnEvent receives every event in order of arrival, on the reading
	// goroutine; it must not block nor wait for a Call of the same Conn.
	OnEvent func(wire.Event)
	// OnHeartbeat receives the heads that moved. May be nil.
	OnHeartbeat func(heads map[wire.ConversationID]int64)
}

// Opened is the answer to session.open.
type Opened struct {
	Session       wire.SessionID `json:"session"`
	User          wire.UserID    `json:"user"`
	Device        wire.DeviceID  `json:"device"`
	HeartbeatS    float64        `json:"heartbeat_s"`
	Conversations []struct {
		ID   wire.ConversationID `json:"id"`
		Head int64               `json:"head"`
		From int64               `json:"from"`
		Gap  bool                `json:"gap"`
	} `json:"conversations"`
}

// Conn is one open, authenticated socket. Its methods are safe for concurrent use.
type Conn struct {
	opts   Options
	line   line
	opened Opened
	ids    atomic.Int64
	done   chan struct{} // closed when reading has ended; err is set before

	mu      sync.Mutex
	waiting map[string]chan wire.Reply
	err     error
}

// Dial connects and opens the session.
func Dial(ctx context.Context, opts Options) (*Conn, error) {
	l, err := connect(ctx, opts)
	if err != nil {
		return nil, err
	}
	c := &Conn{opts: opts, line: l, done: make(chan struct{}), waiting: map[string]chan wire.Reply{}}
	go c.read()
	params := map[string]any{"token": opts.Token, "device": opts.Device}
	if len(opts.Resume) > 0 {
		params["resume"] = opts.Resume
	}
	if err := c.Call(ctx, "session.open", params, &c.opened); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Opened returns the session's facts.
func (c *Conn) Opened() Opened { return c.opened }

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection ended, nil while it has not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// CloseCode returns the server's close code once the connection has ended, or -1.
func (c *Conn) CloseCode() int { return int(websocket.CloseStatus(c.Err())) }

// Close ends the connection and waits until its goroutine has ended.
func (c *Conn) Close() {
	c.line.close()
	<-c.done
}

// Abort drops the connection without a close frame, as a lost network does.
func (c *Conn) Abort() {
	c.line.abort()
	<-c.done
}

// Call sends a request and waits for its reply. result may be nil. An error of
// the server is a *wire.Problem.
func (c *Conn) Call(ctx context.Context, method string, params, result any) error {
	id := strconv.FormatInt(c.ids.Add(1), 10)
	reply := make(chan wire.Reply, 1)
	if err := c.expect(id, reply); err != nil {
		return err
	}
	defer c.forget(id)
	if err := c.send(ctx, id, method, params); err != nil {
		return err
	}
	select {
	case r := <-reply:
		return decode(r, result)
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return c.closed()
	}
}

// Notify sends a notification, which gets no reply.
func (c *Conn) Notify(ctx context.Context, method string, params any) error {
	return c.send(ctx, "", method, params)
}

func (c *Conn) expect(id string, reply chan wire.Reply) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return fmt.Errorf("%w: %w", ErrClosed, c.err)
	}
	c.waiting[id] = reply
	return nil
}

func (c *Conn) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

func (c *Conn) closed() error {
	return fmt.Errorf("%w: %w", ErrClosed, c.Err())
}

func (c *Conn) send(ctx context.Context, id, method string, params any) error {
	req := wire.Request{JSONRPC: "2.0", Method: method}
	if id != "" {
		req.ID = json.RawMessage(id)
	}
	if params != nil {
		b, err := json.Marshal(params)
		if err != nil {
			return fmt.Errorf("client: params of %s: %w", method, err)
		}
		req.Params = b
	}
	frame, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("client: %s: %w", method, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.line.write(ctx, frame); err != nil {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return nil
}

func decode(r wire.Reply, result any) error {
	switch {
	case r.Error != nil && r.Error.Data != nil:
		return r.Error.Data
	case r.Error != nil:
		return &wire.Problem{Code: "rpc_error", Status: 400, Title: r.Error.Message, Detail: r.Error.Message}
	case result == nil:
		return nil
	}
	if err := json.Unmarshal(r.Result, result); err != nil {
		return fmt.Errorf("client: result: %w", err)
	}
	return nil
}

// read owns the socket's reading side until it ends.
func (c *Conn) read() {
	defer close(c.done)
	for {
		frame, err := c.line.read()
		if err == nil {
			err = c.frame(frame)
		}
		if err != nil {
			c.mu.Lock()
			c.err = err
			c.mu.Unlock()
			c.line.abort()
			return
		}
	}
}

// incoming is any message of the server: a reply or a notification.
type incoming struct {
	wire.Reply
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

func (c *Conn) frame(frame []byte) error {
	if frame = bytes.TrimLeft(frame, " \t\r\n"); len(frame) > 0 && frame[0] == '[' {
		var batch []incoming
		if err := json.Unmarshal(frame, &batch); err != nil {
			return fmt.Errorf("client: batch: %w", err)
		}
		for _, m := range batch {
			if err := c.take(m); err != nil {
				return err
			}
		}
		return nil
	}
	var m incoming
	if err := json.Unmarshal(frame, &m); err != nil {
		return fmt.Errorf("client: frame: %w", err)
	}
	return c.take(m)
}

func (c *Conn) take(m incoming) error {
	switch m.Method {
	case "":
		c.mu.Lock()
		reply := c.waiting[string(m.ID)]
		c.mu.Unlock()
		if reply != nil {
			reply <- m.Reply // room for one, and the server answers once
		}
	case "event":
		var ev wire.Event
		if err := json.Unmarshal(m.Params, &ev); err != nil {
			return fmt.Errorf("client: event: %w", err)
		}
		if c.opts.OnEvent != nil {
			c.opts.OnEvent(ev)
		}
	case "heartbeat":
		return c.heartbeat(m.Params)
	}
	return nil
}

func (c *Conn) heartbeat(params json.RawMessage) error {
	var p struct {
		Heads map[wire.ConversationID]int64 `json:"heads"`
	}
	if err := json.Unmarshal(params, &p); err != nil {
		return fmt.Errorf("client: heartbeat: %w", err)
	}
	if c.opts.OnHeartbeat != nil {
		c.opts.OnHeartbeat(p.Heads)
	}
	return c.send(context.Background(), "", "heartbeat", nil)
}
