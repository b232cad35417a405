package payments_test

import (
	"os"
	"regexp"
	"testing"

	"parley/payments"
)

// TestChart_IsAsDocumented keeps the table of docs/ledger.md in step with the chart.
func TestChart_IsAsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/ledger.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (\\w+) \\| (yes|no|as opened) \\|").FindAllStringSubmatch(string(text), -1)
	kinds := map[string]bool{}
	for _, r := range rows {
		account, kind, negative := r[1], r[2], r[3]
		kinds[kind] = true
		if kind == "opening" { // opened by an import
			continue
		}
		terms, ok := payments.OpeningAccounts(account)
		if !ok || terms.Kind != kind || negative != "as opened" && terms.MayGoNegative != (negative == "yes") {
			t.Errorf("%s is documented as %s, %s; the chart says %+v, %t", account, kind, negative, terms, ok)
		}
	}
	for _, kind := range []string{"user", "fees", "rail", "exchange", "opening", "app"} {
		if !kinds[kind] {
			t.Errorf("the chart of docs/ledger.md lacks accounts of kind %s", kind)
		}
	}
	if _, ok := payments.OpeningAccounts("bank"); ok {
		t.Error("an account that is in no chart opens")
	}
}
