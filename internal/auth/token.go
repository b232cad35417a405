package auth

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/wire"
)

// claims of a user token.
type claims struct {
	jwt.RegisteredClaims
	Scope  string `json:"scope,omitempty"` // separated by spaces (RFC 8693 section 4.2)
	Device string `json:"device,omitempty"`
	Name   string `json:"name,omitempty"`
	Role   string `json:"role,omitempty"` // empty or "user"; "operator" from the built-in issuer only
	// Topics are the open topics that the user may join and publish to.
	Topics *wire.TopicGrants `json:"topics,omitempty"`
}

const (
	nameMax   = 100 // characters of the claim name that are kept
	scopesMax = 64
	jtiMax    = 128
	grantsMax = 100 // patterns of topics
	rsaMin    = 2048 / 8
)

func (v *Verifier) identifyToken(ctx context.Context, token string) (Identity, error) {
	if len(token) > TokenMax {
		return Identity{}, fmt.Errorf("%w: longer than %d bytes", ErrRefused, TokenMax)
	}
	sum := sha256.Sum256([]byte(token))
	if id, ok := v.remembered.find(sum); ok {
		return id, v.Valid(ctx, id)
	}
	id, err := v.verify(ctx, token, sum)
	if err != nil {
		return Identity{}, err
	}
	return id, v.checkRevoked(ctx, id)
}

// verify checks a token's signature and claims, and remembers it if they are good.
func (v *Verifier) verify(ctx context.Context, token string, sum [sha256.Size]byte) (Identity, error) {
	var c claims
	var keys int // version before the look
	_, err := v.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		if is := v.issuers[c.Issuer]; is != nil {
			keys = is.keysVersion()
		}
		return v.keyFor(ctx, t, &c)
	})
	if err != nil {
		return Identity{}, tokenError(err)
	}
	id, err := v.identityOf(&c)
	if err == nil {
		v.remembered.put(sum, id, v.issuers[c.Issuer], keys)
	}
	return id, err
}

// keyFor picks the issuer by the "iss" claim and its key; the issuer, not the
// token, says which algorithm is used.
func (v *Verifier) keyFor(ctx context.Context, t *jwt.Token, c *claims) (any, error) {
	if _, ok := t.Header["crit"]; ok {
		return nil, fmt.Errorf("%w: critical headers are not understood", ErrRefused)
	}
	is, ok := v.issuers[c.Issuer]
	if !ok {
		return nil, fmt.Errorf("%w: unknown issuer", ErrRefused)
	}
	if t.Method.Alg() != is.Alg {
		return nil, fmt.Errorf("%w: the issuer signs with %s only", ErrRefused, is.Alg)
	}
	if is.keys == nil {
		return is.Secret, nil
	}
	key, err := is.keys.find(ctx, t)
	if err != nil {
		return nil, err
	}
	return key, strongEnough(key)
}

// strongEnough refuses short RSA keys; the other algorithms fix their size.
func strongEnough(key any) error {
	if k, ok := key.(*rsa.PublicKey); ok && k.Size() < rsaMin {
		return fmt.Errorf("%w: RSA key of fewer than 2048 bits", ErrRefused)
	}
	return nil
}

func (v *Verifier) identityOf(c *claims) (Identity, error) {
	is := v.issuers[c.Issuer]
	if is.Audience != "" && !slices.Contains(c.Audience, is.Audience) {
		return Identity{}, fmt.Errorf("%w: made for another audience", ErrRefused)
	}
	if c.IssuedAt == nil {
		return Identity{}, fmt.Errorf("%w: no iat", ErrRefused)
	}
	if len(c.ID) > jtiMax {
		return Identity{}, fmt.Errorf("%w: jti is longer than %d bytes", ErrRefused, jtiMax)
	}
	if err := wire.CheckUser(c.Subject); err != nil {
		return Identity{}, fmt.Errorf("%w: sub: %w", ErrRefused, err)
	}
	if c.Device != "" {
		if err := wire.CheckID(wire.PrefixDevice, c.Device); err != nil {
			return Identity{}, fmt.Errorf("%w: device: %w", ErrRefused, err)
		}
	}
	role, err := roleOf(c)
	if err != nil {
		return Identity{}, err
	}
	scopes := strings.Fields(c.Scope)
	if len(scopes) > scopesMax {
		return Identity{}, fmt.Errorf("%w: more than %d scopes", ErrRefused, scopesMax)
	}
	if t := c.Topics; t != nil && len(t.Join)+len(t.Publish) > grantsMax {
		return Identity{}, fmt.Errorf("%w: more than %d patterns of topics", ErrRefused, grantsMax)
	}
	return Identity{
		Caller:  wire.Caller{Role: role, User: wire.UserID(c.Subject), Device: wire.DeviceID(c.Device), Scopes: scopes, Topics: c.Topics},
		Expires: c.ExpiresAt.UTC(), Issued: c.IssuedAt.UTC(),
		Name: cut(c.Name, nameMax), TokenID: c.ID,
	}, nil
}

