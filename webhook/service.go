// Package webhook tells an app's backend what happened, by signed HTTP requests
// after Standard Webhooks with CloudEvents 1.0 bodies. It owns the endpoints,
// what is still to be delivered to each of them, the order, the retries and the
// dead letters.
//
// It knows neither payments nor the outbox: events come through Consume.
package webhook

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/wire"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema returns the migrations of this package's tables.
func Schema() fs.FS {
	sub, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sub
}

// Errors of the Service.
var (
	// ErrServerOnly says that the caller has no server key.
	ErrServerOnly = errors.New("webhooks are for server keys")
	// ErrUnknown says that there is no endpoint of this id.
	ErrUnknown = errors.New("webhook unknown")
	// ErrDeliveryUnknown says that the endpoint has no delivery of this id.
	ErrDeliveryUnknown = errors.New("delivery unknown")
	// ErrURL says that nothing may be sent to a URL.
	ErrURL = errors.New("webhook URL not acceptable")
	// ErrFilter says that an event filter is not one.
	ErrFilter = errors.New("event filter not acceptable")
	// ErrLimit says that there are as many endpoints as there may be.
	ErrLimit = errors.New("too many webhooks")
	// ErrDisabled says that the endpoint is disabled.
	ErrDisabled = errors.New("webhook disabled")
	// ErrInput says that a field is not acceptable.
	ErrInput = errors.New("input not acceptable")
)

// Bounds.
const (
	// MaxEndpoints bounds the endpoints of a node.
	MaxEndpoints = 64
	// MaxBody bounds a request's body, in bytes; the data of a larger event is left out.
	MaxBody = 20_000
	// MaxURL bounds an endpoint's URL, in bytes.
	MaxURL = 2048
	// MaxFilters bounds the event filters of an endpoint.
	MaxFilters = 32
)

// Config of a Service; the zero value works.
type Config struct {
	// Source is the CloudEvents source, usually the node's public URL. Empty means "parley".
	Source string
	// AllowPrivate permits plain HTTP and addresses that are not public
	// (loopback, private, link-local), for developing. Never set it where
	// strangers may hold a server key: endpoints could then reach inside.
	AllowPrivate bool
	// Workers bounds the requests under way to one endpoint. 0 means 4.
	Workers int
	// Timeout bounds one request, in the machine's time. 0 means 15 s.
	Timeout time.Duration
	// Poll is how long a due retry may wait to be seen. 0 means 1 s.
	Poll time.Duration
	// Keep is how long finished deliveries can be replayed. 0 means 30 days.
	Keep time.Duration
	// Jitter returns what part (0 to 1) of a tenth of the pause is added to it. nil means random.
	Jitter func() float64
}

// Resolver looks up addresses of a host; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Deps are what a Service needs. DB and Clock must be given.
type Deps struct {
	DB    *sqldb.DB
	Clock clock.Clock
	// Resolver finds endpoints. nil means the machine's.
	Resolver Resolver
	// Log hears of failures, with ids but neither URLs nor bodies. nil discards.
	Log *slog.Logger
	// Metrics takes the counters. nil means none.
	Metrics prometheus.Registerer
}

// Service keeps endpoints and delivers to them. Several nodes may run one on the same database.
type Service struct {
	cfg    Config
	d      Deps
	client *http.Client
	bell   chan struct{} // holds at most one ring
	m      metrics

	interest interest
}

type metrics struct {
	attempts *prometheus.CounterVec
	disabled prometheus.Counter
	seconds  prometheus.Histogram
	underWay prometheus.Gauge
}

// New returns a Service; Run sends.
func New(cfg Config, d Deps) *Service {
	if cfg.Source == "" {
		cfg.Source = "parley"
	}
	if cfg.Workers == 0 {
		cfg.Workers = 4
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 15 * time.Second
	}
	if cfg.Poll == 0 {
		cfg.Poll = time.Second
	}
	if cfg.Keep == 0 {
		cfg.Keep = 30 * 24 * time.Hour
	}
	if cfg.Jitter == nil {
		cfg.Jitter = rand.Float64
	}
	if d.Resolver == nil {
		d.Resolver = net.DefaultResolver
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		cfg: cfg, d: d, bell: make(chan struct{}, 1), m: newMetrics(d.Metrics),
		client: newClient(guard{resolver: d.Resolver, allowPrivate: cfg.AllowPrivate}),
	}
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_webhook_attempts_total", Help: "Requests to webhook endpoints, by what became of the delivery."}, []string{"outcome"}),
		disabled: prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_webhook_disabled_total", Help: "Endpoints disabled because they answered 410."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "parley_webhook_request_seconds", Help: "Time of a request to a webhook endpoint.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 13)}),
		underWay: prometheus.NewGauge(prometheus.GaugeOpts{Name: "parley_webhook_requests", Help: "Requests to webhook endpoints under way."}),
	}
	for _, o := range []outcome{succeeded, retried, died} {
		m.attempts.WithLabelValues(string(o))
	}
	if r != nil {
		r.MustRegister(m.attempts, m.disabled, m.seconds, m.underWay)
	}
	return m
}

// Wake says that there may be something to send. It never blocks.
func (s *Service) Wake() {
	select {
	case s.bell <- struct{}{}:
	default: // rings already
	}
}

// now is the time in the precision that the database keeps.
func (s *Service) now() time.Time { return s.d.Clock.Now().Truncate(time.Millisecond) }

func serverOnly(c wire.Caller) error {
	if !c.IsServer() {
		return ErrServerOnly
	}
	return nil
}

// operators lets those see and repeat who may change nothing else.
func operators(c wire.Caller) error {
	if c.Role == wire.RoleOperator {
		return nil
	}
	return serverOnly(c)
}

// lock serialises everything that happens to the deliveries of endpoints.
func lock(tx *sqldb.Tx, endpoints ...string) error {
	keys := make([]string, len(endpoints))
	for i, id := range endpoints {
		keys[i] = "webhook:" + id
	}
	return tx.Lock(keys...)
}
