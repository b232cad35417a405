package main

import (
	"context"

	"parley/internal/load"
)

type loadPaymentsCommand struct {
	Database string  `help:"postgres:// URL to measure on, in a schema that is dropped afterwards; empty: a new SQLite file." placeholder:"URL"`
	Clients  int     `help:"Clients, each of which waits for its acknowledgement." default:"50"`
	Accounts int     `help:"Accounts that money moves between." default:"1000"`
	Hot      bool    `help:"One more account takes part in every transfer."`
	Rows     int     `help:"Transfers in the journal before the measurement." default:"0"`
	Rate     float64 `help:"Transfers a second of all clients; 0: the next when the last is acknowledged."`
	Seconds  float64 `help:"How long to measure." default:"5"`
	JSON     bool    `help:"Print one JSON line." name:"json"`
}

// Help implements kong's HelpProvider.
func (c loadPaymentsCommand) Help() string {
	return `Runs the ledger core in this process, without HTTP: clients submit transfers of two legs, each with an idempotency reference, between accounts that must not fall below zero; the core decides, chains, writes and commits them (on SQLite with synchronous=FULL) and answers after the commit is durable. server_cpu_us_per_unit counts this whole process, the clients included, and not the PostgreSQL server. Afterwards every acknowledged transfer is looked up (lost), the rows are counted (doubled), and the whole ledger is replayed by its check.`
}

// Run implements the command.
func (c loadPaymentsCommand) Run(ctx context.Context, p *program) error {
	r, err := load.Payments(ctx, load.PaymentsConfig{
		Database: c.Database, Clients: c.Clients, Accounts: c.Accounts, Hot: c.Hot, Rows: c.Rows, Rate: c.Rate, Seconds: c.Seconds,
	})
	if err != nil {
		return err
	}
	return p.printLoad(r, c.JSON)
}
