package payments

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// ErrMemo says that a text may not stand in a request of somebody whom the
// payer never paid: it could send the payer elsewhere or look like another.
var ErrMemo = errors.New("text not accepted in a first request")

// Digits that a stranger's texts may hold: enough for a year, a table or an
// order, too few for a telephone or account number.
const (
	memoDigits  = 4
	orderDigits = 8
)

// checkStrangersText refuses, in the first request to a payer, what could lead
// the payer astray: longer numbers, addresses of pages and mailboxes, amounts
// of money, and letters made to look like others. It refuses and does not
// mask, so that what the payee wrote and what the payer reads are the same.
func checkStrangersText(memo, order string) error {
	for _, text := range []struct {
		field, text string
		digits      int
	}{{"memo", memo, memoDigits}, {"order", order, orderDigits}} {
		if why := astray(text.text, text.digits); why != "" {
			return fmt.Errorf("%w: %s has %s", ErrMemo, text.field, why)
		}
	}
	return nil
}

// mayEdit holds an edit to what the request was made under: a silent one to the
// rule about texts, a share of a request to several people to its amount.
func (in *Intent) mayEdit(e EditInput) error {
	if in.Ask.Request != "" && e.Amount != 0 && e.Amount != in.Amount {
		return fmt.Errorf("%w: the shares of a request to several people add up", ErrState)
	}
	if e.Memo == nil || !in.Ask.Silent {
		return nil
	}
	return checkStrangersText(*e.Memo, "")
}

// astray says what in a text could lead the payer astray, or "".
func astray(text string, digits int) string {
	n := 0
	for _, r := range text {
		switch {
		case unicode.IsNumber(r):
			n++
		case unicode.Is(unicode.Sc, r):
			return "a sign of money"
		case isDisguise(r):
			return "characters that look like others"
		}
	}
	lower := strings.ToLower(text)
	switch {
	case n > digits:
		return fmt.Sprintf("more than %d digits", digits)
	case strings.ContainsAny(text, "@\\") || strings.Contains(text, "//") || strings.Contains(lower, "www."):
		return "an address"
	case hasDomain(lower):
		return "an address"
	}
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.Is(unicode.M, r) }) {
		if mixed(word) {
			return "a word in mixed scripts"
		}
	}
	return ""
}

// isDisguise reports characters that nobody types in a sentence: invisible and
// direction marks, and letters and digits in other dress, such as 𝐞 or ｅ or ⓔ.
func isDisguise(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp) ||
		r >= 0x1d400 && r <= 0x1d7ff || r >= 0xff01 && r <= 0xffee || r >= 0x2460 && r <= 0x24ff ||
		r >= 0x1f100 && r <= 0x1f1ff || r >= 0x2100 && r <= 0x218f || r >= 0x3000 && r <= 0x3004 || r == 0x2024 || r == 0x2044 || r == 0x2215
}

// hasDomain reports a dot between a letter or digit and at least two letters:
// what software makes a link of.
func hasDomain(text string) bool {
	runes := []rune(text)
	for i := 1; i+2 < len(runes); i++ {
		if (runes[i] == '.' || runes[i] == '。') && isWord(runes[i-1]) && unicode.IsLetter(runes[i+1]) && unicode.IsLetter(runes[i+2]) {
			return true
		}
	}
	return false
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// lookalikes are scripts with letters that pass for each other.
var lookalikes = []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee, unicode.Coptic, unicode.Lisu}

// mixed reports a word with letters of more than one of those scripts.
func mixed(word string) bool {
	var first *unicode.RangeTable
	for _, r := range word {
		for _, script := range lookalikes {
			if !unicode.Is(script, r) {
				continue
			}
			if first == nil {
				first = script
			}
			if first != script {
				return true
			}
		}
	}
	return false
}
