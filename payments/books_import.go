package payments

import (
	"fmt"

	"parley/payments/ledger"
)

// OpeningAccounts is the chart for importing opening balances: Parley's own,
// and accounts of the app, which open as accounts that cannot go negative.
func OpeningAccounts(id string) (ledger.Terms, bool) {
	if isAppAccount(id) {
		return ledger.Terms{Kind: appKind}, true
	}
	return chart(id)
}

// OpeningAllowed reports whether an account may be given an opening balance:
// those of the app, and what users have available. What is held, disputed or
// earned comes from payments only.
func OpeningAllowed(account, currency string) error {
	if _, err := Exponent(currency); err != nil {
		return fmt.Errorf("%w: %.16q", err, currency)
	}
	_, err := openToApp(account)
	return err
}
