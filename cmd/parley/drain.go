package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"parley/internal/cluster"
)

// drainCommand empties a node before it is stopped, or takes that back.
type drainCommand struct {
	nodeFlags
	Node   string        `arg:"" help:"Id or name, as parley nodes shows them."`
	Within time.Duration `help:"Time over which its sockets are sent elsewhere, spread evenly." default:"30s"`
	Undo   bool          `help:"Have it take sockets again."`
}

// Run implements the command: it returns when the node is empty.
func (c drainCommand) Run(ctx context.Context, p *program) error {
	at := "/v1/nodes/" + url.PathEscape(c.Node)
	var node cluster.Node
	if c.Undo {
		if err := c.rest().Do(ctx, http.MethodPost, at+"/undrain", "", nil, &node); err != nil {
			return err
		}
		_, err := fmt.Fprintln(p.Stdout, node.ID, "takes sockets again")
		return err
	}
	in := map[string]any{"within_s": max(1, int(c.Within.Seconds()))}
	if err := c.rest().Do(ctx, http.MethodPost, at+"/drain", "", in, &node); err != nil {
		return err
	}
	fmt.Fprintln(p.Stdout, node.ID, "drains")
	return c.follow(ctx, p, node)
}

// follow prints how many sockets the node still has until there are none.
func (c drainCommand) follow(ctx context.Context, p *program, node cluster.Node) error {
	ctx, cancel := context.WithTimeout(ctx, c.Within+10*time.Second) // the list is two seconds late
	defer cancel()
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for last := -1; ; {
		var list struct{ Items []cluster.Node }
		if err := c.rest().Do(ctx, http.MethodGet, "/v1/nodes", "", nil, &list); err != nil {
			return err
		}
		now, err := cluster.Find(list.Items, node.ID)
		if err != nil {
			return fmt.Errorf("%s has ended", node.ID)
		}
		if now.Load.Sockets != last {
			last = now.Load.Sockets
			fmt.Fprintln(p.Stdout, last, "sockets left")
		}
		if last == 0 {
			return nil
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return fmt.Errorf("%d sockets are still on %s", last, node.ID)
		}
	}
}
