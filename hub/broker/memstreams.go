package broker

import (
	"container/list"
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/clock"
	"parley/wire"
)

// MemoryStreamsConfig configures MemoryStreams; its zero value works.
type MemoryStreamsConfig struct {
	// MaxBytes bounds what is kept of all streams. Over it the stream that was
	// quiet for longest is forgotten. Default 64 MiB.
	MaxBytes int
	// MaxStreams bounds the streams in the same way. Default 100,000.
	MaxStreams int
	// Clock; nil means the machine's.
	Clock clock.Clock
	// Metrics; nil for none.
	Metrics prometheus.Registerer
}

// MemoryStreams are the Streams of a single node.
type MemoryStreams struct {
	bus     Broker
	cfg     MemoryStreamsConfig
	evicted prometheus.Counter

	mu      sync.Mutex // held while publishing, so that numbers leave in order
	streams map[string]*list.Element
	order   *list.List // of *stream, the one used last in front
	bytes   int
	once    map[string]onceEntry
	names   []onceName // of once, oldest first
}

// stream is what is known of one topic.
type stream struct {
	topic string
	place Place
	kept  []keptEvent // the last one is place's
	used  time.Time
}

type keptEvent struct {
	body    []byte
	expires time.Time
}

type onceEntry struct{ place Place }

type onceName struct {
	name    string
	expires time.Time
}

// Overheads count what a stream and a kept event take besides bodies.
const (
	streamOverhead = 256
	keptOverhead   = 64
	maxOnce        = 100_000
)

// NewMemoryStreams makes the streams of the node behind bus.
func NewMemoryStreams(bus Broker, cfg MemoryStreamsConfig) *MemoryStreams {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 64 << 20
	}
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = 100_000
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	m := &MemoryStreams{
		bus: bus, cfg: cfg, streams: make(map[string]*list.Element), order: list.New(), once: make(map[string]onceEntry),
		evicted: prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_streams_dropped_total",
			Help: "Streams of topics forgotten before their time, because too much was kept.", ConstLabels: prometheus.Labels{"reason": "evicted"}}),
	}
	if cfg.Metrics != nil {
		cfg.Metrics.MustRegister(m.evicted,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_streams_bytes", Help: "Bytes kept of the streams of topics."},
				func() float64 { return m.read(func() int { return m.bytes }) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_streams", Help: "Streams of topics that are remembered."},
				func() float64 { return m.read(func() int { return len(m.streams) }) }))
	}
	return m
}

func (m *MemoryStreams) read(of func() int) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return float64(of())
}

// Append implements Streams. A publication that the bus has no room for keeps
// its place; the bus tells its receiver of the loss.
func (m *MemoryStreams) Append(_ context.Context, d Draft) (Place, error) {
	now := m.cfg.Clock.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	name := d.Topic + "\x00" + d.Once
	if d.Once != "" {
		m.forgetNames(now)
		if done, ok := m.once[name]; ok {
			return done.place, nil
		}
	}
	s := m.stream(d.Topic, now)
	s.place.Seq++
	body := joinBody(d, s.place)
	m.keep(s, d, body, now)
	m.makeRoom(s)
	if d.Once != "" {
		m.once[name] = onceEntry{s.place}
		m.names = append(m.names, onceName{name, now.Add(onceTime)})
	}
	_ = m.bus.Publish(&Message{Kind: KindStream, Epoch: s.place.Epoch, Seq: s.place.Seq, Frame: body, To: []Target{{Topic: d.Topic}}})
	return s.place, nil
}

// joinBody is the publication as it travels.
func joinBody(d Draft, p Place) []byte {
	b := make([]byte, 0, len(d.Head)+len(d.Tail)+48)
	b = append(b, d.Head...)
	b = append(b, `"seq":`...)
	b = strconv.AppendInt(b, p.Seq, 10)
	b = append(b, `,"epoch":"`...)
	b = append(b, p.Epoch...)
	b = append(b, '"')
	return append(b, d.Tail...)
}

// newEpoch names an epoch.
func newEpoch(now time.Time) string { return wire.NewID[string]("", now) }

