package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// errSilent says that a subscription did not carry the lane's own probes.
var errSilent = errors.New("broker: the subscription is silent")

// errMoved says that Redis ended a subscription by itself, because its hash slot went elsewhere.
var errMoved = errors.New("broker: the subscription was moved")

// A lane carries the topics that hash to it: one connection that subscribes,
// one queue that is published. Its tag, in braces, puts all its channels into
// one hash slot of a Cluster.
type lane struct {
	r     *Redis
	tag   string
	probe string // channel of this node's own probes
	gaps  string // channel on which nodes say that they could not publish
	queue *outQueue
	subs  *interests
	owes  atomic.Bool // other nodes must be told that messages may be lost
	heard atomic.Int64
	epoch time.Time // heard and probes count from here
}

func newLane(r *Redis, tag string) *lane {
	l := &lane{r: r, tag: tag, gaps: tag + "#gaps", queue: newOutQueue(r.cfg.MaxBytes / r.cfg.Lanes), epoch: time.Now()}
	l.probe = tag + "#probe" + r.self
	l.subs = newInterests(l.channel)
	return l
}

// channel is where a topic is published. Topics of the hub begin with a user
// id's character or "#"; "." keeps them apart from the lane's own channels.
func (l *lane) channel(topic string) string { return l.tag + "." + topic }

// Bounds of the pause between two attempts to connect.
const (
	pauseMin = 50 * time.Millisecond
	pauseMax = 2 * time.Second
)

// listen keeps the lane subscribed until ctx ends.
func (l *lane) listen(ctx context.Context) {
	pause := pauseMin
	for ctx.Err() == nil {
		started := time.Now()
		err := l.subscribed(ctx)
		l.subs.down()
		if ctx.Err() != nil {
			return
		}
		l.r.metrics.breaks.Inc()
		l.r.cfg.Log.Warn("redis subscription broke", "lane", l.tag, "err", err)
		if time.Since(started) > pauseMax {
			pause = pauseMin
		}
		wait(ctx, pause/2+rand.N(pause))
		pause = min(2*pause, pauseMax)
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// subscribed holds one connection until it breaks.
func (l *lane) subscribed(ctx context.Context) error {
	conn := l.connect(ctx)
	defer func() { _ = conn.Close() }() // closed already, or as good as
	l.heard.Store(int64(time.Since(l.epoch)))
	l.subs.begin(l.probe, l.gaps)
	if err := l.ask(ctx, conn); err != nil { // the first channels choose the node of a Cluster
		return err
	}
	g, running := errgroup.WithContext(ctx)
	stop := context.AfterFunc(running, func() { _ = conn.Close() }) // ends the read
	defer stop()
	g.Go(func() error { return l.read(running, conn) })
	g.Go(func() error { return l.askOn(running, conn) })
	g.Go(func() error { return l.probeOn(running) })
	return g.Wait()
}

// connect returns a subscriber that connects with its first channel.
func (l *lane) connect(ctx context.Context) *redis.PubSub {
	if !l.r.sharded {
		return l.r.cfg.Client.Subscribe(ctx)
	}
	if c, ok := l.r.cfg.Client.(*redis.ClusterClient); ok {
		c.ReloadState(ctx) // the slot may have moved
	}
	return l.r.cfg.Client.SSubscribe(ctx)
}

// askOn sends the commands for topics that came and went.
func (l *lane) askOn(ctx context.Context, conn *redis.PubSub) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.subs.wake:
		}
		if err := l.ask(ctx, conn); err != nil {
			return err
		}
	}
}

// askMax bounds the channels of one command.
const askMax = 500

// ask sends the commands for what changed since it was last called.
func (l *lane) ask(ctx context.Context, conn *redis.PubSub) error {
	subscribe, unsubscribe := conn.Subscribe, conn.Unsubscribe
	if l.r.sharded {
		subscribe, unsubscribe = conn.SSubscribe, conn.SUnsubscribe
	}
	for more := true; more; {
		var on, off []string
		on, off, more = l.subs.changes(askMax)
		if len(on) > 0 {
			if err := subscribe(ctx, on...); err != nil {
				return err
			}
		}
		if len(off) > 0 {
			if err := unsubscribe(ctx, off...); err != nil {
				return err
			}
		}
	}
	return nil
}

