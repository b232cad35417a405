package payments_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
	"parley/payments/ledger"
)

// exchange runs f on every database with a buyer who has 500.00 EUR and an
// exchange that has 1,000.00 USD and 100,000 JPY.
func exchange(t *testing.T, f func(t *testing.T, w *world)) {
	rates, err := payments.ParseRates([]string{"EUR/USD=1.0853", "EUR/JPY=160.25", "EUR/KWD=0.334"})
	if err != nil {
		t.Fatal(err)
	}
	sqldbtest.Each(t, schemas(), func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db, payments.Config{}, func(d *payments.Deps) { d.Rates = rates })
		w.fund("buyer", 50_000)
		for currency, amount := range map[string]int64{"USD": 100_000, "JPY": 100_000} {
			if _, err := w.Fund(t.Context(), w.as("server"), payments.FundInput{User: "desk", Amount: amount, Currency: currency}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.StockExchange(t.Context(), w.as("server"), payments.StockInput{User: "desk", Amount: amount, Currency: currency}); err != nil {
				t.Fatal(err)
			}
		}
		f(t, w)
		w.check()
	})
}

// has returns what an account has in a currency.
func (w *world) has(account, currency string) (n int64) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx *sqldb.Tx) error {
		a, err := ledger.Balance(tx, account, currency)
		if errors.Is(err, ledger.ErrAccountUnknown) {
			return nil
		}
		n = a.Posted
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) quote(by string, in payments.QuoteInput) payments.Conversion {
	w.t.Helper()
	c, err := w.Quote(w.t.Context(), w.as(by), in)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestConversion_RoundsSoThatNothingIsCreated(t *testing.T) {
	exchange(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			from, to               string
			source, target         int64
			wantSource, wantTarget int64
		}{
			{"EUR", "USD", 1_000, 0, 1_000, 1_085}, // 1085.3
			{"EUR", "USD", 0, 1_085, 1_000, 1_085}, // 999.72
			{"USD", "EUR", 1_000, 0, 1_000, 921},   // 921.40
			{"EUR", "JPY", 1_001, 0, 1_001, 1_604}, // 1604.10
			{"JPY", "EUR", 1_000, 0, 1_000, 624},   // 624.02
			{"EUR", "KWD", 100, 0, 100, 334},
			{"KWD", "EUR", 0, 100, 334, 100},
		} {
			got := w.quote("buyer", payments.QuoteInput{From: c.from, To: c.to, Source: c.source, Target: c.target})
			if got.Source != c.wantSource || got.Target != c.wantTarget || got.State != "quoted" {
				t.Errorf("%+v: %+v", c, got)
			}
		}
	})
}

func TestConversion_IsAcceptedOnceByFifty(t *testing.T) {
	exchange(t, func(t *testing.T, w *world) {
		c := w.quote("buyer", payments.QuoteInput{From: "EUR", To: "USD", Source: 10_000})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				got, err := w.Accept(t.Context(), w.as("buyer"), c.ID)
				if err != nil || got.State != "accepted" || got.AcceptedAt == nil {
					t.Errorf("%+v, %v", got, err)
				}
			})
		}
		wg.Wait()
		for account, want := range map[string]int64{
			"user:buyer:available EUR": 40_000, "exchange:EUR EUR": 10_000, "exchange:USD USD": 89_147, "user:buyer:available USD": 10_853,
		} {
			name, currency := account[:len(account)-4], account[len(account)-3:]
			if got := w.has(name, currency); got != want {
				t.Errorf("%s has %d, want %d", account, got, want)
			}
		}
	})
}

