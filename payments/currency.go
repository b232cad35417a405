package payments

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of money.
var (
	// ErrAmount says that an amount is not a positive number of minor units in range.
	ErrAmount = errors.New("amount invalid")
	// ErrCurrency says that a code is not a currency of ISO 4217 in which people pay.
	ErrCurrency = errors.New("currency unknown")
)

// MaxAmount is the largest payment, in minor units: ten digits before the
// point for a currency with two digits behind it. Sums of thousands of
// payments stay exact in every reader of JSON.
const MaxAmount = 999_999_999_999

// exponents has the number of minor digits of each currency of ISO 4217 (list
// one, without funds codes, metals and test codes), grouped by that number.
var exponents = func() map[string]int {
	m := make(map[string]int, 160)
	for digits, codes := range map[int]string{
		0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
		2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK " +
			"DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT " +
			"LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN " +
			"QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS " +
			"VED VES WST XCD XCG YER ZAR ZMW ZWG",
		3: "BHD IQD JOD KWD LYD OMR TND",
	} {
		for code := range strings.FieldsSeq(codes) {
			m[code] = digits
		}
	}
	return m
}()

// Exponent returns how many digits a currency has behind the point, or ErrCurrency.
func Exponent(currency string) (int, error) {
	n, ok := exponents[currency]
	if !ok {
		return 0, fmt.Errorf("%w: %.8q", ErrCurrency, currency)
	}
	return n, nil
}

// CheckAmount reports whether amount minor units of currency can be paid.
func CheckAmount(amount int64, currency string) error {
	if _, err := Exponent(currency); err != nil {
		return err
	}
	if amount <= 0 || amount > MaxAmount {
		return fmt.Errorf("%w: %d, want 1 to %d minor units", ErrAmount, amount, MaxAmount)
	}
	return nil
}

// ParseAmount reads what a person writes ("120", "120.5", "120.50") as minor
// units of currency. It takes only digits and one point, no sign, no
// thousands separators, and no more digits behind the point than the currency has.
func ParseAmount(text, currency string) (int64, error) {
	digits, err := Exponent(currency)
	if err != nil {
		return 0, err
	}
	whole, fraction, pointed := strings.Cut(text, ".")
	if whole == "" || pointed && fraction == "" || len(fraction) > digits || len(whole) > 15 {
		return 0, fmt.Errorf("%w: %.32q in %s", ErrAmount, text, currency)
	}
	var n int64 // at most 15 + 3 digits: fits
	for _, c := range []byte(whole + fraction + strings.Repeat("0", digits-len(fraction))) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%w: %.32q in %s", ErrAmount, text, currency)
		}
		n = n*10 + int64(c-'0')
	}
	return n, CheckAmount(n, currency)
}

// FormatAmount writes minor units as a person would, with the currency's digits: "120.50 EUR".
func FormatAmount(amount int64, currency string) string {
	digits, err := Exponent(currency)
	if err != nil || digits == 0 {
		return fmt.Sprintf("%d %s", amount, currency)
	}
	sign := ""
	if amount < 0 {
		sign = "-"
	}
	s := fmt.Sprintf("%0*d", digits+1, amount)
	if amount < 0 {
		s = fmt.Sprintf("%0*d", digits+1, -amount)
	}
	return sign + s[:len(s)-digits] + "." + s[len(s)-digits:] + " " + currency
}
