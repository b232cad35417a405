package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"parley/client"
	"parley/internal/app"
	"parley/internal/config"
	"parley/wire"
)

// triggerCommand makes an event happen: what payments can do is done to a real
// payment of a dev node, with play money, so that the event is as real as the object behind
// it; any other type is sent as a test event to every webhook.
type triggerCommand struct {
	nodeFlags
	Event    string      `arg:"" help:"Type, for example payment.captured. Types of payments happen to a real payment with play money; others are sent as test events."`
	Payer    wire.UserID `help:"User who pays." default:"buyer"`
	Payee    wire.UserID `help:"User who is paid." default:"seller"`
	Amount   int64       `help:"Minor units." default:"1234"`
	Currency string      `help:"ISO 4217." default:"EUR"`
}

// triggerSteps are the commands that lead a new payment to each event, each as
// the one who may give it.
var triggerSteps = map[string][]triggerStep{
	"payment.requested": {},
	"payment.edited":    {{"edit", payee}},
	"payment.held":      {{"hold", payer}},
	"payment.captured":  {{"hold", payer}, {"capture", server}},
	"payment.refunded":  {{"hold", payer}, {"capture", server}, {"refund", server}},
	"payment.voided":    {{"hold", payer}, {"void", server}},
	"payment.declined":  {{"decline", payer}},
	"payment.cancelled": {{"cancel", payee}},
	"payment.review":    {{"report", payer}},
	"payment.disputed":  {{"hold", payer}, {"capture", server}, {"report", payer}},
}

type triggerStep struct {
	do string
	as triggerRole
}

type triggerRole int

const (
	server triggerRole = iota
	payer
	payee
)

// Run implements the command.
func (c triggerCommand) Run(ctx context.Context, p *program) error {
	if steps, ok := triggerSteps[c.Event]; ok {
		return c.pay(ctx, p, steps)
	}
	if strings.HasPrefix(c.Event, "payment.") {
		return fmt.Errorf("%s cannot be made to happen; these can: %s", c.Event, strings.Join(slices.Sorted(maps.Keys(triggerSteps)), ", "))
	}
	return c.test(ctx, p)
}

// pay makes a payment and leads it there.
func (c triggerCommand) pay(ctx context.Context, p *program, steps []triggerStep) error {
	run := wire.NewID[string]("trigger_", time.Now())
	fund := map[string]any{"user": c.Payer, "amount": c.Amount, "currency": c.Currency}
	if err := c.rest().Do(ctx, http.MethodPost, "/v1/sandbox/fund", run+"/fund", fund, nil); err != nil {
		return fmt.Errorf("play money for %s: %w", c.Payer, err)
	}
	var pay struct {
		ID      string
		Version int64
	}
	ask := map[string]any{"payer": c.Payer, "payee": c.Payee, "amount": c.Amount, "currency": c.Currency, "memo": "Trial of " + c.Event, "confirm": "none"}
	if err := c.rest().Do(ctx, http.MethodPost, "/v1/payments", run, ask, &pay); err != nil {
		return err
	}
	for _, step := range steps {
		in := map[string]any{}
		switch step.do {
		case "hold":
			in["version"] = pay.Version
		case "edit":
			in["version"], in["amount"] = pay.Version, c.Amount+1
		}
		r, err := c.as(step.as)
		if err != nil {
			return err
		}
		if err := r.Do(ctx, http.MethodPost, "/v1/payments/"+pay.ID+"/"+step.do, run+"/"+step.do, in, nil); err != nil {
			return fmt.Errorf("%s: %w", step.do, err)
		}
	}
	_, err := fmt.Fprintf(p.Stdout, "%s happened to %s\n", c.Event, pay.ID)
	return err
}

// as is a client with the rights of a role; the parties' are those of a dev node.
func (c triggerCommand) as(role triggerRole) (*client.REST, error) {
	user := c.Payer
	switch role {
	case server:
		return c.rest(), nil
	case payee:
		user = c.Payee
	case payer:
	}
	token, err := app.MintToken(config.Config{}, true, string(user), "", time.Hour.String(), nil)
	return &client.REST{URL: c.URL, Token: token}, err
}

// test sends a test event to every webhook.
func (c triggerCommand) test(ctx context.Context, p *program) error {
	hooks, err := c.webhooks(ctx)
	if err != nil {
		return err
	}
	sent := 0
	for _, hook := range hooks {
		if hook.Disabled {
			continue
		}
		if err := c.rest().Do(ctx, http.MethodPost, "/v1/webhooks/"+hook.ID+"/test", "", map[string]any{"type": c.Event}, nil); err != nil {
			return fmt.Errorf("%s: %w", hook.ID, err)
		}
		sent++
	}
	if sent == 0 {
		return errors.New("there is no webhook: make one with webhooks.create, or run parley listen")
	}
	_, err = fmt.Fprintf(p.Stdout, "%s sent to %d webhooks\n", c.Event, sent)
	return err
}
