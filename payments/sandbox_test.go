package payments

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestSandbox_DocumentTellsEveryOutcome(t *testing.T) {
	text, err := os.ReadFile("../docs/sandbox.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, sc := range scripts {
		row := fmt.Sprintf("| `sandbox:%s` | %d | %s |\n", sc.name, sc.digits, sc.doc)
		if !strings.Contains(string(text), row) {
			t.Errorf("docs/sandbox.md has no row %s", row)
		}
	}
	if n := strings.Count(string(text), "\n| `sandbox:"); n != len(scripts)+3 {
		t.Errorf("docs/sandbox.md has %d rows, the sandbox %d outcomes and 3 names", n, len(scripts))
	}
}

// TestSandbox_AmountsChooseOnlyAboveTheBase: ordinary amounts, and amounts that
// merely end like a magic one, are done at once.
func TestSandbox_AmountsChooseOnlyAboveTheBase(t *testing.T) {
	for amount, want := range map[int64]string{
		1: "done", 4_250: "done", 9_104: "done", 12_000: "done", 50_000: "done", 120_000: "done", 919_104: "done", 999_999: "done",
		1_000_000: "done", 1_009_104: "insufficient_funds", 1_009_120: "late_success", 123_459_133: "timeout_nothing", 1_009_199: "done", MaxAmount: "done",
	} {
		if got := scriptOf(RailOrder{Action: RailPayout, Amount: amount}).name; got != want {
			t.Errorf("%d: %s, want %s", amount, got, want)
		}
	}
	for account, want := range map[string]string{"sandbox:fraud": "fraud", "sandbox:else": "done", "iban": "done"} {
		if got := scriptOf(RailOrder{Action: RailPayout, Amount: 10, Account: account}).name; got != want {
			t.Errorf("%s: %s, want %s", account, got, want)
		}
	}
	if got := scriptOf(RailOrder{Action: RailCapture, Of: "x", Amount: 1_009_104}).name; got != "done" {
		t.Errorf("a capture after an authorisation: %s", got)
	}
}

func TestSandbox_ClockOfTheOrderMayBeAhead(t *testing.T) {
	o := RailOrder{Action: RailFund, Reference: "x", Amount: 5, At: time.Now().Add(time.Hour)}
	if out, err := (Sandbox{}).Order(t.Context(), o); err != nil || out.Status != RailDone {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestSandbox_FindNeverTakesBackWhatItSaid: over time an outcome goes from
// unknown or pending to an end, and only "returned" changes that.
func TestSandbox_FindNeverTakesBackWhatItSaid(t *testing.T) {
	for _, sc := range scripts {
		end := RailStatus("")
		for _, age := range []time.Duration{0, 5 * time.Second, 20 * time.Second, time.Minute, 2 * time.Hour, 25 * time.Hour, 200 * time.Hour} {
			o := RailOrder{Action: RailPayout, Reference: "x", Amount: 5, Account: sandboxAccounts + sc.name, At: time.Now().Add(-age)}
			out, err := Sandbox{}.Find(t.Context(), o, "")
			if err != nil {
				t.Errorf("%s at %v: %v", sc.name, age, err)
			}
			if end != "" && out.Status != end && sc.name != "returned" {
				t.Errorf("%s at %v: %s after %s", sc.name, age, out.Status, end)
			}
			if out.Status == RailDone || out.Status == RailRefused {
				end = out.Status
			}
		}
	}
}
