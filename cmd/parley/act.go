package main

import (
	"context"
	"strings"
	"time"

	"parley/internal/act"
	"parley/internal/app"
	"parley/internal/config"
	"parley/wire"
)

// actCommand plays a counterparty on a dev node.
type actCommand struct {
	User        string `arg:"" help:"User to play, for example seller."`
	Declines    bool   `help:"Decline requests to pay and calls." xor:"role" required:""`
	Answers     bool   `help:"Hold what is requested, answer calls and talk." xor:"role" required:""`
	Confirms    bool   `help:"The same, and confirm with a passkey." xor:"role" required:""`
	Silent      bool   `help:"Be online and do nothing." xor:"role" required:""`
	EditsAmount bool   `help:"Answer, and raise the amount once the payer has confirmed." xor:"role" required:""`
	URL         string `help:"Dev node." default:"http://localhost:8080"`
}

// Run implements the command.
func (c actCommand) Run(ctx context.Context, p *program) error {
	token, err := app.MintToken(config.Config{}, true, c.User, "", (24 * time.Hour).String(), nil)
	if err != nil {
		return err
	}
	url := strings.TrimRight(c.URL, "/")
	player := act.Player{
		URL: url, SocketURL: "ws" + strings.TrimPrefix(url, "http") + "/v1/socket", Token: token,
		User: wire.UserID(c.User), Role: c.role(), Out: p.Stdout,
	}
	return player.Run(ctx)
}

func (c actCommand) role() act.Role {
	switch {
	case c.Declines:
		return act.Declines
	case c.Answers:
		return act.Answers
	case c.Confirms:
		return act.Confirms
	case c.EditsAmount:
		return act.EditsAmount
	}
	return act.Silent
}
