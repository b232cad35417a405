package payments

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/payments/ledger"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema returns the migrations of this package's own tables. The ledger and
// the outbox have their own.
func Schema() fs.FS {
	sub, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sub
}

// Errors of the Service besides those of Apply and of money.
var (
	// ErrUnknown says that there is no payment of this id.
	ErrUnknown = errors.New("payment unknown")
	// ErrInsufficientFunds says that an account has less than is needed (ISO 20022 reason AM04).
	ErrInsufficientFunds = ledger.ErrInsufficient
	// ErrUnavailable says that the ledger cannot be reached; whether the
	// command happened is found out by sending it again with the same key.
	ErrUnavailable = sqldb.ErrUnavailable
	// ErrPartyUnknown says that there is no such user.
	ErrPartyUnknown = errors.New("user unknown")
	// ErrSelf says that payer and payee are the same.
	ErrSelf = errors.New("payer and payee are the same")
	// ErrInput says that a field is not acceptable.
	ErrInput = errors.New("input not acceptable")
	// ErrSensitive says that a text holds a card number.
	ErrSensitive = errors.New("card numbers are not accepted")
	// ErrConversation says that the parties are not both in the conversation.
	ErrConversation = errors.New("conversation not open to both parties")
	// ErrNoRail says that there is no rail that could do this.
	ErrNoRail = errors.New("no rail for this")
)

// Actor is who asks.
type Actor struct {
	// User is the person; empty for a server key that acts for nobody.
	User string
	// Server says that a server key asks.
	Server bool
	// Device the person asks from, if known.
	Device string
	// Key is the idempotency key of a write.
	Key string
}

// scope separates the idempotency keys of different callers.
func (a Actor) scope() string {
	if a.Server {
		return "server"
	}
	return "user:" + a.User
}

// Person is what is known of a user who takes part in a payment.
type Person struct {
	Shown string // the name to show
	// NameCheck is match, close (Shown is the registered name), none or unavailable.
	NameCheck      string
	AccountAgeDays int
}

// Names tells how a user is shown to the other party. It returns
// ErrPartyUnknown when there is no such user.
type Names interface {
	Person(ctx context.Context, user string) (Person, error)
}

// Rooms tells whether both parties may see a conversation; if not, it returns ErrConversation.
type Rooms interface {
	CheckParties(ctx context.Context, conversation, payer, payee string) error
}

// Snapshot is what the parties agree on, in the words of dynamic linking.
// The digest of its canonical form is what they confirm.
type Snapshot struct {
	V              int    `json:"v"`
	Payment        string `json:"payment"`
	Version        int64  `json:"version"`
	Amount         int64  `json:"amount"`
	Fee            int64  `json:"fee,omitempty"` // that the payer pays on top of the amount
	Currency       string `json:"currency"`
	PayeeID        string `json:"payee_id"`
	PayeeNameShown string `json:"payee_name_shown"`
	Purpose        string `json:"purpose"`
	Expires        string `json:"expires"` // RFC 3339, UTC
}

// Digester returns the canonical JSON of a snapshot and its digest in hex. It must be pure.
type Digester func(Snapshot) (canonical []byte, digest string, err error)

// Config of a Service; the zero value works.
type Config struct {
	// FeeBasisPoints is the fee, taken from the payee's part: 100 are 1 %. 0
	// means no fee. It holds for currencies that Fees says nothing about.
	FeeBasisPoints int64
	// Fees are the rules by currency, see ParseFees; "*" is any other currency.
	Fees map[string]FeeRule
	// RequestFor is how long a request stays open unless it says otherwise. 0 means 24 h.
	RequestFor time.Duration
	// HoldFor is how long money stays on hold. 0 means 7 days.
	HoldFor time.Duration
	// MaxHold is how long after it began a hold may be extended to. 0 means 30 days.
	MaxHold time.Duration
	// AnswerFor is how long a payee may take to answer a dispute. 0 means 7 days.
	AnswerFor time.Duration
	// DecideFor is how long an answered dispute may wait for a decision. 0 means 30 days.
	DecideFor time.Duration
	// IfUnanswered and IfUndecided say who gets the money of a dispute whose
	// deadline passes: ForPayer, ForPayee or ForNobody. Empty: unanswered for the
	// payer, undecided for nobody, so that it waits for a server key.
	IfUnanswered, IfUndecided string
	// QuoteFor is how long a conversion's quote is good. 0 means 60 s.
	QuoteFor time.Duration
	// ConfirmFor is how long after the confirmation was opened both must have
	// confirmed, and the bound of what a Confirmation may ask for. 0 means 120 s.
	ConfirmFor time.Duration
	// Asking bounds what users may ask of each other.
	Asking AskLimits
	// LinkURL is where payment links lead, with the link's id behind it. Empty means "/l/".
	LinkURL string
	// SweepEvery is how late a deadline may take effect. 0 means 200 ms.
	SweepEvery time.Duration
}

