package safety

import (
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// file reads the whole document. Questions come first, because rules name them.
func (l *loader) file(root ast.Node) {
	l.asked = map[string]bool{}
	entries := l.mapping(root, "the file")
	for _, e := range entries {
		switch e.name {
		case "version":
			l.integer(e.value, "version", 1, 1)
		case "questions":
			for _, q := range l.mapping(e.value, "questions") {
				l.question(q)
			}
		case "rules":
		default:
			l.fail(e.key, "unknown key %q; known are version, questions and rules", e.name)
		}
	}
	i := slices.IndexFunc(entries, func(e entry) bool { return e.name == "rules" })
	if i < 0 {
		l.fail(root, "there are no rules")
		return
	}
	items := l.list(entries[i].value, "rules")
	if len(items) > maxRules {
		l.fail(entries[i].key, "%d rules; at most %d", len(items), maxRules)
		return
	}
	for _, item := range items {
		l.rule(item)
	}
	for _, id := range slices.Sorted(maps.Keys(l.rules.questions)) {
		if !l.asked[id] {
			l.fail(root, "question %s is asked by no rule", id)
		}
	}
}

func (l *loader) rule(n ast.Node) {
	var r rule
	var then, explain ast.Node
	for _, e := range l.mapping(n, "a rule") {
		switch e.name {
		case "name":
			r.name = l.name(e.value, "name")
		case "when":
			for _, c := range l.mapping(e.value, "when") {
				r.when = append(r.when, l.conditions(c)...)
			}
		case "then":
			then = e.value
		case "explain":
			explain = e.value
		default:
			l.fail(e.key, "unknown key %q; a rule has name, when, then and explain", e.name)
		}
	}
	if then == nil || explain == nil || r.name == "" {
		l.fail(n, "a rule needs name, then and explain")
		return
	}
	if slices.ContainsFunc(l.rules.rules, func(one rule) bool { return one.name == r.name }) {
		l.fail(n, "rule %s is there twice", r.name)
	}
	r.explain = l.texts(explain, "explain of "+r.name)
	r.then = l.effects(then, true)
	l.rules.rules = append(l.rules.rules, r)
}

// conditions reads what one fact is compared with.
func (l *loader) conditions(e entry) []condition {
	about, ok := facts[e.name]
	if !ok {
		l.fail(e.key, "unknown fact %q; known are %s", e.name, strings.Join(slices.Sorted(maps.Keys(facts)), ", "))
		return nil
	}
	if _, isMap := e.value.(ast.MapNode); !isMap {
		return []condition{l.condition(e.name, about, entry{"is", e.key, e.value})}
	}
	var all []condition
	for _, op := range l.mapping(e.value, e.name) {
		all = append(all, l.condition(e.name, about, op))
	}
	if len(all) == 0 {
		l.fail(e.key, "%s is compared with nothing", e.name)
	}
	return all
}

// operators are what may be asked of each kind of fact.
var operators = map[kind][]string{
	isNumber: {"is", "in", "gte", "lte"}, isMoney: {"gte", "lte"}, isText: {"is", "in"}, isFlag: {"is"}, isList: {"is", "in"},
}

func (l *loader) condition(name string, about fact, op entry) condition {
	c := condition{fact: name, op: op.name}
	if !slices.Contains(operators[about.kind], op.name) {
		l.fail(op.key, "%s cannot be compared with %q; possible are %s", name, op.name, strings.Join(operators[about.kind], ", "))
		return c
	}
	values := []ast.Node{op.value}
	if op.name == "in" {
		if values = l.list(op.value, name); len(values) == 0 {
			l.fail(op.value, "%s is compared with nothing", name)
		}
	}
	for _, v := range values {
		switch about.kind {
		case isMoney:
			c.amount = l.money(v, name)
		case isNumber:
			c.n = append(c.n, l.integer(v, name, 0, maxUnits))
		case isFlag:
			c.texts = append(c.texts, l.flag(v, name))
		default:
			c.texts = append(c.texts, l.oneOf(v, name, about.values))
		}
	}
	return c
}

func (l *loader) flag(n ast.Node, what string) string {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		l.fail(n, "%s must be true or false", what)
		return ""
	}
	if b.Value {
		return "true"
	}
	return "false"
}

func (l *loader) oneOf(n ast.Node, what string, values []string) string {
	s := l.text(n, what)
	if s != "" && values != nil && !slices.Contains(values, s) {
		l.fail(n, "%s is never %q; it is one of %s", what, s, strings.Join(values, ", "))
	}
	return s
}

