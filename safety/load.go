package safety

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// ErrRules says that rules are not usable; what comes with it names the lines.
var ErrRules = errors.New("safety rules not usable")

// Bounds of a rule file.
const (
	maxFile  = 256 << 10
	maxRules = 500
	maxUnits = 1_000_000_000_000 // whole units of a currency
	maxWait  = 90 * 24 * time.Hour
)

// Parse reads rules from YAML. Unknown words, wrong types, names given twice
// and questions nobody asks are errors, each with its line; all match ErrRules.
func Parse(text []byte) (*Rules, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrRules, maxFile)
	}
	root, err := parseYAML(text)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	l := &loader{rules: &Rules{Hash: hex.EncodeToString(sum[:]), questions: map[string]question{}}}
	l.file(root)
	if len(l.errs) > 0 {
		slices.SortStableFunc(l.errs, func(a, b lineError) int { return a.line - b.line })
		all := make([]error, len(l.errs))
		for i, e := range l.errs {
			all[i] = e
		}
		return nil, fmt.Errorf("%w: %w", ErrRules, errors.Join(all...))
	}
	return l.rules, nil
}

// parseYAML returns the one document of the text.
func parseYAML(text []byte) (ast.Node, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRules, err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, fmt.Errorf("%w: want one YAML document", ErrRules)
	}
	return file.Docs[0].Body, nil
}

// lineError is one mistake.
type lineError struct {
	line int
	text string
}

// Error implements error.
func (e lineError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.text) }

// loader walks the YAML and collects mistakes.
type loader struct {
	rules *Rules
	errs  []lineError
	asked map[string]bool
}

func (l *loader) fail(at ast.Node, format string, args ...any) {
	l.errs = append(l.errs, lineError{lineOf(at), fmt.Sprintf(format, args...)})
}

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

// entry is one key of a mapping.
type entry struct {
	name  string
	key   ast.Node
	value ast.Node
}

// mapping returns the entries of a mapping; anything else is a mistake.
func (l *loader) mapping(n ast.Node, what string) []entry {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		l.fail(n, "%s must be a mapping", what)
		return nil
	}
	entries := make([]entry, 0, len(values))
	for _, v := range values {
		key, ok := text(v.Key)
		if !ok {
			l.fail(v.Key, "%s has a key that is not a word", what)
			continue
		}
		if slices.ContainsFunc(entries, func(e entry) bool { return e.name == key }) {
			l.fail(v.Key, "%s has %s twice", what, key)
			continue
		}
		entries = append(entries, entry{key, v.Key, v.Value})
	}
	return entries
}

// list returns the items of a sequence; anything else is a mistake.
func (l *loader) list(n ast.Node, what string) []ast.Node {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		l.fail(n, "%s must be a list", what)
		return nil
	}
	return s.Values
}

// text returns a scalar word or text.
func text(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimSpace(n.Value.Value), true
	}
	return "", false
}

func (l *loader) text(n ast.Node, what string) string {
	s, ok := text(n)
	if !ok || strings.TrimSpace(s) == "" {
		l.fail(n, "%s must be a text", what)
	}
	return s
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

func (l *loader) name(n ast.Node, what string) string {
	s := l.text(n, what)
	if s != "" && !nameForm.MatchString(s) {
		l.fail(n, "%s %q: want small letters, digits and _, at most 64", what, s)
	}
	return s
}

// integer returns a whole number between least and most.
func (l *loader) integer(n ast.Node, what string, least, most int64) int64 {
	i, ok := n.(*ast.IntegerNode)
	if ok {
		switch v := i.Value.(type) {
		case int64:
			if v >= least && v <= most {
				return v
			}
		case uint64:
			if v <= uint64(most) && int64(v) >= least { //nolint:gosec // bounded by most
				return int64(v) //nolint:gosec // bounded by most
			}
		}
	}
	l.fail(n, "%s must be a whole number from %d to %d", what, least, most)
	return least
}

func (l *loader) duration(n ast.Node, what string) time.Duration {
	s, _ := text(n)
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second || d > maxWait {
		l.fail(n, "%s must be a duration from 1s to %s, such as 30s or 24h", what, maxWait)
		return time.Second
	}
	return d
}

// texts reads words for people by language.
func (l *loader) texts(n ast.Node, what string) Texts {
	t := Texts{}
	for _, e := range l.mapping(n, what) {
		t[e.name] = l.text(e.value, what)
	}
	if _, ok := t["en"]; !ok {
		l.fail(n, "%s has no text in English (en)", what)
	}
	return t
}

// money reads whole units by currency.
func (l *loader) money(n ast.Node, what string) money {
	m := money{}
	for _, e := range l.mapping(n, what) {
		if e.name != "*" && !currencyForm.MatchString(e.name) {
			l.fail(e.key, "%s: %q is neither an ISO 4217 code nor \"*\"", what, e.name)
		}
		m[e.name] = l.integer(e.value, what+" in "+e.name, 0, maxUnits)
	}
	if len(m) == 0 {
		l.fail(n, "%s names no currency", what)
	}
	return m
}

var currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
