package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/wire"
)

// An Issuer is someone whose tokens are accepted.
type Issuer struct {
	// Name is the "iss" of its tokens.
	Name string
	// Audience must be among the token's "aud"; empty means any.
	Audience string
	// Alg is the one signature algorithm accepted: HS256, ES256, EdDSA or RS256.
	Alg string
	// Secret is the shared key of HS256, at least 32 bytes.
	Secret []byte
	// JWKS is the URL of the key set (RFC 7517) of the others.
	JWKS string
}

// Config of a Verifier. The zero value accepts nobody.
type Config struct {
	// Secret is the built-in HS256 key with which Mint signs. Only its tokens
	// may carry the role operator. Empty: there is no built-in issuer.
	Secret []byte
	// Audience that built-in tokens must name; empty means any.
	Audience string
	// Issuers besides the built-in one.
	Issuers []Issuer
	// ServerKeys are "sk_…" keys, in the clear or as HashKey writes them.
	ServerKeys []string
	// Leeway for clocks that differ. 0 means 5 s.
	Leeway time.Duration
	// KeysEvery is how often key sets are read again. 0 means 10 min.
	KeysEvery time.Duration
	// KeysCooldown is the least time between two reads of a key set, whatever
	// key ids tokens name. 0 means 30 s.
	KeysCooldown time.Duration
	// RevocationsEvery is how often revocations made by other nodes are read, whatever the bus does. 0 means 500 ms.
	RevocationsEvery time.Duration
	// OnRevoke hears of every revocation, made here or on another node, so
	// that open sockets can be closed. It must not block.
	OnRevoke func(Revocation)
	// HTTP reads key sets. nil means a client with a timeout of 5 s.
	HTTP *http.Client
	// Log and Metrics may be nil.
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// secretMin is the least length of an HS256 key: that of its hash (RFC 7518 section 3.2).
const secretMin = 32

// Verifier identifies callers. Its methods are safe for concurrent use.
type Verifier struct {
	cfg        Config
	clock      clock.Clock
	db         *sqldb.DB
	log        *slog.Logger
	issuers    map[string]*issuer
	serverKeys serverKeys
	revoked    *revocations
	parser     *jwt.Parser
	remembered remembered
	results    *prometheus.CounterVec
}

type issuer struct {
	Issuer
	keys *keySet // nil for HS256
}

// keysVersion counts how often the keys were read; 0 for a secret.
func (is *issuer) keysVersion() int {
	if is.keys == nil {
		return 0
	}
	is.keys.mu.Lock()
	defer is.keys.mu.Unlock()
	return is.keys.version
}

// New returns a Verifier. Revocations are read from db on first use; call Run
// to keep them and the key sets fresh.
func New(db *sqldb.DB, clk clock.Clock, cfg Config) (*Verifier, error) {
	cfg = withDefaults(cfg)
	keys, err := newServerKeys(cfg.ServerKeys)
	if err != nil {
		return nil, err
	}
	v := &Verifier{
		cfg: cfg, clock: clk, db: db, log: cfg.Log, serverKeys: keys,
		issuers: map[string]*issuer{}, revoked: newRevocations(),
		parser: jwt.NewParser(
			jwt.WithLeeway(cfg.Leeway), jwt.WithTimeFunc(clk.Now), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding(),
			jwt.WithValidMethods([]string{"HS256", "ES256", "EdDSA", "RS256"}),
		),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_auth_bearers_total", Help: "Bearers checked, by result.",
		}, []string{"result"}),
	}
	for _, r := range []string{"accepted", "expired", "refused", "revoked", "unavailable"} {
		v.results.WithLabelValues(r)
	}
	if cfg.Metrics != nil {
		if err := cfg.Metrics.Register(v.results); err != nil {
			return nil, fmt.Errorf("auth: %w", err)
		}
	}
	all := cfg.Issuers
	if len(cfg.Secret) > 0 {
		all = append([]Issuer{{Name: BuiltIn, Alg: "HS256", Secret: cfg.Secret, Audience: cfg.Audience}}, all...)
	}
	for _, is := range all {
		if err := v.addIssuer(is); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func withDefaults(cfg Config) Config {
	if cfg.Leeway == 0 {
		cfg.Leeway = 5 * time.Second
	}
	if cfg.KeysEvery == 0 {
		cfg.KeysEvery = 10 * time.Minute
	}
	if cfg.KeysCooldown == 0 {
		cfg.KeysCooldown = 30 * time.Second
	}
	if cfg.RevocationsEvery == 0 {
		cfg.RevocationsEvery = 500 * time.Millisecond
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 5 * time.Second}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg
}

func (v *Verifier) addIssuer(is Issuer) error {
	if _, ok := v.issuers[is.Name]; ok || is.Name == "" {
		return fmt.Errorf("auth: issuer %q: the name is empty or taken", is.Name)
	}
	added := &issuer{Issuer: is}
	switch is.Alg {
	case "HS256":
		if len(is.Secret) < secretMin || is.JWKS != "" {
			return fmt.Errorf("auth: issuer %q: HS256 takes a secret of at least %d bytes and no key set", is.Name, secretMin)
		}
	case "ES256", "EdDSA", "RS256":
		if is.JWKS == "" || len(is.Secret) > 0 {
			return fmt.Errorf("auth: issuer %q: %s takes the URL of a key set and no secret", is.Name, is.Alg)
		}
		added.keys = newKeySet(is, v.cfg, v.clock)
	default:
		return fmt.Errorf("auth: issuer %q: algorithm %q is not one of HS256, ES256, EdDSA, RS256", is.Name, is.Alg)
	}
	v.issuers[is.Name] = added
	return nil
}

// Identify checks a bearer: a token or a server key. actFor is the user a
// server key acts for (the Parley-User header), empty for nobody; a token
// acts for its own user only. Errors wrap ErrExpired, ErrRefused, ErrRevoked
// or ErrUnavailable.
func (v *Verifier) Identify(ctx context.Context, bearer string, actFor wire.UserID) (Identity, error) {
	id, err := v.identify(ctx, bearer, actFor)
	v.results.WithLabelValues(result(err)).Inc()
	return id, err
}

func (v *Verifier) identify(ctx context.Context, bearer string, actFor wire.UserID) (Identity, error) {
	if strings.HasPrefix(bearer, ServerKeyPrefix) {
		return v.identifyServer(bearer, actFor)
	}
	id, err := v.identifyToken(ctx, bearer)
	if err != nil {
		return Identity{}, err
	}
	if actFor != "" && actFor != id.Caller.User {
		return Identity{}, fmt.Errorf("%w: a user token cannot act for another user", ErrRefused)
	}
	return id, nil
}

// Valid tells whether an identity that was accepted earlier still holds:
// ErrExpired or ErrRevoked when it does not.
func (v *Verifier) Valid(ctx context.Context, id Identity) error {
	if id.Expires.IsZero() {
		return nil
	}
	if !v.clock.Now().Before(id.Expires.Add(v.cfg.Leeway)) {
		return ErrExpired
	}
	return v.checkRevoked(ctx, id)
}

// Run keeps key sets and revocations fresh until ctx ends.
func (v *Verifier) Run(ctx context.Context) error {
	nextKeys := v.clock.Now()
	for {
		if err := v.pollRevocations(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("revocations cannot be read", "error", err)
		}
		if now := v.clock.Now(); !now.Before(nextKeys) {
			v.refreshKeys(ctx)
			nextKeys = now.Add(v.cfg.KeysEvery)
		}
		if err := v.clock.Wait(ctx, v.clock.Now().Add(v.cfg.RevocationsEvery)); err != nil {
			return nil
		}
	}
}

func (v *Verifier) refreshKeys(ctx context.Context) {
	for _, is := range v.issuers {
		if is.keys == nil {
			continue
		}
		if err := is.keys.refresh(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("key set cannot be read", "issuer", is.Name, "error", err)
		}
	}
}

func result(err error) string {
	switch {
	case err == nil:
		return "accepted"
	case errors.Is(err, ErrExpired):
		return "expired"
	case errors.Is(err, ErrRevoked):
		return "revoked"
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	}
	return "refused"
}
