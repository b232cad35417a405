package safety

import (
	"slices"
	"strings"
	"time"
)

// Texts say something to people, by language (BCP 47); English is always there.
type Texts map[string]string

// In returns the text in a language, or the English one.
func (t Texts) In(language string) string {
	if text, ok := t[language]; ok {
		return text
	}
	return t["en"]
}

// Rules are a checked set of rules. They are read-only after Parse.
type Rules struct {
	// Hash is the SHA-256, hex, of the text they were read from: the version that decisions name.
	Hash      string
	rules     []rule
	questions map[string]question
}

// rule asks for actions when all its conditions hold.
type rule struct {
	name    string
	when    []condition
	then    []effect
	explain Texts
}

// effect is one action with what it needs.
type effect struct {
	action    Action
	questions []string
	wait      time.Duration // of a pause or hold_until
	live      bool
	trusted   bool
	limit     limitRule
}

type limitRule struct {
	amount   money
	count    int64
	window   time.Duration
	perPayee bool
}

// question is put to the payer.
type question struct {
	id      string
	text    Texts
	options []option
}

// option is an answer; some raise the outcome.
type option struct {
	id      string
	text    Texts
	then    []effect
	explain Texts
}

// Evaluate returns what the rules ask for. It is pure, the order of the rules
// does not matter, and one rule more never makes the outcome less strict.
func (r *Rules) Evaluate(f Facts) Outcome {
	out := Outcome{Action: Allow}
	for i := range r.rules {
		if one := &r.rules[i]; one.matches(&f) {
			out = out.Join(outcomeOf(one.name, one.then, &f))
		}
	}
	return out
}

func (r *rule) matches(f *Facts) bool {
	for i := range r.when {
		if !r.when[i].holds(f) {
			return false
		}
	}
	return true
}

// Raise returns what the answers ask for on top. Questions and options that
// are not known are passed over.
func (r *Rules) Raise(answers map[string]string) Outcome {
	out := Outcome{Action: Allow}
	for id, answer := range answers {
		if o := r.option(id, answer); o != nil && len(o.then) > 0 {
			out = out.Join(outcomeOf(id+"="+answer, o.then, &Facts{}))
		}
	}
	return out
}

func (r *Rules) option(questionID, optionID string) *option {
	options := r.questions[questionID].options
	i := slices.IndexFunc(options, func(o option) bool { return o.id == optionID })
	if i < 0 {
		return nil
	}
	return &options[i]
}

// outcomeOf is what one rule, or one answer, asks for.
func outcomeOf(name string, effects []effect, f *Facts) Outcome {
	out := Outcome{Action: Allow, Rules: []string{name}}
	for _, e := range effects {
		one := Outcome{Action: e.action}
		switch e.action {
		case Warn:
			one.Warn = []string{name}
		case AskPayer:
			one.Ask = e.questions
		case Pause:
			one.Pause = e.wait
		case Require:
			one.Live, one.Trusted = e.live, e.trusted
		case HoldUntil:
			one.HoldFor = e.wait
		case LimitTo:
			l := Limit{Rule: name, Count: e.limit.count, Window: e.limit.window, PerPayee: e.limit.perPayee}
			bound, ok := e.limit.amount.in(f.Currency, f.Digits)
			if l.Amount = bound; !ok && l.Count == 0 {
				one.Action = Allow // nothing is bounded in this currency
				break
			}
			one.Limits = []Limit{l}
		case Deny:
			one.Deny = []string{name}
		}
		out = out.Join(one)
	}
	return out
}

// explain returns what is said about an outcome: the text of the rule that asks
// for an action, or of the strictest when action is empty. Of several, the one
// with the most conditions speaks.
func (r *Rules) explain(o Outcome, action Action, language string) string {
	best, text := -1, ""
	for _, name := range o.Rules {
		effects, conditions, explain := r.said(name)
		if explain == nil {
			continue
		}
		for _, e := range effects {
			rank := slices.Index(strictness, e.action)*100 + conditions
			if e.action == action {
				rank += 10_000
			}
			if rank > best {
				best, text = rank, explain.In(language)
			}
		}
	}
	return text
}

// said returns what a rule or an answer asks for, how many conditions it has, and its text.
func (r *Rules) said(name string) ([]effect, int, Texts) {
	if i := slices.IndexFunc(r.rules, func(one rule) bool { return one.name == name }); i >= 0 {
		return r.rules[i].then, len(r.rules[i].when), r.rules[i].explain
	}
	questionID, optionID, _ := strings.Cut(name, "=")
	if o := r.option(questionID, optionID); o != nil {
		return o.then, 0, o.explain
	}
	return nil, 0, nil
}

// wants lists the counted facts that can still decide: those of rules whose
// other conditions hold.
func (r *Rules) wants(f Facts) map[string]bool {
	names := map[string]bool{}
	for i := range r.rules {
		var need []string
		fits := true
		for j := range r.rules[i].when {
			if c := &r.rules[i].when[j]; facts[c.fact].counted {
				need = append(need, c.fact)
			} else if !c.holds(&f) {
				fits = false
			}
		}
		for _, name := range need {
			if fits {
				names[name] = true
			}
		}
	}
	return names
}
