package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/client"
	"parley/wire"
)

// callTime is how long a person waits for an answer before trying elsewhere.
const callTime = 3 * time.Second

// outgoing is a message that a person tried to send.
type outgoing struct {
	acked bool
	seq   int64  // when acked
	id    string // when acked
}

// entry is one of a log as it reached a person.
type entry struct {
	seq int64
	id  string
}

// talker is a person with one device who chats, and who goes to another node
// whenever the one at hand fails. It notes everything.
type talker struct {
	t     *testing.T
	user  wire.UserID
	token string
	doors []*gate // to the nodes
	conv  wire.ConversationID

	at    int // which node is tried next
	conn  *client.Conn
	heard chan struct{} // a sign that something came

	mu       sync.Mutex
	log      []entry
	sent     map[string]*outgoing
	acks     int
	moved    int // connections after the first
	gaps     int // how often the log was paged
	problems []string
}

func newTalker(t *testing.T, user wire.UserID, doors []*gate, at int) *talker {
	t.Helper()
	token, err := exec.CommandContext(t.Context(), binary, "token", "--set", "auth.secret="+secret, "--ttl", "720h", string(user)).Output() //nolint:gosec // the node under test
	if err != nil {
		t.Fatal(err)
	}
	return &talker{t: t, user: user, token: strings.TrimSpace(string(token)), doors: doors, at: at, sent: map[string]*outgoing{}, heard: make(chan struct{}, 1), moved: -1}
}

// last is the number of the last entry that has come.
func (p *talker) last() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.log) == 0 {
		return 0
	}
	return p.log[len(p.log)-1].seq
}

func (p *talker) take(ev wire.Event) {
	if ev.Conversation != p.conv || ev.Seq == 0 {
		return
	}
	p.mu.Lock()
	p.log = append(p.log, entry{ev.Seq, string(ev.ID)})
	p.mu.Unlock()
}

func (p *talker) beat(map[wire.ConversationID]int64) {
	select {
	case p.heard <- struct{}{}:
	default:
	}
}

// connect opens a session on the next node that takes it.
func (p *talker) connect(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := p.dial(ctx); err == nil {
			return nil
		}
		p.at++
		pause(ctx, 100*time.Millisecond)
	}
	return ctx.Err()
}

func (p *talker) dial(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	p.mu.Lock()
	had := len(p.log)
	p.mu.Unlock()
	from := p.last()
	conn, err := client.Dial(ctx, client.Options{
		SocketURL: "ws://" + p.doors[p.at%len(p.doors)].addr + "/v1/socket", Token: p.token, Device: wire.DeviceID("dev_" + string(p.user)),
		Resume: map[wire.ConversationID]int64{p.conv: from}, OnEvent: p.take, OnHeartbeat: p.beat,
	})
	if err != nil {
		return err
	}
	for _, c := range conn.Opened().Conversations {
		if c.ID == p.conv && c.Gap {
			if err := p.page(ctx, conn, from, c.From, had); err != nil {
				p.mu.Lock()
				p.log = p.log[:had] // as if it had never connected
				p.mu.Unlock()
				conn.Abort()
				return err
			}
		}
	}
	p.conn = conn
	p.mu.Lock()
	p.moved++
	p.mu.Unlock()
	return nil
}

// page reads what was too much to be sent: the entries between from and until,
// which belong in front of what came since.
func (p *talker) page(ctx context.Context, conn *client.Conn, from, until int64, at int) error {
	var missed []entry
	for next := from; next < until-1; {
		var page struct{ Entries []wire.Event }
		if err := conn.Call(ctx, "entries.list", map[string]any{"conversation": p.conv, "after": next, "before": until, "limit": 200}, &page); err != nil {
			return err
		}
		if len(page.Entries) == 0 {
			return errors.New("nothing where the gap is")
		}
		for _, ev := range page.Entries {
			missed = append(missed, entry{ev.Seq, string(ev.ID)})
			next = ev.Seq
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gaps++
	p.log = append(append(append([]entry(nil), p.log[:at]...), missed...), p.log[at:]...)
	return nil
}

// talk sends message after message until ctx ends.
func (p *talker) talk(ctx context.Context) {
	for n := 1; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("%s-%d", p.user, n)
		p.mu.Lock()
		out := &outgoing{}
		p.sent[id] = out
		p.mu.Unlock()
		p.say(ctx, id, out, n%3 != 0)
		pause(ctx, 20*time.Millisecond)
	}
}

// say sends one message, with stubborn again and again until it is acknowledged.
func (p *talker) say(ctx context.Context, id string, out *outgoing, stubborn bool) {
	for ctx.Err() == nil {
		if p.conn == nil && p.connect(ctx) != nil {
			return
		}
		var ev wire.Event
		err := p.call("messages.send", map[string]any{"conversation": p.conv, "client_id": id, "text": "It is me, " + id}, &ev)
		var problem *wire.Problem
		switch {
		case err == nil:
			p.mu.Lock()
			out.acked, out.seq, out.id = true, ev.Seq, string(ev.ID)
			p.acks++
			p.mu.Unlock()
			return
		case errors.As(err, &problem) && problem.Status < 500 && problem.Status != 429:
			p.mu.Lock()
			p.problems = append(p.problems, problem.Error())
			p.mu.Unlock()
			return
		case errors.As(err, &problem):
			pause(ctx, 200*time.Millisecond)
		default:
			p.leave()
		}
		if !stubborn {
			return
		}
	}
}

// call asks the node at hand.
func (p *talker) call(method string, params map[string]any, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	return p.conn.Call(ctx, method, params, result)
}

// leave drops the connection as a lost network does; the next one is elsewhere.
func (p *talker) leave() {
	if p.conn == nil {
		return
	}
	p.conn.Abort()
	p.conn = nil
	p.at++
}

// settle makes sure that everything up to head has come, over a new connection if need be.
func (p *talker) settle(ctx context.Context, head int64) error {
	for p.last() < head {
		if p.conn == nil {
			if err := p.connect(ctx); err != nil {
				return err
			}
		}
		select {
		case <-p.conn.Done():
			p.leave()
		case <-p.heard: // what was missing comes before the next but one heartbeat
		case <-time.After(callTime):
			p.leave()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// pause waits for d unless ctx ends first.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
