// Package identity says who people are and proves what they agreed to.
//
// It owns the directory of users, their passkeys, the words that two people
// compare on a call, the confirmations of a payment made while they talk, the
// evidence that remains, and the signed card that a ringing phone shows.
//
// It knows neither how money moves nor how calls are made: Payments and Calls
// are what it needs of them.
package identity

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"parley/internal/clock"
)

// What a caller can have done wrong. Each has one problem code.
var (
	ErrUserUnknown     = errors.New("no such user")
	ErrUsersOnly       = errors.New("only a person can do this, with their own token")
	ErrServersOnly     = errors.New("only a server key can do this")
	ErrNameInvalid     = errors.New("the name cannot be shown")
	ErrCeremonyExpired = errors.New("the registration has ended, was used, or never began: begin again")
	ErrCredential      = errors.New("the passkey could not be registered")
	ErrPasskeyLimit    = errors.New("too many passkeys: remove one first")
	ErrPasskeyUnknown  = errors.New("no such passkey")

	ErrPaymentUnknown     = errors.New("no such payment")
	ErrPaymentState       = errors.New("the payment cannot be confirmed in this state")
	ErrNotParty           = errors.New("only payer and payee can do this")
	ErrVersionStale       = errors.New("the payment has changed: read and open it again")
	ErrConfirmExpired     = errors.New("the time to confirm is over: open again")
	ErrCallNotActive      = errors.New("payer and payee are not in a call about this payment")
	ErrMediaNotAlive      = errors.New("one side is not heard at the moment")
	ErrTranscriptMismatch = errors.New("the keys of the call are not those that were compared: compare the words again")
	ErrNotEndToEnd        = errors.New("the call goes through the server, so words prove nothing end to end (sfu_not_e2e)")
	ErrAssertionInvalid   = errors.New("the passkey's answer does not prove this confirmation")
	ErrHoldExpired        = errors.New("the hold has expired")
	ErrKeyMissing         = errors.New("the idempotency key is missing")
	ErrKeyReused          = errors.New("the idempotency key was used for another confirmation")
	ErrLedgerUnavailable  = errors.New("the confirmation could not be stored: send it again")
	ErrSnapshot           = errors.New("the payment cannot be written canonically")
)

// Service is the parts of the package that have operations.
type Service struct {
	Directory     *Directory
	Passkeys      *Passkeys
	Confirmations *Confirmations
	Evidence      *Evidence
}

// sweepEvery is how often Run removes what has ended.
const sweepEvery = time.Minute

// Run removes registrations and nonces that were never used, until ctx ends.
func (s *Service) Run(ctx context.Context, clk clock.Clock, log *slog.Logger) error {
	for {
		if err := clk.Wait(ctx, clk.Now().Add(sweepEvery)); err != nil {
			return nil
		}
		if err := errors.Join(s.Passkeys.sweep(ctx), s.Confirmations.sweep(ctx)); err != nil && ctx.Err() == nil && log != nil {
			log.Warn("ended confirmations and registrations could not be removed", "error", err)
		}
	}
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
