package payments_test

import (
	"flag"
	"os"
	"testing"

	"parley/payments"
)

var update = flag.Bool("update", false, "write states.md")

func TestDiagram_IsInStepWithTheTable(t *testing.T) {
	want := payments.Diagram()
	if *update {
		if err := os.WriteFile("states.md", []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("states.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("states.md differs from the table: go test ./payments -run Diagram -update")
	}
}