// stream returns the stream of topic, which it makes when it is new or has been
// idle for too long; the caller holds mu.
func (m *MemoryStreams) stream(topic string, now time.Time) *stream {
	if e := m.streams[topic]; e != nil {
		s := e.Value.(*stream)
		if now.Sub(s.used) < idleTime {
			s.used = now
			m.order.MoveToFront(e)
			m.expire(s, now)
			return s
		}
		m.forget(e)
	}
	s := &stream{topic: topic, place: Place{Epoch: newEpoch(now)}, used: now}
	m.streams[topic] = m.order.PushFront(s)
	m.bytes += streamOverhead
	return s
}

// keep puts a publication behind those that are kept.
func (m *MemoryStreams) keep(s *stream, d Draft, body []byte, now time.Time) {
	if d.Keep <= 0 {
		m.dropKept(s, len(s.kept))
		return
	}
	s.kept = append(s.kept, keptEvent{body, now.Add(d.TTL)})
	m.bytes += keptOverhead + len(body)
	m.dropKept(s, len(s.kept)-d.Keep)
}

// dropKept forgets the n oldest publications of s.
func (m *MemoryStreams) dropKept(s *stream, n int) {
	for i := range max(n, 0) {
		m.bytes -= keptOverhead + len(s.kept[i].body)
		s.kept[i] = keptEvent{}
	}
	if n > 0 {
		s.kept = s.kept[n:]
	}
}

// expire forgets what s has kept for long enough.
func (m *MemoryStreams) expire(s *stream, now time.Time) {
	n := 0
	for i := range s.kept {
		if !now.Before(s.kept[i].expires) {
			n = i + 1
		}
	}
	m.dropKept(s, n)
}

func (m *MemoryStreams) forget(e *list.Element) {
	s := e.Value.(*stream)
	m.dropKept(s, len(s.kept))
	m.bytes -= streamOverhead
	delete(m.streams, s.topic)
	m.order.Remove(e)
}

// makeRoom keeps to the bounds: first the quietest streams go, last the oldest of s itself.
func (m *MemoryStreams) makeRoom(s *stream) {
	for m.bytes > m.cfg.MaxBytes || len(m.streams) > m.cfg.MaxStreams {
		last := m.order.Back()
		switch {
		case last.Value.(*stream) != s:
			m.forget(last)
		case len(s.kept) > 1:
			m.dropKept(s, 1)
		default:
			return
		}
		m.evicted.Inc()
	}
}

// forgetNames forgets names of publications that are old or too many.
func (m *MemoryStreams) forgetNames(now time.Time) {
	n := 0
	for n < len(m.names) && (!now.Before(m.names[n].expires) || len(m.names)-n >= maxOnce) {
		delete(m.once, m.names[n].name)
		n++
	}
	m.names = m.names[n:]
}

// Read implements Streams.
func (m *MemoryStreams) Read(_ context.Context, topic string, after int64, limit int) (Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stream(topic, m.cfg.Clock.Now())
	m.makeRoom(s)
	page := Page{Head: s.place}
	first := s.place.Seq - int64(len(s.kept)) + 1
	from := 0
	if after == FromLast {
		from = max(0, len(s.kept)-limit)
	} else if after >= first {
		from = int(min(after-first+1, int64(len(s.kept))))
	}
	page.First = first + int64(from)
	for _, k := range s.kept[from:min(len(s.kept), from+limit)] {
		page.Events = append(page.Events, k.body)
	}
	return page, nil
}

// Renew implements Streams.
func (m *MemoryStreams) Renew(_ context.Context, topic, epoch string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.streams[topic]; e != nil && e.Value.(*stream).place.Epoch == epoch {
		m.forget(e)
	}
	return nil
}

// Report implements Streams: nobody else wants to know, but who is joined keeps a stream from being idle.
func (m *MemoryStreams) Report(_ context.Context, joined map[string]int) error {
	now := m.cfg.Clock.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for topic := range joined {
		if e := m.streams[topic]; e != nil {
			e.Value.(*stream).used = now
		}
	}
	return nil
}

// Elsewhere implements Streams: there is no other node.
func (m *MemoryStreams) Elsewhere(context.Context, string) (int, error) { return 0, nil }
