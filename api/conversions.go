package api

import (
	"context"

	"parley/payments"
	"parley/wire"
)

// conversionRules maps what conversions refuse besides payments to problems.
var conversionRules = []Rule{
	{Is: payments.ErrQuoteUnknown, Code: "conversion_unknown", Status: 404, Title: "No such conversion"},
	{Is: payments.ErrQuoteExpired, Code: "quote_expired", Status: 409, Title: "The quote has expired"},
	{Is: payments.ErrExchangeEmpty, Code: "exchange_empty", Status: 409, Title: "The exchange has not enough of this currency"},
	{Is: payments.ErrNoRate, Code: "rate_unknown", Status: 404, Title: "No exchange rate"},
	{Is: payments.ErrRate, Code: "rate_invalid", Status: 422, Title: "Exchange rate not usable"},
}

type conversionQuoteInput struct {
	User   string `json:"user,omitempty" maxLength:"64" doc:"whose money; a server key names one"`
	From   string `json:"from" minLength:"3" maxLength:"3" doc:"ISO 4217" example:"EUR"`
	To     string `json:"to" minLength:"3" maxLength:"3" doc:"ISO 4217" example:"USD"`
	Source int64  `json:"source,omitempty" minimum:"1" maximum:"999999999999" doc:"minor units of from to give; this or target"`
	Target int64  `json:"target,omitempty" minimum:"1" maximum:"999999999999" doc:"minor units of to that are wanted; this or source"`
}

type conversionInput struct {
	Conversion string `json:"conversion" maxLength:"80" doc:"conversion id"`
}

type ratePutInput struct {
	From  string `json:"from" minLength:"3" maxLength:"3" example:"EUR"`
	To    string `json:"to" minLength:"3" maxLength:"3" example:"USD"`
	Price string `json:"price" minLength:"1" maxLength:"13" example:"1.0853" doc:"whole units of to for one whole unit of from; at most 12 digits, 9 behind the point"`
}

type ratesOutput struct {
	Items []payments.RateItem `json:"items"`
}

type exchangeStockInput struct {
	User     string `json:"user" minLength:"1" maxLength:"64" doc:"the operator's own user whose balance gives or takes"`
	Amount   int64  `json:"amount" minimum:"-999999999999" maximum:"999999999999" doc:"minor units into the exchange; negative: out of it"`
	Currency string `json:"currency" minLength:"3" maxLength:"3" example:"USD"`
}

// conversionOperations are the rows of converting money and of what it needs.
func conversionOperations(s *payments.Service) []Operation {
	return []Operation{
		Op(Row{Name: "conversions.quote", Method: "POST", Path: "/v1/conversions", Scope: "conversions", Money: true, Status: 201,
			Summary: "What would a conversion bring?", Description: "Offers a conversion at the present rate for a short time. Give `source` and the target is rounded down, or `target` and the source is rounded up."},
			func(ctx context.Context, c wire.Caller, in conversionQuoteInput) (payments.Conversion, error) {
				return s.Quote(ctx, actor(c), payments.QuoteInput{User: in.User, From: in.From, To: in.To, Source: in.Source, Target: in.Target})
			}),
		Op(Row{Name: "conversions.accept", Method: "POST", Path: "/v1/conversions/{conversion}/accept", Scope: "conversions", Money: true,
			Summary: "Convert as quoted", Description: "Two linked transfers through the accounts of the exchange, both or none, once for a quote. Refused when the quote has expired."},
			func(ctx context.Context, c wire.Caller, in conversionInput) (payments.Conversion, error) {
				return s.Accept(ctx, actor(c), in.Conversion)
			}),
		Op(Row{Name: "conversions.get", Method: "GET", Path: "/v1/conversions/{conversion}", Scope: "conversions", Summary: "One conversion"},
			func(ctx context.Context, c wire.Caller, in conversionInput) (payments.Conversion, error) {
				return s.Conversion(ctx, actor(c), in.Conversion)
			}),
		Op(Row{Name: "rates.put", Method: "PUT", Path: "/v1/rates", Roles: []wire.Role{wire.RoleServer}, Scope: "rates",
			Summary: "Set an exchange rate", Description: "Counts for quotes from now on. The opposite direction is its inverse unless it is set too."},
			func(ctx context.Context, c wire.Caller, in ratePutInput) (payments.RateItem, error) {
				return s.PutRate(ctx, actor(c), in.From, in.To, in.Price)
			}),
		Op(Row{Name: "rates.list", Method: "GET", Path: "/v1/rates", Scope: "rates", Summary: "The exchange rates that were set"},
			func(ctx context.Context, _ wire.Caller, _ None) (ratesOutput, error) {
				items, err := s.ListRates(ctx)
				return ratesOutput{items}, err
			}),
		Op(Row{Name: "exchange.stock", Method: "POST", Path: "/v1/exchange", Roles: []wire.Role{wire.RoleServer}, Scope: "exchange", Money: true,
			Summary: "Move money into or out of the exchange", Description: "Conversions give out only what is there: the exchange cannot go below zero."},
			func(ctx context.Context, c wire.Caller, in exchangeStockInput) (payments.BalanceItem, error) {
				return s.StockExchange(ctx, actor(c), payments.StockInput{User: in.User, Amount: in.Amount, Currency: in.Currency})
			}),
	}
}
