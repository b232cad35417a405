package app

import (
	"parley/internal/config"
	"parley/payments"
)

// moneyRules are the configured rules and rates of payments.
func moneyRules(cfg config.Payments) (payments.Config, payments.RateTable, error) {
	rules := payments.Config{
		FeeBasisPoints: int64(cfg.FeeBasisPoints), HoldFor: cfg.HoldTime, MaxHold: max(cfg.MaxHoldTime, cfg.HoldTime), ConfirmFor: cfg.ConfirmTime,
		AnswerFor: cfg.AnswerTime, DecideFor: cfg.DecideTime, IfUnanswered: cfg.IfUnanswered, IfUndecided: cfg.IfUndecided,
		QuoteFor: cfg.QuoteTime,
	}
	var err error
	if rules.Fees, err = payments.ParseFees(cfg.Fees); err != nil {
		return rules, nil, err
	}
	rates, err := payments.ParseRates(cfg.Rates)
	return rules, rates, err
}
