package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/hub"
	"parley/wire"
)

// What goes in and what comes back, after the examples of the JSON-RPC 2.0
// specification, section 7.
func TestRouter_SpeaksJSONRPC(t *testing.T) {
	const invalidNull = `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: `
	const invalidOne = `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"Invalid Request: `
	w := newWorld()
	n := startNode(t, w, func(c *hub.Config) { c.MaxBatch = 3 })
	c, _ := n.open("ann", "a", nil)
	for name, tt := range map[string]struct{ in, out string }{
		"request":               {`{"jsonrpc":"2.0","id":1,"method":"echo","params":{"a":[1,2]}}`, `{"jsonrpc":"2.0","id":1,"result":{"a":[1,2]}}`},
		"spaces and order":      {"\n { \"params\" : [ 1 , \"]}\" ] ,\t\"method\":\"echo\", \"id\" : \"x\\\"y\" , \"jsonrpc\":\"2.0\" } ", `{"jsonrpc":"2.0","id":"x\"y","result":[ 1 , "]}" ]}`},
		"escaped member name":   {`{"jsonrpc":"2.0","i\u0064":1,"method":"echo","params":[]}`, `{"jsonrpc":"2.0","id":1,"result":[]}`},
		"id null":               {`{"jsonrpc":"2.0","id":null,"method":"echo","params":[]}`, `{"jsonrpc":"2.0","id":null,"result":[]}`},
		"id fraction":           {`{"jsonrpc":"2.0","id":1.5,"method":"echo","params":[]}`, `{"jsonrpc":"2.0","id":1.5,"result":[]}`},
		"unknown members":       {`{"jsonrpc":"2.0","id":1,"method":"echo","params":[],"more":{"method":"x"}}`, `{"jsonrpc":"2.0","id":1,"result":[]}`},
		"not JSON":              {`{"jsonrpc":"2.0","method":"foobar,"params":"bar","baz]`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		"nothing":               {``, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		"two values":            {`{} {}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		"batch not JSON":        {`[{"jsonrpc":"2.0","method":"sum","params":[1,2,4],"id":"1"},{"jsonrpc":"2.0","method"]`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`},
		"scalar":                {`1`, invalidNull + `a request is a JSON object"}}`},
		"method is no string":   {`{"jsonrpc":"2.0","method":1,"params":[]}`, invalidNull + `\"method\" must be a non-empty string"}}`},
		"no method":             {`{"jsonrpc":"2.0","id":1}`, invalidOne + `\"method\" must be a non-empty string"}}`},
		"no version":            {`{"id":1,"method":"echo"}`, invalidOne + `\"jsonrpc\" must be \"2.0\""}}`},
		"old version":           {`{"jsonrpc":"1.0","id":1,"method":"echo"}`, invalidOne + `\"jsonrpc\" must be \"2.0\""}}`},
		"id is an object":       {`{"jsonrpc":"2.0","id":{},"method":"echo"}`, invalidNull + `\"id\" must be a string, a number or null"}}`},
		"id is a boolean":       {`{"jsonrpc":"2.0","id":true,"method":"echo"}`, invalidNull + `\"id\" must be a string, a number or null"}}`},
		"long id":               {`{"jsonrpc":"2.0","id":"` + strings.Repeat("x", 200) + `","method":"echo"}`, invalidNull + `\"id\" is longer than 128 bytes"}}`},
		"params are scalar":     {`{"jsonrpc":"2.0","id":1,"method":"echo","params":"bar"}`, invalidOne + `\"params\" must be an object or an array"}}`},
		"id twice":              {`{"jsonrpc":"2.0","id":1,"method":"echo","id":2}`, invalidNull + `a member occurs twice"}}`},
		"a member twice":        {`{"jsonrpc":"2.0","id":1,"method":"echo","method":"nope"}`, invalidOne + `a member occurs twice"}}`},
		"empty batch":           {`[]`, invalidNull + `a batch needs at least one request"}}`},
		"batch of nothing good": {`[1,2]`, `[` + invalidNull + `a request is a JSON object"}},` + invalidNull + `a request is a JSON object"}}]`},
		"batch too large":       {`[1,2,3,4]`, invalidNull + `too many requests in one batch: at most 3"}}`},
		"batch": {`[{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]},{"jsonrpc":"2.0","method":"echo"},{"foo":"boo"}]`,
			`[{"jsonrpc":"2.0","id":1,"result":[1]},` + invalidNull + `\"jsonrpc\" must be \"2.0\""}}]`},
		"batch of one":   {`[{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}]`, `[{"jsonrpc":"2.0","id":1,"result":[1]}]`},
		"unknown method": {`{"jsonrpc":"2.0","id":"1","method":"foobar"}`, `{"jsonrpc":"2.0","id":"1","error":{"code":-32601,"message":"Unknown operation","data":{"type":"","title":"Unknown operation","status":404,"code":"operation_unknown"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			c.send(tt.in)
			if got := c.receive(); got != tt.out {
				t.Errorf("\n in  %s\n got %s\nwant %s", tt.in, got, tt.out)
			}
		})
	}
}

func TestRouter_NotificationsAreRunAndNotAnswered(t *testing.T) {
	w := newWorld()
	ran := make(chan string, 10)
	w.ops["note"] = func(_ context.Context, _ wire.Caller, p json.RawMessage) (json.RawMessage, *wire.Problem) {
		ran <- string(p)
		return nil, &wire.Problem{Status: 500, Code: "internal"}
	}
	n := startNode(t, w)
	c, _ := n.open("ann", "a", nil)
	c.send(`{"jsonrpc":"2.0","method":"note","params":[1]}`)
	c.send(`[{"jsonrpc":"2.0","method":"note","params":[2]},{"jsonrpc":"2.0","method":"heartbeat"},{"jsonrpc":"2.0","method":"nope"}]`)
	c.send(`{"jsonrpc":"2.0","method":"heartbeat","params":{}}`)
	c.send(`{"jsonrpc":"2.0","id":1,"method":"echo","params":["after"]}`)
	if got := c.receive(); got != `{"jsonrpc":"2.0","id":1,"result":["after"]}` {
		t.Errorf("the first answer is %s", got)
	}
	if a, b := <-ran, <-ran; a != "[1]" || b != "[2]" {
		t.Errorf("ran %s %s", a, b)
	}
}

func TestRouter_RequestsOfASessionRunInOrder(t *testing.T) {
	w := newWorld()
	var order []string // no lock: the race detector proves that they run one after the other
	w.ops["slow"] = func(_ context.Context, _ wire.Caller, p json.RawMessage) (json.RawMessage, *wire.Problem) {
		order = append(order, string(p))
		return p, nil
	}
	n := startNode(t, w, func(c *hub.Config) { c.MaxInFlight = 1000 })
	c, _ := n.open("ann", "a", nil)
	const count = 200
	for i := range count {
		c.start("slow", []int{i})
	}
	for i := range count {
		if m := c.await(fmt.Sprint(i + 2)); string(m.Result) != fmt.Sprintf("[%d]", i) {
			t.Fatalf("answer %d: %s", i, m.Result)
		}
	}
	for i := range count {
		if order[i] != fmt.Sprintf("[%d]", i) {
			t.Fatalf("ran %s as number %d", order[i], i)
		}
	}
}

func TestRouter_SlowOperationDoesNotHoldUpHeartbeatsOrEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		release := make(chan struct{})
		w.ops["slow"] = func(ctx context.Context, _ wire.Caller, _ json.RawMessage) (json.RawMessage, *wire.Problem) {
			<-release
			return nil, nil
		}
		n := startPipeNode(t, w)
		c, _ := n.open("ann", "a", nil)
		id := c.start("slow", nil)
		for range 4 { // far longer than a silent client may be, while the operation waits
			c.beat()
			c.send(`{"jsonrpc":"2.0","method":"heartbeat"}`)
		}
		heard := make(chan wire.Event)
		go func() { heard <- c.event() }()
		if err := c.ws.Ping(t.Context()); err != nil {
			t.Fatalf("ping: %v", err)
		}
		n.Publish(t.Context(), wire.Event{Type: "typing", Data: []byte("{}")}, wire.To{User: "ann"})
		<-heard
		close(release)
		if m := c.await(id); m.Error != nil {
			t.Errorf("slow: %+v", m.Error)
		}
	})
}

func TestRouter_TooManyUnderWayAreRefused(t *testing.T) {
	w := newWorld()
	started, release := make(chan struct{}, 1), make(chan struct{})
	w.ops["slow"] = func(context.Context, wire.Caller, json.RawMessage) (json.RawMessage, *wire.Problem) {
		started <- struct{}{}
		<-release
		return nil, nil
	}
	n := startNode(t, w, func(c *hub.Config) { c.MaxInFlight, c.InFlightBytes = 3, 1000 })
	c, _ := n.open("ann", "a", nil)
	slow := c.start("slow", nil)
	<-started
	var waiting []string
	for range 3 {
		waiting = append(waiting, c.start("echo", nil))
	}
	m := c.call("echo", nil)
	wantCode(t, m, wire.CodeProblem, "too_many_in_flight")
	if m.Error.Data.RetryAfter != 1 {
		t.Errorf("retry after %d", m.Error.Data.RetryAfter)
	}
	close(release)
	for _, id := range append([]string{slow}, waiting...) {
		if m := c.await(id); m.Error != nil {
			t.Errorf("%s: %+v", id, m.Error)
		}
	}
	big := c.start("echo", strings.Repeat("x", 5000)) // params must be an object or array
	wantCode(t, c.await(big), wire.CodeInvalidRequest, "")
	c.must("echo", []string{strings.Repeat("x", 5000)}, nil) // one frame is always taken
}

func TestRouter_RateLimitWarnsThenCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startPipeNode(t, newWorld(), func(c *hub.Config) { c.Rate, c.Burst, c.RateWarnings = 2, 5, 3 })
		c, _ := n.open("ann", "a", nil) // takes one
		for range 4 {
			c.must("echo", nil, nil)
		}
		m := c.call("echo", nil)
		wantCode(t, m, wire.CodeProblem, "rate_limited")
		if m.Error.Data.RetryAfter != 1 {
			t.Errorf("retry after %d", m.Error.Data.RetryAfter)
		}
		c.send(`[{"jsonrpc":"2.0","id":"a","method":"echo"},{"jsonrpc":"2.0","method":"echo"}]`)
		if got := c.receive(); !strings.HasPrefix(got, `[{"jsonrpc":"2.0","id":"a","error"`) {
			t.Errorf("batch: %s", got)
		}
		<-time.After(time.Second) // two tokens, not full: warnings are remembered
		c.must("echo", nil, nil)
		c.must("echo", nil, nil)
		wantCode(t, c.call("echo", nil), wire.CodeProblem, "rate_limited")
		c.start("echo", nil)
		wantClose(t, c, wire.CloseRate)
	})
}

func TestRouter_PatienceIsForgivenOnceTheBucketIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startPipeNode(t, newWorld(), func(c *hub.Config) { c.Rate, c.Burst, c.RateWarnings = 2, 2, 1 })
		c, _ := n.open("ann", "a", nil)
		for range 10 {
			c.must("echo", nil, nil)
			wantCode(t, c.call("echo", nil), wire.CodeProblem, "rate_limited")
			<-time.After(1100 * time.Millisecond)
			c.must("echo", nil, nil)
		}
	})
}

func TestRouter_FloodsOfPingsAndNonsenseAreCut(t *testing.T) {
	flood := map[string][]byte{
		"pings":      maskedFrame(0x89, "x"),
		"nonsense":   maskedFrame(0x81, "{"),
		"heartbeats": maskedFrame(0x81, `{"jsonrpc":"2.0","method":"heartbeat"}`),
	}
	for name, frame := range flood {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, newWorld(), func(c *hub.Config) { c.Rate, c.Burst, c.RateWarnings = 1, 10, 10 })
			conn := n.rawSocketWith(nil)
			readHandshake(t, conn)
			go func() {
				for range 1000 {
					if _, err := conn.Write(frame); err != nil {
						return
					}
				}
			}()
			for {
				op, payload := readFrame(t, conn)
				if op == 0x88 {
					if closeCode(payload) != wire.CloseRate {
						t.Errorf("closed with %d", closeCode(payload))
					}
					return
				}
			}
		})
	}
}
