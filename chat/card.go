package chat

import (
	"strings"
	"unicode"
)

// Lengths of payment card numbers (ISO/IEC 7812-1).
const (
	cardMin = 13
	cardMax = 19
)

// HasCardNumber reports whether text holds what looks like a payment card
// number: 13 to 19 digits in any script, alone or in groups with up to three
// spaces or dashes between them, that pass the Luhn check (ISO/IEC 7812-1
// annex B). A longer row of groups is searched for a number of a known card
// network among whole groups. Digits of a valid IBAN are not a card number.
func HasCardNumber(text string) bool {
	sc := scanner{rest: text}
	for sc.next() {
		if isCardRow(sc.digits, sc.groups) && !isIBAN(sc.before, sc.digits) {
			return true
		}
	}
	return false
}

// scanner cuts a text into rows: groups of digits with few separators between.
type scanner struct {
	rest   string
	digits []byte // of the current row, 0 to 9
	groups []int  // lengths of its groups
	before string // letters and digits that touch the row's start on the left
}

// next finds the next row of digits.
func (sc *scanner) next() bool {
	sc.digits, sc.groups, sc.before = sc.digits[:0], sc.groups[:0], ""
	start := strings.IndexFunc(sc.rest, unicode.IsDigit)
	if start < 0 {
		return false
	}
	sc.before = trailingWord(sc.rest[:start])
	gap, group := 0, 0
	for i, r := range sc.rest[start:] {
		switch {
		case unicode.IsDigit(r):
			if gap > 0 && group > 0 {
				sc.groups = append(sc.groups, group)
				group = 0
			}
			gap = 0
			group++
			sc.digits = append(sc.digits, digitValue(r))
		case unicode.Is(unicode.Cf, r):
			// invisible: neither digit nor separator
		case isSeparator(r) && gap < 3:
			gap++
		default:
			sc.end(group, start+i)
			return true
		}
	}
	sc.end(group, len(sc.rest))
	return true
}

// end closes the row before the byte at.
func (sc *scanner) end(group, at int) {
	if group > 0 {
		sc.groups = append(sc.groups, group)
	}
	sc.rest = sc.rest[at:]
}

func isSeparator(r rune) bool {
	return r == '\t' || r == '−' || unicode.Is(unicode.Zs, r) || unicode.Is(unicode.Pd, r)
}

// digitValue returns the value of a decimal digit of any script: they come in
// blocks of ten that start at zero.
func digitValue(r rune) byte {
	if r <= '9' {
		return byte(r - '0')
	}
	for _, t := range unicode.Nd.R16 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return byte((r - rune(t.Lo)) % 10)
		}
	}
	for _, t := range unicode.Nd.R32 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return byte((r - rune(t.Lo)) % 10)
		}
	}
	return 0
}

// isCardRow judges a row: as a whole by length and check digit, and any whole
// groups in it if a network would issue such a number.
func isCardRow(digits []byte, groups []int) bool {
	if n := len(digits); n >= cardMin && n <= cardMax && luhn(digits) {
		return true
	}
	start := 0
	for i := range groups {
		end := start
		for _, n := range groups[i:] {
			end += n
			if end-start > cardMax {
				break
			}
			if end-start >= cardMin && knownNetwork(digits[start:end]) && luhn(digits[start:end]) {
				return true
			}
		}
		start += groups[i]
	}
	return false
}

// luhn is the check of ISO/IEC 7812-1: every second digit from the right
// doubled, digit sums added, divisible by ten.
func luhn(digits []byte) bool {
	sum := 0
	for i, d := range digits {
		n := int(d)
		if (len(digits)-i)%2 == 0 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}

// network is a range of first four digits and the lengths issued in it.
type network struct{ from, to, shortest, longest int }

var networks = []network{
	{4000, 4999, 13, 19}, // Visa
	{5100, 5599, 16, 16}, // Mastercard
	{2221, 2720, 16, 16}, // Mastercard
	{3400, 3499, 15, 15}, // American Express
	{3700, 3799, 15, 15}, // American Express
	{3000, 3059, 14, 19}, // Diners Club
	{3600, 3699, 14, 19}, // Diners Club
	{3800, 3999, 14, 19}, // Diners Club
	{3528, 3589, 16, 19}, // JCB
	{6011, 6011, 16, 19}, // Discover
	{6440, 6599, 16, 19}, // Discover
	{6200, 6299, 16, 19}, // UnionPay
	{2200, 2204, 16, 19}, // Mir
	{5000, 5099, 13, 19}, // Maestro
	{5600, 5899, 13, 19}, // Maestro
	{6300, 6399, 13, 19}, // Maestro
	{6700, 6799, 13, 19}, // Maestro
}

func knownNetwork(digits []byte) bool {
	prefix := 0
	for _, d := range digits[:4] {
		prefix = prefix*10 + int(d)
	}
	for _, n := range networks {
		if prefix >= n.from && prefix <= n.to && len(digits) >= n.shortest && len(digits) <= n.longest {
			return true
		}
	}
	return false
}

// isIBAN reports whether two letters right before the digits make them a valid
// IBAN of digits only (ISO 13616): 15 to 34 characters, remainder 1 of 97.
func isIBAN(before string, digits []byte) bool {
	if len(before) != 2 || len(digits) < 13 || len(digits) > 32 {
		return false
	}
	rest := 0
	for _, d := range digits[2:] {
		rest = (rest*10 + int(d)) % 97
	}
	for _, letter := range strings.ToUpper(before) {
		if letter < 'A' || letter > 'Z' {
			return false
		}
		rest = (rest*100 + int(letter-'A') + 10) % 97
	}
	for _, d := range digits[:2] {
		rest = (rest*10 + int(d)) % 97
	}
	return rest == 1
}

// trailingWord returns the letters at the end of s, at most three of them.
func trailingWord(s string) string {
	at := len(s)
	for at > 0 && len(s)-at < 3 {
		c := s[at-1]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			break
		}
		at--
	}
	return s[at:]
}
