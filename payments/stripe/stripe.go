// Package stripe is a payments.Rail over Stripe's HTTP API: PaymentIntents with
// manual capture for authorise, capture and void, automatic ones to bring money
// in, refunds, and payouts or transfers to connected accounts.
//
// It has a small client of its own over net/http and form encoding: six calls
// do not need stripe-go, whose thousands of generated types would be the
// largest dependency of the binary, and its automatic retries would stand in
// the way of the rule that only the orders' own sweep decides to ask again.
//
// It owns the words of Stripe and knows nothing of the ledger. It never sees a
// card number: accounts are Stripe's ids. Money comes in from a payment method
// (pm_…); it goes out to a connected account (acct_…) as a transfer, or to an
// external account of the platform itself (ba_…, card_…) as a payout.
package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"parley/payments"
)

// Config of a Rail.
type Config struct {
	// Key is the secret API key (sk_… or rk_…). Required.
	Key string
	// WebhookSecret (whsec_…) signs what Stripe sends; see Webhook.
	WebhookSecret string
	// URL of the API; empty means https://api.stripe.com.
	URL string
	// Client sends the requests; nil means one that gives up after 20 s and follows no redirects.
	Client *http.Client
	// Now tells the time for the tolerance of webhook signatures; nil means the machine's.
	Now func() time.Time
}

// Rail implements payments.Rail. Its methods are safe for concurrent use.
type Rail struct{ cfg Config }

// New returns a Rail, or an error when the configuration makes no sense.
func New(cfg Config) (*Rail, error) {
	if cfg.Key == "" {
		return nil, errors.New("stripe: the API key is missing")
	}
	if cfg.URL == "" {
		cfg.URL = "https://api.stripe.com"
	}
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("stripe: %q is not a URL of the API", cfg.URL)
	}
	cfg.URL = strings.TrimRight(cfg.URL, "/")
	if cfg.Client == nil {
		cfg.Client = &http.Client{
			Timeout:       20 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Rail{cfg}, nil
}

// Name implements payments.Rail.
func (r *Rail) Name() string { return "stripe" }

// Order implements payments.Rail. The reference is Stripe's idempotency key,
// which Stripe keeps for at least 24 hours.
func (r *Rail) Order(ctx context.Context, o payments.RailOrder) (payments.RailOutcome, error) {
	amount, reason := minorUnits(o)
	if reason != "" {
		return payments.RailOutcome{Status: payments.RailRefused, Reason: reason}, nil
	}
	path, form := request(o, amount)
	var got object
	err := r.call(ctx, http.MethodPost, path, form, o.Reference, &got)
	var refused *apiError
	switch {
	case err == nil:
		return r.outcome(o, amount, got)
	case errors.As(err, &refused) && refused.Code == "payment_intent_unexpected_state":
		// Already captured or cancelled, perhaps by this very order: look.
		return r.settled(ctx, o)
	case errors.As(err, &refused) && refused.final():
		return payments.RailOutcome{ID: refused.intent(), Status: payments.RailRefused, Reason: refused.reason()}, nil
	}
	return payments.RailOutcome{}, err
}

// settled finds an order that Stripe's state refuses. What has not happened and
// cannot any more is refused.
func (r *Rail) settled(ctx context.Context, o payments.RailOrder) (payments.RailOutcome, error) {
	out, err := r.Find(ctx, o, o.Of)
	if err == nil && out.Status == payments.RailAbsent {
		out.Status, out.Reason = payments.RailRefused, reasonOther
	}
	return out, err
}

// request is the call that o asks for.
func request(o payments.RailOrder, amount int64) (path string, form url.Values) {
	form = url.Values{"metadata[reference]": {o.Reference}}
	units := strconv.FormatInt(amount, 10)
	of := "/v1/payment_intents/" + url.PathEscape(o.Of)
	switch o.Action {
	case payments.RailCapture:
		form.Set("amount_to_capture", units)
		form.Del("metadata[reference]") // the intent keeps that of its authorisation
		return of + "/capture", form
	case payments.RailVoid:
		return of + "/cancel", url.Values{}
	case payments.RailRefund:
		form.Set("payment_intent", o.Of)
		form.Set("amount", units)
		return "/v1/refunds", form
	}
	form.Set("amount", units)
	form.Set("currency", strings.ToLower(o.Currency))
	if o.Action == payments.RailPayout {
		form.Set("destination", o.Account)
		if connected(o) {
			form.Set("transfer_group", o.Reference)
			return "/v1/transfers", form
		}
		return "/v1/payouts", form
	}
	form.Set("payment_method", o.Account)
	form.Set("confirm", "true")
	form.Set("off_session", "true")
	form.Set("automatic_payment_methods[enabled]", "true")
	form.Set("automatic_payment_methods[allow_redirects]", "never")
	form.Set("capture_method", "automatic")
	if o.Action == payments.RailAuthorise {
		form.Set("capture_method", "manual")
	}
	return "/v1/payment_intents", form
}

// connected reports whether a payout goes to a connected account's balance, which is a transfer.
func connected(o payments.RailOrder) bool { return strings.HasPrefix(o.Account, "acct_") }
