// Command parley is the hub for conversations around a payment: one binary
// that serves a node, mints tokens, and checks a ledger.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"parley/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := (&program{Stdout: os.Stdout, Stderr: os.Stderr, Env: os.Environ()}).Run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// program is main as a value, so that tests can start it.
type program struct {
	Stdout, Stderr io.Writer
	Env            []string
}

// commands is the command line.
type commands struct {
	Dev      devCommand      `cmd:"" help:"Start a node for trying out and developing: nothing to install, demo users, play money."`
	Serve    serveCommand    `cmd:"" help:"Start a node from a configuration file."`
	Token    tokenCommand    `cmd:"" help:"Mint a user token with the configured shared secret."`
	Config   configCommand   `cmd:"" help:"Print the effective configuration without its secrets."`
	Doctor   doctorCommand   `cmd:"" help:"Check ports, TURN, TLS, clock and database: one line each, with a fix."`
	Ledger   ledgerCommand   `cmd:"" help:"Look after the ledger."`
	Load     loadCommand     `cmd:"" help:"Drive a node and measure it."`
	Act      actCommand      `cmd:"" help:"Play a counterparty on a dev node."`
	Clock    clockCommand    `cmd:"" help:"Move the time of a dev node."`
	Listen   listenCommand   `cmd:"" help:"Forward a node's events to a backend on this machine, and print them."`
	Trigger  triggerCommand  `cmd:"" help:"Make an event happen on a node: to a real payment, or as a test event."`
	Webhooks webhooksCommand `cmd:"" help:"List webhooks and deliveries, and deliver again."`
	Nodes    nodesCommand    `cmd:"" help:"List the nodes that are alive, with what they carry."`
	Drain    drainCommand    `cmd:"" help:"Send the sockets of a node elsewhere before it is stopped, or take that back."`
	Tail     tailCommand     `cmd:"" help:"Show what goes over one user's sockets, live."`
	OpenAPI  openapiCommand  `cmd:"" name:"openapi" help:"Print the OpenAPI document."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

// Run parses args, runs the command and returns the exit code: 0 for done, 1
// for failed, 2 for a wrong command line.
func (p *program) Run(ctx context.Context, args []string) int {
	var cli commands
	exit := -1
	parser, err := kong.New(&cli,
		kong.Name("parley"), kong.Description("Conversations around a payment: sockets, calls and a ledger in one binary."),
		kong.Writers(p.Stdout, p.Stderr), kong.Exit(func(code int) { exit = code }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(p), kong.UsageOnError(),
	)
	if err != nil {
		fmt.Fprintln(p.Stderr, "parley:", err)
		return 1
	}
	parsed, err := parser.Parse(args)
	if exit >= 0 {
		return exit // --help has printed
	}
	if err != nil {
		fmt.Fprintln(p.Stderr, "parley:", err)
		return 2
	}
	if err := parsed.Run(); err != nil {
		fmt.Fprintln(p.Stderr, "parley:", err)
		return 1
	}
	return 0
}

type versionCommand struct{}

// Run implements the command.
func (versionCommand) Run(p *program) error {
	_, err := fmt.Fprintln(p.Stdout, "parley", app.Version)
	return err
}
