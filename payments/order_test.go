package payments

import (
	"errors"
	"testing"
	"time"
)

func TestOrder_AfterEachAnswer(t *testing.T) {
	made := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lost := errors.New("line broken")
	busy := &RailBusyError{After: time.Hour, Err: lost}
	for _, tt := range []struct {
		name   string
		action RailAction
		state  OrderState
		tries  int64
		age    time.Duration
		out    RailOutcome
		asked  error
		want   OrderState
		v      verdict
		reason string
		due    time.Duration // after the answer; 0: never
	}{
		{"done at once", RailFund, OrderSent, 1, 0, RailOutcome{Status: RailDone}, nil, OrderDone, isDone, "", 0},
		{"refused at once", RailPayout, OrderSent, 1, 0, RailOutcome{Status: RailRefused, Reason: "AM04"}, nil, OrderRefused, isRefused, "AM04", 0},
		{"in review", RailPayout, OrderSent, 1, 0, RailOutcome{Status: RailPending, Reason: "review"}, nil, OrderPending, nothingNew, "review", time.Second},
		{"no answer", RailPayout, OrderSent, 1, 0, RailOutcome{}, lost, OrderUnknown, nothingNew, "", time.Second},
		{"no answer again", RailPayout, OrderUnknown, 5, time.Minute, RailOutcome{}, lost, OrderUnknown, nothingNew, "", 16 * time.Second},
		{"no answer for long", RailPayout, OrderUnknown, 900, time.Hour, RailOutcome{}, lost, OrderUnknown, nothingNew, "", lastBackoff},
		{"asked to wait", RailPayout, OrderUnknown, 1, time.Hour, RailOutcome{}, busy, OrderUnknown, nothingNew, "", time.Hour},
		{"no answer about a pending one", RailPayout, OrderPending, 2, time.Hour, RailOutcome{}, lost, OrderPending, nothingNew, "", 2 * time.Second},
		{"late success", RailPayout, OrderPending, 9, time.Hour, RailOutcome{Status: RailDone}, nil, OrderDone, isDone, "", lookEvery},
		{"late refusal", RailPayout, OrderPending, 9, time.Hour, RailOutcome{Status: RailRefused, Reason: "AC06"}, nil, OrderRefused, isRefused, "AC06", 0},
		{"timeout, then success", RailPayout, OrderUnknown, 2, time.Minute, RailOutcome{Status: RailDone}, nil, OrderDone, isDone, "", lookEvery},
		{"not there yet", RailPayout, OrderUnknown, 2, 23 * time.Hour, RailOutcome{Status: RailAbsent}, nil, OrderUnknown, nothingNew, "", 2 * time.Second},
		{"never got there", RailPayout, OrderUnknown, 2, orderLostAfter, RailOutcome{Status: RailAbsent}, nil, OrderRefused, isRefused, reasonLost, 0},
		{"pending, yet not there", RailPayout, OrderPending, 2, orderLostAfter, RailOutcome{Status: RailAbsent}, nil, OrderPending, nothingNew, "", 2 * time.Second},
		{"done stays done", RailPayout, OrderDone, 2, time.Hour, RailOutcome{Status: RailDone}, nil, OrderDone, nothingNew, "", lookEvery},
		{"done for good", RailPayout, OrderDone, 2, returnsFor, RailOutcome{Status: RailDone}, nil, OrderDone, nothingNew, "", 0},
		{"came back", RailPayout, OrderDone, 2, time.Hour, RailOutcome{Status: RailRefused, Reason: "AC04"}, nil, OrderReturned, isReturned, "AC04", 0},
		{"came back before", RailPayout, OrderReturned, 2, time.Hour, RailOutcome{Status: RailRefused}, nil, OrderReturned, nothingNew, "", 0},
		{"income taken back", RailFund, OrderDone, 2, time.Hour, RailOutcome{Status: RailRefused}, nil, OrderDone, contradicts, "", 0},
		{"done after all", RailPayout, OrderRefused, 2, time.Hour, RailOutcome{Status: RailDone}, nil, OrderRefused, contradicts, "", 0},
	} {
		o := order{ID: "x", Action: tt.action, State: tt.state, Tries: tt.tries, CreatedAt: made}
		now := made.Add(tt.age)
		next, v := o.after(tt.out, tt.asked, now)
		if next.State != tt.want || v != tt.v || next.Reason != tt.reason {
			t.Errorf("%s: %s %q (%s), want %s %q (%s)", tt.name, next.State, v, next.Reason, tt.want, tt.v, tt.reason)
		}
		var due time.Duration
		if !next.Due.IsZero() {
			due = next.Due.Sub(now)
		}
		if due != tt.due {
			t.Errorf("%s: due in %v, want %v", tt.name, due, tt.due)
		}
	}
}

// TestOrder_AVerdictComesOnce gives every answer to every state, twice.
func TestOrder_AVerdictComesOnce(t *testing.T) {
	made := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	answers := []RailOutcome{{Status: RailDone}, {Status: RailPending}, {Status: RailRefused}, {Status: RailAbsent}}
	for _, action := range []RailAction{RailFund, RailAuthorise, RailCapture, RailVoid, RailRefund, RailPayout} {
		for _, state := range []OrderState{OrderSent, OrderPending, OrderUnknown, OrderDone, OrderRefused, OrderReturned} {
			for _, age := range []time.Duration{0, 30 * time.Hour, 300 * time.Hour} {
				for _, out := range answers {
					first, v := (order{Action: action, State: state, CreatedAt: made}).after(out, nil, made.Add(age))
					if v == nothingNew || v == contradicts {
						continue
					}
					if _, again := first.after(out, nil, made.Add(age)); again != nothingNew {
						t.Errorf("%s of %s: %s, then %s", out.Status, action, v, again)
					}
				}
			}
		}
	}
}
