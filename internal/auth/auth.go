// Package auth says who is calling: it checks the bearer of a request, which
// is a user's JSON Web Token (RFC 7519) or a server key ("sk_…"), and knows
// which tokens have been revoked.
//
// It decides nothing about what a caller may do; that is the features' business.
package auth

import (
	"embed"
	"errors"
	"io/fs"
	"time"

	"parley/wire"
)

// The reasons for refusing a bearer. Their text may be shown to the caller.
var (
	// ErrExpired says that the token was good once: get a new one.
	ErrExpired = errors.New("token expired")
	// ErrRefused says that this bearer will never be accepted.
	ErrRefused = errors.New("token refused")
	// ErrRevoked says that the token was withdrawn: do not retry.
	ErrRevoked = errors.New("token revoked")
	// ErrUnavailable says that the token could not be judged now, because its
	// issuer's keys or the revocations cannot be read.
	ErrUnavailable = errors.New("token cannot be checked now")
)

// BuiltIn is the "iss" of tokens made by Mint.
const BuiltIn = "parley"

// TokenMax bounds the bytes of a token that Identify looks at.
const TokenMax = 8 << 10

// Identity is what a bearer proves.
type Identity struct {
	// Caller has Role, User, Device and Scopes filled.
	Caller wire.Caller
	// Expires is when the bearer ends; zero for a server key.
	Expires time.Time
	// Name is what the issuer calls the user, for the directory; may be empty.
	Name string
	// TokenID is the "jti", and Issued the "iat" of a token.
	TokenID string
	Issued  time.Time
}

//go:embed schema/*.sql
var schema embed.FS

// Schema returns the migrations of the tables this package owns.
func Schema() fs.FS {
	sub, err := fs.Sub(schema, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sub
}
