package hub

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"parley/hub/broker"
	"parley/wire"
)

// readLog notes for how many people each read was; the rest of a backend is not asked.
type readLog struct {
	Backend
	reads []int
}

func (l *readLog) Heads(_ context.Context, users []wire.UserID) (map[wire.UserID][]Head, error) {
	l.reads = append(l.reads, len(users))
	return nil, nil
}

// In a crowd a read waits a moment for those who will ask; otherwise nobody waits.
func TestHeads_ACrowdIsGathered(t *testing.T) {
	for asking, want := range map[int64]int{headsCrowd - 1: 2, headsCrowd: 1} {
		synctest.Test(t, func(t *testing.T) {
			log := &readLog{}
			h := New(Config{}, log, broker.NewMemory(broker.MemoryConfig{}))
			h.asking.Store(asking)
			ctx, cancel := context.WithCancel(t.Context())
			go h.readHeads(ctx)
			ask := func(i int) {
				if _, err := h.headsOf(ctx, wire.UserID(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			}
			synctest.Wait()
			go ask(0)
			synctest.Wait() // it has been read, or waits
			ask(1)
			synctest.Wait()
			if len(log.reads) != want {
				t.Errorf("with %d who ask: reads for %v people at once", asking, log.reads)
			}
			cancel()
		})
	}
}
