package broker_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"parley/hub/broker"
	"parley/internal/redisdb/redistest"
)

// window lets as many messages be under way as it holds.
type window chan struct{}

func (w window) Deliver(_ context.Context, round []*broker.Message) {
	for range round {
		<-w
	}
}

func (window) Lost(context.Context) {}

// BenchmarkRedis carries messages of 256 bytes from one node to another, 512
// under way; cpu-us/op is what both nodes' side of it costs, without Redis.
func BenchmarkRedis(b *testing.B) {
	nodes := onRedis(b, redistest.Start(b).Config(), 2, broker.RedisConfig{})
	under := make(window, 512)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- nodes[0].Run(ctx, under) }()
	go func() { ended <- nodes[1].Run(ctx, under) }()
	if err := nodes[1].Subscribe(ctx, "u:seller"); err != nil {
		b.Fatal(err)
	}
	m := &broker.Message{Conversation: "conv_06h0ae5nrte0v6hhd2p82ek27m", Seq: 1, Frame: make([]byte, 256), To: []broker.Target{{Topic: "u:seller"}}}
	before := processTime(b)
	for b.Loop() {
		under <- struct{}{}
		if err := nodes[0].Publish(m); err != nil {
			b.Fatal(err)
		}
	}
	for range cap(under) { // until all have arrived
		under <- struct{}{}
	}
	b.StopTimer()
	b.ReportMetric(float64((processTime(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}
}

func processTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
