package payments

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/internal/sqldb"
	"parley/payments/ledger"
	"parley/payments/outbox"
)

// Errors of conversions.
var (
	// ErrQuoteUnknown says that there is no conversion of this id, or that it is another user's.
	ErrQuoteUnknown = errors.New("conversion unknown")
	// ErrQuoteExpired says that the quote's time is over: ask for a new one.
	ErrQuoteExpired = errors.New("quote expired")
	// ErrExchangeEmpty says that the exchange has less of the currency than is asked for.
	ErrExchangeEmpty = errors.New("the exchange has not enough of this currency")
)

// How a conversion was rounded: always so that nothing is created.
const (
	// RoundTargetDown: the source was given, the target is rounded down.
	RoundTargetDown = "target_down"
	// RoundSourceUp: the target was given, the source is rounded up.
	RoundSourceUp = "source_up"
)

// Conversion is an offer to change a user's money into another currency, and
// what became of it. Amounts are minor units of their currencies.
type Conversion struct {
	ID         string     `json:"id" example:"cnv_01jd0000000000000000000000"`
	User       string     `json:"user"`
	State      string     `json:"state" enum:"quoted,accepted,expired"`
	From       string     `json:"from" example:"EUR"`
	To         string     `json:"to" example:"USD"`
	Source     int64      `json:"source" doc:"minor units of from that are taken"`
	Target     int64      `json:"target" doc:"minor units of to that are given"`
	Rate       Rate       `json:"rate"`
	Price      string     `json:"price" example:"1.0853" doc:"the rate as it was set, in whole units; 1/x when it was set for the opposite direction"`
	Rounding   string     `json:"rounding" enum:"target_down,source_up" doc:"target_down: source was given, target = floor(source * numerator / denominator); source_up: target was given, source = ceil(target * denominator / numerator)"`
	ExpiresAt  time.Time  `json:"expires_at"`
	AcceptedAt *time.Time `json:"accepted_at,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
}

// QuoteInput asks what a conversion would bring. One of Source and Target is given.
type QuoteInput struct {
	User     string // whose money; empty: of who asks
	From, To string
	Source   int64
	Target   int64
}

// Quote offers a conversion at the present rate for a short time. It moves and
// reserves nothing.
func (s *Service) Quote(ctx context.Context, a Actor, in QuoteInput) (Conversion, error) {
	if err := s.mayConvert(ctx, a, &in.User); err != nil {
		return Conversion{}, err
	}
	if (in.Source == 0) == (in.Target == 0) {
		return Conversion{}, fmt.Errorf("%w: one of source and target is needed", ErrInput)
	}
	p, err := s.price(ctx, in.From, in.To)
	if err != nil {
		return Conversion{}, err
	}
	c := Conversion{User: in.User, State: "quoted", From: in.From, To: in.To, Rate: p.Rate, Price: p.text}
	if err := c.fill(in); err != nil {
		return Conversion{}, err
	}
	req := request{"operation": "quote", "user": in.User, "from": in.From, "to": in.To, "source": fmt.Sprint(in.Source), "target": fmt.Sprint(in.Target)}
	return once(ctx, s, a, req, func(tx *sqldb.Tx, now time.Time) (Conversion, error) {
		c.ID, c.CreatedAt, c.ExpiresAt = newID("cnv_", now), now, now.Add(s.cfg.QuoteFor)
		return c, insertConversion(tx, c)
	})
}

// mayConvert says whose money it is: a user's own, or anybody's for a server key.
func (s *Service) mayConvert(ctx context.Context, a Actor, user *string) error {
	if *user == "" {
		*user = a.User
	}
	switch {
	case *user == "":
		return fmt.Errorf("%w: user missing", ErrInput)
	case !a.Server && *user != a.User:
		return fmt.Errorf("%w: money of another user", ErrNotParty)
	}
	_, err := s.d.Names.Person(ctx, *user)
	return err
}

// fill computes the amount that was not given.
func (c *Conversion) fill(in QuoteInput) (err error) {
	c.Source, c.Target = in.Source, in.Target
	if in.Source != 0 {
		if err := CheckAmount(in.Source, in.From); err != nil {
			return err
		}
		c.Rounding = RoundTargetDown
		c.Target, err = c.Rate.target(in.Source)
	} else {
		if err := CheckAmount(in.Target, in.To); err != nil {
			return err
		}
		c.Rounding = RoundSourceUp
		c.Source, err = c.Rate.source(in.Target)
	}
	if err != nil {
		return err
	}
	if err := CheckAmount(c.Source, c.From); err != nil {
		return err
	}
	return CheckAmount(c.Target, c.To)
}

// Accept converts as quoted: two linked transfers through the exchange's
// accounts, both or none. Accepting again gives the same answer and moves
// nothing. It fails with ErrQuoteExpired, ErrInsufficientFunds or ErrExchangeEmpty.
func (s *Service) Accept(ctx context.Context, a Actor, id string) (Conversion, error) {
	return once(ctx, s, a, request{"operation": "convert", "conversion": id}, func(tx *sqldb.Tx, now time.Time) (Conversion, error) {
		if err := tx.Lock("conversion:" + id); err != nil {
			return Conversion{}, err
		}
		c, err := loadConversion(tx, a, id, now)
		switch {
		case err != nil || c.State == "accepted":
			return c, err
		case c.State == "expired":
			return c, fmt.Errorf("%w at %s", ErrQuoteExpired, c.ExpiresAt.Format(time.RFC3339))
		}
		if err := s.convert(tx, c, now); err != nil {
			return c, err
		}
		if _, err := tx.Exec("UPDATE payments_conversions SET accepted_at = ? WHERE id = ? AND accepted_at = 0", now.UnixMilli(), id); err != nil {
			return c, fmt.Errorf("payments: conversion: %w", err)
		}
		c.State, c.AcceptedAt = "accepted", &now
		return c, s.announceConversion(tx, c, now)
	})
}

// convert posts both sides.
func (s *Service) convert(tx *sqldb.Tx, c Conversion, now time.Time) error {
	side := func(name, from, to, currency string, amount int64) ledger.Transfer {
		return ledger.Transfer{ID: newID("tr_", now), Reference: c.ID + "/" + name, Note: name + " " + c.ID, Legs: []ledger.Leg{
			{Account: from, Currency: currency, Amount: -amount}, {Account: to, Currency: currency, Amount: amount}}}
	}
	_, err := s.book.Record(tx, now,
		side("source", availableAccount(c.User), exchangeAccount(c.From), c.From, c.Source),
		side("target", exchangeAccount(c.To), availableAccount(c.User), c.To, c.Target))
	var refused *ledger.BalanceError
	if errors.As(err, &refused) && strings.HasPrefix(refused.Account, exchangePrefix) {
		return fmt.Errorf("%w: %s", ErrExchangeEmpty, c.To)
	}
	return err
}

// ConversionEvent is the type of the event about an accepted conversion; its
// data is {"conversion": …}.
const ConversionEvent = "conversion.accepted"

func (s *Service) announceConversion(tx *sqldb.Tx, c Conversion, now time.Time) error {
	data, err := json.Marshal(map[string]Conversion{"conversion": c})
	if err != nil {
		return fmt.Errorf("payments: event: %w", err)
	}
	_, err = outbox.Append(tx, outbox.Event{
		ID: newID("evt_", now), Type: ConversionEvent, Object: c.ID, Time: now, Data: data, Audience: outbox.Audience{Users: []string{c.User}},
	})
	if err == nil {
		tx.AfterCommit(s.d.Wake)
	}
	return err
}

// Conversion returns a conversion to its user or a server key.
func (s *Service) Conversion(ctx context.Context, a Actor, id string) (c Conversion, err error) {
	err = s.d.DB.View(ctx, func(tx *sqldb.Tx) error {
		c, err = loadConversion(tx, a, id, s.now())
		return err
	})
	return c, err
}

// unusedFor is how long quotes are kept that nobody accepted.
const unusedFor = 24 * time.Hour

func insertConversion(tx *sqldb.Tx, c Conversion) error {
	_, err := tx.Exec("DELETE FROM payments_conversions WHERE user_id = ? AND accepted_at = 0 AND expires_at < ?", c.User, c.CreatedAt.Add(-unusedFor).UnixMilli())
	if err == nil {
		_, err = tx.Exec("INSERT INTO payments_conversions (id, user_id, from_currency, to_currency, price, rate_numerator, rate_denominator, source, target, rounding,"+
			" accepted_at, expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
			c.ID, c.User, c.From, c.To, c.Price, c.Rate.Numerator, c.Rate.Denominator, c.Source, c.Target, c.Rounding, c.ExpiresAt.UnixMilli(), c.CreatedAt.UnixMilli())
	}
	if err != nil {
		return fmt.Errorf("payments: quote: %w", err)
	}
	return nil
}

// loadConversion returns a conversion as it is at now; one of another user is unknown.
func loadConversion(tx *sqldb.Tx, a Actor, id string, now time.Time) (Conversion, error) {
	c := Conversion{ID: id, State: "quoted"}
	var accepted, expires, created int64
	err := tx.QueryRow("SELECT user_id, from_currency, to_currency, price, rate_numerator, rate_denominator, source, target, rounding, accepted_at, expires_at, created_at"+
		" FROM payments_conversions WHERE id = ?", id).
		Scan(&c.User, &c.From, &c.To, &c.Price, &c.Rate.Numerator, &c.Rate.Denominator, &c.Source, &c.Target, &c.Rounding, &accepted, &expires, &created)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !a.Server && a.User != c.User {
		return Conversion{}, fmt.Errorf("%w: %.80s", ErrQuoteUnknown, id)
	}
	if err != nil {
		return Conversion{}, fmt.Errorf("payments: conversion: %w", err)
	}
	c.ExpiresAt, c.CreatedAt, c.AcceptedAt = fromMillis(expires), fromMillis(created), optional(fromMillis(accepted))
	switch {
	case accepted != 0:
		c.State = "accepted"
	case past(c.ExpiresAt, now):
		c.State = "expired"
	}
	return c, nil
}

// exchangeAccount holds what the exchange has of a currency. It cannot go below
// zero: the operator moves money in before it can be given out.
func exchangeAccount(currency string) string { return exchangePrefix + currency }

// StockInput moves money between a user's balance and the exchange.
type StockInput struct {
	User     string
	Amount   int64 // into the exchange; negative: out of it
	Currency string
}

// StockExchange moves money that conversions can give out into the exchange, or
// out of it, from and to a user of the operator. Server keys only. It returns
// what the exchange then has of the currency.
func (s *Service) StockExchange(ctx context.Context, a Actor, in StockInput) (BalanceItem, error) {
	if !a.Server {
		return BalanceItem{}, fmt.Errorf("%w: only a server key stocks the exchange", ErrNotParty)
	}
	if err := CheckAmount(max(in.Amount, -in.Amount), in.Currency); err != nil {
		return BalanceItem{}, err
	}
	if _, err := s.d.Names.Person(ctx, in.User); err != nil {
		return BalanceItem{}, err
	}
	req := request{"operation": "stock_exchange", "user": in.User, "amount": fmt.Sprint(in.Amount), "currency": in.Currency}
	return once(ctx, s, a, req, func(tx *sqldb.Tx, now time.Time) (BalanceItem, error) {
		_, err := s.book.Record(tx, now, ledger.Transfer{
			ID: newID("tr_", now), Reference: "stock/" + a.scope() + "/" + a.Key, Note: "stock exchange", Legs: []ledger.Leg{
				{Account: availableAccount(in.User), Currency: in.Currency, Amount: -in.Amount},
				{Account: exchangeAccount(in.Currency), Currency: in.Currency, Amount: in.Amount},
			},
		})
		if err != nil {
			return BalanceItem{}, err
		}
		has, err := availableOf(tx, exchangeAccount(in.Currency), in.Currency)
		return BalanceItem{Currency: in.Currency, Available: has}, err
	})
}
