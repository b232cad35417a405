package payments

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// ErrFeeRule says that a fee rule makes no sense.
var ErrFeeRule = errors.New("fee rule not usable")

// Who pays a fee.
const (
	// FeeByPayee takes the fee out of what is captured.
	FeeByPayee = "payee"
	// FeeByPayer puts the fee on top of the amount: the hold, and what the payer
	// confirms, is amount and fee together.
	FeeByPayer = "payer"
)

// What happens to a fee when the payment is refunded.
const (
	// FeeShared gives the fee's share of each refund back: all of the fee once all is refunded.
	FeeShared = "share"
	// FeeKept gives nothing of the fee back.
	FeeKept = "keep"
)

// FeeRule says what a payment costs. It is kept with the payment: a change of
// the configuration does not change payments that exist. Amounts are minor
// units of the payment's currency.
//
// The fee of an amount is Fixed plus BasisPoints of it, rounded down, but not
// less than Min and not more than Max, and never more than the amount when the
// payee pays it. Several captures together cost what one capture of their sum costs.
type FeeRule struct {
	Fixed       int64  `json:"fixed,omitempty" doc:"minor units, once for a payment"`
	BasisPoints int64  `json:"basis_points,omitempty" doc:"hundredths of a percent of what is captured, rounded down"`
	Min         int64  `json:"min,omitempty" doc:"minor units; at least this much"`
	Max         int64  `json:"max,omitempty" doc:"minor units; at most this much; no bound if left out"`
	PaidBy      string `json:"paid_by" enum:"payee,payer" doc:"payee: out of what is captured; payer: on top of the amount"`
	OnRefund    string `json:"on_refund" enum:"share,keep" doc:"share: a refund gives its share of the fee back; keep: the fee stays"`
}

// check completes the rule's defaults and reports whether it makes sense.
func (r *FeeRule) check() error {
	if r.PaidBy == "" {
		r.PaidBy = FeeByPayee
	}
	if r.OnRefund == "" {
		r.OnRefund = FeeShared
	}
	switch {
	case r.BasisPoints < 0 || r.BasisPoints > 10_000:
		return fmt.Errorf("%w: %d basis points, want 0 to 10000", ErrFeeRule, r.BasisPoints)
	case r.Fixed < 0 || r.Min < 0 || r.Max < 0 || r.Fixed > MaxAmount || r.Min > MaxAmount || r.Max > MaxAmount:
		return fmt.Errorf("%w: amounts must be 0 to %d minor units", ErrFeeRule, MaxAmount)
	case r.Max > 0 && r.Min > r.Max:
		return fmt.Errorf("%w: min %d is above max %d", ErrFeeRule, r.Min, r.Max)
	case r.PaidBy != FeeByPayee && r.PaidBy != FeeByPayer:
		return fmt.Errorf("%w: paid_by %.16q, want payee or payer", ErrFeeRule, r.PaidBy)
	case r.OnRefund != FeeShared && r.OnRefund != FeeKept:
		return fmt.Errorf("%w: on_refund %.16q, want share or keep", ErrFeeRule, r.OnRefund)
	}
	return nil
}

// Of returns the fee of capturing amount in all. It never falls as amount
// grows, and when the payee pays it never grows by more than amount does.
func (r FeeRule) Of(amount int64) int64 {
	if amount <= 0 {
		return 0
	}
	fee := max(r.Fixed+share(amount, r.BasisPoints, 10_000), r.Min)
	if r.Max > 0 {
		fee = min(fee, r.Max)
	}
	if r.PaidBy != FeeByPayer {
		fee = min(fee, amount)
	}
	return fee
}

// onTop is the part of the fee of amount that the payer pays besides amount.
func (r FeeRule) onTop(amount int64) int64 {
	if r.PaidBy != FeeByPayer {
		return 0
	}
	return r.Of(amount)
}

