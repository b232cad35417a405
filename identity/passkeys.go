package identity

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"parley/internal/clock"
	"parley/internal/sqldb"
	"parley/wire"
)

// Passkey is a registered credential as its owner sees it.
type Passkey struct {
	ID         string        `json:"id"`
	Device     wire.DeviceID `json:"device,omitempty" doc:"the installation that registered it"`
	CreatedAt  time.Time     `json:"created_at"`
	LastUsedAt *time.Time    `json:"last_used_at,omitempty"`
	BackedUp   bool          `json:"backed_up" doc:"the provider keeps a copy, so that it may be on other devices too"`
}

// Registration is a registration that has begun.
type Registration struct {
	Options json.RawMessage `json:"options" doc:"PublicKeyCredentialCreationOptions, for PublicKeyCredential.parseCreationOptionsFromJSON"`
	Session string          `json:"session" doc:"give it back to passkeys.register_finish; good once"`
}

// PasskeyConfig of Passkeys.
type PasskeyConfig struct {
	// RPID is the domain passkeys belong to, without scheme and port. Empty means localhost.
	RPID string
	// RPName is shown by the authenticator. Empty means Parley.
	RPName string
	// Origins are the pages that may use them, for example https://pay.example.
	Origins []string
	// Max bounds the passkeys of one person. 0 means 20.
	Max int
	// CeremonyFor is how long a registration may take. 0 means 5 min.
	CeremonyFor time.Duration
}

// PrefixPasskey begins the ids of passkeys.
const (
	PrefixPasskey  = "pk_"
	prefixCeremony = "reg_"
)

// Passkeys registers credentials and checks their answers (WebAuthn Level 3).
// User verification is always required.
type Passkeys struct {
	db       *sqldb.DB
	clock    clock.Clock
	users    *Directory
	cfg      PasskeyConfig
	webauthn *webauthn.WebAuthn
}

// NewPasskeys returns Passkeys for the origins of cfg.
func NewPasskeys(db *sqldb.DB, clk clock.Clock, users *Directory, cfg PasskeyConfig) (*Passkeys, error) {
	if cfg.RPID == "" {
		cfg.RPID = "localhost"
	}
	if cfg.RPName == "" {
		cfg.RPName = "Parley"
	}
	if cfg.Max == 0 {
		cfg.Max = 20
	}
	if cfg.CeremonyFor == 0 {
		cfg.CeremonyFor = 5 * time.Minute
	}
	w, err := webauthn.New(&webauthn.Config{
		RPID: cfg.RPID, RPDisplayName: cfg.RPName, RPOrigins: cfg.Origins,
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationRequired,
		},
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("identity: passkeys: %w", err)
	}
	return &Passkeys{db: db, clock: clk, users: users, cfg: cfg, webauthn: w}, nil
}

// owner adapts a user and their credentials to the library.
type owner struct {
	user   User
	handle []byte
	keys   []storedKey
}

// storedKey is a row of identity_passkeys.
type storedKey struct {
	id      string
	device  wire.DeviceID
	record  webauthn.Credential
	created time.Time
	used    time.Time
	version int64
}

// WebAuthnID implements webauthn.User.
func (o *owner) WebAuthnID() []byte { return o.handle }

// WebAuthnName implements webauthn.User.
func (o *owner) WebAuthnName() string { return string(o.user.ID) }

// WebAuthnDisplayName implements webauthn.User.
func (o *owner) WebAuthnDisplayName() string { return o.user.ShownName() }

// WebAuthnCredentials implements webauthn.User.
func (o *owner) WebAuthnCredentials() []webauthn.Credential {
	all := make([]webauthn.Credential, len(o.keys))
	for i, k := range o.keys {
		all[i] = k.record
	}
	return all
}

func (o *owner) descriptors() []protocol.CredentialDescriptor {
	all := make([]protocol.CredentialDescriptor, len(o.keys))
	for i, k := range o.keys {
		all[i] = k.record.Descriptor()
	}
	return all
}

