package payments

import (
	"context"
	"errors"
	"fmt"

	"parley/internal/sqldb"
	"parley/payments/ledger"
)

// BalanceItem is what a user has in one currency, in minor units.
type BalanceItem struct {
	Currency  string `json:"currency"`
	Available int64  `json:"available"`
	Held      int64  `json:"held" doc:"on hold for payments that are not captured yet"`
}

// Balances returns what a user has, one item for each currency ever used. A
// user asks for themselves; a server key names the user.
func (s *Service) Balances(ctx context.Context, a Actor, user string) ([]BalanceItem, error) {
	if user == "" {
		user = a.User
	}
	if !a.Server && user != a.User {
		return nil, fmt.Errorf("%w: balances of another user", ErrNotParty)
	}
	items := []BalanceItem{}
	err := s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		accounts, err := ledger.Balances(tx, availableAccount(user))
		if err != nil {
			return err
		}
		for _, acc := range accounts {
			item, err := balanceOf(tx, user, acc.Currency)
			if err != nil {
				return err
			}
			items = append(items, item)
		}
		return nil
	})
	return items, err
}

// balanceOf returns zeros for a user who never had the currency.
func balanceOf(tx *sqldb.Tx, user, currency string) (BalanceItem, error) {
	available, err := availableOf(tx, availableAccount(user), currency)
	if err != nil {
		return BalanceItem{}, err
	}
	held, err := availableOf(tx, heldAccount(user), currency)
	return BalanceItem{Currency: currency, Available: available, Held: held}, err
}

func availableOf(tx *sqldb.Tx, account, currency string) (int64, error) {
	acc, err := ledger.Balance(tx, account, currency)
	if errors.Is(err, ledger.ErrAccountUnknown) {
		return 0, nil
	}
	return acc.Available(), err
}
