package load

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"

	"parley/wire"
)

func TestFailures_KeepWhatWasSaid(t *testing.T) {
	var f failures
	f.add(refusalIn([]byte(`{"jsonrpc":"2.0","id":4,"error":{"code":-32000,"message":"Too many","data":{"code":"rate_limited","detail":"wait 3 s"}}}`)))
	f.add(refusalIn([]byte(`{"jsonrpc":"2.0","id":5,"error":{"code":-32601,"message":"no such method"}}`)))
	f.add(refusal(&wire.ReplyError{Code: -32000, Data: &wire.Problem{Code: "rate_limited"}}))
	f.add(plain(fmt.Errorf("connect: %w", &net.OpError{Op: "dial", Addr: &net.TCPAddr{Port: 7}, Err: syscall.ECONNREFUSED})))
	n, said := f.take()
	if text := saidText(said); n != 4 || text != "2 × rate_limited, 1 × -32601 no such method, 1 × dial: connection refused" {
		t.Errorf("%d: %s", n, text)
	}
	if n, said := f.take(); n != 0 || said != nil {
		t.Errorf("taken twice: %d, %v", n, said)
	}
}

func TestFailures_ManyKindsAreBounded(t *testing.T) {
	var f failures
	for i := range 100 {
		f.add(fmt.Sprint(i))
	}
	n, said := f.take()
	if n != 100 || len(said) != maxSaid+1 || said["other"] != 100-maxSaid {
		t.Errorf("%d errors of %d kinds, %d others", n, len(said), said["other"])
	}
	if text := saidText(mergeSaid(said, map[string]int64{"other": 1})); !strings.HasPrefix(text, "85 × other") {
		t.Error(text)
	}
}

func TestTalk_ARefusedMessageIsAnErrorAndNotLost(t *testing.T) {
	talk := newTalk(2)
	talk.parts[0].conv = "conv_1"
	talk.sent.Add(1)
	talk.hear(0, []byte(`{"jsonrpc":"2.0","id":5,"error":{"code":-32603,"message":"m","data":{"code":"internal"}}}`))
	n, said := talk.failed.take()
	if talk.sent.Load() != 0 || n != 1 || said["internal"] != 1 {
		t.Errorf("sent %d, %d errors, %v", talk.sent.Load(), n, said)
	}
}

func TestTalk_EverybodySpeaksOnceInATurn(t *testing.T) {
	for _, speakers := range []int{2, 4, 10} {
		var order []int
		for n := range speakers {
			order = append(order, whoSpeaks(n, speakers))
		}
		if order[0] != 0 || order[speakers/2] != 1 {
			t.Errorf("order %v", order)
		}
		slices.Sort(order)
		for i, s := range order {
			if i != s {
				t.Fatalf("of %d speak %v", speakers, order)
			}
		}
	}
}