func roleOf(c *claims) (wire.Role, error) {
	switch wire.Role(c.Role) {
	case "", wire.RoleUser:
		return wire.RoleUser, nil
	case wire.RoleOperator:
		if c.Issuer == BuiltIn {
			return wire.RoleOperator, nil
		}
	}
	return "", fmt.Errorf("%w: this issuer cannot give the role", ErrRefused)
}

// refusals name what the library found wrong, without quoting the token.
var refusals = []struct {
	is   error
	text string
}{
	{jwt.ErrTokenMalformed, "malformed"},
	{jwt.ErrTokenSignatureInvalid, "wrong signature"},
	{jwt.ErrTokenUsedBeforeIssued, "issued in the future"},
	{jwt.ErrTokenNotValidYet, "not valid yet"},
	{jwt.ErrTokenRequiredClaimMissing, "no exp"},
}

// tokenError keeps our own reasons and turns the library's into them.
func tokenError(err error) error {
	for _, own := range []error{ErrRefused, ErrUnavailable} {
		if errors.Is(err, own) {
			return err
		}
	}
	if errors.Is(err, jwt.ErrTokenExpired) {
		return ErrExpired
	}
	for _, r := range refusals {
		if errors.Is(err, r.is) {
			return fmt.Errorf("%w: %s", ErrRefused, r.text)
		}
	}
	return fmt.Errorf("%w: unverifiable", ErrRefused)
}

// cut returns the first n characters of s, without what is not UTF-8.
func cut(s string, n int) string {
	r := []rune(strings.ToValidUTF8(s, ""))
	if len(r) > n {
		r = r[:n]
	}
	return string(r)
}

// MintOptions are the optional claims of a token.
type MintOptions struct {
	Device wire.DeviceID
	Name   string
	Scopes []string
	Role   wire.Role // empty means user
	Topics *wire.TopicGrants
}

// Mint signs a token of the built-in issuer for user that ends after ttl. It
// fails when there is no built-in key.
func (v *Verifier) Mint(user wire.UserID, ttl time.Duration, o MintOptions) (string, error) {
	if len(v.cfg.Secret) == 0 {
		return "", errors.New("auth: there is no built-in key to sign with")
	}
	return Mint(v.cfg.Secret, v.cfg.Audience, v.clock.Now(), user, ttl, o)
}

// Mint signs a token of the built-in issuer with secret, as an app's backend
// may do that shares the secret. audience may be empty.
func Mint(secret []byte, audience string, now time.Time, user wire.UserID, ttl time.Duration, o MintOptions) (string, error) {
	if err := wire.CheckUser(string(user)); err != nil {
		return "", fmt.Errorf("auth: mint: %w", err)
	}
	if o.Role == wire.RoleServer {
		return "", errors.New("auth: mint: a token cannot have the role server")
	}
	if len(secret) < secretMin {
		return "", fmt.Errorf("auth: mint: the secret has fewer than %d bytes", secretMin)
	}
	c := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: BuiltIn, Subject: string(user), ID: wire.NewID[string]("tok_", now),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
		},
		Scope: strings.Join(o.Scopes, " "), Device: string(o.Device), Name: o.Name, Role: string(o.Role), Topics: o.Topics,
	}
	if audience != "" {
		c.Audience = jwt.ClaimStrings{audience}
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(secret)
	if err != nil {
		return "", fmt.Errorf("auth: mint: %w", err)
	}
	return token, nil
}
