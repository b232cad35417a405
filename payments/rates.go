package payments

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"parley/internal/sqldb"
)

// Errors of exchange rates.
var (
	// ErrNoRate says that nobody has set a rate between two currencies.
	ErrNoRate = errors.New("no exchange rate")
	// ErrRate says that a rate is not acceptable.
	ErrRate = errors.New("exchange rate not usable")
)

// Rates tells prices that come from outside. It returns ErrNoRate for a pair it
// does not know. Rates that a server key has put count before it.
type Rates interface {
	// Price is how many whole units of to one whole unit of from buys, as a
	// decimal such as "1.0853": at most 12 digits, 9 of them behind the point.
	Price(ctx context.Context, from, to string) (string, error)
}

// RateTable is fixed prices by pair: "EUR/USD". A pair that is missing is read
// from its opposite, if that is there.
type RateTable map[string]string

// Price implements Rates.
func (t RateTable) Price(_ context.Context, from, to string) (string, error) {
	if price, ok := t[from+"/"+to]; ok {
		return price, nil
	}
	return "", ErrNoRate
}

// ParseRates reads the prices of a configuration: "EUR/USD=1.0853". It refuses
// pairs of which one direction and back would gain.
func ParseRates(texts []string) (RateTable, error) {
	table := make(RateTable, len(texts))
	for _, text := range texts {
		pair, price, _ := strings.Cut(text, "=")
		from, to, _ := strings.Cut(pair, "/")
		if _, err := newRate(from, to, price); err != nil {
			return nil, fmt.Errorf("%w, in %q", err, text)
		}
		if back, ok := table[to+"/"+from]; ok && gains(price, back) {
			return nil, fmt.Errorf("%w: %q and its opposite %s would gain", ErrRate, text, back)
		}
		table[pair] = price
	}
	return table, nil
}

// Rate says how minor units of one currency become minor units of another:
// target = source * Numerator / Denominator. Both are positive and below 2^53.
type Rate struct {
	Numerator   int64 `json:"numerator" doc:"minor units of to …"`
	Denominator int64 `json:"denominator" doc:"… for this many minor units of from"`
}

// newRate turns a price in whole units into a rate in minor units.
func newRate(from, to, price string) (Rate, error) {
	before, err := Exponent(from)
	if err != nil {
		return Rate{}, err
	}
	after, err := Exponent(to)
	if err != nil {
		return Rate{}, err
	}
	if from == to {
		return Rate{}, fmt.Errorf("%w: %s to itself", ErrRate, from)
	}
	n, d, err := parsePrice(price)
	if err != nil {
		return Rate{}, err
	}
	return Rate{n * power10(after), d * power10(before)}.reduced(), nil
}

// parsePrice reads a positive decimal as a fraction.
func parsePrice(text string) (numerator, denominator int64, err error) {
	whole, fraction, pointed := strings.Cut(text, ".")
	if whole == "" || pointed && fraction == "" || len(fraction) > 9 || len(whole)+len(fraction) > 12 {
		return 0, 0, fmt.Errorf("%w: %.32q, want a decimal of at most 12 digits, 9 behind the point", ErrRate, text)
	}
	for _, c := range []byte(whole + fraction) {
		if c < '0' || c > '9' {
			return 0, 0, fmt.Errorf("%w: %.32q is no decimal", ErrRate, text)
		}
		numerator = numerator*10 + int64(c-'0')
	}
	if numerator == 0 {
		return 0, 0, fmt.Errorf("%w: %.32q", ErrRate, text)
	}
	return numerator, power10(len(fraction)), nil
}

// gains reports whether buying at one price and back at the other ends with more than at the start.
func gains(price, back string) bool {
	n1, d1, err1 := parsePrice(price)
	n2, d2, err2 := parsePrice(back)
	if err1 != nil || err2 != nil {
		return false // refused elsewhere
	}
	h1, l1 := bits.Mul64(uint64(n1), uint64(n2))
	h2, l2 := bits.Mul64(uint64(d1), uint64(d2))
	return h1 > h2 || h1 == h2 && l1 > l2
}

func power10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

func (r Rate) reduced() Rate {
	a, b := r.Numerator, r.Denominator
	for b != 0 {
		a, b = b, a%b
	}
	return Rate{r.Numerator / a, r.Denominator / a}
}

// inverse is the rate of the way back.
func (r Rate) inverse() Rate { return Rate{r.Denominator, r.Numerator} }

// target is what source becomes, rounded down: nothing is created.
func (r Rate) target(source int64) (int64, error) {
	q, _, err := mulDiv(source, r.Numerator, r.Denominator)
	return q, err
}

// source is what target costs, rounded up: nothing is created.
func (r Rate) source(target int64) (int64, error) {
	q, rest, err := mulDiv(target, r.Denominator, r.Numerator)
	if rest > 0 {
		q++
	}
	return q, err
}

