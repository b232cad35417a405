package ledger

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Opening is one line of a file of opening balances: what an account had
// before this ledger began.
type Opening struct {
	Line     int    `json:"-"`
	Account  string `json:"account"`
	Currency string `json:"currency"`
	// Amount in minor units; negative for accounts that may be.
	Amount int64 `json:"amount"`
	// Reference keeps the line from being recorded twice. Empty: account and currency.
	Reference   string    `json:"reference"`
	EffectiveAt time.Time `json:"effective_at"`
	Note        string    `json:"note"`
}

// LineError says what is wrong with one line of a file.
type LineError struct {
	Line int // 1 is the first
	Err  error
}

// Error implements error.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns what is wrong.
func (e *LineError) Unwrap() error { return e.Err }

// Bounds of a file of opening balances.
const (
	OpeningLines = 1_000_000
	openingLine  = 64 << 10 // bytes
	openingText  = 160      // bytes of a reference
)

// ErrFile says that a file of opening balances cannot be read at all.
var ErrFile = errors.New("not a file of opening balances")

// Openings reads a file of opening balances: JSON lines, or CSV with a heading
// that names account, currency and amount and perhaps reference, effective_at
// (RFC 3339) and note, in any order. Amounts are whole minor units. A line that
// is wrong comes as a *LineError and the next one follows; any other error is
// the last. Empty lines are passed over.
func Openings(r io.Reader) iter.Seq2[Opening, error] {
	return func(yield func(Opening, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, 4096), openingLine)
		var parse func(text string) (Opening, error)
		n := 0
		for lines.Scan() {
			n++
			text := strings.TrimPrefix(lines.Text(), "\ufeff") // what spreadsheets put in front
			if strings.TrimSpace(text) == "" {
				continue
			}
			if n > OpeningLines {
				yield(Opening{}, fmt.Errorf("%w: more than %d lines", ErrFile, OpeningLines))
				return
			}
			if parse == nil {
				var heading bool
				var err error
				if parse, heading, err = openingParser(text); err != nil {
					yield(Opening{}, &LineError{n, err})
					return
				}
				if heading {
					continue
				}
			}
			o, err := parse(text)
			o.Line = n
			if err == nil {
				err = o.check()
			}
			if err != nil {
				err = &LineError{n, err}
			}
			if !yield(o, err) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Opening{}, fmt.Errorf("%w: after line %d: %w", ErrFile, n, err))
		}
	}
}

// openingParser tells from the first line how the file is written.
func openingParser(first string) (parse func(string) (Opening, error), heading bool, err error) {
	if strings.HasPrefix(strings.TrimSpace(first), "{") {
		return parseOpeningJSON, false, nil
	}
	columns, err := csvFields(first)
	if err != nil {
		return nil, false, err
	}
	at := map[string]int{}
	for i, c := range columns {
		c = strings.TrimSpace(c)
		switch c {
		case "account", "currency", "amount", "reference", "effective_at", "note":
		default:
			return nil, false, fmt.Errorf("%w: column %.40q", ErrFile, c)
		}
		if _, twice := at[c]; twice {
			return nil, false, fmt.Errorf("%w: column %q twice", ErrFile, c)
		}
		at[c] = i
	}
	for _, c := range [...]string{"account", "currency", "amount"} {
		if _, ok := at[c]; !ok {
			return nil, false, fmt.Errorf("%w: no column %q", ErrFile, c)
		}
	}
	return func(text string) (Opening, error) { return parseOpeningCSV(text, at, len(columns)) }, true, nil
}

func parseOpeningJSON(text string) (o Opening, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return Opening{}, fmt.Errorf("JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Opening{}, errors.New("JSON: more than one value")
	}
	return o, nil
}

func csvFields(text string) ([]string, error) {
	r := csv.NewReader(bytes.NewReader([]byte(text)))
	fields, err := r.Read()
	var p *csv.ParseError
	if errors.As(err, &p) {
		err = p.Err // its line number is of this text, not of the file
	}
	if err != nil {
		return nil, fmt.Errorf("CSV: %w", err)
	}
	return fields, nil
}

func parseOpeningCSV(text string, at map[string]int, columns int) (o Opening, err error) {
	fields, err := csvFields(text)
	if err != nil {
		return o, err
	}
	if len(fields) != columns {
		return o, fmt.Errorf("CSV: %d fields, the heading has %d", len(fields), columns)
	}
	get := func(column string) string {
		if i, ok := at[column]; ok {
			return strings.TrimSpace(fields[i])
		}
		return ""
	}
	o = Opening{Account: get("account"), Currency: get("currency"), Reference: get("reference"), Note: get("note")}
	if o.Amount, err = strconv.ParseInt(get("amount"), 10, 64); err != nil {
		return o, fmt.Errorf("amount %.40q is not a whole number of minor units", get("amount"))
	}
	if when := get("effective_at"); when != "" {
		if o.EffectiveAt, err = time.Parse(time.RFC3339, when); err != nil {
			return o, fmt.Errorf("effective_at %.40q is not a time such as 2026-01-31T12:00:00Z", when)
		}
	}
	return o, nil
}

// check reports whether the line could be recorded on some ledger.
func (o *Opening) check() error {
	switch {
	case o.Amount == 0:
		return errors.New("amount is missing or zero")
	case o.Amount > MaxAmount || o.Amount < -MaxAmount:
		return fmt.Errorf("amount %d is out of range", o.Amount)
	case o.Account == "" || o.Currency == "":
		return errors.New("account or currency is missing")
	case len(o.Reference) > openingText || !storable(o.Reference):
		return fmt.Errorf("reference must have at most %d bytes of text", openingText)
	case !utf8.ValidString(o.Note) || len(o.Note) > 1000:
		return errors.New("note must have at most 1000 bytes of text")
	case !o.EffectiveAt.IsZero() && (o.EffectiveAt.Year() < 1970 || o.EffectiveAt.Year() > 2200):
		return fmt.Errorf("effective_at %s is out of range", o.EffectiveAt)
	}
	t := o.transfer("opening")
	return checkShape(&t)
}
