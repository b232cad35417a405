package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"parley/internal/app"
	"parley/internal/config"
	"parley/internal/load"
	"parley/wire"
)

// loadCommand drives a node and prints what it can do.
type loadCommand struct {
	Chat loadChatCommand `cmd:"" help:"Stored messages between pairs of sockets, timed from send to receipt."`
	Call loadCallCommand `cmd:"" help:"Calls between two people, timed from the answer to the first voice packet both ways."`
}

// targetFlags choose the node: one that the command starts, or a running dev node.
type targetFlags struct {
	URL  string `help:"Node to drive instead of one that the command starts; it must believe the dev secret."`
	PID  int    `help:"Process of that node, to measure its processor time."`
	JSON bool   `help:"Print one JSON line." name:"json"`
}

// node returns the target and what ends it.
func (f targetFlags) node(ctx context.Context, p *program) (t load.Target, stop func(), err error) {
	if f.URL != "" {
		t = load.Target{URL: f.URL, SocketURL: "ws" + f.URL[len("http"):] + "/v1/socket", PID: f.PID}
		stop = func() {}
	} else {
		binary, err := os.Executable()
		if err != nil {
			return t, nil, err
		}
		if t, stop, err = load.Spawn(ctx, binary, p.Stderr, "hub.rate=1000000", "hub.burst=1000000"); err != nil {
			return t, nil, err
		}
	}
	t.Mint = func(user wire.UserID) (string, error) {
		return app.MintToken(config.Config{}, true, string(user), "", time.Hour.String())
	}
	return t, stop, nil
}

// run drives the node with bench and prints its result.
func (f targetFlags) run(ctx context.Context, p *program, bench func(context.Context, load.Target) (load.Result, error)) error {
	t, stop, err := f.node(ctx, p)
	if err != nil {
		return err
	}
	defer stop()
	r, err := bench(ctx, t)
	if err != nil {
		return err
	}
	if f.JSON {
		return json.NewEncoder(p.Stdout).Encode(r)
	}
	_, err = fmt.Fprintf(p.Stdout, "%s: %d units, %.0f/s, server CPU %.0f us per unit, p50 %.2f ms, p99 %.2f ms; lost %d, doubled %d, reordered %d, errors %d\n",
		r.Bench, r.Units, r.UnitsPerS, r.ServerCPUUsPerUnit, r.P50MS, r.P99MS, r.Lost, r.Doubled, r.Reordered, r.Errors)
	return err
}

type loadChatCommand struct {
	targetFlags
	Conns   int     `help:"Sockets; they talk in pairs." default:"2"`
	Rate    float64 `help:"Messages a second of each pair; 0 sends the next when the last has arrived."`
	Seconds float64 `help:"How long to send." default:"5"`
}

// Run implements the command.
func (c loadChatCommand) Run(ctx context.Context, p *program) error {
	return c.run(ctx, p, func(ctx context.Context, t load.Target) (load.Result, error) {
		return load.Chat(ctx, t, load.ChatConfig{Conns: c.Conns, Rate: c.Rate, Seconds: c.Seconds})
	})
}

type loadCallCommand struct {
	targetFlags
	Route string `help:"How the media goes." enum:"direct,relay,sfu" default:"direct"`
	Calls int    `help:"Calls, one after another." default:"10"`
}

// Run implements the command.
func (c loadCallCommand) Run(ctx context.Context, p *program) error {
	return c.run(ctx, p, func(ctx context.Context, t load.Target) (load.Result, error) {
		return load.Call(ctx, t, load.CallConfig{Route: c.Route, Calls: c.Calls})
	})
}
