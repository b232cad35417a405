package topics

import (
	"errors"
	"fmt"
	"strings"
)

// NameMax bounds the name of a topic, and a pattern, in bytes.
const NameMax = 128

// ErrName says that a string is no name of a topic, or no pattern of names.
var ErrName = errors.New("not the name of a topic")

// CheckName reports whether name may be a topic's: 1 to 128 bytes, segments of
// [A-Za-z0-9._@-] with ":" between them, none of them empty.
func CheckName(name string) error {
	return check(name, func(string, bool) bool { return false })
}

// CheckPattern reports whether pattern is a name in which segments may be "*",
// which stands for any one segment, and the last may be "**", for one or more.
func CheckPattern(pattern string) error {
	return check(pattern, func(segment string, last bool) bool { return segment == "*" || segment == "**" && last })
}

// check looks at each segment that wild does not allow.
func check(name string, wild func(segment string, last bool) bool) error {
	if name == "" || len(name) > NameMax {
		return fmt.Errorf("%w: it has 1 to %d bytes", ErrName, NameMax)
	}
	for rest, more := name, true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, ":")
		if segment == "" {
			return fmt.Errorf("%w: a segment between colons is empty", ErrName)
		}
		if !wild(segment, !more) && strings.ContainsFunc(segment, foreign) {
			return fmt.Errorf("%w: it has only letters, digits and . _ @ -, and colons between segments", ErrName)
		}
	}
	return nil
}

// foreign reports whether r may not be in a name.
func foreign(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune("._@-", r)
}

// Match reports whether pattern covers name, segment by segment: "*" covers
// exactly one, "**" at the end one or more, anything else only itself.
func Match(pattern, name string) bool {
	for {
		p, patternRest, patternMore := strings.Cut(pattern, ":")
		n, nameRest, nameMore := strings.Cut(name, ":")
		switch {
		case n == "":
			return false
		case p == "**" && !patternMore:
			return true
		case p != "*" && p != n, patternMore != nameMore:
			return false
		case !patternMore:
			return true
		}
		pattern, name = patternRest, nameRest
	}
}

// matchAny reports whether one of patterns covers name.
func matchAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if Match(p, name) {
			return true
		}
	}
	return false
}
