package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// clockCommand moves the time of a dev node.
type clockCommand struct {
	Advance clockAdvanceCommand `cmd:"" help:"Move a dev node's time forward, with all that comes due on the way: holds, deadlines, retries."`
}

type clockAdvanceCommand struct {
	nodeFlags
	By string `arg:"" help:"How far, such as 90s, 15m or 24h."`
}

// Run implements the command.
func (c clockAdvanceCommand) Run(ctx context.Context, p *program) error {
	var out struct{ Now time.Time }
	if err := c.rest().Do(ctx, http.MethodPost, "/v1/clock/advance", "", map[string]any{"by": c.By}, &out); err != nil {
		return err
	}
	_, err := fmt.Fprintln(p.Stdout, out.Now.Format(time.RFC3339))
	return err
}
