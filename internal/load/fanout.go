package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/wire"
)

// FanoutConfig of a Fanout run.
type FanoutConfig struct {
	// Subs is the number of sockets that receive. 0 means 100.
	Subs int
	// Size is the length of a message's text, in bytes. 0 means 256.
	Size int
	// Inflight is how many messages are under way at once. 0 means 1.
	Inflight int
	// Seconds is how long messages are sent. 0 means 5.
	Seconds float64
	// Group sends over a group conversation, which stores every message, instead
	// of an open topic.
	Group bool
}

// channel is what carries messages from a few publishers to many subscribers.
type channel interface {
	// user says whose socket subscriber i is.
	user(i int) wire.UserID
	// join prepares the channel once all sockets are open.
	join(publishers, subscribers []*socket) error
	// publish has publisher s send text, which begins with its number.
	publish(s *socket, text string) error
}

// Fanout sends messages to many sockets; a unit is a delivery to one of them,
// timed from before the message is sent.
func Fanout(ctx context.Context, t Target, cfg FanoutConfig) (Result, error) {
	if cfg.Subs <= 0 {
		cfg.Subs = 100
	}
	if cfg.Size <= 0 {
		cfg.Size = 256
	}
	if cfg.Inflight <= 0 {
		cfg.Inflight = 1
	}
	if cfg.Seconds <= 0 {
		cfg.Seconds = 5
	}
	f := &fanout{cfg: cfg, on: topicChannel{fmt.Sprintf("load:fanout-%d", time.Now().UnixNano())}}
	if cfg.Group {
		f.on = newGroupChannel(cfg.Subs)
	}
	defer f.close()
	result := Result{Bench: "fanout"}
	if err := f.connect(ctx, t); err != nil {
		return result, err
	}
	m := newMeter(t.PID)
	f.run(ctx)
	f.counts.into(&result)
	m.finish(&result)
	return result, nil
}

// fanout is one run.
type fanout struct {
	cfg         FanoutConfig
	on          channel
	publishers  []*socket
	subscribers []*socket
	readers     sync.WaitGroup
	counts      tally
	numbers     atomic.Int64

	// rounds are the messages under way, by their number; far more than can be.
	rounds [4096]atomic.Pointer[round]
}

// round is one message on its way to all subscribers.
type round struct {
	number int64
	begun  time.Time
	left   atomic.Int64
	done   chan struct{}
}

// connect opens the sockets and joins them.
func (f *fanout) connect(ctx context.Context, t Target) error {
	all := make([]*socket, f.cfg.Subs+f.cfg.Inflight)
	err := each(len(all), fewAtOnce, func(i int) (err error) {
		user := wire.UserID(fmt.Sprintf("load-publisher-%d", i-f.cfg.Subs))
		if i < f.cfg.Subs {
			user = f.on.user(i)
		}
		all[i], err = dialAs(ctx, t, i, user)
		return err
	})
	for _, s := range all {
		if s != nil {
			f.subscribers = append(f.subscribers, s)
		}
	}
	if err != nil {
		return err
	}
	f.subscribers, f.publishers = all[:f.cfg.Subs], all[f.cfg.Subs:]
	if err := f.on.join(f.publishers, f.subscribers); err != nil {
		return err
	}
	for _, s := range f.subscribers {
		last := make([]int64, f.cfg.Inflight) // by publisher
		f.readers.Go(func() { _ = s.serve(func(_ *socket, m []byte) { f.take(last, m) }) })
	}
	for _, s := range f.publishers {
		f.readers.Go(func() { _ = s.serve(nil) })
	}
	return nil
}

// fewAtOnce is how many of each are under way where nothing else is said.
const fewAtOnce = 16

