package chat_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"parley/chat"
	"parley/internal/clock"
	"parley/internal/sqldb/sqldbtest"
	"parley/wire"
)

// BenchmarkSend measures stored messages with many senders at once, each in a
// conversation of two, on SQLite with every commit durable.
func BenchmarkSend(b *testing.B) {
	for _, senders := range []int{1, 50, 500} {
		b.Run(fmt.Sprint(senders), func(b *testing.B) { benchmarkSend(b, senders) })
	}
}

func benchmarkSend(b *testing.B, senders int) {
	db := sqldbtest.Open(b, sqldbtest.Schemas{"chat": chat.Schema()})
	s := chat.New(chat.Config{}, chat.Deps{DB: db, Clock: clock.System{}, Publisher: &counter{}})
	convs := make([]wire.ConversationID, senders)
	for i := range convs {
		c, err := s.Create(b.Context(), user("ann"), chat.Draft{Kind: chat.Direct, Members: []wire.UserID{wire.UserID(fmt.Sprint("u", i))}})
		if err != nil {
			b.Fatal(err)
		}
		convs[i] = c.ID
	}
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var wg sync.WaitGroup
	for _, conv := range convs {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if _, err := s.Send(b.Context(), user("ann"), conv, chat.Outgoing{ClientID: fmt.Sprint("c-", n), Text: "Shall we do it now, or tomorrow?"}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
