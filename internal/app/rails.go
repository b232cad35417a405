package app

import (
	"fmt"
	"net/http"

	"parley/internal/clock"
	"parley/internal/config"
	"parley/payments"
	"parley/payments/stripe"
)

// The values of payments.rail.
const (
	railNone    = "none"
	railSandbox = "sandbox"
	railStripe  = "stripe"
)

// railName is the rail that a configuration asks for.
func railName(cfg config.Payments) (string, error) {
	switch {
	case cfg.Sandbox && cfg.Rail != "" && cfg.Rail != railSandbox:
		return "", fmt.Errorf("payments.sandbox asks for the sandbox rail and payments.rail for %q: choose one", cfg.Rail)
	case cfg.Sandbox:
		return railSandbox, nil
	case cfg.Rail == "":
		return railNone, nil
	case cfg.Rail == railNone || cfg.Rail == railSandbox || cfg.Rail == railStripe:
		return cfg.Rail, nil
	}
	return "", fmt.Errorf("payments.rail %q: want sandbox, stripe or none", cfg.Rail)
}

// newRail makes the rail; nil means that there is none.
func newRail(cfg config.Config, clk clock.Clock) (payments.Rail, error) {
	name, err := railName(cfg.Payments)
	if err != nil {
		return nil, err
	}
	switch name {
	case railSandbox:
		return payments.Sandbox{Clock: clk}, nil
	case railStripe:
		rail, err := stripe.New(stripe.Config{Key: cfg.Stripe.Key, WebhookSecret: cfg.Stripe.WebhookSecret, URL: cfg.Stripe.URL, Now: clk.Now})
		if err != nil {
			return nil, fmt.Errorf("payments.rail is stripe: %w", err)
		}
		return rail, nil
	}
	return nil, nil
}

// mountRail adds the door through which the rail tells of asynchronous outcomes.
func (p *parts) mountRail(mux *http.ServeMux, cfg config.Stripe) {
	if rail, ok := p.rail.(*stripe.Rail); ok && cfg.WebhookSecret != "" {
		mux.Handle("POST /v1/rails/stripe/events", rail.Webhook(p.payments.Nudge))
	}
}
