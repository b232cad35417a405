package hub_test

import (
	"errors"
	"testing"

	"github.com/coder/websocket"
	dto "github.com/prometheus/client_model/go"

	"parley/wire"
)

type labelPair = dto.LabelPair

func asClose(err error, ce *websocket.CloseError) bool { return errors.As(err, ce) }

const conv = wire.ConversationID("conv_a")

func TestHub_OpensCallsAndPublishes(t *testing.T) {
	w := newWorld()
	w.conversation(conv, "ann", "ben")
	n := startNode(t, w)
	ann, o := n.open("ann", "a1", nil)
	if o.User != "ann" || o.Device != "dev_a1" || o.HeartbeatS != 25 || len(o.Conversations) != 1 {
		t.Fatalf("opened %+v", o)
	}
	var back map[string]int
	ann.must("echo", map[string]int{"x": 7}, &back)
	if back["x"] != 7 {
		t.Fatalf("echo %v", back)
	}
	w.write(n, conv, "hello")
	if ev := ann.event(); ev.Seq != 1 || ev.Conversation != conv {
		t.Fatalf("event %+v", ev)
	}
	ben, o := n.open("ben", "b1", map[wire.ConversationID]int64{conv: 0})
	if head, from, gap := o.head(conv); head != 1 || from != 1 || gap {
		t.Fatalf("resume: head %d from %d gap %v", head, from, gap)
	}
	if ev := ben.event(); ev.Seq != 1 {
		t.Fatalf("resumed %+v", ev)
	}
}
