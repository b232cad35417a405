package load

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"parley/client"
	"parley/wire"
)

// ChatConfig of a Chat run.
type ChatConfig struct {
	// Conns is the number of sockets; they talk in pairs. 0 means 2.
	Conns int
	// Rate is how many messages a second each pair sends; 0 means the next one
	// as soon as the last one has arrived.
	Rate float64
	// Seconds is how long messages are sent. 0 means 5.
	Seconds float64
}

// Chat sends stored messages between pairs of sockets and times each from
// before it is sent until the other socket has it.
func Chat(ctx context.Context, t Target, cfg ChatConfig) (Result, error) {
	if cfg.Conns < 2 {
		cfg.Conns = 2
	}
	if cfg.Seconds <= 0 {
		cfg.Seconds = 5
	}
	pairs := make([]*chatPair, cfg.Conns/2)
	defer func() {
		for _, p := range pairs {
			p.close()
		}
	}()
	for i := range pairs {
		var err error
		if pairs[i], err = newChatPair(ctx, t, i); err != nil {
			return Result{}, err
		}
	}
	result := Result{Bench: "chat"}
	var took samples
	m := newMeter(t.PID)
	sending, cancel := context.WithTimeout(ctx, time.Duration(cfg.Seconds*float64(time.Second)))
	defer cancel()
	var wg sync.WaitGroup
	for _, p := range pairs {
		wg.Go(func() { p.run(sending, cfg.Rate, &took) })
	}
	wg.Wait()
	for _, p := range pairs {
		result.Units += p.arrived.Load()
		result.Lost += p.sent.Load() - p.arrived.Load()
		result.Doubled += p.doubled.Load()
		result.Reordered += p.reordered.Load()
		result.Errors += p.errors.Load()
	}
	m.finish(&result)
	result.P50MS, result.P99MS = took.at(0.50), took.at(0.99)
	return result, nil
}

// chatPair is two sockets with a direct conversation; the first one speaks.
type chatPair struct {
	from, to *client.Conn
	conv     wire.ConversationID
	came     chan int64 // numbers of messages that arrived

	sent, arrived, doubled, reordered, errors atomic.Int64
	last                                      int64 // seq seen last; on the reading goroutine
}

func newChatPair(ctx context.Context, t Target, i int) (*chatPair, error) {
	p := &chatPair{came: make(chan int64, 1024)}
	a, b := wire.UserID(fmt.Sprintf("load-%d-a", i)), wire.UserID(fmt.Sprintf("load-%d-b", i))
	var err error
	if p.to, err = open(ctx, t, b, p.take); err != nil {
		return p, err
	}
	if p.from, err = open(ctx, t, a, nil); err != nil {
		return p, err
	}
	var conv struct{ ID wire.ConversationID }
	err = p.from.Call(ctx, "conversations.create", map[string]any{"kind": "direct", "members": []wire.UserID{b}}, &conv)
	p.conv = conv.ID
	return p, err
}

// open connects a user's only device.
func open(ctx context.Context, t Target, user wire.UserID, on func(wire.Event)) (*client.Conn, error) {
	token, err := t.Mint(user)
	if err != nil {
		return nil, err
	}
	return client.Dial(ctx, client.Options{SocketURL: t.SocketURL, Token: token, Device: "dev_load", OnEvent: on})
}

func (p *chatPair) close() {
	if p == nil {
		return
	}
	for _, c := range []*client.Conn{p.from, p.to} {
		if c != nil {
			c.Close()
		}
	}
}

// take notes an arriving message.
func (p *chatPair) take(ev wire.Event) {
	if ev.Type != "message.created" {
		return
	}
	switch {
	case ev.Seq == p.last:
		p.doubled.Add(1)
		return
	case ev.Seq != p.last+1 && p.last > 0:
		p.reordered.Add(1)
	}
	p.last = ev.Seq
	p.arrived.Add(1)
	var m struct {
		ClientID string `json:"client_id"`
	}
	if json.Unmarshal(ev.Data, &m) == nil {
		if n, err := strconv.ParseInt(m.ClientID, 10, 64); err == nil {
			select {
			case p.came <- n:
			default: // the sender has given up waiting
			}
		}
	}
}

// run sends until ctx ends, one message under way at a time.
func (p *chatPair) run(ctx context.Context, rate float64, took *samples) {
	next := time.Now()
	for n := int64(1); ctx.Err() == nil; n++ {
		if rate > 0 {
			next = next.Add(time.Duration(float64(time.Second) / rate))
			pause := time.NewTimer(time.Until(next))
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
				return
			}
		}
		if !p.send(n, took) {
			return
		}
	}
}

// arriveWithin is when a message counts as lost.
const arriveWithin = 10 * time.Second

func (p *chatPair) send(n int64, took *samples) bool {
	ctx, cancel := context.WithTimeout(context.Background(), arriveWithin)
	defer cancel()
	begun := time.Now()
	err := p.from.Call(ctx, "messages.send", map[string]any{"conversation": p.conv, "client_id": strconv.FormatInt(n, 10), "text": "Shall we do it now?"}, nil)
	if err != nil {
		p.errors.Add(1)
		return false
	}
	p.sent.Add(1)
	for {
		select {
		case came := <-p.came:
			if came == n {
				took.add(time.Since(begun))
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}