func TestConversion_RefusedMovesNothing(t *testing.T) {
	exchange(t, func(t *testing.T, w *world) {
		rich := w.quote("buyer", payments.QuoteInput{From: "EUR", To: "USD", Source: 50_001})
		_, err := w.Accept(t.Context(), w.as("buyer"), rich.ID)
		wantErr(t, err, payments.ErrInsufficientFunds)
		w.fund("buyer", 100_000)
		dry := w.quote("server", payments.QuoteInput{User: "buyer", From: "EUR", To: "USD", Target: 100_001})
		_, err = w.Accept(t.Context(), w.as("buyer"), dry.ID)
		wantErr(t, err, payments.ErrExchangeEmpty)
		_, err = w.Accept(t.Context(), w.as("seller"), dry.ID)
		wantErr(t, err, payments.ErrQuoteUnknown)
		_, err = w.Conversion(t.Context(), payments.Actor{User: "seller"}, dry.ID)
		wantErr(t, err, payments.ErrQuoteUnknown)

		late := w.quote("buyer", payments.QuoteInput{From: "EUR", To: "USD", Source: 100})
		key := w.as("buyer")
		w.clock.Advance(time.Minute)
		_, err = w.Accept(t.Context(), key, late.ID)
		wantErr(t, err, payments.ErrQuoteExpired)
		_, err = w.Accept(t.Context(), key, late.ID)
		wantErr(t, err, payments.ErrQuoteExpired)
		if got, err := w.Conversion(t.Context(), payments.Actor{User: "buyer"}, late.ID); err != nil || got.State != "expired" {
			t.Errorf("%+v, %v", got, err)
		}
		if w.has("user:buyer:available", "EUR") != 150_000 || w.has("user:buyer:available", "USD") != 0 {
			t.Error("money moved")
		}
	})
}

func TestConversion_WhoAndWhat(t *testing.T) {
	exchange(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			name string
			by   string
			in   payments.QuoteInput
			want error
		}{
			{"money of another", "seller", payments.QuoteInput{User: "buyer", From: "EUR", To: "USD", Source: 1}, payments.ErrNotParty},
			{"nobody's money", "server", payments.QuoteInput{From: "EUR", To: "USD", Source: 1}, payments.ErrInput},
			{"both amounts", "buyer", payments.QuoteInput{From: "EUR", To: "USD", Source: 1, Target: 1}, payments.ErrInput},
			{"no amount", "buyer", payments.QuoteInput{From: "EUR", To: "USD"}, payments.ErrInput},
			{"no rate", "buyer", payments.QuoteInput{From: "USD", To: "JPY", Source: 1}, payments.ErrNoRate},
			{"no such currency", "buyer", payments.QuoteInput{From: "EUR", To: "XXX", Source: 1}, payments.ErrNoRate},
			{"too little", "buyer", payments.QuoteInput{From: "JPY", To: "EUR", Target: 0, Source: -1}, payments.ErrAmount},
			{"too much", "buyer", payments.QuoteInput{From: "EUR", To: "JPY", Source: payments.MaxAmount}, payments.ErrAmount},
		} {
			_, err := w.Quote(t.Context(), w.as(c.by), c.in)
			if !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", c.name, err, c.want)
			}
		}
		_, err := w.StockExchange(t.Context(), w.as("desk"), payments.StockInput{User: "desk", Amount: 1, Currency: "USD"})
		wantErr(t, err, payments.ErrNotParty)
		_, err = w.StockExchange(t.Context(), w.as("server"), payments.StockInput{User: "desk", Amount: -100_001, Currency: "USD"})
		wantErr(t, err, payments.ErrInsufficientFunds)
		if got, err := w.StockExchange(t.Context(), w.as("server"), payments.StockInput{User: "desk", Amount: -60_000, Currency: "USD"}); err != nil || got.Available != 40_000 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestRates_PutByAServerCountBeforeTheTable(t *testing.T) {
	exchange(t, func(t *testing.T, w *world) {
		put := func(from, to, price string) error {
			_, err := w.PutRate(t.Context(), server, from, to, price)
			return err
		}
		_, err := w.PutRate(t.Context(), payments.Actor{User: "buyer"}, "EUR", "USD", "1.2")
		wantErr(t, err, payments.ErrNotParty)
		old := w.quote("buyer", payments.QuoteInput{From: "EUR", To: "USD", Source: 100})
		wantErr(t, put("USD", "EUR", "0.8"), nil)
		if got := w.quote("buyer", payments.QuoteInput{From: "EUR", To: "USD", Source: 100}); got.Target != 125 || got.Price != "1/0.8" {
			t.Errorf("%+v", got)
		}
		wantErr(t, put("EUR", "USD", "1.2500001"), payments.ErrRate)
		wantErr(t, put("EUR", "USD", "1.25"), nil)
		wantErr(t, put("EUR", "USD", "1.2"), nil)
		if items, err := w.ListRates(t.Context()); err != nil || len(items) != 2 || items[0].Price != "1.2" {
			t.Errorf("%+v, %v", items, err)
		}
		if got, err := w.Accept(t.Context(), w.as("buyer"), old.ID); err != nil || got.Target != 108 {
			t.Errorf("a quote does not keep its rate: %+v, %v", got, err)
		}
		for _, price := range []string{"", "0", "0.000", "-1", "+1", "1e3", "1.", ".5", "1,5", "1.0000000001", "1234567890123", "١"} {
			wantErr(t, put("EUR", "CHF", price), payments.ErrRate)
		}
		wantErr(t, put("EUR", "EUR", "1"), payments.ErrRate)
		wantErr(t, put("EUR", "XAU", "1"), payments.ErrCurrency)
	})
}

