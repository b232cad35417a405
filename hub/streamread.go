package hub

import (
	"context"
	"time"

	"parley/hub/broker"
)

// Streams reads what is kept of open topics.
type Streams interface {
	// Read returns up to limit of the kept publications of a bus topic numbered after after.
	Read(ctx context.Context, topic string, after int64, limit int) (broker.Page, error)
	// Renew ends an epoch whose numbers were seen to go back.
	Renew(ctx context.Context, topic, epoch string) error
}

// How streams are read for what the bus has lost.
const (
	streamReaders = 4
	streamPage    = 200
	readAgain     = time.Second // after a failure
)

// doubtAll has every stream read: the bus may have lost what came last.
func (h *Hub) doubtAll() {
	if h.cfg.Streams == nil {
		return
	}
	for _, a := range h.audiences.all() {
		if a.doubt() {
			h.readers.ask(a)
		}
	}
}

// readStreams reads those that are asked for, until ctx ends.
func (h *Hub) readStreams(ctx context.Context) {
	r := &receiver{Hub: h}
	for {
		a := h.readers.take()
		if a == nil {
			select {
			case <-ctx.Done():
				return
			case <-h.readers.wake:
			}
			continue
		}
		if !r.readStream(ctx, a) {
			if !pause(ctx, readAgain) {
				return
			}
			h.readers.ask(a)
		}
		r.flushDirty()
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// readStream brings an audience what it lacks, as far as it is kept, and then
// what has waited. It reports false when the stream cannot be read now.
func (r *receiver) readStream(ctx context.Context, a *audience) (done bool) {
	for {
		place, doubted := a.question()
		head, err := r.bring(ctx, a, place)
		if err != nil {
			r.cfg.Log.Warn("stream of a topic not read", "err", err)
			a.keepDoubt(doubted)
			return false
		}
		r.handWaiting(a, doubted)
		if doubted {
			r.miss(a, head)
			r.handWaiting(a, false)
		}
		if !a.busy() {
			return true
		}
	}
}

// handWaiting hands out what has waited; more says that the reading goes on after it.
func (r *receiver) handWaiting(a *audience, more bool) {
	for {
		waiting, seats := a.next(more)
		if len(waiting) == 0 {
			return
		}
		r.handOut(a, seats, waiting)
	}
}

// bring hands out what is kept after place and returns the stream's head.
func (r *receiver) bring(ctx context.Context, a *audience, place broker.Place) (broker.Place, error) {
	for {
		page, err := r.cfg.Streams.Read(ctx, TopicPrefix+a.name, place.Seq, streamPage)
		switch {
		case err != nil:
			return place, err
		case page.Head.Epoch != place.Epoch:
			return page.Head, nil
		case page.Head.Seq < place.Seq: // what keeps the streams has forgotten: its numbers must not come twice
			if err := r.cfg.Streams.Renew(ctx, TopicPrefix+a.name, place.Epoch); err != nil {
				return place, err
			}
			a.keepDoubt(true)
			continue
		}
		if len(page.Events) > 0 {
			r.handOut(a, a.hand(broker.Place{Epoch: place.Epoch, Seq: page.First + int64(len(page.Events)) - 1}), publicationsOf(page, place.Epoch))
			r.metrics.recovered.Add(float64(len(page.Events)))
		}
		if len(page.Events) < streamPage {
			return page.Head, nil
		}
		place.Seq = page.First + int64(len(page.Events)) - 1
	}
}

func publicationsOf(page broker.Page, epoch string) []publication {
	list := make([]publication, len(page.Events))
	for i, body := range page.Events {
		list[i] = publication{place: broker.Place{Epoch: epoch, Seq: page.First + int64(i)}, frame: textFrame(eventPrefix, body, closeBrace)}
	}
	return list
}

// miss tells seats that are behind head that what they lack is lost.
func (r *receiver) miss(a *audience, head broker.Place) {
	now := r.uptime()
	for _, st := range a.hand(head) {
		s := st.s
		s.mu.Lock()
		reason := st.missLocked(head, now)
		s.mu.Unlock()
		if reason != "" {
			s.end(slow(reason))
		}
		s.flush()
	}
}
