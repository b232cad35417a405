package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"
)

// webhooksCommand looks after the webhooks of a node.
type webhooksCommand struct {
	List       webhooksListCommand       `cmd:"" help:"List the webhooks."`
	Deliveries webhooksDeliveriesCommand `cmd:"" help:"List what was and is to be delivered, newest first."`
	Replay     webhooksReplayCommand     `cmd:"" help:"Deliver again: one delivery, or all since a time."`
}

// hook is a webhook as the node shows it.
type hook struct {
	ID       string
	URL      string
	Events   []string
	Disabled bool
	Reason   string
}

func (f nodeFlags) webhooks(ctx context.Context) ([]hook, error) {
	var out struct{ Items []hook }
	err := f.rest().Do(ctx, http.MethodGet, "/v1/webhooks", "", nil, &out)
	return out.Items, err
}

type webhooksListCommand struct{ nodeFlags }

// Run implements the command.
func (c webhooksListCommand) Run(ctx context.Context, p *program) error {
	hooks, err := c.webhooks(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.Stdout, 0, 4, 2, ' ', 0)
	for _, h := range hooks {
		state := "enabled"
		if h.Disabled {
			state = "disabled: " + h.Reason
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", h.ID, state, h.URL)
	}
	return w.Flush()
}

type webhooksDeliveriesCommand struct {
	nodeFlags
	Webhook string `arg:"" help:"Webhook id."`
	State   string `help:"Only those in this state: pending, succeeded or dead." enum:",pending,succeeded,dead" default:""`
	Limit   int    `help:"At most so many, up to 100." default:"50"`
}

// Run implements the command.
func (c webhooksDeliveriesCommand) Run(ctx context.Context, p *program) error {
	query := url.Values{"limit": {fmt.Sprint(c.Limit)}}
	if c.State != "" {
		query.Set("state", c.State)
	}
	var out struct {
		Items []struct {
			ID, Type, Object, State string
			Seq                     int64
			CreatedAt               time.Time `json:"created_at"`
			Attempts                []struct {
				Status int
				Error  string
			}
		}
	}
	path := "/v1/webhooks/" + url.PathEscape(c.Webhook) + "/deliveries?" + query.Encode()
	if err := c.rest().Do(ctx, http.MethodGet, path, "", nil, &out); err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.Stdout, 0, 4, 2, ' ', 0)
	for _, d := range out.Items {
		last := "not tried"
		if n := len(d.Attempts); n > 0 {
			last = fmt.Sprintf("%d tries, last %d %s", n, d.Attempts[n-1].Status, d.Attempts[n-1].Error)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s #%d\t%s\t%s\n", d.ID, d.State, d.Type, d.Object, d.Seq, d.CreatedAt.Format(time.RFC3339), last)
	}
	return w.Flush()
}

type webhooksReplayCommand struct {
	nodeFlags
	Webhook  string        `arg:"" help:"Webhook id."`
	Delivery string        `help:"One delivery." xor:"what"`
	Since    time.Duration `help:"All deliveries made in this time up to now, such as 24h." xor:"what"`
	DeadOnly bool          `help:"Only those that were given up."`
}

// Run implements the command.
func (c webhooksReplayCommand) Run(ctx context.Context, p *program) error {
	in := map[string]any{"dead_only": c.DeadOnly}
	switch {
	case c.Delivery != "":
		in["delivery"] = c.Delivery
	case c.Since > 0:
		in["since"] = time.Now().Add(-c.Since).UTC()
	default:
		return errors.New("say what to replay: --delivery ID, or --since 24h")
	}
	var out struct{ Replayed int }
	if err := c.rest().Do(ctx, http.MethodPost, "/v1/webhooks/"+url.PathEscape(c.Webhook)+"/replay", "", in, &out); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.Stdout, "%d will be delivered again\n", out.Replayed)
	return err
}