// TestConversion_ThereAndBackNeverGains draws rates and amounts in currencies
// of 0, 2 and 3 digits.
func TestConversion_ThereAndBackNeverGains(t *testing.T) {
	w := newWorld(t, sqldbtest.Open(t, schemas()), payments.Config{}, func(d *payments.Deps) { d.Rates = drawnRates{} })
	rapid.Check(t, func(rt *rapid.T) {
		price := rapid.StringMatching(`[1-9][0-9]{0,2}(\.[0-9]{1,9})?|0\.[0-9]{0,8}[1-9]`).Draw(rt, "price")
		pair := rapid.SampledFrom([][2]string{{"EUR", "USD"}, {"EUR", "JPY"}, {"JPY", "EUR"}, {"EUR", "KWD"}, {"KWD", "JPY"}, {"JPY", "KWD"}}).Draw(rt, "pair")
		amount := rapid.OneOf(rapid.Int64Range(1, 1_000), rapid.Int64Range(1, payments.MaxAmount)).Draw(rt, "amount")
		ask := func(in payments.QuoteInput) (payments.Conversion, bool) {
			c, err := w.Quote(context.WithValue(t.Context(), priceKey{}, pair[0]+"/"+pair[1]+"="+price), w.as("buyer"), in)
			if errors.Is(err, payments.ErrAmount) {
				return c, false
			}
			if err != nil {
				rt.Fatal(err)
			}
			return c, true
		}
		there, ok := ask(payments.QuoteInput{From: pair[0], To: pair[1], Source: amount})
		if !ok {
			return
		}
		if back, ok := ask(payments.QuoteInput{From: pair[1], To: pair[0], Source: there.Target}); ok && back.Target > amount {
			rt.Fatalf("%d became %d and then %d", amount, there.Target, back.Target)
		}
		if dear, ok := ask(payments.QuoteInput{From: pair[0], To: pair[1], Target: there.Target}); ok && dear.Source > amount {
			rt.Fatalf("%d gives %d, but %d costs %d", amount, there.Target, there.Target, dear.Source)
		}
		if wanted, ok := ask(payments.QuoteInput{From: pair[0], To: pair[1], Target: amount}); ok {
			again, ok := ask(payments.QuoteInput{From: pair[0], To: pair[1], Source: wanted.Source})
			if ok && again.Target < amount {
				rt.Fatalf("%d was enough for %d, but gives %d", wanted.Source, amount, again.Target)
			}
		}
	})
}

// drawnRates knows the one price in the context.
type drawnRates struct{}

type priceKey struct{}

func (drawnRates) Price(ctx context.Context, from, to string) (string, error) {
	rates, err := payments.ParseRates([]string{ctx.Value(priceKey{}).(string)})
	if err != nil {
		return "", err
	}
	return rates.Price(ctx, from, to)
}

func TestParseRates_Refuses(t *testing.T) {
	for _, texts := range [][]string{{"EUR"}, {"EUR/USD"}, {"EUR=1"}, {"EUR/EUR=1"}, {"EUR/USD=0"}, {"EUR/USD=1.1", "USD/EUR=0.91"}} {
		if _, err := payments.ParseRates(texts); err == nil {
			t.Errorf("%q was taken", texts)
		}
	}
	if _, err := payments.ParseRates([]string{"EUR/USD=1.1", "USD/EUR=0.909090909"}); err != nil {
		t.Error(err)
	}
}
