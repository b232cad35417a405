package load

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// receiptEvery is how often a reader marks what it has, as the SDK does.
const receiptEvery = time.Second

// Chat sends stored messages between pairs of sockets and times each from
// before it is sent until the other socket has it. Readers mark what they have
// received once a second.
func Chat(ctx context.Context, t Target, cfg PairConfig) (Result, error) {
	cfg = cfg.withDefaults()
	result := Result{Bench: "chat"}
	counts := &tally{}
	readers := &chatReaders{by: map[*pair]*chatReader{}, counts: counts}
	pairs, err := newPairs(ctx, t, cfg, readers.take)
	if err != nil {
		return result, err
	}
	defer closePairs(pairs)
	readers.mu.Lock()
	for _, p := range pairs {
		readers.by[p] = &chatReader{marked: time.Now()}
	}
	readers.mu.Unlock()
	runPairs(ctx, t, pairs, cfg, &result, counts, func(p *pair, n int64) error {
		_, err := p.from.call("messages.send", map[string]any{
			"conversation": p.conv, "client_id": strconv.FormatInt(n, 10), "text": "Shall we do it now?"})
		return err
	})
	return result, nil
}

// chatReaders follow the logs as the second socket of each pair sees them.
type chatReaders struct {
	counts *tally
	mu     sync.RWMutex
	by     map[*pair]*chatReader
}

// chatReader belongs to the reading goroutine of one socket.
type chatReader struct {
	last   int64
	marked time.Time
}

// take notes an arriving message.
func (rs *chatReaders) take(p *pair, message []byte) {
	if string(field(message, "type")) != "message.created" {
		return
	}
	rs.mu.RLock()
	r := rs.by[p]
	rs.mu.RUnlock()
	seq, _ := number(message, "seq")
	switch {
	case r == nil:
		return
	case seq == r.last:
		rs.counts.doubled.Add(1)
		return
	case seq != r.last+1 && r.last > 0:
		rs.counts.reordered.Add(1)
	}
	r.last = seq
	if n, ok := number(message, "client_id"); ok {
		p.arrived(n)
	}
	if now := time.Now(); now.Sub(r.marked) > receiptEvery {
		r.marked = now
		if _, err := p.to.call("receipts.mark", map[string]any{"conversation": p.conv, "delivered": seq, "read": seq}); err != nil {
			rs.counts.failed.add(plain(err))
		}
	}
}