func (k storedKey) passkey() Passkey {
	p := Passkey{ID: k.id, Device: k.device, CreatedAt: k.created, BackedUp: k.record.Flags.BackupState}
	if !k.used.IsZero() {
		p.LastUsedAt = &k.used
	}
	return p
}

var registrationParameters = []protocol.CredentialParameter{
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgEdDSA},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
}

// RegisterBegin starts the registration of a passkey for the caller.
func (p *Passkeys) RegisterBegin(ctx context.Context, c wire.Caller) (Registration, error) {
	if c.Role != wire.RoleUser {
		return Registration{}, ErrUsersOnly
	}
	if err := p.users.Seen(ctx, c.User, ""); err != nil {
		return Registration{}, err
	}
	reg := Registration{Session: wire.NewID[string](prefixCeremony, p.clock.Now())}
	err := p.db.Update(ctx, func(tx *sqldb.Tx) error {
		o, err := p.ownerTx(tx, c.User)
		if err != nil {
			return err
		}
		if len(o.keys) >= p.cfg.Max {
			return ErrPasskeyLimit
		}
		creation, session, err := p.webauthn.BeginRegistration(o,
			webauthn.WithExclusions(o.descriptors()), webauthn.WithCredentialParameters(registrationParameters))
		if err != nil {
			return fmt.Errorf("identity: begin registration: %w", err)
		}
		if reg.Options, err = json.Marshal(creation.Response); err != nil {
			return err
		}
		kept, err := json.Marshal(session)
		if err != nil {
			return err
		}
		_, err = tx.Exec("INSERT INTO identity_ceremonies (id, user_id, device, session, expires_ms) VALUES (?, ?, ?, ?, ?)",
			reg.Session, string(c.User), string(c.Device), string(kept), p.clock.Now().Add(p.cfg.CeremonyFor).UnixMilli())
		return err
	})
	return reg, err
}

// RegisterFinish stores the credential that answers session. A session is
// good for one try, whether it succeeds or not.
func (p *Passkeys) RegisterFinish(ctx context.Context, c wire.Caller, session string, credential json.RawMessage) (Passkey, error) {
	if c.Role != wire.RoleUser {
		return Passkey{}, ErrUsersOnly
	}
	ceremony, device, err := p.takeCeremony(ctx, c, session)
	if err != nil {
		return Passkey{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(credential)
	if err != nil {
		return Passkey{}, fmt.Errorf("%w: %s", ErrCredential, explain(err))
	}
	key := storedKey{id: wire.NewID[string](PrefixPasskey, p.clock.Now()), device: device, created: p.clock.Now().Truncate(time.Millisecond)}
	err = p.db.Update(ctx, func(tx *sqldb.Tx) error {
		if err := tx.Lock("passkeys:" + string(c.User)); err != nil {
			return err
		}
		o, err := p.ownerTx(tx, c.User)
		if err != nil {
			return err
		}
		if len(o.keys) >= p.cfg.Max {
			return ErrPasskeyLimit
		}
		record, err := p.webauthn.CreateCredential(o, ceremony, parsed)
		if err != nil {
			return fmt.Errorf("%w: %s", ErrCredential, explain(err))
		}
		key.record = *record
		return insertKey(tx, c.User, key)
	})
	return key.passkey(), err
}

// takeCeremony deletes the ceremony and returns it, so that it cannot be used twice.
func (p *Passkeys) takeCeremony(ctx context.Context, c wire.Caller, id string) (s webauthn.SessionData, device wire.DeviceID, err error) {
	err = p.db.Update(ctx, func(tx *sqldb.Tx) error {
		var user, dev, session string
		var expires int64
		err := tx.QueryRow("SELECT user_id, device, session, expires_ms FROM identity_ceremonies WHERE id = ?", id).
			Scan(&user, &dev, &session, &expires)
		if errors.Is(err, sql.ErrNoRows) || (err == nil && user != string(c.User)) {
			return ErrCeremonyExpired
		}
		if err != nil {
			return err
		}
		n, err := tx.Exec("DELETE FROM identity_ceremonies WHERE id = ?", id)
		if err != nil {
			return err
		}
		if n != 1 {
			return ErrCeremonyExpired
		}
		if p.clock.Now().UnixMilli() >= expires {
			s.Challenge = "" // the row is gone all the same
			return nil
		}
		device = wire.DeviceID(dev)
		return json.Unmarshal([]byte(session), &s)
	})
	if err == nil && s.Challenge == "" {
		err = ErrCeremonyExpired
	}
	return s, device, err
}

func insertKey(tx *sqldb.Tx, user wire.UserID, k storedKey) error {
	record, err := json.Marshal(k.record)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`INSERT INTO identity_passkeys (id, user_id, device, credential_id, record, created_ms, used_ms, version)
		VALUES (?, ?, ?, ?, ?, ?, 0, 1) ON CONFLICT (credential_id) DO NOTHING`,
		k.id, string(user), string(k.device), base64.RawURLEncoding.EncodeToString(k.record.ID), string(record), k.created.UnixMilli())
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("%w: it is registered already", ErrCredential) // WebAuthn section 7.1, step 26
	}
	return nil
}

