package signaling

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Diagram returns the machine's tables as a Markdown page with two Mermaid
// state diagrams: the call, and one participant's leg.
func Diagram() string {
	var b strings.Builder
	b.WriteString("# The states of a call\n\nMade from the tables in `machine.go` by `go test ./signaling -run Diagram -update`.\n\n")
	b.WriteString("## The call\n\n```mermaid\nstateDiagram-v2\n    [*] --> ringing: start\n    [*] --> ended: start, all busy\n")
	edges := map[[2]State][]string{}
	for _, t := range transitions {
		for _, to := range t.to {
			if to != t.from {
				edges[[2]State{t.from, to}] = append(edges[[2]State{t.from, to}], string(t.on))
			}
		}
	}
	order := []State{Ringing, Connecting, Active, Ended}
	for _, from := range order {
		for _, to := range order {
			if on := edges[[2]State{from, to}]; on != nil {
				fmt.Fprintf(&b, "    %s --> %s: %s\n", from, to, strings.Join(on, ", "))
			}
		}
	}
	b.WriteString("    ended --> [*]\n```\n\n## A participant\n\n```mermaid\nstateDiagram-v2\n")
	for _, from := range slices.SortedFunc(maps.Keys(legs), func(a, b Leg) int { return cmp.Compare(a, b) }) {
		for _, to := range legs[from] {
			fmt.Fprintf(&b, "    %s --> %s\n", from, to)
		}
	}
	b.WriteString("```\n\n## Actions by state\n\n| action | " + join(order, " | ") + " |\n|---|---|---|---|---|\n")
	var last Action
	for _, t := range transitions {
		if t.on == last {
			continue
		}
		last = t.on
		fmt.Fprintf(&b, "| %s |", t.on)
		for _, from := range order {
			cell := "refused"
			if row := rows[t.on][from]; len(row.to) > 0 {
				cell = join(row.to, ", ")
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func join(states []State, sep string) string {
	words := make([]string, len(states))
	for i, s := range states {
		words[i] = string(s)
	}
	return strings.Join(words, sep)
}
