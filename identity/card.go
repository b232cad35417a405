package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/wire"
)

// CardPayment is what a caller card says of the payment.
type CardPayment struct {
	ID       wire.PaymentID `json:"id"`
	Version  int64          `json:"version"`
	Digest   string         `json:"digest"`
	Amount   int64          `json:"amount"` // minor units
	Currency string         `json:"currency"`
	Order    string         `json:"order,omitempty"`
}

// CardFacts tells cards about the payment a call is about.
type CardFacts interface {
	// CardPayment returns the payment, or ErrPaymentUnknown.
	CardPayment(ctx context.Context, payment wire.PaymentID) (CardPayment, error)
}

// CardConfig of Cards.
type CardConfig struct {
	// Issuer is the base URL of this installation, "iss" of the cards.
	Issuer string
}

// cardFresh is how old a card may be when it is checked (RFC 8224 section 12.1).
const cardFresh = 60 * time.Second

const cardKey = "caller-card"

// Cards signs who calls and about what: a PASSporT (RFC 8225) with rich call
// data (RFC 9795), which a ringing phone can check against the public keys.
type Cards struct {
	db    *sqldb.DB
	clock clock.Clock
	users *Directory
	facts CardFacts
	cfg   CardConfig

	mu  sync.Mutex
	key *signingKey // loaded on first use
}

type signingKey struct {
	id      string
	private *ecdsa.PrivateKey
}

// NewCards returns Cards. The signing key is made on first use and kept in db.
func NewCards(db *sqldb.DB, clk clock.Clock, users *Directory, facts CardFacts, cfg CardConfig) *Cards {
	return &Cards{db: db, clock: clk, users: users, facts: facts, cfg: cfg}
}

// Card is the content of a caller card.
type Card struct {
	jwt.RegisteredClaims
	Origin      CardUser      `json:"orig"`
	Destination CardUsers     `json:"dest"`
	RichCall    RichCall      `json:"rcd"`
	Reason      string        `json:"crn,omitempty"` // call reason, RFC 9795 section 5.2
	Keys        []Fingerprint `json:"mky,omitempty"` // media keys, RFC 8225 section 5.2.2
	Payment     *CardPayment  `json:"pay,omitempty"`
}

// CardUser names the caller.
type CardUser struct {
	URI string `json:"uri"`
}

// CardUsers names who is called.
type CardUsers struct {
	URI []string `json:"uri"`
}

// RichCall is what to show of the caller.
type RichCall struct {
	Name     string `json:"nam"`
	Verified bool   `json:"verified"` // the name was checked by the app
}

// Fingerprint is that of a DTLS certificate.
type Fingerprint struct {
	Alg string `json:"alg"` // sha-256
	Dig string `json:"dig"` // as in SDP
}

// userURI names a user of this installation.
func userURI(u wire.UserID) string { return "parley:user:" + string(u) }

// Sign returns the card that to's devices show while from calls, about payment
// unless it is empty, as a compact JWS. Fingerprints of the caller's media
// keys, in the form of SDP, go into it when they are known already.
func (s *Cards) Sign(ctx context.Context, from, to wire.UserID, payment wire.PaymentID, fingerprints ...string) (string, error) {
	card, err := s.card(ctx, from, to, payment, fingerprints)
	if err != nil {
		return "", err
	}
	key, err := s.signingKey(ctx)
	if err != nil {
		return "", err
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, card)
	token.Header["typ"], token.Header["ppt"], token.Header["kid"] = "passport", "rcd", key.id
	signed, err := token.SignedString(key.private)
	if err != nil {
		return "", fmt.Errorf("identity: sign caller card: %w", err)
	}
	return signed, nil
}

func (s *Cards) card(ctx context.Context, from, to wire.UserID, payment wire.PaymentID, fingerprints []string) (Card, error) {
	caller, err := s.users.Get(ctx, from)
	if errors.Is(err, ErrUserUnknown) {
		caller, err = User{ID: from}, nil
	}
	if err != nil {
		return Card{}, err
	}
	now := s.clock.Now()
	card := Card{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: s.cfg.Issuer, IssuedAt: jwt.NewNumericDate(now), ID: wire.NewID[string]("card_", now),
		},
		Origin: CardUser{URI: userURI(from)}, Destination: CardUsers{URI: []string{userURI(to)}},
		RichCall: RichCall{Name: caller.ShownName(), Verified: caller.VerifiedName != ""},
	}
	for _, f := range fingerprints {
		card.Keys = append(card.Keys, Fingerprint{Alg: "sha-256", Dig: f})
	}
	if payment == "" {
		return card, nil
	}
	p, err := s.facts.CardPayment(ctx, payment)
	if err != nil {
		return Card{}, err
	}
	card.Payment = &p
	card.Reason = "Payment " + formatMinor(p.Amount, p.Currency)
	if p.Order != "" {
		card.Reason += ", order " + p.Order
	}
	return card, nil
}