// Deps are what a Service needs of others.
type Deps struct {
	DB       *sqldb.DB   // with the schemas of payments, ledger and outbox
	Clock    clock.Clock // nil means the machine's
	Digester Digester    // required
	Names    Names       // nil shows ids, name check unavailable
	Rooms    Rooms       // nil lets a payment name any conversation
	// Relations say who may ask whom. nil: everybody may.
	Relations Relations
	Policy    Policy // nil asks for live confirmation always, or the Gate
	Gate      Gate   // nil: nothing is asked when money is committed and leaves
	Rail      Rail   // nil: no money comes in from outside
	// Rates are prices from outside; those put by a server key count before
	// them. nil: only what server keys put.
	Rates Rates
	// Sensitive reports whether a text holds a card number; such a text is
	// refused and not kept. Required.
	Sensitive func(text string) bool
	Wake      func() // called after events were committed; must not block. nil does nothing
	Log       *slog.Logger
	Metrics   prometheus.Registerer
}

// Service makes payments. Its methods are safe for concurrent use.
type Service struct {
	cfg  Config
	d    Deps
	book *ledger.Book
	m    *metrics

	committer *ledger.Committer // of requests that share commits
	joining   atomic.Bool       // the committer runs
}

// New returns a Service, or an error when a required dependency is missing or
// the configuration makes no sense.
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.DB == nil || deps.Digester == nil || deps.Sensitive == nil {
		return nil, errors.New("payments: a database, a digester and a test for sensitive texts are required")
	}
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	if err := cfg.Asking.fill(); err != nil {
		return nil, err
	}
	if cfg.LinkURL == "" {
		cfg.LinkURL = "/l/"
	}
	if deps.Clock == nil {
		deps.Clock = clock.System{}
	}
	if deps.Names == nil {
		deps.Names = idNames{}
	}
	if deps.Policy == nil {
		deps.Policy = AlwaysLive{}
		if deps.Gate != nil {
			deps.Policy = deps.Gate
		}
	}
	if deps.Wake == nil {
		deps.Wake = func() {}
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{cfg: cfg, d: deps, book: ledger.New(chart), m: newMetrics(deps.Metrics)}
	s.committer = ledger.NewCommitter(deps.DB, s.book, s.now, ledger.CommitterConfig{Metrics: deps.Metrics})
	return s, nil
}

// complete fills in the defaults and reports what makes no sense.
func (c *Config) complete() error {
	orDefault(&c.RequestFor, 24*time.Hour)
	orDefault(&c.HoldFor, 7*24*time.Hour)
	orDefault(&c.MaxHold, max(30*24*time.Hour, c.HoldFor))
	orDefault(&c.ConfirmFor, 120*time.Second)
	orDefault(&c.SweepEvery, 200*time.Millisecond)
	orDefault(&c.QuoteFor, time.Minute)
	if c.MaxHold < c.HoldFor {
		return fmt.Errorf("payments: a hold may last %v at most, but begins with %v", c.MaxHold, c.HoldFor)
	}
	return errors.Join(c.checkFees(), c.checkDisputes())
}

func orDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// now is the current time to the millisecond, as it is stored.
func (s *Service) now() time.Time { return s.d.Clock.Now().UTC().Truncate(time.Millisecond) }

// idNames shows users by their id.
type idNames struct{}

// Person implements Names.
func (idNames) Person(_ context.Context, user string) (Person, error) {
	return Person{Shown: user, NameCheck: "unavailable"}, nil
}

// Accounts of the chart.
const (
	feesAccount    = "fees"
	railPrefix     = "rail:"
	userPrefix     = "user:"
	exchangePrefix = "exchange:"
)

func availableAccount(user string) string { return userPrefix + user + ":available" }
func heldAccount(user string) string      { return userPrefix + user + ":held" }
func disputedAccount(user string) string  { return userPrefix + user + ":disputed" }

// chart opens accounts as they are first used. Only the outside world may go negative.
func chart(id string) (ledger.Terms, bool) {
	switch {
	case id == feesAccount:
		return ledger.Terms{Kind: "fees"}, true
	case strings.HasPrefix(id, railPrefix):
		return ledger.Terms{Kind: "rail", MayGoNegative: true}, true
	case strings.HasPrefix(id, exchangePrefix):
		return ledger.Terms{Kind: "exchange"}, true
	case strings.HasPrefix(id, userPrefix):
		return ledger.Terms{Kind: "user"}, true
	}
	return ledger.Terms{}, false
}
