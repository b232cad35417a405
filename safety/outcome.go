package safety

import (
	"cmp"
	"slices"
	"time"
)

// Action is what a rule asks for.
type Action string

// The actions, the least strict first.
const (
	Allow     Action = "allow"
	Warn      Action = "warn"       // the payer must have seen the rule's text
	AskPayer  Action = "ask"        // the payer must answer questions
	Pause     Action = "pause"      // the payer must wait
	Require   Action = "require"    // live confirmation, or a trusted person's approval
	HoldUntil Action = "hold_until" // may be held, not captured before a time
	LimitTo   Action = "limit"      // no more than so much in a window
	Deny      Action = "deny"
)

var strictness = []Action{Allow, Warn, AskPayer, Pause, Require, HoldUntil, LimitTo, Deny}

// stricter returns the stricter of two actions.
func stricter(a, b Action) Action {
	if slices.Index(strictness, a) >= slices.Index(strictness, b) {
		return a
	}
	return b
}

// Limit bounds what a payer commits in a window that ends now.
type Limit struct {
	Rule string `json:"rule"`
	// Amount in minor units and Count of payments, this one included; 0 does not bound.
	Amount int64         `json:"amount,omitempty"`
	Count  int64         `json:"count,omitempty"`
	Window time.Duration `json:"window"`
	// PerPayee counts only what goes to the same payee.
	PerPayee bool `json:"per_payee,omitempty"`
}

// Outcome is what all rules that matched ask for together. Outcomes form a
// lattice under Join: nothing that is joined takes anything away.
type Outcome struct {
	// Action is the strictest of all.
	Action Action `json:"action"`
	// Rules that matched, sorted by name; an answer that raised the outcome is named question=option.
	Rules []string `json:"rules"`
	// Warn and Deny name rules, Ask questions; all sorted.
	Warn []string `json:"warn,omitempty"`
	Ask  []string `json:"ask,omitempty"`
	Deny []string `json:"deny,omitempty"`
	// Pause is how long the payer waits from the first try.
	Pause time.Duration `json:"pause,omitempty"`
	Live  bool          `json:"live,omitempty"`
	// Trusted asks for the trusted person's approval.
	Trusted bool `json:"trusted,omitempty"`
	// HoldFor is how long after the hold nothing may be captured.
	HoldFor time.Duration `json:"hold_for,omitempty"`
	Limits  []Limit       `json:"limits,omitempty"`
}

// Join returns what both ask for. It is commutative, associative and idempotent.
func (o Outcome) Join(p Outcome) Outcome {
	return Outcome{
		Action: stricter(o.Action, p.Action),
		Rules:  union(o.Rules, p.Rules), Warn: union(o.Warn, p.Warn), Ask: union(o.Ask, p.Ask), Deny: union(o.Deny, p.Deny),
		Pause: max(o.Pause, p.Pause), Live: o.Live || p.Live, Trusted: o.Trusted || p.Trusted,
		HoldFor: max(o.HoldFor, p.HoldFor), Limits: unionLimits(o.Limits, p.Limits),
	}
}

func union(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

func unionLimits(a, b []Limit) []Limit {
	all := append(slices.Clone(a), b...)
	slices.SortFunc(all, func(x, y Limit) int {
		perPayee := 0
		if x.PerPayee != y.PerPayee {
			if perPayee = 1; y.PerPayee {
				perPayee = -1
			}
		}
		return cmp.Or(cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.Amount, y.Amount), cmp.Compare(x.Count, y.Count),
			cmp.Compare(x.Window, y.Window), perPayee)
	})
	return slices.Compact(all)
}

// without returns the outcome less its limits, which hold for the moment of the question only.
func (o Outcome) without() Outcome {
	o.Limits = nil
	if o.Action == LimitTo {
		o.Action = o.lasting()
	}
	return o
}

// plain reports whether nothing but live confirmation is asked for.
func (o Outcome) plain() bool {
	return len(o.Warn)+len(o.Ask)+len(o.Deny) == 0 && o.Pause == 0 && !o.Trusted && o.HoldFor == 0
}

// lasting is the strictest action of an outcome without limits.
func (o Outcome) lasting() Action {
	switch {
	case len(o.Deny) > 0:
		return Deny
	case o.HoldFor > 0:
		return HoldUntil
	case o.Live || o.Trusted:
		return Require
	case o.Pause > 0:
		return Pause
	case len(o.Ask) > 0:
		return AskPayer
	case len(o.Warn) > 0:
		return Warn
	}
	return Allow
}