// ParseFees reads the fee rules of a configuration, one text for each currency:
// "EUR basis_points=150 fixed=25 min=50 max=1000 paid_by=payer on_refund=keep".
// "*" stands for every currency without a rule of its own and can only have a
// percentage, since an amount means something else in every currency.
func ParseFees(texts []string) (map[string]FeeRule, error) {
	rules := make(map[string]FeeRule, len(texts))
	for _, text := range texts {
		words := strings.Fields(text)
		if len(words) < 2 {
			return nil, fmt.Errorf("%w: %q, want a currency and its rule", ErrFeeRule, text)
		}
		currency := words[0]
		if _, err := Exponent(currency); err != nil && currency != anyCurrency {
			return nil, fmt.Errorf("%w: %w", ErrFeeRule, err)
		}
		if _, twice := rules[currency]; twice {
			return nil, fmt.Errorf("%w: two rules for %s", ErrFeeRule, currency)
		}
		r, err := parseFee(words[1:])
		if err != nil {
			return nil, fmt.Errorf("%w, in %q", err, text)
		}
		if currency == anyCurrency && (r.Fixed != 0 || r.Min != 0 || r.Max != 0) {
			return nil, fmt.Errorf("%w: %q: amounts need a currency", ErrFeeRule, text)
		}
		rules[currency] = r
	}
	return rules, nil
}

// anyCurrency is the key of the rule for currencies without one of their own.
const anyCurrency = "*"

func parseFee(words []string) (FeeRule, error) {
	var r FeeRule
	numbers := map[string]*int64{"fixed": &r.Fixed, "basis_points": &r.BasisPoints, "min": &r.Min, "max": &r.Max}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "paid_by":
			r.PaidBy = value
		case "on_refund":
			r.OnRefund = value
		default:
			number, known := numbers[name]
			if !known {
				return r, fmt.Errorf("%w: unknown word %.32q", ErrFeeRule, word)
			}
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return r, fmt.Errorf("%w: %.32q is no whole number", ErrFeeRule, word)
			}
			*number = n
		}
	}
	return r, r.check()
}

// feeRule is the rule for new payments in a currency.
func (c *Config) feeRule(currency string) FeeRule {
	if r, ok := c.Fees[currency]; ok {
		return r
	}
	return c.Fees[anyCurrency]
}

// checkAmount reports whether amount can be paid, with a fee that comes on top.
func (s *Service) checkAmount(amount int64, currency string) error {
	if err := CheckAmount(amount, currency); err != nil {
		return err
	}
	if total := amount + s.cfg.feeRule(currency).onTop(amount); total > MaxAmount {
		return fmt.Errorf("%w: %d with the fee", ErrAmount, total)
	}
	return nil
}

// captureMode is when a payment is captured that does not say it.
func captureMode(asked, confirm string) string {
	switch {
	case asked != "":
		return asked
	case confirm == ConfirmNone:
		return CaptureManual
	}
	return CaptureAutomatic
}

// checkFees completes the rules; FeeBasisPoints is the rule of every currency without one.
func (c *Config) checkFees() error {
	rules := make(map[string]FeeRule, len(c.Fees)+1)
	rules[anyCurrency] = FeeRule{BasisPoints: c.FeeBasisPoints}
	for currency, r := range c.Fees {
		rules[currency] = r
	}
	for currency, r := range rules {
		if err := r.check(); err != nil {
			return fmt.Errorf("payments: fee of %s: %w", currency, err)
		}
		rules[currency] = r
	}
	c.Fees = rules
	return nil
}

// share returns floor(amount * part / whole) for 0 <= part <= whole, whole > 0,
// without overflow. A fee is rounded down, in favour of who pays it; a fee given
// back in parts is the share of all refunds so far less what was given back
// before, so that the parts add up to the fee exactly.
func share(amount, part, whole int64) int64 {
	hi, lo := bits.Mul64(uint64(amount), uint64(part))
	q, _ := bits.Div64(hi, lo, uint64(whole)) // quotient <= amount: cannot overflow
	return int64(q)
}
