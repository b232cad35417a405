package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"parley/internal/config"
	"parley/internal/sqldb"
	"parley/payments"
	"parley/payments/ledger"
)

// Ledger looks after the ledger of a database, with or without a node that
// runs on it.
type Ledger struct {
	Config config.Config
	Out    io.Writer
	// Bar is a terminal to draw progress on; nil draws none.
	Bar io.Writer
}

// LedgerPart is a part of the journal; empty fields do not bound it.
type LedgerPart struct {
	Account, Currency string
	// From included, Until not: by the time of recording.
	From, Until time.Time
}

func (p LedgerPart) period() ledger.Period { return ledger.Period{From: p.From, Until: p.Until} }

// CheckLedger reads the whole ledger of a database and writes to w what it
// found. The error says what is wrong; nil means that everything holds.
func CheckLedger(ctx context.Context, cfg config.Config, w io.Writer) error {
	return Ledger{Config: cfg, Out: w}.Check(ctx)
}

// open opens the database of an existing ledger.
func (l Ledger) open(ctx context.Context) (*sqldb.DB, error) {
	url := l.Config.Database.URL
	if !strings.Contains(url, "://") {
		if _, err := os.Stat(strings.TrimPrefix(url, "sqlite:")); err != nil {
			return nil, fmt.Errorf("there is no ledger: %w", err)
		}
	}
	return sqldb.Open(ctx, sqldb.Config{URL: url})
}

// Check proves that the ledger is right and that it explains every payment.
func (l Ledger) Check(ctx context.Context) error {
	db, err := l.open(ctx)
	if err != nil {
		return err
	}
	report, err := ledger.Check(ctx, db, l.progress("transfers"))
	var explained payments.Explanation
	if err == nil {
		explained, err = payments.Explain(ctx, db, l.progress("payments"))
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("the ledger is not right: %w", err)
	}
	_, err = fmt.Fprintf(l.Out, "The ledger is right: %d rows, %d postings, %d accounts, %d open holds; %d payments explained; head %s\n",
		report.Rows, report.Postings, report.Accounts, report.OpenHolds, explained.Payments, report.Head)
	return err
}

// Export writes a part of the journal to l.Out, as "jsonl" or "csv".
func (l Ledger) Export(ctx context.Context, format string, part LedgerPart) error {
	db, err := l.open(ctx)
	if err != nil {
		return err
	}
	_, err = ledger.Export(ctx, db, l.Out, ledger.Format(format), ledger.Extract{Account: part.Account, Currency: part.Currency, Period: part.period()})
	return errors.Join(err, db.Close())
}

// Import records opening balances and tells what it did; a dry run only validates.
func (l Ledger) Import(ctx context.Context, file io.ReadSeeker, dryRun bool) (err error) {
	db, err := openDatabase(ctx, sqldb.Config{URL: l.Config.Database.URL})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var g errgroup.Group
	g.Go(func() error { return db.Run(running) })
	defer func() {
		stop()
		err = errors.Join(err, g.Wait(), db.Close())
	}()
	done, err := ledger.Import{
		DB: db, Book: ledger.New(payments.OpeningAccounts), Allow: payments.OpeningAllowed, DryRun: dryRun, Progress: l.progress("balances"),
	}.Run(ctx, file)
	if err != nil {
		return err
	}
	what := "recorded"
	if dryRun {
		what, done.Recorded = "to be recorded", done.Lines-done.Already
	}
	_, err = fmt.Fprintf(l.Out, "%d lines are right: %d %s, %d recorded before\n", done.Lines, done.Recorded, what, done.Already)
	for _, currency := range slices.Sorted(maps.Keys(done.Sums)) {
		if err == nil {
			_, err = fmt.Fprintln(l.Out, "  "+payments.FormatAmount(done.Sums[currency], currency))
		}
	}
	return err
}

// Statement prints the newest lines of an account, in one currency or all.
func (l Ledger) Statement(ctx context.Context, part LedgerPart, limit int) error {
	db, err := l.open(ctx)
	if err != nil {
		return err
	}
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		found, err := ledger.Profiles(tx, ledger.Selection{ID: part.Account, Currency: part.Currency}, "", "", 1000)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("%w: %s %s", ledger.ErrAccountUnknown, part.Account, part.Currency)
		}
		for _, a := range found {
			lines, err := ledger.Statement(tx, a.ID, a.Currency, part.period(), 0, limit)
			if err != nil {
				return err
			}
			if err := l.printStatement(a.Account, lines); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, db.Close())
}

func (l Ledger) printStatement(a ledger.Account, lines []ledger.Line) error {
	_, err := fmt.Fprintf(l.Out, "%s: posted %s, available %s\n", a.ID,
		payments.FormatAmount(a.Posted, a.Currency), payments.FormatAmount(a.Available(), a.Currency))
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(l.Out, 0, 0, 2, ' ', 0)
	for _, line := range lines {
		_, err = fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", line.Seq, line.EffectiveAt.Format(time.RFC3339), line.Kind,
			payments.FormatAmount(line.Amount, a.Currency), payments.FormatAmount(line.Balance, a.Currency), line.Reference, line.Note)
		if err != nil {
			return err
		}
	}
	return t.Flush()
}

// barWidth is that of a progress bar, in characters.
const barWidth = 40

// progress draws a bar on l.Bar at most ten times a second and takes it away
// when all is done; without a terminal it does nothing.
func (l Ledger) progress(of string) func(done, total int64) {
	if l.Bar == nil {
		return nil
	}
	var last time.Time
	return func(done, total int64) {
		if total == 0 || time.Since(last) < time.Second/10 && done < total {
			return
		}
		last = time.Now()
		full := int(barWidth * done / total)
		text := fmt.Sprintf("\r[%s%s] %d of %d %s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), done, total, of)
		if done >= total {
			text = "\r\x1b[K"
		}
		_, _ = io.WriteString(l.Bar, text) // only for people who watch
	}
}
