package load_test

import (
	"os"
	"testing"

	"parley/internal/load"
)

// TestPayments_VerifiesWhatItMeasured runs it shortly on each database, with
// every client's transfers on one account.
func TestPayments_VerifiesWhatItMeasured(t *testing.T) {
	databases := map[string]string{"sqlite": ""}
	if server := os.Getenv("PARLEY_TEST_POSTGRES"); server != "" {
		databases["postgres"] = server
	}
	for name, at := range databases {
		t.Run(name, func(t *testing.T) {
			r, err := load.Payments(t.Context(), load.PaymentsConfig{Database: at, Clients: 8, Accounts: 5, Rows: 130, Hot: true, Rate: 400, Seconds: 0.2})
			if err != nil {
				t.Fatal(err)
			}
			if r.Units == 0 || r.Lost != 0 || r.Doubled != 0 || r.Errors != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}
