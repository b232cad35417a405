package payments_test

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"parley/internal/sqldb"
	"parley/internal/sqldb/sqldbtest"
	"parley/payments"
)

// BenchmarkPayments_HoldCapture measures what 50 clients get who each hold and
// capture payments between 200 people and wait for every answer: two commands,
// each with its key, its postings and its event in one durable commit.
func BenchmarkPayments_HoldCapture(b *testing.B) {
	sqldbtest.EachBench(b, schemas(), "plain", func(b *testing.B, db *sqldb.DB) {
		w := newWorld(b, db, payments.Config{})
		ids := asked(b, w, b.N)
		var next atomic.Int64
		b.SetParallelism(25) // times GOMAXPROCS: 50 clients on two cores
		before := cpu()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				id := ids[next.Add(1)-1]
				_, err := w.Hold(b.Context(), w.as("server"), id, 0)
				if err == nil {
					_, err = w.Capture(b.Context(), w.as("server"), id, 0)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(2*b.N)/b.Elapsed().Seconds(), "commands/s")
		b.ReportMetric(float64(cpu()-before)/float64(2*b.N), "cpu-us/command")
	})
}

// asked makes n payments between people who have the money for them.
func asked(b *testing.B, w *world, n int) []string {
	b.Helper()
	const people = 100
	name := func(kind string, i int) string { return kind + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) }
	for i := range people {
		w.fund(name("p", i), 1_000_000_000)
	}
	ids, errs := make([]string, n), make([]error, n)
	var next atomic.Int64
	inParallel(50, func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			var p payments.Payment
			p, errs[i] = w.Create(context.Background(), w.as("server"), payments.CreateInput{
				Payer: name("p", i%people), Payee: name("s", i*7%people), Amount: 1200, Currency: "EUR", Order: "o", Confirm: payments.ConfirmNone})
			ids[i] = p.ID
		}
	})
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
	return ids
}

// inParallel runs fn in n goroutines and waits for them.
func inParallel(n int, fn func()) {
	done := make(chan struct{})
	for range n {
		go func() { fn(); done <- struct{}{} }()
	}
	for range n {
		<-done
	}
}

// cpu is the processor time of this process in microseconds.
func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return (u.Utime.Nano() + u.Stime.Nano()) / 1000
}
