package topics

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/clock"
	"parley/wire"
)

// The reasons for refusing something. Their text may be shown to the caller.
var (
	// ErrForbidden says that the caller's token does not cover the topic.
	ErrForbidden = errors.New("the token does not cover this topic")
	// ErrTooLarge says that a publication has more than DataMax bytes.
	ErrTooLarge = errors.New("a publication has at most 65536 bytes")
	// ErrTooMany says that a session has joined as many topics as it may.
	ErrTooMany = errors.New("this session has joined as many topics as it may")
	// ErrUnavailable says that the streams cannot be reached: whether a publication went out is unknown.
	ErrUnavailable = errors.New("topics cannot be reached now")
	// ErrSession says that the session is not open, or not on this node.
	ErrSession = errors.New("the session is not open")
)

// DataMax bounds the data of one publication, in bytes of compact JSON.
const DataMax = 64 << 10

// A Place is how far a topic has come. Numbers count from 1 within an epoch.
type Place struct {
	Epoch string
	Seq   int64
}

// A Draft is a publication that has no place yet.
type Draft struct {
	Topic string
	// Head and Tail are an event in JSON but for the members seq and epoch, which go between them.
	Head, Tail []byte
	// Keep is how many publications the topic keeps, and TTL for how long.
	Keep int
	TTL  time.Duration
	// Once, if set, names the publication: repeating it publishes nothing.
	Once string
}

// A Page is a part of what is kept of a topic: events First, First+1, ….
type Page struct {
	Head   Place
	First  int64
	Events [][]byte
}

// Streams number, keep and publish. Errors wrap ErrUnavailable when it is unknown what happened.
type Streams interface {
	Append(ctx context.Context, d Draft) (Place, error)
	// Read returns up to limit kept events after after, or with after -1 the last ones.
	Read(ctx context.Context, topic string, after int64, limit int) (Page, error)
	// Report tells other nodes how many have joined here; Elsewhere is how many have joined there.
	Report(ctx context.Context, joined map[string]int) error
	Elsewhere(ctx context.Context, topic string) (int, error)
}

// Seats are the places of this node's sockets in topics.
type Seats interface {
	// Take makes c's session hear of topic; what comes is held back until Settle.
	// It fails with ErrTooMany over most topics and ErrSession.
	Take(ctx context.Context, c wire.Caller, topic string, most int) error
	// Settle says that the answer under way brings the session up to at; what is
	// after it follows the answer.
	Settle(c wire.Caller, topic string, at Place)
	// Give ends what Take began.
	Give(c wire.Caller, topic string)
	// Count is how many sessions have joined topic here, Counts of every topic.
	Count(topic string) int
	Counts() map[string]int
}

// Config of a Service. The zero value lets nobody join without a grant and keeps no history.
type Config struct {
	// Public are patterns of topics that every user may join.
	Public []string
	// History says what is kept; the first rule that covers a topic counts.
	History []Keep
	// MaxPerSession is how many topics a session may join. 0 means 100.
	MaxPerSession int
}

// Deps are what a Service needs; Log and Metrics may be nil.
type Deps struct {
	Streams Streams
	Seats   Seats
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Service is open topics. Its methods may be called from many goroutines.
type Service struct {
	cfg       Config
	deps      Deps
	published prometheus.Counter
	joins     map[bool]prometheus.Counter // by whether there was a gap
	others    others
}

// New makes a Service. Errors wrap ErrName.
func New(cfg Config, deps Deps) (*Service, error) {
	for _, p := range cfg.Public {
		if err := CheckPattern(p); err != nil {
			return nil, err
		}
	}
	if cfg.MaxPerSession == 0 {
		cfg.MaxPerSession = 100
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	joins := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_topics_joins_total",
		Help: "Sessions that joined a topic, by what they were told of what they missed."}, []string{"result"})
	s := &Service{cfg: cfg, deps: deps,
		published: prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_topics_published_total", Help: "Publications to topics taken on this node."}),
		joins:     map[bool]prometheus.Counter{false: joins.WithLabelValues("whole"), true: joins.WithLabelValues("gap")},
	}
	if deps.Metrics != nil {
		deps.Metrics.MustRegister(s.published, joins)
	}
	return s, nil
}

// MayJoin reports whether c may join, and read, topic: server keys and operators
// may all, users what their token grants or the configuration makes public.
func (s *Service) MayJoin(c wire.Caller, topic string) bool {
	switch c.Role {
	case wire.RoleServer, wire.RoleOperator:
		return true
	}
	return c.Topics != nil && matchAny(c.Topics.Join, topic) || matchAny(s.cfg.Public, topic)
}

// MayPublish reports whether c may publish to topic.
func (s *Service) MayPublish(c wire.Caller, topic string) bool {
	return c.Role == wire.RoleServer || c.Role == wire.RoleUser && c.Topics != nil && matchAny(c.Topics.Publish, topic)
}

// readable checks a topic's name, and that c may join it.
func (s *Service) readable(c wire.Caller, topic string) error {
	if err := CheckName(topic); err != nil {
		return err
	}
	if !s.MayJoin(c, topic) {
		return ErrForbidden
	}
	return nil
}

// Publication is what Publish takes.
type Publication struct {
	Topic string
	Data  json.RawMessage
	// ClientID, if set, is made once per publication and repeated on resends;
	// within five minutes the same user's same id publishes once.
	ClientID string
}

// Publish publishes to a topic and returns its place. Whoever has joined gets
// the event topic.message, the publisher included. It fails with ErrName,
// ErrForbidden, ErrTooLarge and ErrUnavailable.
func (s *Service) Publish(ctx context.Context, c wire.Caller, p Publication) (Place, error) {
	if err := CheckName(p.Topic); err != nil {
		return Place{}, err
	}
	if !s.MayPublish(c, p.Topic) {
		return Place{}, ErrForbidden
	}
	d, err := s.draft(c, p)
	if err != nil {
		return Place{}, err
	}
	at, err := s.deps.Streams.Append(ctx, d)
	if err == nil {
		s.published.Inc()
	}
	return at, err
}
