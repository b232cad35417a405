package payments_test

import (
	"errors"
	"strings"
	"testing"

	"parley/payments"
)

func TestParseAmount(t *testing.T) {
	for _, c := range []struct {
		text, currency string
		want           int64
		err            error
	}{
		{"120", "EUR", 12000, nil},
		{"120.5", "EUR", 12050, nil},
		{"0.01", "EUR", 1, nil},
		{"007.10", "EUR", 710, nil},
		{"500", "JPY", 500, nil},
		{"1.234", "KWD", 1234, nil},
		{"500.1", "JPY", 0, payments.ErrAmount},
		{"1.234", "EUR", 0, payments.ErrAmount},
		{"0", "EUR", 0, payments.ErrAmount},
		{"-1", "EUR", 0, payments.ErrAmount},
		{"1e3", "EUR", 0, payments.ErrAmount},
		{"1,000", "EUR", 0, payments.ErrAmount},
		{"1.", "EUR", 0, payments.ErrAmount},
		{".5", "EUR", 0, payments.ErrAmount},
		{"", "EUR", 0, payments.ErrAmount},
		{"١", "EUR", 0, payments.ErrAmount},
		{"9999999999.99", "EUR", payments.MaxAmount, nil},
		{"10000000000", "EUR", 0, payments.ErrAmount},
		{"1", "XXX", 0, payments.ErrCurrency},
		{"1", "eur", 0, payments.ErrCurrency},
	} {
		got, err := payments.ParseAmount(c.text, c.currency)
		if !errors.Is(err, c.err) || err == nil && got != c.want {
			t.Errorf("%q %s: got %d, %v; want %d, %v", c.text, c.currency, got, err, c.want, c.err)
		}
	}
}

func TestExponent_KnowsCurrenciesByTheirRealDigits(t *testing.T) {
	for currency, want := range map[string]int{"EUR": 2, "JPY": 0, "KRW": 0, "CLP": 0, "KWD": 3, "TND": 3, "CNY": 2, "ISK": 0} {
		if got, err := payments.Exponent(currency); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", currency, got, err, want)
		}
	}
}

func FuzzParseAmount(f *testing.F) {
	for _, s := range []string{"120.50", "0.001", "999999999999999999999", "1.2.3", "+5", " 5", "0x10", "٣", "5\x00"} {
		f.Add(s, "EUR")
	}
	f.Add("1.234", "BHD")
	f.Add("10", "JPY")
	f.Fuzz(func(t *testing.T, text, currency string) {
		n, err := payments.ParseAmount(text, currency)
		if err != nil {
			return
		}
		if n <= 0 || n > payments.MaxAmount {
			t.Fatalf("%q %s gave %d", text, currency, n)
		}
		written, code, _ := strings.Cut(payments.FormatAmount(n, currency), " ")
		if again, err := payments.ParseAmount(written, code); err != nil || again != n || code != currency {
			t.Fatalf("%q %s: %d is written %q, read as %d, %v", text, currency, n, written, again, err)
		}
	})
}
