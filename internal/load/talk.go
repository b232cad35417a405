package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"parley/wire"
)

// talk is what held sockets say: the two of each pair send each other a stored
// message in every turn. A worker's last socket stays silent if it has no pair.
type talk struct {
	parts                             []part // by socket
	sent, arrived, doubled, reordered atomic.Int64
	failed                            failures
}

// part is one socket's.
type part struct {
	conv  wire.ConversationID
	heard int64                    // the turn of the last message; the reading goroutine's own
	made  chan wire.ConversationID // the answer to conversations.create
}

func newTalk(sockets int) *talk {
	t := &talk{parts: make([]part, sockets)}
	for i := range t.parts {
		t.parts[i].made = make(chan wire.ConversationID, 1)
	}
	return t
}

// meet makes the conversations of the pairs, atOnce at a time; their sockets hand what they read to hear.
func (t *talk) meet(ctx context.Context, sockets []*socket, atOnce int) error {
	return each(len(sockets)/2, atOnce, func(i int) error {
		a, b := 2*i, 2*i+1
		if sockets[a] == nil || sockets[b] == nil {
			return fmt.Errorf("load: sockets %d and %d are not open", a, b)
		}
		_, err := sockets[a].call("conversations.create", map[string]any{"kind": "direct", "members": []wire.UserID{sockets[b].user}})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, arriveWithin)
		defer cancel()
		select {
		case t.parts[a].conv = <-t.parts[a].made:
			t.parts[b].conv = t.parts[a].conv
			return nil
		case <-ctx.Done():
			return fmt.Errorf("load: conversation of sockets %d and %d: %w", a, b, ctx.Err())
		}
	})
}

// whoSpeaks is who speaks as number n of a turn: the first of each pair, then the
// second of each, since people who talk to each other seldom speak in the same
// millisecond.
func whoSpeaks(n, speakers int) int {
	if half := speakers / 2; n >= half {
		return 2*(n-half) + 1
	}
	return 2 * n
}

// run takes turns, each spread over every, and then waits for what is under way.
func (t *talk) run(ctx context.Context, sockets []*socket, every, span time.Duration) error {
	speakers := len(sockets) / 2 * 2
	if speakers == 0 {
		return nil
	}
	begun := time.Now()
	for turn := int64(1); time.Duration(turn)*every <= span; turn++ {
		for n := range speakers {
			i := whoSpeaks(n, speakers)
			s := sockets[i]
			due := begun.Add(time.Duration(turn-1)*every + every*time.Duration(n)/time.Duration(speakers))
			if err := pause(ctx, time.Until(due).Seconds()); err != nil {
				return err
			}
			text := fmt.Sprintf("%d %d still here?", turn, i)
			if _, err := s.call("messages.send", map[string]any{"conversation": t.parts[i].conv, "client_id": text, "text": text}); err != nil {
				t.failed.add(plain(err))
				continue
			}
			t.sent.Add(1)
		}
	}
	for until := time.Now().Add(arriveWithin); t.arrived.Load() < t.sent.Load() && time.Now().Before(until); {
		if err := pause(ctx, 0.05); err != nil {
			return err
		}
	}
	return nil
}

var (
	answerPrefix   = []byte(`{"jsonrpc":"2.0","id":`)
	messageCreated = []byte(`"type":"message.created"`)
)

// hear takes what reached socket i.
func (t *talk) hear(i int, message []byte) {
	p := &t.parts[i]
	if bytes.HasPrefix(message, answerPrefix) {
		t.answered(p, message)
		return
	}
	if !bytes.Contains(message, messageCreated) {
		return
	}
	turn, from, ok := words(message)
	switch {
	case !ok || from == i:
	case turn == p.heard:
		t.doubled.Add(1)
	case turn < p.heard:
		t.reordered.Add(1)
	default:
		p.heard = turn
		t.arrived.Add(1)
	}
}

func (t *talk) answered(p *part, message []byte) {
	var a struct {
		Result struct{ ID wire.ConversationID }
		Error  *wire.ReplyError
	}
	if err := json.Unmarshal(message, &a); err != nil {
		t.failed.add(plain(err))
		return
	}
	if a.Error != nil {
		t.failed.add(refusal(a.Error))
		if p.conv != "" { // it was to a message, which nobody is to get
			t.sent.Add(-1)
		}
		return
	}
	select {
	case p.made <- a.Result.ID:
	default: // the answer to a message
	}
}
