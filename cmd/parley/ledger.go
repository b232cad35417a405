package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"parley/internal/app"
)

type ledgerCommand struct {
	Check     ledgerCheckCommand     `cmd:"" help:"Read the whole ledger and prove that it is right; exit code 1 when it is not."`
	Export    ledgerExportCommand    `cmd:"" help:"Write the journal, or a part of it, as JSON lines or CSV."`
	Import    ledgerImportCommand    `cmd:"" help:"Record opening balances from a file, each once however often it is run."`
	Statement ledgerStatementCommand `cmd:"" help:"Print what happened on an account, newest first."`
}

// ledgerFlags say which ledger a command is about.
type ledgerFlags struct {
	configFlags
	DB string `help:"Database to use instead of the configured one, for example .parley/parley.db." placeholder:"URL"`
}

func (f ledgerFlags) ledger(p *program) (app.Ledger, error) {
	cfg, err := f.load(p)
	if f.DB != "" {
		cfg.Database.URL = f.DB
	}
	return app.Ledger{Config: cfg, Out: p.Stdout, Bar: terminal(p.Stderr)}, err
}

// terminal returns w when people watch it, else nil.
func terminal(w io.Writer) io.Writer {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return w
}

// periodFlags bound what a command reads by the time of recording.
type periodFlags struct {
	From  string `help:"Recorded at or after." placeholder:"2026-01-31T00:00:00Z"`
	Until string `help:"Recorded before." placeholder:"2026-02-28T00:00:00Z"`
}

func (f periodFlags) period() (p app.LedgerPart, err error) {
	for _, bound := range []struct {
		name, text string
		into       *time.Time
	}{{"from", f.From, &p.From}, {"until", f.Until, &p.Until}} {
		if bound.text == "" {
			continue
		}
		if *bound.into, err = time.Parse(time.RFC3339, bound.text); err != nil {
			return p, fmt.Errorf("--%s: %q is not a time such as 2026-01-31T00:00:00Z", bound.name, bound.text)
		}
	}
	return p, nil
}

type ledgerCheckCommand struct {
	ledgerFlags
}

// Run implements the command.
func (c ledgerCheckCommand) Run(ctx context.Context, p *program) error {
	l, err := c.ledger(p)
	if err != nil {
		return err
	}
	return l.Check(ctx)
}

type ledgerExportCommand struct {
	ledgerFlags
	periodFlags
	Format   string `help:"jsonl or csv." enum:"jsonl,csv" default:"jsonl"`
	Account  string `help:"Only transfers with a leg on this account." placeholder:"ID"`
	Currency string `help:"Only those whose leg on the account is in this currency." placeholder:"EUR"`
	Output   string `help:"File to write instead of standard output." short:"o" type:"path" placeholder:"FILE"`
}

// Validate is called by the parser.
func (c ledgerExportCommand) Validate() error {
	if c.Currency != "" && c.Account == "" {
		return errors.New("--currency needs --account")
	}
	_, err := c.period()
	return err
}

// Run implements the command.
func (c ledgerExportCommand) Run(ctx context.Context, p *program) (err error) {
	l, err := c.ledger(p)
	if err != nil {
		return err
	}
	part, err := c.period()
	if err != nil {
		return err
	}
	part.Account, part.Currency = c.Account, c.Currency
	if c.Output != "" {
		f, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		l.Out = f
		return errors.Join(l.Export(ctx, c.Format, part), f.Close())
	}
	return l.Export(ctx, c.Format, part)
}

type ledgerImportCommand struct {
	ledgerFlags
	File   string `arg:"" help:"JSON lines, or CSV with a heading: account, currency, amount in minor units, and perhaps reference, effective_at, note." type:"existingfile"`
	DryRun bool   `help:"Only validate the file against the ledger."`
}

// Run implements the command.
func (c ledgerImportCommand) Run(ctx context.Context, p *program) (err error) {
	l, err := c.ledger(p)
	if err != nil {
		return err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return l.Import(ctx, f, c.DryRun)
}

type ledgerStatementCommand struct {
	ledgerFlags
	periodFlags
	Account  string `arg:"" help:"Account id, for example app:bank or user:buyer:available."`
	Currency string `help:"Only this currency." placeholder:"EUR"`
	Limit    int    `help:"Lines for each currency." default:"50"`
}

// Validate is called by the parser.
func (c ledgerStatementCommand) Validate() error {
	if c.Limit < 1 || c.Limit > 10_000 {
		return errors.New("--limit must be 1 to 10000")
	}
	_, err := c.period()
	return err
}

// Run implements the command.
func (c ledgerStatementCommand) Run(ctx context.Context, p *program) error {
	l, err := c.ledger(p)
	if err != nil {
		return err
	}
	part, err := c.period()
	if err != nil {
		return err
	}
	part.Account, part.Currency = c.Account, c.Currency
	return l.Statement(ctx, part, c.Limit)
}
