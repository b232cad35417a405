package payments_test

import (
	_ "embed"
	"errors"
	"slices"
	"strconv"
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

// cldr has the currencies of CLDR 48 in use, each with the digits that are usual, as
// Node.js knows them: Intl.supportedValuesOf("currency") and, of a NumberFormat
// of each, resolvedOptions().maximumFractionDigits.
//
//go:embed testdata/cldr-48-currencies.txt
var cldr string

// TestExponent_AgreesWithCLDR compares the table with a list made by others.
// They may differ where CLDR has what is out of use or no money to pay with, and
// where ISO 4217 has digits that nobody uses any more.
func TestExponent_AgreesWithCLDR(t *testing.T) {
	unused := strings.Fields("ANG BGN CUC HRK SLL ZWL XDR XSU") // replaced, or units of account
	finer := strings.Fields("AFN ALL COP HUF IDR IQD IRR KPW LAK LBP MGA MMK PKR SOS SYP YER")
	listed := []string{"VED"} // of the same country as VES; CLDR has only that one
	for line := range strings.Lines(cldr) {
		code, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		usual, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		digits, err := payments.Exponent(code)
		switch {
		case slices.Contains(unused, code):
			if err == nil {
				t.Errorf("%s is not paid with", code)
			}
			continue
		case err != nil:
			t.Error(err)
		case slices.Contains(finer, code):
			if usual != 0 || digits < 2 {
				t.Errorf("%s: %d digits, usual %d", code, digits, usual)
			}
		case digits != usual:
			t.Errorf("%s: %d digits, want %d", code, digits, usual)
		}
		listed = append(listed, code)
	}
	for n := range 26 * 26 * 26 {
		code := string([]byte{'A' + byte(n/26/26), 'A' + byte(n/26%26), 'A' + byte(n%26)})
		if _, err := payments.Exponent(code); err == nil && !slices.Contains(listed, code) {
			t.Errorf("%s is not a currency in CLDR", code)
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
