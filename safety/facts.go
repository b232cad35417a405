package safety

import (
	"slices"
	"time"
)

// Facts are what rules decide on. Amounts are minor units of Currency; a fact
// that is not known matches no condition.
type Facts struct {
	Payment string `json:"payment,omitempty"`
	Version int64  `json:"version,omitempty"`
	Payer   string `json:"payer"`
	Payee   string `json:"payee"`
	// PayeeName as the payer sees it.
	PayeeName string `json:"payee_name,omitempty"`
	Amount    int64  `json:"amount"`
	Currency  string `json:"currency"`
	// Digits is how many digits the currency's minor units have.
	Digits int `json:"digits"`
	// Relation is first_payment or known.
	Relation string `json:"relation"`
	// Stranger says that the two share no conversation and the payer never paid the payee.
	Stranger bool `json:"stranger"`
	// NameCheck of the payee: match, close, none or unavailable.
	NameCheck string `json:"name_check"`
	// PayeeAgeDays and PayerAgeDays are the ages of the accounts; nil is unknown.
	PayeeAgeDays *int64 `json:"payee_account_age_days,omitempty"`
	PayerAgeDays *int64 `json:"payer_account_age_days,omitempty"`
	// Countries are ISO 3166-1 alpha-2; empty is unknown.
	PayerCountry string `json:"payer_country,omitempty"`
	PayeeCountry string `json:"payee_country,omitempty"`
	// SinceEdit is how long ago the payment was changed; nil says that it never was.
	SinceEdit *time.Duration `json:"since_edit,omitempty"`
	// Device of the payer; empty is unknown.
	Device string `json:"device,omitempty"`
	// NewDevice says that the payer has committed money before, but never from this device.
	NewDevice  bool `json:"new_device"`
	CallActive bool `json:"call_active"`
	// Signals of pressure, for example screen_sharing.
	Signals []string `json:"signals,omitempty"`
	// Counted are filled in when a rule asks for them.
	Counted *Counted `json:"counted,omitempty"`
}

// Counted are facts that have to be counted, this payment not included.
type Counted struct {
	PayerSum24h     int64 `json:"payer_sum_24h"`
	PayerSum30d     int64 `json:"payer_sum_30d"`
	PayerCount24h   int64 `json:"payer_count_24h"`
	PayeeRequests24 int64 `json:"requests_by_payee_24h"`
}

// kind of a fact says which conditions can be put on it.
type kind int

const (
	isNumber kind = iota
	isMoney
	isText
	isFlag
	isList
)

// value of a fact.
type value struct {
	known bool
	n     int64
	text  []string // one for a text or flag
}

// fact is one thing that rules can speak of.
type fact struct {
	kind    kind
	counted bool
	values  []string // all there are; nil: any
	of      func(f *Facts) value
}

func number(n int64) value { return value{known: true, n: n} }
func word(s string) value  { return value{known: s != "", text: []string{s}} }
func flag(b bool) value {
	if b {
		return word("true")
	}
	return word("false")
}
func maybe(n *int64) value {
	if n == nil {
		return value{}
	}
	return number(*n)
}

func counted(of func(c *Counted) int64) func(*Facts) value {
	return func(f *Facts) value {
		if f.Counted == nil {
			return value{}
		}
		return number(of(f.Counted))
	}
}

// facts are all that conditions can name.
var facts = map[string]fact{
	"amount":                 {kind: isMoney, of: func(f *Facts) value { return number(f.Amount) }},
	"currency":               {kind: isText, of: func(f *Facts) value { return word(f.Currency) }},
	"relation":               {kind: isText, values: []string{"first_payment", "known"}, of: func(f *Facts) value { return word(f.Relation) }},
	"stranger":               {kind: isFlag, of: func(f *Facts) value { return flag(f.Stranger) }},
	"name_check":             {kind: isText, values: []string{"match", "close", "none", "unavailable"}, of: func(f *Facts) value { return word(f.NameCheck) }},
	"payee_account_age_days": {kind: isNumber, of: func(f *Facts) value { return maybe(f.PayeeAgeDays) }},
	"payer_account_age_days": {kind: isNumber, of: func(f *Facts) value { return maybe(f.PayerAgeDays) }},
	"payer_country":          {kind: isText, of: func(f *Facts) value { return word(f.PayerCountry) }},
	"payee_country":          {kind: isText, of: func(f *Facts) value { return word(f.PayeeCountry) }},
	"since_edit_s":           {kind: isNumber, of: sinceEdit},
	"new_device":             {kind: isFlag, of: func(f *Facts) value { return flag(f.NewDevice) }},
	"call_active":            {kind: isFlag, of: func(f *Facts) value { return flag(f.CallActive) }},
	"signals":                {kind: isList, of: func(f *Facts) value { return value{known: true, text: f.Signals} }},
	"payer_sum_24h":          {kind: isMoney, counted: true, of: counted(func(c *Counted) int64 { return c.PayerSum24h })},
	"payer_sum_30d":          {kind: isMoney, counted: true, of: counted(func(c *Counted) int64 { return c.PayerSum30d })},
	"payer_count_24h":        {kind: isNumber, counted: true, of: counted(func(c *Counted) int64 { return c.PayerCount24h })},
	"requests_by_payee_24h":  {kind: isNumber, counted: true, of: counted(func(c *Counted) int64 { return c.PayeeRequests24 })},
}

func sinceEdit(f *Facts) value {
	if f.SinceEdit == nil {
		return value{}
	}
	return number(int64(*f.SinceEdit / time.Second))
}

// money is an amount in whole units of each currency; "*" speaks for all that are not named.
type money map[string]int64

// in returns the amount in minor units of a currency, and whether one is named.
func (m money) in(currency string, digits int) (int64, bool) {
	units, ok := m[currency]
	if !ok {
		units, ok = m["*"]
	}
	for range digits {
		units *= 10 // at most 10^12 units and 4 digits
	}
	return units, ok
}

// condition is one comparison.
type condition struct {
	fact   string
	op     string // is, in, gte or lte
	texts  []string
	n      []int64
	amount money
}

// holds reports whether the facts fit.
func (c *condition) holds(f *Facts) bool {
	about := facts[c.fact]
	v := about.of(f)
	if !v.known {
		return false
	}
	switch about.kind {
	case isNumber:
		return c.compare(v.n, c.n)
	case isMoney:
		bound, ok := c.amount.in(f.Currency, f.Digits)
		return ok && c.compare(v.n, []int64{bound})
	default: // a text, a flag, or any of a list
		return slices.ContainsFunc(v.text, func(s string) bool { return slices.Contains(c.texts, s) })
	}
}

func (c *condition) compare(n int64, with []int64) bool {
	switch c.op {
	case "gte":
		return n >= with[0]
	case "lte":
		return n <= with[0]
	}
	return slices.Contains(with, n)
}