// effects reads then. Answers may not ask again.
func (l *loader) effects(n ast.Node, mayAsk bool) []effect {
	items := l.list(n, "then")
	if len(items) == 0 {
		l.fail(n, "then asks for nothing")
	}
	var all []effect
	for _, item := range items {
		if bare, ok := text(item); ok {
			switch a := Action(bare); a {
			case Allow, Warn, Deny:
				all = append(all, effect{action: a})
			default:
				l.fail(item, "unknown action %q; alone stand allow, warn and deny", bare)
			}
			continue
		}
		entries := l.mapping(item, "an action")
		if len(entries) != 1 {
			l.fail(item, "an action has one name")
			continue
		}
		all = append(all, l.effect(entries[0], mayAsk))
	}
	return all
}

func (l *loader) effect(e entry, mayAsk bool) effect {
	out := effect{action: Action(e.name)}
	switch out.action {
	case Pause, HoldUntil:
		out.wait = l.duration(e.value, e.name)
	case Require:
		switch what := l.oneOf(e.value, "require", []string{"live_confirmation", "trusted_person"}); what {
		case "live_confirmation":
			out.live = true
		case "trusted_person":
			out.trusted = true
		}
	case AskPayer:
		if !mayAsk {
			l.fail(e.key, "an answer cannot ask again")
		}
		for _, n := range l.list(e.value, "ask") {
			id := l.text(n, "ask")
			if _, ok := l.rules.questions[id]; !ok && id != "" {
				l.fail(n, "there is no question %q", id)
			}
			out.questions, l.asked[id] = append(out.questions, id), true
		}
		if len(out.questions) == 0 {
			l.fail(e.key, "ask names no question")
		}
	case LimitTo:
		if !mayAsk {
			l.fail(e.key, "an answer cannot limit")
		}
		out.limit = l.limit(e)
	default:
		l.fail(e.key, "unknown action %q; with a value stand pause, hold_until, require, ask and limit", e.name)
	}
	return out
}

func (l *loader) limit(at entry) (r limitRule) {
	for _, e := range l.mapping(at.value, "limit") {
		switch e.name {
		case "amount":
			r.amount = l.money(e.value, "amount")
		case "count":
			r.count = l.integer(e.value, "count", 1, maxUnits)
		case "window":
			r.window = l.duration(e.value, "window")
		case "per":
			r.perPayee = l.oneOf(e.value, "per", []string{"payer", "payee"}) == "payee"
		default:
			l.fail(e.key, "unknown key %q; a limit has amount, count, window and per", e.name)
		}
	}
	if r.window == 0 || r.amount == nil && r.count == 0 {
		l.fail(at.key, "a limit needs a window, and an amount or a count")
	}
	for currency, units := range r.amount {
		if units == 0 {
			l.fail(at.key, "a limit of 0 in %s: use deny", currency)
		}
	}
	return r
}

func (l *loader) question(at entry) {
	if !nameForm.MatchString(at.name) {
		l.fail(at.key, "question %q: want small letters, digits and _, at most 64", at.name)
	}
	q := question{id: at.name}
	for _, e := range l.mapping(at.value, "question "+at.name) {
		switch e.name {
		case "text":
			q.text = l.texts(e.value, "text of "+at.name)
		case "options":
			for _, n := range l.list(e.value, "options") {
				q.options = append(q.options, l.option(n, q.options))
			}
		default:
			l.fail(e.key, "unknown key %q; a question has text and options", e.name)
		}
	}
	if q.text == nil || len(q.options) < 2 {
		l.fail(at.key, "question %s needs a text and two or more options", at.name)
	}
	l.rules.questions[at.name] = q
}

func (l *loader) option(n ast.Node, before []option) (o option) {
	for _, e := range l.mapping(n, "an option") {
		switch e.name {
		case "id":
			o.id = l.name(e.value, "id")
		case "text":
			o.text = l.texts(e.value, "text of an option")
		case "then":
			o.then = l.effects(e.value, false)
		case "explain":
			o.explain = l.texts(e.value, "explain of an option")
		default:
			l.fail(e.key, "unknown key %q; an option has id, text, then and explain", e.name)
		}
	}
	switch {
	case o.id == "" || o.text == nil:
		l.fail(n, "an option needs id and text")
	case len(o.then) > 0 && o.explain == nil:
		l.fail(n, "an option that asks for something needs explain")
	case slices.ContainsFunc(before, func(b option) bool { return b.id == o.id }):
		l.fail(n, "option %s is there twice", o.id)
	}
	return o
}