// read takes what Redis sends until the connection ends.
func (l *lane) read(ctx context.Context, conn *redis.PubSub) error {
	for {
		got, err := conn.ReceiveTimeout(ctx, 2*l.r.cfg.ProbeTimeout)
		if err != nil {
			return err
		}
		switch m := got.(type) {
		case *redis.Message:
			l.take(m)
		case *redis.Subscription:
			if l.subs.confirm(m.Channel, strings.HasSuffix(m.Kind, "unsubscribe")) != nil {
				return errMoved
			}
			if l.subs.caughtUp() {
				l.r.local.lose()
				l.owe()
			}
		}
	}
}

func (l *lane) take(m *redis.Message) {
	switch m.Channel {
	case l.probe:
		l.hear(m.Payload)
	case l.gaps:
		if m.Payload != l.r.self {
			l.r.local.lose()
		}
	default:
		l.r.arrive(strings.TrimPrefix(m.Channel, l.channel("")), m.Payload)
	}
}

func (l *lane) hear(probe string) {
	if len(probe) != 8 {
		return
	}
	now := time.Since(l.epoch)
	sent := time.Duration(binary.BigEndian.Uint64([]byte(probe))) //nolint:gosec // our own
	l.heard.Store(int64(now))
	l.r.metrics.lag.Observe((now - sent).Seconds())
}

// probeOn sends the lane's own messages through Redis, and fails when none comes back.
func (l *lane) probeOn(ctx context.Context) error {
	tick := time.NewTicker(l.r.cfg.ProbeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now := time.Since(l.epoch)
		if now-time.Duration(l.heard.Load()) > l.r.cfg.ProbeTimeout {
			return errSilent
		}
		l.queue.force(outgoing{l.probe, binary.BigEndian.AppendUint64(nil, uint64(now))}) //nolint:gosec // positive
	}
}

// publishMax bounds the messages of one pipeline.
const publishMax = 512

// goodbye bounds how long the end of publish waits for what is still queued.
const goodbye = time.Second

// publish sends what is queued until ctx ends, then what is left.
func (l *lane) publish(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
			defer cancel()
			l.send(rest)
			return
		case <-l.queue.wake:
			l.send(ctx)
		}
	}
}

// send empties the queue in pipelines.
func (l *lane) send(ctx context.Context) {
	for {
		batch, dropped := l.queue.take(publishMax)
		if dropped {
			l.owes.Store(true)
		}
		if len(batch) == 0 && !l.owes.Load() {
			return
		}
		if !l.sendBatch(ctx, batch) && len(batch) == 0 {
			return // the next message or probe tries again
		}
	}
}

// owe has the other nodes told that messages may be lost.
func (l *lane) owe() {
	l.owes.Store(true)
	l.queue.poke()
}

// sendBatch publishes a batch, behind the notice of a gap where one is owed;
// ok says that Redis took all of it.
func (l *lane) sendBatch(ctx context.Context, batch []outgoing) (ok bool) {
	pipe := l.r.cfg.Client.Pipeline()
	publish := pipe.Publish
	if l.r.sharded {
		publish = pipe.SPublish
	}
	owed := l.owes.Swap(false)
	if owed {
		publish(ctx, l.gaps, l.r.self)
	}
	for _, o := range batch {
		publish(ctx, o.channel, o.payload)
	}
	done, err := pipe.Exec(ctx)
	l.r.metrics.batch.Observe(float64(len(batch)))
	if owed {
		done = done[1:]
	}
	failed := 0
	for _, cmd := range done {
		if cmd.Err() != nil {
			failed++
		}
	}
	l.r.metrics.dropped[dropFailed].Add(float64(failed))
	l.r.metrics.published.Add(float64(len(done) - failed))
	if err != nil {
		l.owes.Store(true)
	}
	return err == nil
}
