package hub

import (
	"context"
	"time"

	"parley/wire"
)

// How heads are read for opening sessions: one read at a time, for at most so
// many people. While it lasts, who comes waits for the next one. When headsCrowd
// sessions wait to be opened, a read gathers those who will ask in a moment.
const (
	headsAtOnce = 200
	headsCrowd  = 4
	headsGather = time.Millisecond
)

// headsAsk is one person whose heads are wanted.
type headsAsk struct {
	user wire.UserID
	said chan<- headsAnswer // of capacity 1
}

type headsAnswer struct {
	heads []Head
	err   error
}

// headsOf reads the heads of user, together with those of others who ask now:
// when everybody comes back at once, a read serves many.
func (h *Hub) headsOf(ctx context.Context, user wire.UserID) ([]Head, error) {
	said := make(chan headsAnswer, 1)
	select {
	case h.headsAsks <- headsAsk{user, said}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case a := <-said:
		return a.heads, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// readHeads answers headsOf until ctx ends.
func (h *Hub) readHeads(ctx context.Context) {
	asks := make([]headsAsk, 0, headsAtOnce)
	users := make([]wire.UserID, 0, headsAtOnce)
	for {
		asks, users = asks[:0], users[:0]
		select {
		case <-ctx.Done():
			return
		case a := <-h.headsAsks:
			asks = append(asks, a)
		}
		if h.asking.Load() >= headsCrowd && !pause(ctx, headsGather) {
			return
		}
		for more := true; more && len(asks) < headsAtOnce; {
			select {
			case a := <-h.headsAsks:
				asks = append(asks, a)
			default:
				more = false
			}
		}
		for _, a := range asks {
			users = append(users, a.user)
		}
		heads, err := h.askHeads(ctx, users)
		for _, a := range asks {
			a.said <- headsAnswer{heads[a.user], err}
		}
		clear(asks)
	}
}

// askHeads asks the log within CallTimeout.
func (h *Hub) askHeads(ctx context.Context, users []wire.UserID) (map[wire.UserID][]Head, error) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.CallTimeout)
	defer cancel()
	h.metrics.headReads.Observe(float64(len(users)))
	return h.backend.Heads(ctx, users)
}
