package topics

import (
	"context"
	"sync"
	"time"
)

// count is how many have joined; without the other nodes' word it is this node's.
func (s *Service) count(ctx context.Context, topic string) int {
	now := s.deps.Clock.Now()
	n, known := s.others.get(topic, now)
	if !known {
		var err error
		if n, err = s.deps.Streams.Elsewhere(ctx, topic); err != nil {
			s.deps.Log.Warn("joins on other nodes not counted", "err", err)
		}
		s.others.put(topic, n, now)
	}
	return s.deps.Seats.Count(topic) + n
}

// others remembers for a moment how many have joined on other nodes, so that
// many who join one topic at once do not all ask.
type others struct {
	mu     sync.Mutex
	counts map[string]countAt
}

type countAt struct {
	n  int
	at time.Time
}

// How long, and of how many topics, counts are remembered.
const (
	othersFor = time.Second
	othersMax = 10_000
)

func (o *others) get(topic string, now time.Time) (n int, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c, ok := o.counts[topic]
	return c.n, ok && now.Sub(c.at) < othersFor
}

func (o *others) put(topic string, n int, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.counts == nil || len(o.counts) >= othersMax {
		o.counts = make(map[string]countAt)
	}
	o.counts[topic] = countAt{n, now}
}
