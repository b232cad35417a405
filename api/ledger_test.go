package api

import (
	"fmt"
	"testing"

	"parley/payments/ledger"
	"parley/wire"
)

func TestLedgerRules_ALedgerThatTakesNoMoreSaysWhenToComeBack(t *testing.T) {
	table, err := New(Config{Version: "1"}, nil, Rules())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		err    error
		code   string
		status int
	}{{ledger.ErrBusy, "ledger_busy", 429}, {ledger.ErrStopped, "ledger_unavailable", 503}} {
		p := table.problem(wire.Caller{}, "ledger.transfers.create", fmt.Errorf("%w: 4096 groups wait", c.err))
		if p.Code != c.code || p.Status != c.status || p.RetryAfter != 1 {
			t.Errorf("%v: got %+v", c.err, p)
		}
	}
}
