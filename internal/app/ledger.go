package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"parley/internal/config"
	"parley/internal/sqldb"
	"parley/payments/ledger"
)

// CheckLedger reads the whole ledger of a database and writes to w what it
// found. The error says what is wrong; nil means that everything holds.
func CheckLedger(ctx context.Context, cfg config.Config, w io.Writer) error {
	db, err := sqldb.Open(ctx, sqldb.Config{URL: cfg.Database.URL})
	if err != nil {
		return err
	}
	report, err := ledger.Check(ctx, db, progress(w))
	err = errors.Join(err, db.Close())
	if err != nil {
		return fmt.Errorf("the ledger is not right: %w", err)
	}
	_, err = fmt.Fprintf(w, "The ledger is right: %d rows, %d postings, %d accounts, %d open holds; head %s\n",
		report.Rows, report.Postings, report.Accounts, report.OpenHolds, report.Head)
	return err
}

// progress prints how far a check has come, at most once a second.
func progress(w io.Writer) func(done, total int64) {
	last := time.Now()
	return func(done, total int64) {
		if time.Since(last) < time.Second || total == 0 {
			return
		}
		last = time.Now()
		_, _ = fmt.Fprintf(w, "%d of %d transfers (%d %%)\n", done, total, 100*done/total) // only for people who watch
	}
}
