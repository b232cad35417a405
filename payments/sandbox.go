package payments

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/internal/clock"
)

// SandboxBase is the amount, in minor units, from which on the last four digits
// choose the outcome in the sandbox. Smaller amounts are always done at once.
const SandboxBase = 1_000_000

// sandboxAccounts is the prefix of accounts that choose the outcome by name, for any amount.
const sandboxAccounts = "sandbox:"

// Delays of the sandbox, on the clock it is given.
const (
	sandboxLate   = 30 * time.Second // until a late outcome
	sandboxReview = time.Hour        // until a review is over
	sandboxDay    = 24 * time.Hour
	sandboxSilent = 10 * time.Second // while the rail gives no answer
)

// errSandboxTimeout is what the sandbox answers where a rail would not.
var errSandboxTimeout = errors.New("sandbox: no answer in time")

// script is one outcome of the sandbox. It is a function of the order's age, so
// that it survives a restart.
type script struct {
	// name chooses it as account, digits as the end of an amount.
	name   string
	digits int64
	doc    string
	// first is the answer to Order while the order is younger than until, and
	// afterwards then. An empty first is no answer.
	first, then RailOutcome
	until       time.Duration
	// found is what Find says in that time; empty says first.
	found RailStatus
}

func refused(reason string) RailOutcome { return RailOutcome{Status: RailRefused, Reason: reason} }

var (
	sandboxDone    = RailOutcome{Status: RailDone}
	sandboxPending = RailOutcome{Status: RailPending}
)

// scripts are the sandbox's outcomes. docs/sandbox.md is held against them by a test.
var scripts = []script{
	{name: "done", digits: 9100, doc: "done at once", then: sandboxDone},
	{name: "insufficient_funds", digits: 9104, doc: "refused at once: AM04, insufficient funds", then: refused("AM04")},
	{name: "account_closed", digits: 9105, doc: "refused at once: AC04, account closed", then: refused("AC04")},
	{name: "not_allowed", digits: 9106, doc: "refused at once: AG01, transaction forbidden", then: refused("AG01")},
	{name: "fraud", digits: 9107, doc: "refused at once: FR01, fraud", then: refused("FR01")},
	{name: "review", digits: 9110, doc: "pending with the reason `review`, done after an hour", first: RailOutcome{Status: RailPending, Reason: "review"}, until: sandboxReview, then: sandboxDone},
	{name: "review_refused", digits: 9111, doc: "pending with the reason `review`, refused after an hour: RR04, regulatory reason", first: RailOutcome{Status: RailPending, Reason: "review"}, until: sandboxReview, then: refused("RR04")},
	{name: "late_success", digits: 9120, doc: "pending, done after 30 s", first: sandboxPending, until: sandboxLate, then: sandboxDone},
	{name: "late_refusal", digits: 9121, doc: "pending, refused after 30 s: AC06, account blocked", first: sandboxPending, until: sandboxLate, then: refused("AC06")},
	{name: "tomorrow", digits: 9122, doc: "pending for 24 h, then done: `parley clock advance 24h`", first: sandboxPending, until: sandboxDay, then: sandboxDone},
	{name: "timeout_done", digits: 9130, doc: "no answer, but it was done: found out at the next look", until: sandboxSilent, found: RailDone, then: sandboxDone},
	{name: "timeout_refused", digits: 9131, doc: "no answer, and it was refused: AM04, found out at the next look", until: sandboxSilent, found: RailRefused, then: refused("AM04")},
	{name: "timeout_lost", digits: 9132, doc: "no answer and nothing got through for 10 s: ordered again under the same reference, then done", until: sandboxSilent, found: RailAbsent, then: sandboxDone},
	{name: "timeout_nothing", digits: 9133, doc: "no answer ever and nothing gets through: given up after 24 h, refused with AB06", until: 1 << 62, found: RailAbsent},
	{name: "returned", digits: 9140, doc: "done at once; a day later a payout has come back: AC04, found out by `parley clock advance 24h`", first: sandboxDone, until: sandboxDay, then: refused("AC04")},
}

// Sandbox is a rail for trying things out. It moves nothing; what it answers is
// chosen by the account ("sandbox:late_success") or the last four digits of an
// amount of SandboxBase or more. See docs/sandbox.md.
type Sandbox struct {
	Clock clock.Clock // nil means the machine's
}

// Name implements Rail.
func (Sandbox) Name() string { return "sandbox" }

// Order implements Rail.
func (s Sandbox) Order(_ context.Context, o RailOrder) (RailOutcome, error) {
	if o.Amount <= 0 || o.Amount > MaxAmount {
		return RailOutcome{ID: o.Reference, Status: RailRefused, Reason: "AM02"}, nil
	}
	sc := scriptOf(o)
	out := sc.then
	if s.age(o) < sc.until {
		out = sc.first
	}
	if out.Status == "" {
		return RailOutcome{}, fmt.Errorf("%w: %s", errSandboxTimeout, sc.name)
	}
	out.ID = o.Reference
	return out, nil
}

// Find implements Rail.
func (s Sandbox) Find(ctx context.Context, o RailOrder, _ string) (RailOutcome, error) {
	sc := scriptOf(o)
	if sc.found == "" || s.age(o) >= sc.until {
		return s.Order(ctx, o)
	}
	out := RailOutcome{Status: sc.found}
	if sc.found != RailAbsent {
		out = sc.then
		out.ID = o.Reference
	}
	return out, nil
}

// age is how old the order is; never below 0, also where its maker's clock is ahead.
func (s Sandbox) age(o RailOrder) time.Duration {
	now := time.Now()
	if s.Clock != nil {
		now = s.Clock.Now()
	}
	return max(0, now.Sub(o.At))
}

// scriptOf is the outcome that an order has chosen. What follows an
// authorisation is done at once: the amount has been used to choose its outcome.
func scriptOf(o RailOrder) script {
	name, named := strings.CutPrefix(o.Account, sandboxAccounts)
	for _, sc := range scripts {
		if named && sc.name == name || !named && o.Of == "" && o.Amount >= SandboxBase && o.Amount%10_000 == sc.digits {
			return sc
		}
	}
	return scripts[0]
}

// CheckName implements NameChecker: the account sandbox:close_name belongs to
// somebody of a similar name, sandbox:wrong_name to somebody else, and
// sandbox:no_name_check to a bank that cannot tell.
func (Sandbox) CheckName(_ context.Context, account, holder string) (NameMatch, string, error) {
	switch strings.TrimPrefix(account, sandboxAccounts) {
	case "close_name":
		return NameClose, holder + " Ltd", nil
	case "wrong_name":
		return NameNoMatch, "", nil
	case "no_name_check":
		return NameUnavailable, "", nil
	}
	return NameMatches, "", nil
}
