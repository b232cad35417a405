package identity

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/wire"
)

// Payment is what a confirmation has to know of a payment.
type Payment struct {
	ID      wire.PaymentID
	Version int64
	// State is its wire word; held and confirming may be confirmed.
	State        string
	Payer, Payee wire.UserID
	PayeeName    string // as in the snapshot
	Amount       int64  // minor units
	Fee          int64  // that the payer pays on top of Amount
	Currency     string
	Digest       string          // of Snapshot, hex
	Snapshot     json.RawMessage // as Snapshot.Canonical wrote it
	HoldExpires  time.Time       // zero: there is no hold
}

// Confirmed is one party's valid confirmation.
type Confirmed struct {
	Payment wire.PaymentID
	Version int64
	Digest  string
	// Party has just confirmed. Payments void a confirmation that the other party
	// made in another call or over another transcript.
	Party wire.UserID
	// Deadline is when the others' time to confirm ends.
	Deadline   time.Time
	Call       wire.CallID
	Transcript string
	Method     string
	// Key is the idempotency key of the submission.
	Key string
	At  time.Time
}

// Payments is what confirmations need of payments.
type Payments interface {
	// PaymentTx reads a payment as it is in tx, or fails with ErrPaymentUnknown.
	PaymentTx(tx *sqldb.Tx, payment wire.PaymentID) (Payment, error)
	// ConfirmTx records the confirmation, captures when both parties have
	// confirmed, and returns the payment as clients see it.
	ConfirmTx(tx *sqldb.Tx, c Confirmed) (json.RawMessage, error)
}

// CallInfo is what a confirmation has to know of a call.
type CallInfo struct {
	ID wire.CallID
	// SFU says that media goes through the server, which could hear.
	SFU bool
	// Transcript, hex, that both devices reported and both people said to match; empty until then.
	Transcript string
	// Verified is none, words_match or words_differ.
	Verified string
	// Users who are in the call now.
	Users []wire.UserID
}

// Calls is what confirmations need of calls.
type Calls interface {
	// ActiveForTx returns the active call about payment, or fails with ErrCallNotActive.
	ActiveForTx(tx *sqldb.Tx, payment wire.PaymentID) (CallInfo, error)
	// MediaAliveTx reports whether user's media in call arrived within the last seconds.
	MediaAliveTx(tx *sqldb.Tx, call wire.CallID, user wire.UserID) (bool, error)
}

// Methods of confirmation: what the words of the call are worth.
const (
	MethodWords     = "passkey_words"       // passkey, and words compared end to end
	MethodSFUNotE2E = "passkey_sfu_not_e2e" // passkey in a call that the server could hear
)

// ConfirmConfig of Confirmations; its zero value works.
type ConfirmConfig struct {
	// For is how long both have to confirm, from the first open at a version. 0 means 120 s.
	For time.Duration
	// AllowSFUConfirm accepts confirmations in calls through the server, whose
	// words prove nothing end to end; they are marked so.
	AllowSFUConfirm bool
	// Log and Metrics may be nil.
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Confirmations let payer and payee confirm a payment with their passkeys
// while they talk. Its methods are safe for concurrent use, on any node.
type Confirmations struct {
	db        *sqldb.DB
	clock     clock.Clock
	users     *Directory
	passkeys  *Passkeys
	evidence  *Evidence
	payments  Payments
	calls     Calls
	publisher wire.Publisher
	cfg       ConfirmConfig
	log       *slog.Logger
	results   *prometheus.CounterVec
	signals   *prometheus.CounterVec
}

// ConfirmDeps are the parts a Confirmations works with; all are needed.
type ConfirmDeps struct {
	DB        *sqldb.DB
	Clock     clock.Clock
	Passkeys  *Passkeys
	Evidence  *Evidence
	Payments  Payments
	Calls     Calls
	Publisher wire.Publisher
}

// NewConfirmations returns Confirmations.
func NewConfirmations(d ConfirmDeps, cfg ConfirmConfig) (*Confirmations, error) {
	if cfg.For == 0 {
		cfg.For = 120 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Confirmations{
		db: d.DB, clock: d.Clock, users: d.Passkeys.users, passkeys: d.Passkeys, evidence: d.Evidence,
		payments: d.Payments, calls: d.Calls, publisher: d.Publisher, cfg: cfg, log: cfg.Log,
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_identity_confirmations_total", Help: "Confirmations submitted, by result.",
		}, []string{"result"}),
		signals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_identity_signals_total", Help: "Signs that a passkey may have been copied, by kind.",
		}, []string{"kind"}),
	}
	for _, r := range append(resultNames(), "confirmed", "repeated", "error") {
		s.results.WithLabelValues(r)
	}
	s.signals.WithLabelValues(SignalCounterBack)
	if cfg.Metrics == nil {
		return s, nil
	}
	for _, c := range []prometheus.Collector{s.results, s.signals} {
		if err := cfg.Metrics.Register(c); err != nil {
			return nil, fmt.Errorf("identity: %w", err)
		}
	}
	return s, nil
}

