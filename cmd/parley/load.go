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
	Idle     loadIdleCommand     `cmd:"" help:"Sockets that do nothing: what a connect costs, and how much memory each keeps."`
	Fanout   loadFanoutCommand   `cmd:"" help:"Messages to many sockets, timed to each delivery."`
	Signal   loadSignalCommand   `cmd:"" help:"Signals, which are not stored, between pairs of sockets, timed from send to receipt."`
	Chat     loadChatCommand     `cmd:"" help:"Stored messages between pairs of sockets, timed from send to receipt."`
	Storm    loadStormCommand    `cmd:"" help:"All sockets cut at once come back at once, timed from the cut to the open session."`
	Call     loadCallCommand     `cmd:"" help:"Calls between two people, timed from the answer to the first voice packet both ways."`
	Payments loadPaymentsCommand `cmd:"" help:"Transfers in the ledger core, timed to their durable commit, and checked."`
	Worker   loadWorkerCommand   `cmd:"" hidden:"" help:"Hold sockets for a load command of this binary."`
}

// targetFlags choose the node: one that the command starts, or a running dev node.
type targetFlags struct {
	URL string `help:"Node to drive instead of one that the command starts; it must believe the dev secret."`
	PID int    `help:"Process of that node, to measure its processor time and memory."`
	runFlags
}

// runFlags say how a node is driven, whichever it is.
type runFlags struct {
	Key  string   `help:"Server key of that node, to have it collect garbage before memory is read."`
	Set  []string `help:"Configuration of the node that the command starts." placeholder:"KEY=VALUE" sep:"none"`
	JSON bool     `help:"Print one JSON line." name:"json"`
}

// socketFlags say how sockets speak.
type socketFlags struct {
	Deflate bool `help:"Sockets offer permessage-deflate; the node needs hub.compress=true."`
}

// over has bench drive a node by such sockets.
func (f socketFlags) over(bench func(context.Context, load.Target) (load.Result, error)) func(context.Context, load.Target) (load.Result, error) {
	return func(ctx context.Context, t load.Target) (load.Result, error) {
		t.Deflate = f.Deflate
		return bench(ctx, t)
	}
}

// node returns the target and what ends it.
func (f targetFlags) node(ctx context.Context, p *program) (t load.Target, stop func(), err error) {
	if f.URL == "" {
		return f.spawn(ctx, p)
	}
	return f.running(f.URL, f.PID), func() {}, nil
}

// spawn starts a node; stop ends it.
func (f runFlags) spawn(ctx context.Context, p *program) (t load.Target, stop func(), err error) {
	binary, err := os.Executable()
	if err != nil {
		return t, nil, err
	}
	t, stop, err = load.Spawn(ctx, binary, p.Stderr, append(spawnSettings, f.Set...)...)
	t.Mint = devToken
	return t, stop, err
}

// running is a node that runs already; pid 0 leaves out what its process uses.
func (f runFlags) running(url string, pid int) load.Target {
	t := load.Target{URL: url, SocketURL: "ws" + url[len("http"):] + "/v1/socket", PID: pid, Mint: devToken}
	t.Keys.Secret = f.Key
	return t
}

// spawnSettings lift the limits that keep one client from doing what a load does.
var spawnSettings = []string{"hub.rate=1000000", "hub.burst=1000000", "hub.max_per_user=-1", "limits.rules="}

// loadTopics are what a load may join and publish to.
var loadTopics = wire.TopicGrants{Join: []string{"load:**"}, Publish: []string{"load:**"}}

// devToken signs a user in with the dev secret.
func devToken(user wire.UserID) (string, error) {
	return app.MintToken(config.Config{}, true, string(user), "", time.Hour.String(), &loadTopics)
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
	return p.printLoad(r, f.JSON)
}

// printLoad prints a result, as one JSON line or for people.
func (p *program) printLoad(r load.Result, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(p.Stdout).Encode(r)
	}
	_, err := fmt.Fprintln(p.Stdout, r)
	return err
}

type loadIdleCommand struct {
	URL []string `help:"Node to drive instead of one that the command starts; it must believe the dev secret. Repeated, the sockets are spread over several nodes, and the two that write to each other are on different ones." sep:"none"`
	PID []int    `help:"Process of that node, to measure its processor time and memory; repeated in the order of --url."`
	runFlags
	socketFlags
	Conns   int     `help:"Sockets of all nodes together." default:"1000"`
	Seconds float64 `help:"How long to hold them; their memory is read after every minute, too." default:"5"`
	Every   float64 `help:"Seconds between stored messages to each socket; 0: they are silent."`
}