// each runs do for the numbers below n, atOnce at a time; none begins after one
// has failed.
func each(n, atOnce int, do func(i int) error) error {
	errs := make([]error, n)
	places := make(chan struct{}, atOnce)
	var failed atomic.Bool
	var wg sync.WaitGroup
	for i := range n {
		places <- struct{}{}
		if failed.Load() {
			break
		}
		wg.Go(func() {
			defer func() { <-places }()
			if errs[i] = do(i); errs[i] != nil {
				failed.Store(true)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// textMember begins a text, which is "number publisher …".
var textMember = []byte(`"text":"`)

// words reads the two numbers at the beginning of the text in message.
func words(message []byte) (number int64, publisher int, ok bool) {
	i := bytes.Index(message, textMember)
	if i < 0 {
		return 0, 0, false
	}
	number, rest := digits(message[i+len(textMember):])
	from, rest := digits(rest)
	return number, int(from), len(rest) > 0
}

// digits reads a number and the character after it.
func digits(b []byte) (n int64, rest []byte) {
	for len(b) > 0 && b[0] >= '0' && b[0] <= '9' {
		n = 10*n + int64(b[0]-'0')
		b = b[1:]
	}
	return n, b[min(1, len(b)):]
}

// take notes a message at one subscriber; last is the newest of each publisher there.
func (f *fanout) take(last []int64, message []byte) {
	n, publisher, ok := words(message)
	if !ok || publisher >= len(last) {
		return
	}
	switch from := last[publisher]; {
	case n == from:
		f.counts.doubled.Add(1)
		return
	case n < from:
		f.counts.reordered.Add(1)
		return
	}
	last[publisher] = n
	r := f.rounds[n%int64(len(f.rounds))].Load()
	if r == nil || r.number != n {
		return // given up
	}
	f.counts.arrived.Add(1)
	if n%16 == 0 {
		f.counts.took.add(time.Since(r.begun))
	}
	if r.left.Add(-1) == 0 {
		close(r.done)
	}
}

// run publishes until the time is over, each publisher one message at a time.
func (f *fanout) run(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(f.cfg.Seconds*float64(time.Second)))
	defer cancel()
	var wg sync.WaitGroup
	for i, s := range f.publishers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if !f.publish(s, i) {
					return
				}
			}
		})
	}
	wg.Wait()
}

func (f *fanout) publish(s *socket, publisher int) bool {
	n := f.numbers.Add(1)
	r := &round{number: n, begun: time.Now(), done: make(chan struct{})}
	r.left.Store(int64(len(f.subscribers)))
	place := &f.rounds[n%int64(len(f.rounds))]
	place.Store(r)
	defer place.Store(nil)
	text := fmt.Sprintf("%d %d ", n, publisher)
	text += strings.Repeat("x", max(0, f.cfg.Size-len(text)))
	if err := f.on.publish(s, text); err != nil {
		f.counts.failed.add(plain(err))
		return false
	}
	f.counts.sent.Add(int64(len(f.subscribers)))
	timer := time.NewTimer(arriveWithin)
	defer timer.Stop()
	select {
	case <-r.done:
		return true
	case <-timer.C:
		return false
	}
}

func (f *fanout) close() {
	for _, s := range f.publishers {
		s.cut()
	}
	for _, s := range f.subscribers {
		s.cut()
	}
	f.readers.Wait()
}

// topicChannel fans out over an open topic, which stores nothing; every
// subscriber is another user.
type topicChannel struct{ topic string }

func (c topicChannel) user(i int) wire.UserID { return wire.UserID(fmt.Sprintf("load-listener-%d", i)) }

func (c topicChannel) join(_, subscribers []*socket) error {
	for _, s := range subscribers {
		if _, err := s.call("topic.join", map[string]any{"topic": c.topic}); err != nil {
			return err
		}
	}
	for _, s := range subscribers {
		if _, err := s.reply(); err != nil {
			return err
		}
	}
	return nil
}

func (c topicChannel) publish(s *socket, text string) error {
	_, err := s.call("topic.publish", map[string]any{"topic": c.topic, "data": map[string]string{"text": text}})
	return err
}

// groupChannel fans out over a group conversation: its members' devices are the
// subscribers, and every message is stored once.
type groupChannel struct {
	devices int // of each member
	conv    wire.ConversationID
}

// newGroupChannel takes half of the 20 sessions that a user may have on a node by
// default, because those of a run before may not have ended yet, unless that
// would take more members than a conversation may have.
func newGroupChannel(subs int) *groupChannel {
	const mostMembers, sessions = 200, 10
	return &groupChannel{devices: max(sessions, (subs+mostMembers-1)/mostMembers)}
}

func (c *groupChannel) user(i int) wire.UserID {
	return wire.UserID(fmt.Sprintf("load-listener-%d", i/c.devices))
}

func (c *groupChannel) join(publishers, subscribers []*socket) error {
	var members []wire.UserID
	for _, s := range append(publishers[1:len(publishers):len(publishers)], subscribers...) {
		if len(members) == 0 || members[len(members)-1] != s.user {
			members = append(members, s.user)
		}
	}
	if _, err := publishers[0].call("conversations.create", map[string]any{"kind": "group", "title": "Fan-out", "members": members}); err != nil {
		return err
	}
	raw, err := publishers[0].reply()
	if err != nil {
		return err
	}
	var conv struct{ ID wire.ConversationID }
	err = json.Unmarshal(raw, &conv)
	c.conv = conv.ID
	return err
}

func (c *groupChannel) publish(s *socket, text string) error {
	number, _, _ := strings.Cut(text, " ")
	_, err := s.call("messages.send", map[string]any{"conversation": c.conv, "client_id": number, "text": text})
	return err
}
