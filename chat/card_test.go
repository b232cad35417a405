package chat_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"parley/chat"
)

func TestHasCardNumber(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool
	}{
		// numbers that payment networks publish for testing
		{"4111111111111111", true},
		{"4012 8888 8888 1881", true},
		{"4222222222222", true}, // 13 digits
		{"5555-5555-5555-4444", true},
		{"3782 822463 10005", true},   // 15 digits, 4-6-5
		{"30569309025904", true},      // 14 digits
		{"6304000000000000000", true}, // 19 digits
		{"6011 0009 9013 9424", true},

		// written in other ways
		{"pay with 4111111111111111, please", true},
		{"card:4111111111111111.", true},
		{"no4111111111111111", true},
		{"4111 - 1111 - 1111 - 1111", true},
		{"4111\u00a01111\u20091111\u20031111", true},
		{"4111–1111—1111‑1111", true},
		{"4111\t1111\t1111\t1111", true},
		{"4111\u200b1111\u200d1111\u20601111", true}, // invisible characters inside
		{"٤١١١ ١١١١ ١١١١ ١١١١", true},
		{"\uff14\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11", true},
		{"𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏", true},
		{"4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", true},
		{"4111 1111 1111 1111 12/27 123", true}, // with date and code
		{"order 77: 4111 1111 1111 1111", true},
		{"77 4111 1111 1111 1111", true},
		{"2024-05-01 4111111111111111 99", true},
		{"4111111111111112 4111111111111111", true},
		{strings.Repeat("12 ", 300) + "4111 1111 1111 1111", true},

		// not card numbers
		{"", false},
		{"4111111111111112", false},              // wrong check digit
		{"411111111111111", false},               // 15 digits, wrong check digit
		{"059", false},                           // Luhn-valid and short
		{"000000000000", false},                  // 12 digits
		{"41111111111111111111", false},          // 20 digits in one piece
		{"4111111111111111000000000000", false},  // part of one long number
		{"4111.1111.1111.1111", false},           // dots are no separators
		{"4111,1111,1111,1111", false},           // lists of numbers neither
		{"4111\n1111\n1111\n1111", false},        // nor lines
		{"4111    1111    1111    1111", false},  // nor columns
		{"12/05/2024 18:30, order 12345", false}, // dates
		{"DE89 3704 0044 0532 0130 00", false},
		{"BE71096123456769", false},
		{"BE86 0017 2547 8850", false},
		{"call me at +49 30 901820", false},
		{"€ 1,234,567,890,123.00", false},
	} {
		if got := chat.HasCardNumber(c.text); got != c.want {
			t.Errorf("%q: got %v, want %v", c.text, got, c.want)
		}
	}
}

func TestHasCardNumber_EdgesOfLength(t *testing.T) {
	for n := 1; n <= 40; n++ {
		number := withCheckDigit("4" + strings.Repeat("0", n-1))
		want := len(number) >= 13 && len(number) <= 19
		if got := chat.HasCardNumber(number); got != want {
			t.Errorf("%d digits: got %v, want %v", len(number), got, want)
		}
	}
}

// An IBAN whose digits pass the Luhn check is let through only if its own check digits are right.
func TestHasCardNumber_IBANs(t *testing.T) {
	passed, refused := 0, 0
	for account := range 2000 {
		bban := fmt.Sprintf("0017%08d", account)
		digits := ibanCheck("BE", bban) + bban
		if !chat.HasCardNumber("x " + digits) {
			continue // fails the Luhn check
		}
		if chat.HasCardNumber("BE" + digits) {
			t.Errorf("BE%s is a valid IBAN", digits)
		}
		passed++
		if chat.HasCardNumber("BF"+digits) && chat.HasCardNumber("XBE"+digits) && chat.HasCardNumber("B"+digits) {
			refused++
		}
	}
	if passed < 100 || refused != passed {
		t.Errorf("%d IBANs let through, %d forged ones refused", passed, refused)
	}
}

func ibanCheck(country, bban string) string {
	rest := 0
	for _, r := range bban + fmt.Sprint(int(country[0]-'A')+10, int(country[1]-'A')+10) + "00" {
		if r >= '0' && r <= '9' {
			rest = (rest*10 + int(r-'0')) % 97
		}
	}
	return fmt.Sprintf("%02d", 98-rest)
}

// withCheckDigit appends the digit that makes number pass the Luhn check, computed from the right as the standard words it.
func withCheckDigit(number string) string {
	sum := 0
	for i := range len(number) {
		d := int(number[len(number)-1-i] - '0')
		if i%2 == 0 {
			d *= 2
			d = d/10 + d%10
		}
		sum += d
	}
	return number + string(rune('0'+(10-sum%10)%10))
}

// FuzzHasCardNumber hides a card number between arbitrary words and looks whether it is found.
func FuzzHasCardNumber(f *testing.F) {
	f.Add("my card is", " ok?", uint64(1), " ")
	f.Add("", "", uint64(2), "-")
	f.Add("DE", "12", uint64(3), "")
	f.Add("12 34 ", " 5", uint64(4), " - ")
	f.Add("\xff", "٣", uint64(5), "\u200b")
	f.Fuzz(func(t *testing.T, before, after string, seed uint64, separator string) {
		chat.HasCardNumber(before + after) // must not panic, whatever it is
		rnd := rand.New(rand.NewPCG(seed, 0))
		number := withCheckDigit(fmt.Sprintf("4%014d", rnd.Int64N(1e14)))
		switch separator {
		case "", " ", "-", " - ", "\u200b", "\u00a0":
		default:
			separator = " "
		}
		grouped := strings.Join([]string{number[:4], number[4:8], number[8:12], number[12:]}, separator)
		text := before + "\n" + grouped + "\n" + after
		if !utf8.ValidString(text) {
			return
		}
		if !chat.HasCardNumber(text) {
			t.Errorf("%q is not found", text)
		}
	})
}

// FuzzCheckText makes sure that what passes fits the limits.
func FuzzCheckText(f *testing.F) {
	f.Add("hello")
	f.Add("")
	f.Add("4111 1111 1111 1111")
	f.Add(strings.Repeat("a", chat.TextMax+1))
	f.Fuzz(func(t *testing.T, text string) {
		n := utf8.RuneCountInString(text)
		if err := chat.CheckText(text); err == nil && (n < 1 || n > chat.TextMax || !utf8.ValidString(text)) {
			t.Errorf("%d runes pass", n)
		}
	})
}

func BenchmarkHasCardNumber(b *testing.B) {
	for name, text := range map[string]string{
		"words":  strings.Repeat("Shall we do it now? ", 5),
		"digits": strings.Repeat("1 ", chat.TextMax/2),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				chat.HasCardNumber(text)
			}
		})
	}
}
