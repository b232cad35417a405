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

// PairConfig of a run between pairs of sockets.
type PairConfig struct {
	// Conns is the number of sockets; they talk in pairs. 0 means 2.
	Conns int
	// Inflight is how many units of a pair may be under way at once. 0 means 1.
	Inflight int
	// Rate is how many units a second each pair sends; 0 means the next one as
	// soon as there is room.
	Rate float64
	// Seconds is how long units are sent. 0 means 5.
	Seconds float64
}

func (c PairConfig) withDefaults() PairConfig {
	c.Conns, c.Inflight = max(c.Conns, 2), max(c.Inflight, 1)
	if c.Seconds <= 0 {
		c.Seconds = 5
	}
	return c
}

// pair is two sockets with a direct conversation; the first one speaks.
type pair struct {
	from, to *socket
	conv     wire.ConversationID
	came     chan arrival // what reached the second one
	refused  chan string  // what an answer that is an error says
	readers  sync.WaitGroup
}

// arrival is a unit that reached the other side.
type arrival struct {
	n  int64
	at time.Time
}

// tally counts what went wrong and right over all pairs.
type tally struct {
	sent, arrived, doubled, reordered atomic.Int64
	failed                            failures
	took                              samples
}

func (t *tally) into(r *Result) {
	r.Units = t.arrived.Load()
	r.Lost = max(0, t.sent.Load()-t.arrived.Load())
	r.Doubled = t.doubled.Load()
	r.Reordered = t.reordered.Load()
	r.Errors, r.ErrorsSaid = t.failed.take()
	r.P50MS, r.P99MS, r.MaxMS = t.took.at(0.50), t.took.at(0.99), t.took.at(1)
}

// newPairs opens the pairs. take sees every message that reaches the second
// socket, refuse every answer that is an error.
func newPairs(ctx context.Context, t Target, cfg PairConfig, take func(p *pair, message []byte)) (pairs []*pair, err error) {
	pairs = make([]*pair, cfg.Conns/2)
	err = each(len(pairs), fewAtOnce, func(i int) (err error) {
		pairs[i], err = newPair(ctx, t, i, cfg.Inflight)
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
					case p.refused <- refusalIn(m):
					default:
					}
				}
			})
		})
	}
	return pairs, nil
}

func newPair(ctx context.Context, t Target, i, inflight int) (*pair, error) {
	p := &pair{came: make(chan arrival, inflight), refused: make(chan string, 1)}
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
	s, err := dialSocket(ctx, t.SocketURL, index, user, t.Deflate)
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

// run sends unit after unit until ctx ends, and waits for those under way.
// send writes the request of unit n.
func (p *pair) run(ctx context.Context, cfg PairConfig, t *tally, send func(p *pair, n int64) error) {
	w := window{pair: p, tally: t, begun: make([]time.Time, cfg.Inflight), timer: time.NewTimer(arriveWithin)}
	defer w.timer.Stop()
	next := time.Now()
	for ctx.Err() == nil {
		if cfg.Rate > 0 {
			next = next.Add(time.Duration(float64(time.Second) / cfg.Rate))
			if pause(ctx, time.Until(next).Seconds()) != nil {
				break
			}
		}
		if w.full() && !w.settle() {
			return
		}
		if err := w.send(send); err != nil {
			t.failed.add(plain(err))
			return
		}
	}
	for w.arrived < w.sent && w.settle() {
	}
}

// window is what a pair has under way.
type window struct {
	*pair
	tally         *tally
	sent, arrived int64
	begun         []time.Time // of unit n, at n modulo the most that may be under way
	timer         *time.Timer
}

func (w *window) full() bool { return w.sent-w.arrived == int64(len(w.begun)) }

func (w *window) at(n int64) *time.Time { return &w.begun[n%int64(len(w.begun))] }

func (w *window) send(send func(p *pair, n int64) error) error {
	w.sent++
	*w.at(w.sent) = time.Now()
	if err := send(w.pair, w.sent); err != nil {
		return err
	}
	w.tally.sent.Add(1)
	return nil
}

// settle waits for the next unit to arrive; false means that it never will.
func (w *window) settle() bool {
	w.timer.Reset(arriveWithin)
	select {
	case a := <-w.came:
		w.arrived++
		if a.n != w.arrived {
			w.tally.reordered.Add(1)
		}
		w.tally.arrived.Add(1)
		w.tally.took.add(a.at.Sub(*w.at(w.arrived)))
		return true
	case text := <-w.refused:
		w.tally.failed.add(text)
	case <-w.timer.C:
	}
	return false
}

// runPairs runs all pairs and fills in the result.
func runPairs(ctx context.Context, target Target, pairs []*pair, cfg PairConfig, r *Result, t *tally, send func(p *pair, n int64) error) {
	m := newMeter(target.PID)
	sending, cancel := context.WithTimeout(ctx, time.Duration(cfg.Seconds*float64(time.Second)))
	defer cancel()
	var wg sync.WaitGroup
	for _, p := range pairs {
		wg.Go(func() { p.run(sending, cfg, t, send) })
	}
	wg.Wait()
	t.into(r)
	m.finish(r)
}
