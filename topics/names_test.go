package topics_test

import (
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"parley/topics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{
		"prices": true, "prices:eur": true, "a:b:c:d": true, "queue:till-7": true, "user@example.com:x_1": true, strings.Repeat("a", 128): true,
		"": false, ":": false, "a:": false, ":a": false, "a::b": false, "a b": false, "ä": false, "a*": false, "*": false, "a:*": false,
		"a/b": false, "a#b": false, "a\"b": false, "a\x00": false, strings.Repeat("a", 129): false,
	} {
		if (topics.CheckName(name) == nil) != good {
			t.Errorf("%q is a name: want %v", name, good)
		}
	}
	for pattern, good := range map[string]bool{
		"prices:eur": true, "*": true, "**": true, "a:*": true, "*:b": true, "a:*:c": true, "a:**": true, "*:**": true,
		"": false, "a:": false, "a*": false, "a:b*": false, "**:a": false, "a:**:c": false, "***": false, "a:?": false,
	} {
		if (topics.CheckPattern(pattern) == nil) != good {
			t.Errorf("%q is a pattern: want %v", pattern, good)
		}
	}
}

func TestMatch_GoesBySegment(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"prices:eur", "prices:eur", true}, {"prices:eur", "prices:eurx", false}, {"prices:eur", "prices", false}, {"prices", "prices:eur", false},
		{"prices:*", "prices:eur", true}, {"prices:*", "prices", false}, {"prices:*", "prices:eur:spot", false}, {"prices:*", "pricesx:eur", false},
		{"*:eur", "prices:eur", true}, {"*:eur", "prices:usd", false}, {"*", "prices", true}, {"*", "prices:eur", false},
		{"a:*:c", "a:b:c", true}, {"a:*:c", "a:b:d", false}, {"a:*:c", "a:b", false},
		{"**", "a", true}, {"**", "a:b:c", true}, {"a:**", "a:b", true}, {"a:**", "a:b:c", true}, {"a:**", "a", false}, {"a:**", "b:c", false},
		{"a*", "ab", false}, {"**:b", "a:b", false}, {"", "a", false}, {"a", "", false}, {"**", "", false}, {"*", "", false},
	} {
		if got := topics.Match(c.pattern, c.name); got != c.want {
			t.Errorf("Match(%q, %q) is %v", c.pattern, c.name, got)
		}
	}
}

// FuzzMatch compares Match with a regular expression of the pattern.
func FuzzMatch(f *testing.F) {
	for _, s := range [][2]string{{"prices:*", "prices:eur"}, {"a:**", "a:b:c"}, {"*:b", "a:b"}, {"**", "x"}, {"a:*:c", "a:b:c"}, {"a::b", "a:"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		got := topics.Match(pattern, name)
		if topics.CheckPattern(pattern) != nil || topics.CheckName(name) != nil {
			return
		}
		segments := strings.Split(pattern, ":")
		for i, s := range segments {
			switch s {
			case "*":
				segments[i] = `[^:]+`
			case "**":
				segments[i] = `.+`
			default:
				segments[i] = regexp.QuoteMeta(s)
			}
		}
		if want := regexp.MustCompile(`\A` + strings.Join(segments, ":") + `\z`).MatchString(name); got != want {
			t.Errorf("Match(%q, %q) is %v", pattern, name, got)
		}
	})
}

func TestParseKeep(t *testing.T) {
	k, err := topics.ParseKeep("prices:* size=100 ttl=10m")
	if err != nil || k.Pattern != "prices:*" || k.Size != 100 || k.TTL.Minutes() != 10 {
		t.Errorf("%+v %v", k, err)
	}
	for _, text := range []string{
		"", "prices:*", "prices:* size=100", "prices:* size=0 ttl=1m", "prices:* size=1001 ttl=1m", "prices:* size=x ttl=1m",
		"prices:* size=1 ttl=1ms", "prices:* size=1 ttl=25h", "prices:* size=1 ttl=1m more=1", "prices:* sise=1 ttl=1m", "a::b size=1 ttl=1m",
	} {
		if _, err := topics.ParseKeep(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