// ErrCard says that a caller card is forged, for somebody else, or older than a minute.
var ErrCard = errors.New("caller card refused")

// VerifyCard checks a card against key at now, for the user called, as a
// client does with a key from the published set.
func VerifyCard(card string, key *ecdsa.PublicKey, to wire.UserID, now time.Time) (Card, error) {
	var c Card
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithTimeFunc(func() time.Time { return now }))
	token, err := parser.ParseWithClaims(card, &c, func(*jwt.Token) (any, error) { return key, nil })
	if err != nil {
		return Card{}, fmt.Errorf("%w: %w", ErrCard, err)
	}
	switch {
	case token.Header["ppt"] != "rcd" || token.Header["typ"] != "passport":
		return Card{}, fmt.Errorf("%w: not a caller card", ErrCard)
	case c.IssuedAt == nil || now.Sub(c.IssuedAt.Time).Abs() > cardFresh:
		return Card{}, fmt.Errorf("%w: not made within %s", ErrCard, cardFresh)
	case len(c.Destination.URI) != 1 || c.Destination.URI[0] != userURI(to):
		return Card{}, fmt.Errorf("%w: made for another user", ErrCard)
	}
	return c, nil
}

// JWKS returns the public keys as a key set (RFC 7517).
func (s *Cards) JWKS(ctx context.Context) (json.RawMessage, error) {
	key, err := s.signingKey(ctx)
	if err != nil {
		return nil, err
	}
	jwk, err := publicJWK(&key.private.PublicKey)
	if err != nil {
		return nil, err
	}
	jwk["kid"], jwk["use"], jwk["alg"] = key.id, "sig", "ES256"
	return json.Marshal(map[string]any{"keys": []any{jwk}})
}

// ServeHTTP answers the public keys, for /.well-known/jwks.json.
func (s *Cards) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	set, err := s.JWKS(r.Context())
	if err != nil {
		http.Error(w, "the keys cannot be read now", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	_, _ = w.Write(set) // the client may have gone
}

// publicJWK returns the members of a P-256 key that its thumbprint covers (RFC 7638).
func publicJWK(key *ecdsa.PublicKey) (map[string]string, error) {
	point, err := key.Bytes() // 4, x, y
	if err != nil || len(point) != 65 {
		return nil, fmt.Errorf("identity: not a P-256 key: %w", err)
	}
	return map[string]string{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}, nil
}

func (s *Cards) signingKey(ctx context.Context) (*signingKey, error) {
	s.mu.Lock()
	key := s.key
	s.mu.Unlock()
	if key != nil {
		return key, nil
	}
	key, err := s.loadKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("identity: key of caller cards: %w", err)
	}
	s.mu.Lock()
	s.key = key
	s.mu.Unlock()
	return key, nil
}

// loadKey reads the stored key; the first node to come makes it.
func (s *Cards) loadKey(ctx context.Context) (*signingKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	id, err := thumbprint(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	var stored string
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec("INSERT INTO identity_keys (name, kid, private, created_ms) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
			cardKey, id, base64.StdEncoding.EncodeToString(der), s.clock.Now().UnixMilli())
		if err != nil {
			return err
		}
		return tx.QueryRow("SELECT kid, private FROM identity_keys WHERE name = ?", cardKey).Scan(&id, &stored)
	})
	if err != nil {
		return nil, err
	}
	if der, err = base64.StdEncoding.DecodeString(stored); err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("not an ECDSA key")
	}
	return &signingKey{id: id, private: private}, nil
}

// thumbprint is the RFC 7638 name of a key.
func thumbprint(key *ecdsa.PublicKey) (string, error) {
	jwk, err := publicJWK(key)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(jwk) // keys in order, no space
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return encode(sum[:]), nil
}
