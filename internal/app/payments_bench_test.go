package app

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"parley/chat"
	"parley/internal/clock"
	"parley/internal/config"
	"parley/payments"
)

// BenchmarkNode_Payments measures whole payments of 50 clients of a node, with
// its safety gate: request, hold and capture, each a command that waits for its
// durable answer. On SQLite, or on the server that PARLEY_TEST_POSTGRES names.
func BenchmarkNode_Payments(b *testing.B) {
	settings := DevSettings(b.TempDir(), 0)
	if url := os.Getenv("PARLEY_TEST_POSTGRES"); url != "" {
		settings = append(settings, "database.url="+url)
	}
	n := benchNode(b, settings)
	plain, err := payments.New(payments.Config{}, payments.Deps{DB: n.parts.db, Clock: n.clock, Digester: digest, Rail: n.parts.rail, Wake: n.parts.relay.Wake, Sensitive: chat.HasCardNumber})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- plain.RunTransfers(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	var keys, made atomic.Int64
	run := fmt.Sprint(time.Now().UnixNano()) // the server's tables may have an earlier run's
	server := func() payments.Actor { return payments.Actor{Server: true, Key: fmt.Sprint(run, "-", keys.Add(1))} }
	const people = 100
	for i := range people {
		if _, err := plain.Fund(ctx, server(), payments.FundInput{User: fmt.Sprint(run, "p", i), Amount: 100_000_000, Currency: "EUR"}); err != nil {
			b.Fatal(err)
		}
	}
	pay := func() error {
		i := made.Add(1)
		p, err := plain.Create(ctx, server(), payments.CreateInput{Payer: fmt.Sprint(run, "p", i%people), Payee: fmt.Sprint(run, "s", i*7%people), Amount: 5, Currency: "EUR", Confirm: payments.ConfirmNone})
		if err == nil {
			_, err = n.parts.payments.Hold(ctx, server(), p.ID, 0)
		}
		if err == nil {
			_, err = n.parts.payments.Capture(ctx, server(), p.ID, 0)
		}
		return err
	}
	b.SetParallelism(25) // times GOMAXPROCS: 50 clients on two cores
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := pay(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "payments/s")
}

// benchNode runs a node until the benchmark ends.
func benchNode(b *testing.B, settings []string) *Node {
	b.Helper()
	cfg, err := config.Load("", nil, settings)
	if err != nil {
		b.Fatal(err)
	}
	n, err := New(b.Context(), Options{Config: cfg, Dev: true, Clock: &clock.Shifted{}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- n.Run(ctx, func(Info) error { close(ready); return nil }) }()
	<-ready
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	return n
}
