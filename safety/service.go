package safety

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/clock"
	"parley/internal/sqldb"
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

// Errors of the operations of people; what stops a payment is a Ruling.
var (
	// ErrUnknown says that there is no such decision, or nothing is asked about the payment.
	ErrUnknown = errors.New("nothing is known of this")
	// ErrNotAllowed says that the caller may not do this.
	ErrNotAllowed = errors.New("not for this caller")
	// ErrAnswers says that answers are missing or are none of the options.
	ErrAnswers = errors.New("answers not acceptable")
	// ErrStale says that the payment or the decision is not the current one any more.
	ErrStale = errors.New("not the current version")
	// ErrDecided says that the trusted person has decided already.
	ErrDecided = errors.New("decided already")
	// ErrTrusted says that this person cannot be the trusted one.
	ErrTrusted = errors.New("this person cannot be trusted with it")
)

// Count asks what a payer has committed since a time.
type Count struct {
	Payer, Currency string
	Payee           string // empty: to anybody
	Since           time.Time
	Except          string // a payment that does not count
}

// Spend is one payment of a Count.
type Spend struct {
	At     time.Time
	Amount int64
}

// Counts are what payments know of earlier ones, in the caller's transaction.
type Counts interface {
	// SumTx returns the sum and number of what Count asks for.
	SumTx(tx *sqldb.Tx, c Count) (sum, number int64, err error)
	// SpendsTx returns at most limit of them, the oldest first.
	SpendsTx(tx *sqldb.Tx, c Count, limit int) ([]Spend, error)
	// RequestsTx returns how many payments to payee were made since a time.
	RequestsTx(tx *sqldb.Tx, payee string, since time.Time) (int64, error)
}

// Teller puts news into people's own logs.
type Teller interface {
	// TellTx writes an entry for user in the caller's transaction; id makes it happen once.
	TellTx(tx *sqldb.Tx, user, id, kind string, at time.Time, data json.RawMessage) error
}

// People tells who may be whose trusted person.
type People interface {
	// Related reports whether the two know each other here.
	Related(ctx context.Context, a, b string) (bool, error)
}

// Witness hears of every decision that asks for more than live confirmation.
type Witness interface {
	// WitnessTx is called in the transaction in which the decision is kept.
	WitnessTx(tx *sqldb.Tx, d Decision) error
}

// Config of a Service; the zero value works.
type Config struct {
	// TrustedAfter is how long a trusted person stays after being changed or
	// removed, and how long a new one cannot approve what was asked before. 0 means 24 h.
	TrustedAfter time.Duration
}

// Deps are what a Service needs of others.
type Deps struct {
	DB      *sqldb.DB
	Clock   clock.Clock // nil means the machine's
	Rules   *Rules      // required
	Counts  Counts      // required
	Teller  Teller      // nil tells nobody
	People  People      // nil: everybody knows everybody
	Witness Witness     // nil: nobody hears of decisions
	Metrics prometheus.Registerer
}

// Service applies rules to payments. Its methods are safe for concurrent use.
type Service struct {
	cfg   Config
	d     Deps
	rules atomic.Pointer[Rules]
	m     *prometheus.CounterVec
}

// New returns a Service, or an error when something required is missing.
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.DB == nil || deps.Rules == nil || deps.Counts == nil {
		return nil, errors.New("safety: a database, rules and counts are required")
	}
	if cfg.TrustedAfter == 0 {
		cfg.TrustedAfter = 24 * time.Hour
	}
	if deps.Clock == nil {
		deps.Clock = clock.System{}
	}
	s := &Service{cfg: cfg, d: deps, m: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_safety_decisions_total", Help: "Decisions on payments by result.",
	}, []string{"result"})}
	for _, r := range results {
		s.m.WithLabelValues(string(r))
	}
	if deps.Metrics != nil {
		deps.Metrics.MustRegister(s.m)
	}
	s.rules.Store(deps.Rules)
	return s, nil
}

// Use makes new rules hold from the next decision on.
func (s *Service) Use(r *Rules) { s.rules.Store(r) }

// now is the current time to the millisecond, as it is stored.
func (s *Service) now() time.Time { return s.d.Clock.Now().UTC().Truncate(time.Millisecond) }
