package load

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"parley/wire"
)

// pair is two sockets with a direct conversation; the first one speaks.
type pair struct {
	from, to *socket
	conv     wire.ConversationID
	came     chan arrival // what reached the second one
	refused  chan struct{}
	readers  sync.WaitGroup
}

// arrival is a unit that reached the other side.
type arrival struct {
	n  int64
	at time.Time
}

// tally counts what went wrong and right over all pairs.
type tally struct {
	sent, arrived, doubled, reordered, errors atomic.Int64
	took                                      samples
}

func (t *tally) into(r *Result) {
	r.Units = t.arrived.Load()
	r.Lost = max(0, t.sent.Load()-t.arrived.Load())
	r.Doubled = t.doubled.Load()
	r.Reordered = t.reordered.Load()
	r.Errors = t.errors.Load()
	r.P50MS, r.P99MS, r.MaxMS = t.took.at(0.50), t.took.at(0.99), t.took.at(1)
}

// newPairs opens n pairs. take sees every message that reaches the second
// socket, refuse every answer that is an error.
func newPairs(ctx context.Context, t Target, n int, take func(p *pair, message []byte)) (pairs []*pair, err error) {
	pairs = make([]*pair, n)
	err = each(n, func(i int) (err error) {
		pairs[i], err = newPair(ctx, t, i)
		return err
	})
	if err != nil {
		closePairs(pairs)
		return nil, err
	}
	for _, p := range pairs {
		p.readers.Go(func() { _ = p.to.serve(func(_ *socket, m []byte) { take(p, m) }) })
		p.readers.Go(func() {
			_ = p.from.serve(func(_ *socket, m []byte) {
				if field(m[:min(len(m), 80)], "error") != nil {
					select {
					case p.refused <- struct{}{}:
					default:
					}
				}
			})
		})
	}
	return pairs, nil
}

func newPair(ctx context.Context, t Target, i int) (*pair, error) {
	p := &pair{came: make(chan arrival, 64), refused: make(chan struct{}, 1)}
	a, b := wire.UserID(fmt.Sprintf("load-%d-a", i)), wire.UserID(fmt.Sprintf("load-%d-b", i))
	var err error
	if p.to, err = dialAs(ctx, t, 2*i, b); err != nil {
		return p, err
	}
	if p.from, err = dialAs(ctx, t, 2*i+1, a); err != nil {
		return p, err
	}
	_, err = p.from.call("conversations.create", map[string]any{"kind": "direct", "members": []wire.UserID{b}})
	if err != nil {
		return p, err
	}
	raw, err := p.from.reply()
	if err != nil {
		return p, err
	}
	var conv struct{ ID wire.ConversationID }
	err = json.Unmarshal(raw, &conv)
	p.conv = conv.ID
	return p, err
}

// dialAs opens a session of user.
func dialAs(ctx context.Context, t Target, index int, user wire.UserID) (*socket, error) {
	token, err := t.Mint(user)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := dialSocket(ctx, t.SocketURL, index, user)
	if err != nil {
		return nil, err
	}
	if _, err := s.open(token, nil); err != nil {
		s.cut()
		return nil, err
	}
	return s, nil
}

func closePairs(pairs []*pair) {
	for _, p := range pairs {
		if p == nil {
			continue
		}
		for _, s := range []*socket{p.from, p.to} {
			if s != nil {
				s.cut()
			}
		}
		p.readers.Wait()
	}
}

// arrived hands a unit to the sending side.
func (p *pair) arrived(n int64) {
	select {
	case p.came <- arrival{n, time.Now()}:
	default: // the sender has given up waiting
	}
}

// arriveWithin is when a unit counts as lost.
const arriveWithin = 10 * time.Second

// run sends unit after unit until ctx ends, one under way at a time; rate, if
// given, is how many a second. send writes the request of unit n.
func (p *pair) run(ctx context.Context, rate float64, t *tally, send func(p *pair, n int64) error) {
	timer := time.NewTimer(arriveWithin)
	defer timer.Stop()
	next := time.Now()
	for n := int64(1); ctx.Err() == nil; n++ {
		if rate > 0 {
			next = next.Add(time.Duration(float64(time.Second) / rate))
			if pause(ctx, time.Until(next).Seconds()) != nil {
				return
			}
		}
		begun := time.Now()
		if err := send(p, n); err != nil {
			t.errors.Add(1)
			return
		}
		t.sent.Add(1)
		timer.Reset(arriveWithin)
		select {
		case a := <-p.came:
			if a.n != n {
				t.reordered.Add(1)
			}
			t.arrived.Add(1)
			t.took.add(a.at.Sub(begun))
		case <-p.refused:
			t.errors.Add(1)
			return
		case <-timer.C:
			return
		}
	}
}

// runPairs runs all pairs for the given seconds and fills in the result.
func runPairs(ctx context.Context, target Target, pairs []*pair, seconds, rate float64, r *Result, t *tally, send func(p *pair, n int64) error) {
	m := newMeter(target.PID)
	sending, cancel := context.WithTimeout(ctx, time.Duration(seconds*float64(time.Second)))
	defer cancel()
	var wg sync.WaitGroup
	for _, p := range pairs {
		wg.Go(func() { p.run(sending, rate, t, send) })
	}
	wg.Wait()
	t.into(r)
	m.finish(r)
}
