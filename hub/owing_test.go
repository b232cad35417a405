package hub_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"

	"parley/wire"
)

// Requests that wait for each other are answered in one frame, and an answer
// does not wait for a request that takes its time.
func TestAnswers_LeaveTogetherAndWaitForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		begin, end := make(chan struct{}), make(chan struct{})
		w.ops["first"] = func(context.Context, wire.Caller, json.RawMessage) (json.RawMessage, *wire.Problem) {
			<-begin
			return nil, nil
		}
		w.ops["slow"] = func(context.Context, wire.Caller, json.RawMessage) (json.RawMessage, *wire.Problem) {
			<-end
			return nil, nil
		}
		n := startPipeNode(t, w)
		c, _ := n.open("ann", "a", nil)
		ids := []string{c.start("first", nil), c.start("echo", nil), c.start("echo", nil), c.start("slow", nil), c.start("echo", nil)}
		synctest.Wait()
		close(begin)
		c.await(ids[0])
		if len(c.batch) != 2 {
			t.Errorf("%d answers came with the first, want 2", len(c.batch))
		}
		c.await(ids[1])
		c.await(ids[2])
		close(end)
		c.await(ids[3])
		if len(c.batch) != 1 {
			t.Errorf("%d answers came with the slow one, want 1", len(c.batch))
		}
		c.await(ids[4])
	})
}
