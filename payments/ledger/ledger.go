// Package ledger keeps money in double entry: accounts, transfers whose legs
// add up to nothing, reservations that are posted or released later, and a hash
// chain over all of it.
//
// Everything happens in a transaction that the caller gives, so that its own
// state, the postings and the announcement of both are committed together. The
// decision whether a transfer may happen is made in Go on the accounts it
// touches and held a second time by the database's constraints.
//
// It knows accounts and amounts, not who pays whom for what: no user, no
// payment, no fee.
package ledger

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema returns the migrations of the ledger's tables.
func Schema() fs.FS {
	sub, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sub
}

// MaxAmount bounds the absolute value of one leg and of a balance, in minor
// units: the largest integer that JSON readers keep exact (2^53 - 1).
const MaxAmount = 1<<53 - 1

// Errors of Record. Each comes back wrapped with what was wrong; the
// transaction must not be committed after one.
var (
	// ErrShape says that a transfer can never be recorded: legs that do not sum
	// to zero per currency, fewer than two legs, a zero amount, a field out of range.
	ErrShape = errors.New("transfer is not well formed")
	// ErrInsufficient says that an account would fall below zero that may not.
	ErrInsufficient = errors.New("insufficient funds")
	// ErrCeiling says that an account would hold more than its ceiling.
	ErrCeiling = errors.New("account ceiling exceeded")
	// ErrAccountUnknown says that an account does not exist and the chart does not open it.
	ErrAccountUnknown = errors.New("account unknown")
	// ErrAccountClosed says that an account takes no more postings.
	ErrAccountClosed = errors.New("account closed")
	// ErrDuplicate says that a transfer with this id or reference is recorded already.
	ErrDuplicate = errors.New("transfer id or reference already used")
	// ErrPendingUnknown says that there is no pending transfer of this id.
	ErrPendingUnknown = errors.New("pending transfer unknown")
	// ErrResolved says that the pending transfer has been posted or voided already.
	ErrResolved = errors.New("pending transfer already resolved")
	// ErrHoldExpired says that the pending transfer can only be voided any more.
	ErrHoldExpired = errors.New("pending transfer expired")
	// ErrNotEmpty says that an account with a balance or open holds cannot close.
	ErrNotEmpty = errors.New("account is not empty")
	// ErrTerms says that an account exists on other terms; it is an ErrShape too.
	ErrTerms = fmt.Errorf("%w: account is open on other terms", ErrShape)
	// ErrUnknown says that there is no transfer of this id.
	ErrUnknown = errors.New("transfer unknown")
	// ErrReversed says that the transfer has been reversed already.
	ErrReversed = errors.New("transfer already reversed")
	// ErrNotReversible says that the transfer moved nothing that could be taken
	// back: it is pending, a void, or a reversal itself.
	ErrNotReversible = errors.New("transfer cannot be reversed")
)

// Kind says what a transfer does to balances.
type Kind string

// The kinds of transfers.
const (
	// Posted moves money at once.
	Posted Kind = "posted"
	// Pending reserves: what leaves is no longer available, what arrives is not yet.
	Pending Kind = "pending"
	// Post moves what a pending transfer reserved, in full or in part; the rest is released.
	Post Kind = "post"
	// Void releases what a pending transfer reserved.
	Void Kind = "void"

	openKind  Kind = "open"  // journals that an account begins, with its terms
	closeKind Kind = "close" // journals that an account ends
	notesKind Kind = "notes" // journals an account's metadata
)

// Leg is one account's part of a transfer: negative leaves the account,
// positive arrives. Amounts are minor units.
type Leg struct {
	Account  string
	Currency string
	Amount   int64
}

// Transfer is what a caller asks Record to do: all legs or none.
type Transfer struct {
	// ID is the caller's, unique for ever; time-ordered ids keep the index small.
	// 1 to 128 bytes without a colon.
	ID string
	// Kind is Posted when empty.
	Kind Kind
	// Legs: at least two, each account and currency at most once, sum 0 per
	// currency. Post: none means in full, else the same accounts with no more
	// than was reserved. Void: none.
	Legs []Leg
	// Resolves is the id of the pending transfer of a Post or Void, or of the
	// transfer that a reversal takes back (see Book.Reverse).
	Resolves string
	// Reference is the caller's idempotency key, unique when not empty. At most 256 bytes.
	Reference string
	// EffectiveAt is when it counts for the parties; zero means when it is recorded.
	EffectiveAt time.Time
	// ExpiresAt of a Pending: from then on it can only be voided. Zero means never.
	ExpiresAt time.Time
	// Note is kept with the transfer and covered by the chain. At most 1024 bytes.
	Note string

	reverses bool // a Posted that Resolves what it takes back; made by Reverse only
}

// Recorded is where a transfer stands in the journal.
type Recorded struct {
	Seq  int64
	ID   string
	Hash string // hex, 64 characters
}

// Terms are what an account may do. They are journaled when it opens.
type Terms struct {
	// Kind groups accounts in the chart, for example "user" or "rail".
	Kind string
	// MayGoNegative is for the outside world only.
	MayGoNegative bool
	// Ceiling is the most it may hold, reserved arrivals included; 0 means no bound.
	Ceiling int64
}

// Account is an account in one currency with its balances.
type Account struct {
	ID       string
	Currency string
	Terms
	Closed bool
	// Posted is the sum of all postings.
	Posted int64
	// PendingOut and PendingIn are what open holds will take and bring, both positive.
	PendingOut, PendingIn int64
}

// Available is what may be spent: posted less what is reserved to leave.
func (a Account) Available() int64 { return a.Posted - a.PendingOut }

// Chart says on which terms an account opens when a transfer first names it;
// false means that it must exist. It must answer the same for the same id.
type Chart func(id string) (Terms, bool)

// Book records transfers under a chart of accounts. It has no state of its own.
type Book struct {
	chart Chart
}

// New returns a Book. A nil chart opens no account by itself.
func New(chart Chart) *Book {
	if chart == nil {
		chart = func(string) (Terms, bool) { return Terms{}, false }
	}
	return &Book{chart: chart}
}

// BalanceError says which account refused and why; it matches ErrInsufficient or ErrCeiling.
type BalanceError struct {
	Account  string
	Currency string
	// Available is what the account had before the transfer.
	Available int64
	// Change is what the transfer asked of it.
	Change int64
	reason error
}

// Error implements error.
func (e *BalanceError) Error() string {
	return fmt.Sprintf("%v: %s has %d %s available, change %d", e.reason, e.Account, e.Available, e.Currency, e.Change)
}

// Unwrap returns ErrInsufficient or ErrCeiling.
func (e *BalanceError) Unwrap() error { return e.reason }