// List returns the caller's passkeys, oldest first.
func (p *Passkeys) List(ctx context.Context, c wire.Caller) ([]Passkey, error) {
	if c.User == "" {
		return nil, ErrUsersOnly
	}
	all := []Passkey{}
	err := p.db.View(ctx, func(tx *sqldb.Tx) error {
		keys, err := keysTx(tx, c.User)
		for _, k := range keys {
			all = append(all, k.passkey())
		}
		return err
	})
	return all, err
}

// Remove deletes one of the caller's passkeys. Evidence keeps the public keys it needs.
func (p *Passkeys) Remove(ctx context.Context, c wire.Caller, id string) error {
	if c.Role != wire.RoleUser {
		return ErrUsersOnly
	}
	return p.db.Update(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec("DELETE FROM identity_passkeys WHERE id = ? AND user_id = ?", id, string(c.User))
		if err == nil && n == 0 {
			return ErrPasskeyUnknown
		}
		return err
	})
}

func (p *Passkeys) ownerTx(tx *sqldb.Tx, user wire.UserID) (*owner, error) {
	u, err := p.users.GetTx(tx, user)
	if err != nil {
		return nil, err
	}
	handle, err := base64.RawURLEncoding.DecodeString(u.handle)
	if err != nil {
		return nil, fmt.Errorf("identity: handle of a user: %w", err)
	}
	keys, err := keysTx(tx, user)
	return &owner{user: u, handle: handle, keys: keys}, err
}

func keysTx(tx *sqldb.Tx, user wire.UserID) (keys []storedKey, err error) {
	rows, err := tx.Query("SELECT id, device, record, created_ms, used_ms, version FROM identity_passkeys WHERE user_id = ? ORDER BY created_ms, id", string(user))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err below tells what matters
	for rows.Next() {
		var k storedKey
		var record string
		var created, used int64
		if err := rows.Scan(&k.id, &k.device, &record, &created, &used, &k.version); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(record), &k.record); err != nil {
			return nil, fmt.Errorf("identity: passkey %s: %w", k.id, err)
		}
		k.created = time.UnixMilli(created).UTC()
		if used != 0 {
			k.used = time.UnixMilli(used).UTC()
		}
		keys = append(keys, k)
	}
	return keys, rows.Err()
}

func (p *Passkeys) sweep(ctx context.Context) error {
	return p.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec("DELETE FROM identity_ceremonies WHERE expires_ms <= ?", p.clock.Now().UnixMilli())
		return err
	})
}