// mulDiv is a*b/c with the remainder, or ErrAmount when the result is no amount.
func mulDiv(a, b, c int64) (quotient, rest int64, err error) {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi >= uint64(c) {
		return 0, 0, fmt.Errorf("%w: the result is out of range", ErrAmount)
	}
	q, r := bits.Div64(hi, lo, uint64(c))
	if q > MaxAmount {
		return 0, 0, fmt.Errorf("%w: the result is out of range", ErrAmount)
	}
	return int64(q), int64(r), nil
}

// price is a rate with the decimal it was made from.
type price struct {
	Rate
	text string // of the pair as it was set, "1/" before it when that was the opposite pair
}

// price finds the rate between two currencies: what a server key put, in either
// direction, then what comes from outside.
func (s *Service) price(ctx context.Context, from, to string) (price, error) {
	for _, find := range []func(ctx context.Context, from, to string) (string, error){s.storedPrice, s.outsidePrice} {
		p, err := priceOf(ctx, find, from, to)
		if !errors.Is(err, ErrNoRate) {
			return p, err
		}
	}
	return price{}, fmt.Errorf("%w: %s to %s", ErrNoRate, from, to)
}

func priceOf(ctx context.Context, find func(ctx context.Context, from, to string) (string, error), from, to string) (price, error) {
	text, err := find(ctx, from, to)
	if err == nil {
		r, err := newRate(from, to, text)
		return price{r, text}, err
	}
	if !errors.Is(err, ErrNoRate) {
		return price{}, err
	}
	if text, err = find(ctx, to, from); err != nil {
		return price{}, err
	}
	r, err := newRate(to, from, text)
	return price{r.inverse(), "1/" + text}, err
}

func (s *Service) outsidePrice(ctx context.Context, from, to string) (string, error) {
	if s.d.Rates == nil {
		return "", ErrNoRate
	}
	return s.d.Rates.Price(ctx, from, to)
}

func (s *Service) storedPrice(ctx context.Context, from, to string) (text string, err error) {
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		text, err = storedPrice(tx, from, to)
		return err
	})
	return text, err
}

func storedPrice(tx *sqldb.Tx, from, to string) (text string, err error) {
	err = tx.QueryRow("SELECT price FROM payments_rates WHERE from_currency = ? AND to_currency = ?", from, to).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrNoRate
	}
	if err != nil {
		return "", fmt.Errorf("payments: rate: %w", err)
	}
	return text, nil
}

// RateItem is one rate that a server key has put.
type RateItem struct {
	From  string    `json:"from" example:"EUR"`
	To    string    `json:"to" example:"USD"`
	Price string    `json:"price" example:"1.0853" doc:"whole units of to for one whole unit of from"`
	SetAt time.Time `json:"set_at"`
}

// PutRate sets the price of a pair, by a server key. Quotes that were given
// keep theirs. A price that would let money gain on the way there and back,
// with the price put for the opposite pair, is an ErrRate.
func (s *Service) PutRate(ctx context.Context, a Actor, from, to, price string) (RateItem, error) {
	if !a.Server {
		return RateItem{}, fmt.Errorf("%w: only a server key sets rates", ErrNotParty)
	}
	if _, err := newRate(from, to, price); err != nil {
		return RateItem{}, err
	}
	item := RateItem{From: from, To: to, Price: price, SetAt: s.now()}
	err := s.d.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := tx.Lock("payments:rates"); err != nil {
			return err
		}
		back, err := storedPrice(tx, to, from)
		switch {
		case err == nil && gains(price, back):
			return fmt.Errorf("%w: with %s/%s at %s, going there and back would gain", ErrRate, to, from, back)
		case err != nil && !errors.Is(err, ErrNoRate):
			return err
		}
		_, err = tx.Exec("INSERT INTO payments_rates (from_currency, to_currency, price, set_at) VALUES (?, ?, ?, ?)"+
			" ON CONFLICT (from_currency, to_currency) DO UPDATE SET price = excluded.price, set_at = excluded.set_at", from, to, price, item.SetAt.UnixMilli())
		if err != nil {
			return fmt.Errorf("payments: rate: %w", err)
		}
		return nil
	})
	return item, err
}

// ListRates returns the rates that server keys have put. There are at most as
// many as pairs of currencies.
func (s *Service) ListRates(ctx context.Context) ([]RateItem, error) {
	items := []RateItem{}
	err := s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query("SELECT from_currency, to_currency, price, set_at FROM payments_rates ORDER BY from_currency, to_currency")
		if err != nil {
			return fmt.Errorf("payments: rates: %w", err)
		}
		defer func() { _ = rows.Close() }() // its error is in rows.Err
		for rows.Next() {
			var item RateItem
			var at int64
			if err := rows.Scan(&item.From, &item.To, &item.Price, &at); err != nil {
				return fmt.Errorf("payments: rates: %w", err)
			}
			item.SetAt = fromMillis(at)
			items = append(items, item)
		}
		return rows.Err()
	})
	return items, err
}
