package ledger_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments/ledger"
)

// BenchmarkRecord measures transfers of two legs between spread accounts, and
// on one hot account, each acknowledged after a durable group commit.
func BenchmarkRecord(b *testing.B) {
	for _, c := range []struct {
		name     string
		accounts int64
	}{{"spread", 1000}, {"hot", 0}} {
		b.Run(c.name, func(b *testing.B) { benchRecord(b, c.accounts) })
	}
}

func benchRecord(b *testing.B, accounts int64) {
	db := sqldbtest.Open(b, sqldbtest.Schemas{"ledger": ledger.Schema()})
	book := ledger.New(func(id string) (ledger.Terms, bool) {
		return ledger.Terms{Kind: "user", MayGoNegative: true}, true
	})
	var next atomic.Int64
	b.SetParallelism(25) // times GOMAXPROCS: 50 clients on two cores
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := next.Add(1)
			from, to := "a", fmt.Sprintf("b%d", n%1000)
			if accounts > 0 {
				from = fmt.Sprintf("a%d", (n*7)%accounts)
			}
			err := db.Update(b.Context(), func(tx *sqldb.Tx) error {
				_, err := book.Record(tx, time.Now(), ledger.Transfer{
					ID: fmt.Sprintf("tr_%016d", n), Reference: fmt.Sprintf("ref_%016d", n),
					Legs: []ledger.Leg{{Account: from, Currency: "EUR", Amount: -5}, {Account: to, Currency: "EUR", Amount: 5}},
				})
				return err
			})
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "transfers/s")
}

// BenchmarkCommitter measures what 50 clients get who each wait for their
// acknowledgement, on spread accounts and with one account in every transfer.
func BenchmarkCommitter(b *testing.B) {
	for _, c := range []struct {
		name string
		hot  bool
	}{{"spread", false}, {"hot", true}} {
		sqldbtest.EachBench(b, sqldbtest.Schemas{"ledger": ledger.Schema()}, c.name, func(b *testing.B, db *sqldb.DB) { benchCommitter(b, db, c.hot) })
	}
}

func benchCommitter(b *testing.B, db *sqldb.DB, hot bool) {
	book := ledger.New(func(string) (ledger.Terms, bool) { return ledger.Terms{Kind: "user", MayGoNegative: true}, true })
	metrics := prometheus.NewRegistry()
	committer := ledger.NewCommitter(db, book, time.Now, ledger.CommitterConfig{Metrics: metrics})
	running(b, committer)
	var next atomic.Int64
	b.SetParallelism(25) // times GOMAXPROCS: 50 clients on two cores
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := next.Add(1)
			from, to := "hot", fmt.Sprintf("b%d", n%1000)
			if !hot {
				from = fmt.Sprintf("a%d", (n*7)%1000)
			}
			_, err := committer.Submit(b.Context(), ledger.Transfer{
				ID: fmt.Sprintf("tr_%016d", n), Reference: fmt.Sprintf("ref_%016d", n),
				Legs: []ledger.Leg{{Account: from, Currency: "EUR", Amount: -5}, {Account: to, Currency: "EUR", Amount: 5}},
			})
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "transfers/s")
	b.ReportMetric(float64(b.N)/commits(b, metrics), "transfers/commit")
}

// commits tells how many commits the committer has made.
func commits(b *testing.B, metrics prometheus.Gatherer) float64 {
	b.Helper()
	families, err := metrics.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "parley_ledger_commit_groups" {
			return float64(f.GetMetric()[0].GetHistogram().GetSampleCount())
		}
	}
	return 0
}

// running runs the committer until the test ends.
func running(t testing.TB, c *ledger.Committer) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
