package app

import (
	"context"
	"errors"
	"fmt"

	"parley/hub"
	"parley/hub/broker"
	"parley/internal/config"
	"parley/topics"
	"parley/wire"
)

// streams is a broker.Streams as topics (topics.Streams) and the hub see it.
type streams struct{ broker.Streams }

// newStreams makes the streams behind open topics on the node's bus.
func (p *parts) newStreams(n *Node) broker.Streams {
	if bus, ok := p.broker.(*broker.Redis); ok {
		return broker.NewRedisStreams(bus, p.nodeID)
	}
	return broker.NewMemoryStreams(p.broker, broker.MemoryStreamsConfig{Clock: n.clock, Metrics: p.registry})
}

// busTopic is the topic of the bus behind an open topic.
func busTopic(topic string) string { return hub.TopicPrefix + topic }

// Append implements topics.Streams.
func (s streams) Append(ctx context.Context, d topics.Draft) (topics.Place, error) {
	at, err := s.Streams.Append(ctx, broker.Draft{
		Topic: busTopic(d.Topic), Head: d.Head, Tail: d.Tail, Keep: d.Keep, TTL: d.TTL, Once: d.Once,
	})
	return topics.Place(at), streamsError(err)
}

// Read implements topics.Streams.
func (s streams) Read(ctx context.Context, topic string, after int64, limit int) (topics.Page, error) {
	p, err := s.Streams.Read(ctx, busTopic(topic), after, limit)
	return topics.Page{Head: topics.Place(p.Head), First: p.First, Events: p.Events}, streamsError(err)
}

// Report implements topics.Streams.
func (s streams) Report(ctx context.Context, joined map[string]int) error {
	onBus := make(map[string]int, len(joined))
	for topic, n := range joined {
		onBus[busTopic(topic)] = n
	}
	return streamsError(s.Streams.Report(ctx, onBus))
}

// Elsewhere implements topics.Streams.
func (s streams) Elsewhere(ctx context.Context, topic string) (int, error) {
	n, err := s.Streams.Elsewhere(ctx, busTopic(topic))
	return n, streamsError(err)
}

func streamsError(err error) error {
	if errors.Is(err, broker.ErrUnavailable) {
		return fmt.Errorf("%w: %w", topics.ErrUnavailable, err)
	}
	return err
}

// seats are the hub's places in open topics (topics.Seats).
type seats struct{ hub *hub.Hub }

// Take implements topics.Seats.
func (s seats) Take(ctx context.Context, c wire.Caller, topic string, most int) error {
	err := s.hub.TakeSeat(ctx, c, topic, most)
	switch {
	case errors.Is(err, hub.ErrTooManyTopics):
		return topics.ErrTooMany
	case errors.Is(err, hub.ErrNoSession):
		return topics.ErrSession
	case err != nil:
		return fmt.Errorf("%w: %w", topics.ErrUnavailable, err)
	}
	return nil
}

// Settle implements topics.Seats.
func (s seats) Settle(c wire.Caller, topic string, at topics.Place) {
	s.hub.SettleSeat(c, topic, broker.Place(at))
}

// Give implements topics.Seats.
func (s seats) Give(c wire.Caller, topic string) { s.hub.GiveSeat(c, topic) }

// Count implements topics.Seats.
func (s seats) Count(topic string) int { return s.hub.Joined(topic) }

// Counts implements topics.Seats.
func (s seats) Counts() map[string]int { return s.hub.JoinedAll() }

// buildTopics makes open topics.
func (p *parts) buildTopics(n *Node) error {
	cfg, err := topicsConfig(n.opts.Config.Topics)
	if err != nil {
		return err
	}
	p.topics, err = topics.New(cfg, topics.Deps{
		Streams: streams{p.streams}, Seats: seats{p.hub}, Clock: n.clock, Log: n.log, Metrics: p.registry,
	})
	return err
}

// mayJoin implements hub.Config.MayJoin.
func (p *parts) mayJoin(c wire.Caller, topic string) bool { return p.topics.MayJoin(c, topic) }

// topicsConfig reads the section topics.
func topicsConfig(cfg config.Topics) (topics.Config, error) {
	c := topics.Config{Public: cfg.Public, MaxPerSession: cfg.MaxPerSession}
	for _, text := range cfg.History {
		keep, err := topics.ParseKeep(text)
		if err != nil {
			return c, fmt.Errorf("topics.history: %w", err)
		}
		c.History = append(c.History, keep)
	}
	return c, nil
}
