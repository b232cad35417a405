package api

import (
	"encoding/json"
	"strings"
	"testing"

	"parley/internal/sqldb/sqldbtest"
	"parley/signaling"
	"parley/wire"
)

// callsTable is the table of just the calls, over an empty database.
func callsTable(t *testing.T) *Table {
	t.Helper()
	s := signaling.New(signaling.Deps{DB: sqldbtest.Open(t, sqldbtest.Schemas{"signaling": signaling.Schema()})}, signaling.Config{})
	table, err := New(Config{BaseURL: "http://parley"}, callsOperations(s), callsRules)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestCalls_InputsAreChecked(t *testing.T) {
	table := callsTable(t)
	user := wire.Caller{Role: wire.RoleUser, User: "buyer", Device: "dev_b1"}
	for _, tc := range []struct {
		method, params, code string
	}{
		{"calls.start", `{"to":["seller"]}`, "invalid_params"},
		{"calls.start", `{"client_id":"c"}`, "invalid_params"},
		{"calls.start", `{"client_id":"c","to":["buyer"]}`, "invalid_params"},
		{"calls.start", `{"client_id":"c","media":"tape","to":["seller"]}`, "invalid_params"},
		{"calls.get", `{"call":"call_x"}`, "call_unknown"},
		{"calls.answer", `{"call":"call_x"}`, "call_unknown"},
		{"calls.answer", `{"call":"call_x","sdp":"` + strings.Repeat("x", signaling.MaxSignal+1) + `"}`, "invalid_params"},
		{"calls.signal", `{"call":"call_x","kind":"offer","data":{"sdp":"v=0"}}`, "call_unknown"},
		{"calls.signal", `{"call":"call_x","kind":"chat","data":"hello"}`, "invalid_params"},
		{"calls.signal", `{"call":"call_x","kind":"candidate","data":null,"to":{"user":"seller"}}`, "call_unknown"},
		{"calls.verify", `{"call":"call_x","transcript":"ABC","result":"match"}`, "invalid_params"},
		{"calls.connected", `{"call":"call_x","route":"pigeon"}`, "invalid_params"},
		{"calls.report", `{"call":"call_x","alive":true,"rtt_ms":12.5,"loss":0.01}`, "call_unknown"},
		{"calls.report", `{"call":"call_x","alive":true,"loss":3}`, "invalid_params"},
		{"calls.prompt", `{"call":"call_x","prompt":"welcome"}`, "forbidden"},
	} {
		_, p := table.Call(t.Context(), user, tc.method, json.RawMessage(tc.params))
		if p == nil || p.Code != tc.code {
			t.Errorf("%s %.80s: got %v, want %s", tc.method, tc.params, p, tc.code)
		}
	}
	_, p := table.Call(t.Context(), wire.Caller{Role: wire.RoleUser, User: "buyer"}, "calls.start", json.RawMessage(`{"client_id":"c","to":["seller"]}`))
	if p == nil || p.Code != "device_required" || p.Status != 422 {
		t.Errorf("without a device: %v", p)
	}
	got, p := table.Call(t.Context(), user, "calls.list", json.RawMessage(`{"active":true}`))
	if p != nil || string(got) != `{"items":[],"next":""}` {
		t.Errorf("an empty list is %s, %v", got, p)
	}
}

// What an error becomes must not depend on the order in which the rules were written.
func TestCalls_EveryErrorHasItsProblem(t *testing.T) {
	table := callsTable(t)
	for err, want := range map[error]string{
		signaling.ErrUnknown: "call_unknown 404", signaling.ErrState: "call_state 409", signaling.ErrEnded: "call_state 409",
		signaling.ErrInCall: "call_state 409", signaling.ErrNotEndToEnd: "call_state 409", signaling.ErrFull: "call_state 409", signaling.ErrBusy: "call_state 409",
		signaling.ErrNotParticipant: "not_participant 403", signaling.ErrTaken: "call_taken 409", signaling.ErrNoRelation: "no_relation 403",
		signaling.ErrNotParty: "not_party 403", signaling.ErrPaymentUnknown: "payment_unknown 404",
		signaling.ErrConversationUnknown: "conversation_unknown 404", signaling.ErrInput: "invalid_params 422",
		signaling.ErrSignal: "signal_invalid 422", signaling.ErrDevice: "device_required 422",
		signaling.ErrNoSFU: "sfu_unavailable 503", signaling.ErrForbidden: "forbidden 403",
	} {
		p := table.problem(wire.Caller{}, "calls.test", err)
		if got := p.Code + " " + jsonNumber(p.Status); got != want {
			t.Errorf("%v: got %s, want %s", err, got, want)
		}
	}
}

func jsonNumber(n int) string {
	b, _ := json.Marshal(n) // integers always encode
	return string(b)
}