// Run implements the command.
func (c loadIdleCommand) Run(ctx context.Context, p *program) error {
	nodes, stop, err := c.nodes(ctx, p)
	if err != nil {
		return err
	}
	defer stop()
	nodes[0].Deflate = c.Deflate
	r, err := load.Idle(ctx, nodes, load.IdleConfig{Conns: c.Conns, Seconds: c.Seconds, Every: c.Every})
	if err != nil {
		return err
	}
	return p.printLoad(r, c.JSON)
}

func (c loadIdleCommand) nodes(ctx context.Context, p *program) (nodes []load.Target, stop func(), err error) {
	if len(c.URL) == 0 {
		t, stop, err := c.spawn(ctx, p)
		return []load.Target{t}, stop, err
	}
	if len(c.PID) != 0 && len(c.PID) != len(c.URL) {
		return nil, nil, fmt.Errorf("%d --url, but %d --pid", len(c.URL), len(c.PID))
	}
	pids := append(c.PID, make([]int, len(c.URL))...)
	for i, url := range c.URL {
		nodes = append(nodes, c.running(url, pids[i]))
	}
	return nodes, func() {}, nil
}

type loadStormCommand struct {
	targetFlags
	socketFlags
	Conns   int     `help:"Sockets." default:"1000"`
	Spread  int     `help:"Jitter of the clients in ms." default:"1000"`
	Seconds float64 `help:"Bound of the whole run." default:"90"`
}

// Run implements the command.
func (c loadStormCommand) Run(ctx context.Context, p *program) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.Seconds*float64(time.Second)))
	defer cancel()
	return c.run(ctx, p, c.over(func(ctx context.Context, t load.Target) (load.Result, error) {
		return load.Storm(ctx, t, load.StormConfig{Conns: c.Conns, SpreadMS: c.Spread})
	}))
}

type loadFanoutCommand struct {
	targetFlags
	socketFlags
	Subs     int     `help:"Sockets that receive." default:"100"`
	Size     int     `help:"Bytes of a message's text." default:"256"`
	Inflight int     `help:"Messages under way at once." default:"1"`
	Seconds  float64 `help:"How long to send." default:"5"`
	Group    bool    `help:"Over a group conversation, which stores every message, instead of an open topic."`
}

// Run implements the command.
func (c loadFanoutCommand) Run(ctx context.Context, p *program) error {
	return c.run(ctx, p, c.over(func(ctx context.Context, t load.Target) (load.Result, error) {
		return load.Fanout(ctx, t, load.FanoutConfig{Subs: c.Subs, Size: c.Size, Inflight: c.Inflight, Seconds: c.Seconds, Group: c.Group})
	}))
}

// pairFlags become a load.PairConfig.
type pairFlags struct {
	Conns    int     `help:"Sockets; they talk in pairs." default:"2"`
	Inflight int     `help:"How many a pair may have under way at once; a node takes up to 32 from one socket." default:"1"`
	Rate     float64 `help:"How many a second each pair sends; 0 sends the next when there is room."`
	Seconds  float64 `help:"How long to send." default:"5"`
}

type loadSignalCommand struct {
	targetFlags
	socketFlags
	pairFlags
}

// Run implements the command.
func (c loadSignalCommand) Run(ctx context.Context, p *program) error {
	return c.run(ctx, p, c.over(func(ctx context.Context, t load.Target) (load.Result, error) {
		return load.Signal(ctx, t, load.PairConfig(c.pairFlags))
	}))
}

type loadWorkerCommand struct{}

// Run implements the command.
func (loadWorkerCommand) Run(ctx context.Context, p *program) error {
	return load.Worker(ctx, os.Stdin, p.Stdout, devToken)
}

type loadChatCommand struct {
	targetFlags
	socketFlags
	pairFlags
}

// Run implements the command.
func (c loadChatCommand) Run(ctx context.Context, p *program) error {
	return c.run(ctx, p, c.over(func(ctx context.Context, t load.Target) (load.Result, error) {
		return load.Chat(ctx, t, load.PairConfig(c.pairFlags))
	}))
}

type loadCallCommand struct {
	targetFlags
	Route   string  `help:"How the media goes." enum:"direct,relay,sfu" default:"direct"`
	Calls   int     `help:"Calls, one after another." default:"10"`
	Seconds float64 `help:"No call begins after this time; 0: all are made."`
}

// Run implements the command.
func (c loadCallCommand) Run(ctx context.Context, p *program) error {
	return c.run(ctx, p, func(ctx context.Context, t load.Target) (load.Result, error) {
		return load.Call(ctx, t, load.CallConfig{Route: c.Route, Calls: c.Calls, Seconds: c.Seconds})
	})
}
