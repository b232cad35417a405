package safety_test

import (
	"errors"
	"strings"
	"testing"

	"parley/configs"
	"parley/safety"
)

func TestParse_NamesTheLineOfEachMistake(t *testing.T) {
	head := "version: 1\nrules:\n"
	for _, c := range []struct{ name, text, want string }{
		{"no rules", "version: 1\n", "line 1: there are no rules"},
		{"unknown key", head + "  - name: a\n    then: [warn]\n    explain: {en: x}\n    if: yes\n", `line 6: unknown key "if"`},
		{"unknown fact", head + "  - name: a\n    when: {weather: bad}\n    then: [warn]\n    explain: {en: x}\n", `line 4: unknown fact "weather"`},
		{"wrong operator", head + "  - name: a\n    when:\n      relation: {gte: 3}\n    then: [warn]\n    explain: {en: x}\n", `line 5: relation cannot be compared with "gte"`},
		{"value that never is", head + "  - name: a\n    when:\n      relation: friend\n    then: [warn]\n    explain: {en: x}\n", `line 5: relation is never "friend"`},
		{"text for a flag", head + "  - name: a\n    when: {stranger: maybe}\n    then: [warn]\n    explain: {en: x}\n", "line 4: stranger must be true or false"},
		{"amount without currency", head + "  - name: a\n    when: {amount: {gte: 1000}}\n    then: [warn]\n    explain: {en: x}\n", "line 4: amount must be a mapping"},
		{"fraction of a unit", head + "  - name: a\n    when: {amount: {gte: {EUR: 0.5}}}\n    then: [warn]\n    explain: {en: x}\n", "line 4: amount in EUR must be a whole number"},
		{"unknown action", head + "  - name: a\n    then: [stop]\n    explain: {en: x}\n", `line 4: unknown action "stop"`},
		{"unknown requirement", head + "  - name: a\n    then: [require: luck]\n    explain: {en: x}\n", `line 4: require is never "luck"`},
		{"no duration", head + "  - name: a\n    then: [pause: long]\n    explain: {en: x}\n", "line 4: pause must be a duration"},
		{"pause without end", head + "  - name: a\n    then: [pause: 99999h]\n    explain: {en: x}\n", "line 4: pause must be a duration"},
		{"limit without window", head + "  - name: a\n    then: [limit: {count: 3}]\n    explain: {en: x}\n", "line 4: a limit needs a window"},
		{"question unknown", head + "  - name: a\n    then: [ask: [why]]\n    explain: {en: x}\n", `line 4: there is no question "why"`},
		{"no English", head + "  - name: a\n    then: [warn]\n    explain: {de: x}\n", "line 5: explain of a has no text in English"},
		{"no text", head + "  - name: a\n    then: [warn]\n", "line 3: a rule needs name, then and explain"},
		{"name twice", head + "  - {name: a, then: [warn], explain: {en: x}}\n  - {name: a, then: [deny], explain: {en: x}}\n", "line 4: rule a is there twice"},
		{"key twice", head + "  - name: a\n    name: b\n    then: [warn]\n    explain: {en: x}\n", "[4:5]"},
		{"question nobody asks", "questions:\n  q:\n    text: {en: Q}\n    options: [{id: a, text: {en: A}}, {id: b, text: {en: B}}]\n" + head + "  - {name: a, then: [warn], explain: {en: x}}\n", "question q is asked by no rule"},
		{"answer that asks", "questions:\n  q:\n    text: {en: Q}\n    options:\n      - {id: a, text: {en: A}}\n      - {id: b, text: {en: B}, then: [ask: [q]], explain: {en: x}}\n" + head + "  - {name: a, then: [ask: [q]], explain: {en: x}}\n", "line 6: an answer cannot ask again"},
		{"an alias", head + "  - &r {name: a, then: [warn], explain: {en: x}}\n  - *r\n", "a rule must be a mapping"},
		{"two documents", head + "  - {name: a, then: [warn], explain: {en: x}}\n---\nrules: []\n", "want one YAML document"},
		{"not YAML", "rules: [", "["},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := safety.Parse([]byte(c.text))
			if !errors.Is(err, safety.ErrRules) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestParse_TellsAllMistakesInOrder(t *testing.T) {
	_, err := safety.Parse([]byte("version: 2\nrules:\n  - {name: A, then: [stop], explain: {en: x}}\n"))
	if err == nil || strings.Count(err.Error(), "line ") != 3 || strings.Index(err.Error(), "line 1") > strings.Index(err.Error(), "line 3") {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(string(configs.Safety))
	f.Add(questionText)
	f.Add("rules:\n  - name: a\n    when: {amount: {gte: {EUR: 1}}}\n    then: [pause: 30s]\n    explain: {en: x}\n")
	f.Add("rules: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := safety.Parse([]byte(text))
		if err != nil {
			if !errors.Is(err, safety.ErrRules) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		if out := rules.Evaluate(plain()); out.Action == "" {
			t.Fatal("no action")
		}
	})
}
