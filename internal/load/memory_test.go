package load

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemory_IsReadAfterEveryFullMinute(t *testing.T) {
	for seconds, minutes := range map[float64]int{5: 0, 59: 0, 70: 1, 120: 2, 600: 10} {
		synctest.Test(t, func(t *testing.T) {
			m := &memory{nodes: []Target{{PID: os.Getpid()}}}
			begun := time.Now()
			if err := m.watch(t.Context(), seconds); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun).Seconds(); took != seconds || len(m.minutes) != minutes {
				t.Errorf("%v s: read %d times in %v s", seconds, len(m.minutes), took)
			}
			for _, now := range m.minutes {
				if now[0] <= 0 {
					t.Errorf("read %d", now)
				}
			}
		})
	}
}

func TestMemory_WatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := new(memory).watch(ctx, 600); !errors.Is(err, context.Canceled) {
		t.Errorf("watched until %v", err)
	}
}

func TestMemory_IsSharedByTheSocketsOfEachNode(t *testing.T) {
	m := &memory{
		nodes:   make([]Target, 2),
		before:  []int64{1000, 2000},
		minutes: [][]int64{{1500, 2400}, {1700, 2800}},
		after:   []int64{1600, 2600},
	}
	for _, tt := range []struct {
		nodes    []int
		atTheEnd int64
		byMinute []int64
	}{
		{nil, 40, []int64{30, 50}},
		{[]int{0}, 60, []int64{50, 70}},
		{[]int{1}, 30, []int64{20, 40}},
	} {
		got := m.perConn([]int64{10, 20}, tt.nodes...)
		if got.RSSBytesPerConn != tt.atTheEnd || !slices.Equal(got.RSSBytesPerConnByMinute, tt.byMinute) {
			t.Errorf("nodes %v: %+v", tt.nodes, got)
		}
	}
	m.before[1] = 0 // it cannot be read
	if got := m.perConn([]int64{10, 20}); got.RSSBytesPerConn != 0 || got.RSSBytesPerConnByMinute != nil {
		t.Errorf("with a node unseen: %+v", got)
	}
}