// options returns what navigator.credentials.get takes to sign challenge with
// one of the owner's passkeys.
func (p *Passkeys) options(o *owner, challenge [32]byte) (json.RawMessage, error) {
	if len(o.keys) == 0 {
		return nil, fmt.Errorf("%w: register one first", ErrPasskeyUnknown)
	}
	assertion, _, err := p.webauthn.BeginLogin(o,
		webauthn.WithChallenge(challenge[:]), webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, fmt.Errorf("identity: begin assertion: %w", err)
	}
	return json.Marshal(assertion.Response)
}

// proof is a passkey's answer that was checked.
type proof struct {
	key         storedKey // as it was stored before
	used        webauthn.Credential
	assertion   assertionRecord
	origin      string
	counterBack bool
}

// assertionRecord is what of the answer is kept: enough to check it again offline.
type assertionRecord struct {
	CredentialID      string `json:"credential_id"`
	ClientDataJSON    string `json:"client_data_json"`
	AuthenticatorData string `json:"authenticator_data"`
	Signature         string `json:"signature"`
}

// verify checks that raw is an assertion by one of the owner's passkeys over
// challenge, made on one of our origins with the user present and verified.
// Only client data of type webauthn.get is accepted; that of a payment handler
// (payment.get) is not. It returns ErrPasskeyUnknown or ErrAssertionInvalid.
func (p *Passkeys) verify(o *owner, challenge [32]byte, raw json.RawMessage) (proof, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(raw)
	if err != nil {
		return proof{}, fmt.Errorf("%w: %s", ErrAssertionInvalid, explain(err))
	}
	var key *storedKey
	for i := range o.keys {
		if bytes.Equal(o.keys[i].record.ID, parsed.RawID) {
			key = &o.keys[i]
		}
	}
	if key == nil {
		return proof{}, ErrPasskeyUnknown
	}
	session := webauthn.SessionData{
		Challenge: protocol.URLEncodedBase64(challenge[:]).String(), RelyingPartyID: p.cfg.RPID,
		UserID: o.handle, UserVerification: protocol.VerificationRequired,
		AllowedCredentialIDs: [][]byte{key.record.ID},
	}
	used, err := p.webauthn.ValidateLogin(o, session, parsed)
	if err != nil {
		return proof{}, fmt.Errorf("%w: %s", ErrAssertionInvalid, explain(err))
	}
	answer := parsed.Raw.AssertionResponse
	counter, before := parsed.Response.AuthenticatorData.Counter, key.record.Authenticator.SignCount
	return proof{
		key: *key, used: *used, origin: parsed.Response.CollectedClientData.Origin,
		counterBack: counter <= before && (counter != 0 || before != 0),
		assertion: assertionRecord{
			CredentialID:      base64.RawURLEncoding.EncodeToString(parsed.RawID),
			ClientDataJSON:    base64.RawURLEncoding.EncodeToString(answer.ClientDataJSON),
			AuthenticatorData: base64.RawURLEncoding.EncodeToString(answer.AuthenticatorData),
			Signature:         base64.RawURLEncoding.EncodeToString(answer.Signature),
		},
	}, nil
}

// saveUse stores the credential's new counter and flags. It fails with
// ErrPasskeyUnknown when the passkey was removed or used meanwhile.
func (p *Passkeys) saveUse(tx *sqldb.Tx, pr proof, now time.Time) error {
	record, err := json.Marshal(pr.used)
	if err != nil {
		return err
	}
	n, err := tx.Exec("UPDATE identity_passkeys SET record = ?, used_ms = ?, version = version + 1 WHERE id = ? AND version = ?",
		string(record), now.UnixMilli(), pr.key.id, pr.key.version)
	if err == nil && n != 1 {
		return fmt.Errorf("%w: it was removed or used elsewhere just now: try again", ErrPasskeyUnknown)
	}
	return err
}

// explain returns the library's reason without what the client sent.
func explain(err error) string {
	var e *protocol.Error
	if errors.As(err, &e) && e.Details != "" {
		return e.Details
	}
	return "malformed"
}
