package load

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/pion/rtp"

	"parley/client"
	"parley/wire"
)

// CallConfig of a Call run.
type CallConfig struct {
	// Route is direct, relay or sfu. Empty means direct.
	Route string
	// Calls is how many calls are made one after another. 0 means 10.
	Calls int
	// Seconds ends the run before that many calls are made. 0 means never.
	Seconds float64
}

// Call makes calls between two people and times each from the answer until
// both have heard the other's first voice packet.
func Call(ctx context.Context, t Target, cfg CallConfig) (Result, error) {
	if cfg.Calls <= 0 {
		cfg.Calls = 10
	}
	var c callers
	if err := c.connect(ctx, t); err != nil {
		return Result{}, err
	}
	defer c.close()
	result := Result{Bench: "call-" + cfg.Route}
	var took samples
	m := newMeter(t.PID)
	for i := range cfg.Calls {
		if cfg.Seconds > 0 && time.Since(m.begun).Seconds() > cfg.Seconds {
			break
		}
		d, err := c.call(ctx, cfg.Route, i)
		if err != nil {
			return result, fmt.Errorf("load: call %d: %w", i+1, err)
		}
		took.add(d)
		result.Units++
	}
	m.finish(&result)
	result.P50MS, result.P99MS = took.at(0.50), took.at(0.99)
	return result, nil
}

// callers are two people with a conversation.
type callers struct {
	a, b  *client.Conn
	conv  wire.ConversationID
	ring  chan wire.CallID
	ended chan wire.CallID

	mu     sync.Mutex
	direct [2]*client.DirectCall
	early  [2][]wire.Event // events of a call before its object is there
}

func (c *callers) connect(ctx context.Context, t Target) (err error) {
	c.ring, c.ended = make(chan wire.CallID, 16), make(chan wire.CallID, 16)
	if c.a, err = open(ctx, t, "load-caller", func(ev wire.Event) { c.take(0, ev) }); err != nil {
		return err
	}
	if c.b, err = open(ctx, t, "load-callee", func(ev wire.Event) { c.take(1, ev) }); err != nil {
		return err
	}
	var conv struct{ ID wire.ConversationID }
	err = c.a.Call(ctx, "conversations.create", map[string]any{"kind": "direct", "members": []string{"load-callee"}}, &conv)
	if err != nil {
		return err
	}
	c.conv = conv.ID
	return c.b.Call(ctx, "conversations.accept", map[string]any{"conversation": c.conv}, nil) // strangers do not ring
}

func (c *callers) close() {
	c.a.Close()
	c.b.Close()
}

func (c *callers) take(side int, ev wire.Event) {
	var data struct {
		Call client.CallState `json:"call"`
	}
	switch ev.Type {
	case "call.offered", "call.ended":
		if json.Unmarshal(ev.Data, &data) != nil {
			return
		}
		switch {
		case side == 0:
		case ev.Type == "call.offered":
			c.ring <- data.Call.ID
		default:
			c.ended <- data.Call.ID
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if call := c.direct[side]; call != nil {
		call.Handle(ev)
	} else {
		c.early[side] = append(c.early[side], ev)
	}
}

// set makes a call hear its events, those before it included.
func (c *callers) set(side int, call *client.DirectCall) {
	c.mu.Lock() // held while handling, which returns at once, so that no later event overtakes
	defer c.mu.Unlock()
	for _, ev := range c.early[side] {
		call.Handle(ev)
	}
	c.direct[side], c.early[side] = call, nil
}

func (c *callers) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.direct, c.early = [2]*client.DirectCall{}, [2][]wire.Event{}
}

// callWithin bounds one call of a run.
const callWithin = 30 * time.Second

func (c *callers) call(ctx context.Context, route string, i int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	c.clear()
	params := map[string]any{"conversation": c.conv, "client_id": fmt.Sprintf("call-%d", i)}
	var took time.Duration
	var id wire.CallID
	var err error
	if route == "sfu" {
		params["media"] = "sfu"
		id, took, err = c.throughSFU(ctx, params)
	} else {
		id, took, err = c.betweenTwo(ctx, params, route == "relay")
	}
	if err != nil {
		return 0, err
	}
	if err := c.a.Call(ctx, "calls.hangup", map[string]any{"call": id}, nil); err != nil {
		return 0, err
	}
	for {
		select {
		case ended := <-c.ended:
			if ended == id {
				return took, nil
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (c *callers) betweenTwo(ctx context.Context, params map[string]any, relay bool) (wire.CallID, time.Duration, error) {
	heard := make(chan struct{}, 2)
	opts := client.DirectOptions{RelayOnly: relay, OnFirstAudio: func() { heard <- struct{}{} }}
	params["relay_only"] = relay
	out, err := client.StartCall(ctx, c.a, params, opts)
	if err != nil {
		return "", 0, err
	}
	defer out.Close()
	c.set(0, out)
	if err := c.awaitRing(ctx, out.ID()); err != nil {
		return "", 0, err
	}
	begun := time.Now()
	in, err := client.AnswerCall(ctx, c.b, out.ID(), opts)
	if err != nil {
		return "", 0, err
	}
	defer in.Close()
	c.set(1, in)
	err = speakUntil(ctx, heard, 2, out, in)
	return out.ID(), time.Since(begun), err
}

func (c *callers) throughSFU(ctx context.Context, params map[string]any) (wire.CallID, time.Duration, error) {
	var started struct{ Call client.CallState }
	if err := c.a.Call(ctx, "calls.start", params, &started); err != nil {
		return "", 0, err
	}
	id := started.Call.ID
	if err := c.awaitRing(ctx, id); err != nil {
		return "", 0, err
	}
	begun := time.Now()
	if err := c.b.Call(ctx, "calls.answer", map[string]any{"call": id}, nil); err != nil {
		return "", 0, err
	}
	heard := make(chan struct{}, 2)
	rooms := make([]speaker, 2)
	for i, conn := range []*client.Conn{c.b, c.a} {
		var first sync.Once
		room, err := client.JoinRoom(ctx, conn, id, func(string, *rtp.Packet) { first.Do(func() { heard <- struct{}{} }) })
		if err != nil {
			return "", 0, err
		}
		defer room.Close()
		rooms[i] = room
	}
	err := speakUntil(ctx, heard, 2, rooms...)
	return id, time.Since(begun), err
}

func (c *callers) awaitRing(ctx context.Context, call wire.CallID) error {
	for {
		select {
		case id := <-c.ring:
			if id == call {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// speaker takes voice frames.
type speaker interface{ Say(frame []byte) error }

// frame is 20 ms of Opus silence (RFC 6716).
var frame = []byte{0xf8, 0xff, 0xfe}

// speakUntil makes all speak until n of them have been heard.
func speakUntil(ctx context.Context, heard <-chan struct{}, n int, all ...speaker) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n > 0 {
		select {
		case <-heard:
			n--
		case <-tick.C:
			for _, s := range all {
				_ = s.Say(frame) // dropped until it is connected
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
