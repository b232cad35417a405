package ledger_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

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
