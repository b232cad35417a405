package payments

import (
	"fmt"
	"slices"
	"strings"
)

// Diagram writes the table of transitions as Markdown: a drawing and every row.
func Diagram() string {
	var b strings.Builder
	b.WriteString("# The states of a payment\n\nMade from the table in `transitions.go` by `go test ./payments -run Diagram -update`.\n\n```mermaid\nstateDiagram-v2\n    [*] --> requested: create\n")
	for _, line := range arrows() {
		fmt.Fprintf(&b, "    %s\n", line)
	}
	b.WriteString("```\n\n| from | command | by | when | to |\n|---|---|---|---|---|\n")
	for _, t := range transitions {
		to := string(t.To)
		if t.refuse != nil {
			to = "refused: " + t.refuse.Error()
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", joinStates(t.From), t.On, partyNames(t.By), t.When, to)
	}
	return b.String()
}

// arrows are the changes of state, each once, with the commands that make them.
func arrows() []string {
	commands := map[string][]string{}
	for _, t := range transitions {
		for _, from := range t.From {
			if t.refuse != nil || from == t.To {
				continue
			}
			key := fmt.Sprintf("%s --> %s", from, t.To)
			if !slices.Contains(commands[key], string(t.On)) {
				commands[key] = append(commands[key], string(t.On))
			}
		}
	}
	lines := make([]string, 0, len(commands))
	for key, on := range commands {
		lines = append(lines, key+": "+strings.Join(on, ", "))
	}
	slices.Sort(lines)
	return lines
}

func joinStates(states []State) string {
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

func partyNames(p Party) string {
	var names []string
	for i, name := range []string{"payer", "payee", "server", "clock"} {
		if p&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
