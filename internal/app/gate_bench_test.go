package app

import (
	"fmt"
	"syscall"
	"testing"

	"parley/chat"
	"parley/payments"
)

// BenchmarkGate measures on SQLite what the safety gate adds to a hold: the
// same hold through a node's payments, whose gate asks the embedded rules and
// stores the decision, and through payments without one on the same database.
// Clients come one at a time, so that processor time is what counts.
func BenchmarkGate(b *testing.B) {
	n, ctx := benchNode(b, DevSettings(b.TempDir(), 0)), b.Context()
	without, err := payments.New(payments.Config{}, payments.Deps{DB: n.parts.db, Clock: n.clock, Digester: digest, Rail: n.parts.rail, Wake: n.parts.relay.Wake, Sensitive: chat.HasCardNumber})
	if err != nil {
		b.Fatal(err)
	}
	key := 0
	server := func() payments.Actor {
		key++
		return payments.Actor{Server: true, Key: fmt.Sprint("bench-", key)}
	}
	for _, c := range []struct {
		name string
		s    *payments.Service
	}{{"with", n.parts.payments}, {"without", without}} {
		b.Run(c.name, func(b *testing.B) {
			ids := make([]string, b.N)
			for i := range ids {
				payer, payee := fmt.Sprintf("%s-p%d", c.name, i%50), fmt.Sprintf("%s-s%d", c.name, i*7%50)
				if i < 50 {
					if _, err := without.Fund(ctx, server(), payments.FundInput{User: payer, Amount: 1_000_000, Currency: "EUR"}); err != nil {
						b.Fatal(err)
					}
				}
				p, err := without.Create(ctx, server(), payments.CreateInput{Payer: payer, Payee: payee, Amount: 5, Currency: "EUR", Confirm: payments.ConfirmNone})
				if err != nil {
					b.Fatal(err)
				}
				ids[i] = p.ID
			}
			var before, after syscall.Rusage
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before) // cannot fail for oneself
			b.ResetTimer()
			for _, id := range ids {
				if _, err := c.s.Hold(ctx, server(), id, 0); err != nil {
					b.Fatal(err)
				}
			}
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
			spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
			b.ReportMetric(float64(spent)/1000/float64(b.N), "cpu-us/hold")
		})
	}
}
