package safety

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// The states of a trusted person's approval.
const (
	approvalNone    = ""
	approvalAsked   = "asked"
	approvalGiven   = "approved"
	approvalRefused = "refused"
)

// check is what is asked of one version of a payment and what was done of it.
type check struct {
	payment      string
	version      int64
	payer, payee string
	rules        string  // hash of those that outcome comes from
	outcome      Outcome // all that was ever asked for under these rules, less limits
	answers      map[string]string
	seen         []string // rules whose warnings were acknowledged
	pauseFor     time.Duration
	pauseUntil   time.Time
	coolUntil    time.Time
	approver     string
	approval     string
	decision     string
	result       Stop
	digest       string // of what the last decision said
	created      time.Time
}

// join adds what the rules ask for now. What was asked for before stays, as
// long as the rules are the same: leaving out a signal does not help. New rules
// start afresh, but a running pause and given answers stay.
func (c *check) join(rules *Rules, fresh Outcome, now time.Time) {
	if c.rules != rules.Hash {
		c.rules, c.outcome = rules.Hash, Outcome{Action: Allow}
	}
	c.outcome = c.outcome.Join(fresh.without())
	c.raise(rules, now)
}

// raise adds what the given answers ask for, and lets the pause begin when a
// longer one is asked for than before.
func (c *check) raise(rules *Rules, now time.Time) {
	c.outcome = c.outcome.Join(rules.Raise(c.answers))
	if c.outcome.Pause > c.pauseFor {
		c.pauseFor = c.outcome.Pause
		if until := now.Add(c.pauseFor); until.After(c.pauseUntil) {
			c.pauseUntil = until
		}
	}
}

func (c *check) denied() bool { return len(c.outcome.Deny) > 0 || c.approval == approvalRefused }

// acknowledged reports whether all warnings were seen and all questions answered.
func (c *check) acknowledged() bool {
	for _, name := range c.outcome.Warn {
		if !slices.Contains(c.seen, name) {
			return false
		}
	}
	for _, id := range c.outcome.Ask {
		if _, ok := c.answers[id]; !ok {
			return false
		}
	}
	return true
}

// acknowledge takes the payer's answers to the last decision. Answers to an
// earlier one are passed over: the next ruling says what is open. A question
// is answered once; another answer later changes nothing.
func (c *check) acknowledge(rules *Rules, a Acknowledgement) error {
	if c.decision == "" || a.Decision != c.decision || c.acknowledged() {
		return nil
	}
	for _, id := range c.outcome.Ask {
		if _, done := c.answers[id]; done {
			continue
		}
		answer, ok := a.Answers[id]
		if !ok {
			return fmt.Errorf("%w: question %s is not answered", ErrAnswers, id)
		}
		if _, known := rules.questions[id]; known && rules.option(id, answer) == nil {
			return fmt.Errorf("%w: question %s has no option %.64q", ErrAnswers, id, answer)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(a.Answers)) {
		if _, done := c.answers[id]; !done && slices.Contains(c.outcome.Ask, id) {
			c.answers[id] = a.Answers[id]
		}
	}
	c.seen = union(c.seen, c.outcome.Warn)
	return nil
}