// SignalCounterBack marks a confirmation whose passkey's counter did not grow:
// the authenticator may have been copied (WebAuthn section 6.1.1).
const SignalCounterBack = "sign_count_back"

// Opened is what a party needs to confirm.
type Opened struct {
	Payment  wire.PaymentID  `json:"payment"`
	Version  int64           `json:"version"`
	Digest   string          `json:"digest" doc:"SHA-256 of snapshot, hex"`
	Snapshot json.RawMessage `json:"snapshot" doc:"RFC 8785 canonical JSON of what is agreed to"`
	Text     string          `json:"text" doc:"the same in words, for this party; show it"`
	Locale   string          `json:"locale" doc:"language of text"`
	Call     wire.CallID     `json:"call"`
	// Transcript is that of the call, hex.
	Transcript string          `json:"transcript"`
	Method     string          `json:"method" enum:"passkey_words,passkey_sfu_not_e2e"`
	Nonce      string          `json:"nonce" doc:"32 bytes, base64url"`
	Challenge  string          `json:"challenge" doc:"SHA-256 of \"parley/confirm/1\", digest, transcript and nonce, base64url"`
	Deadline   time.Time       `json:"deadline" doc:"for both parties, from the first open at this version"`
	Options    json.RawMessage `json:"options" doc:"PublicKeyCredentialRequestOptions, for PublicKeyCredential.parseRequestOptionsFromJSON"`
}

// Submission is a party's confirmation.
type Submission struct {
	Payment     wire.PaymentID
	Version     int64
	Transcript  string // hex, as this device computed it
	SAS         string // match, or none in a call through the server
	Nonce       string
	Assertion   json.RawMessage // PublicKeyCredential.toJSON()
	Idempotency string
	// Text and Locale that were shown, when they were not those of Opened.
	Text, Locale string
}

// confirmationBody is the body of a confirmation's evidence row.
type confirmationBody struct {
	Payment    wire.PaymentID  `json:"payment"`
	Version    int64           `json:"version"`
	Digest     string          `json:"digest"`
	Party      wire.UserID     `json:"party"`
	Role       string          `json:"role"` // payer or payee
	Device     wire.DeviceID   `json:"device"`
	Method     string          `json:"method"`
	Call       wire.CallID     `json:"call"`
	Transcript string          `json:"transcript"`
	Words      string          `json:"words"` // match, or not_e2e
	WordsRead  []string        `json:"words_read"`
	Nonce      string          `json:"nonce"`
	Challenge  string          `json:"challenge"`
	Assertion  assertionRecord `json:"assertion"`
	Passkey    string          `json:"passkey"`
	PublicKey  string          `json:"public_key"` // COSE, base64url
	RPID       string          `json:"rp_id"`
	Origin     string          `json:"origin"`
	Signals    []string        `json:"signals"`
	Text       string          `json:"text"`
	Locale     string          `json:"locale"`
	Snapshot   json.RawMessage `json:"snapshot"`
	At         time.Time       `json:"at"`
}

const localeEN = "en"

// shownText says in words what p is for the party: who pays, how much, to whom.
func shownText(p Payment, party wire.UserID) string {
	amount := formatMinor(p.Amount, p.Currency)
	switch {
	case party != p.Payer:
		return fmt.Sprintf("You will RECEIVE %s.", amount)
	case p.Fee != 0:
		return fmt.Sprintf("You will PAY %s: %s to %s and a fee of %s.", formatMinor(p.Amount+p.Fee, p.Currency), amount, p.PayeeName, formatMinor(p.Fee, p.Currency))
	}
	return fmt.Sprintf("You will PAY %s to %s.", amount, p.PayeeName)
}

// exponents of ISO 4217 currencies that have not two digits after the point.
var exponents = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0,
	"UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
	"CLF": 4, "UYW": 4,
}

// formatMinor writes an amount of minor units as a decimal with its code.
func formatMinor(amount int64, currency string) string {
	digits, ok := exponents[currency]
	if !ok {
		digits = 2
	}
	s := fmt.Sprintf("%0*d", digits+1, amount)
	if digits > 0 {
		s = s[:len(s)-digits] + "." + s[len(s)-digits:]
	}
	return s + " " + currency
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decode32(s string) (out [32]byte, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(out) || strings.ContainsAny(s, "\r\n") {
		return out, false
	}
	return [32]byte(b), true
}
