package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"parley/api"
	"parley/wire"
)

// watched is a table with one row to read and one to write, for operators and
// servers, with its log and its metrics.
func watched(t *testing.T) (*api.Table, *bytes.Buffer, *prometheus.Registry) {
	t.Helper()
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	greet := func(_ context.Context, _ wire.Caller, in greetIn) (greetOut, error) {
		if in.Name == "fail" {
			return greetOut{}, errors.New("secret of the house")
		}
		return greetOut{}, nil
	}
	both := []wire.Role{wire.RoleServer, wire.RoleOperator}
	tb, err := api.New(api.Config{Log: slog.New(slog.NewJSONHandler(&log, nil)), Metrics: registry}, []api.Operation{
		api.Op(api.Row{Name: "greetings.get", Method: "GET", Path: "/v1/greetings/{name}", Roles: both, Summary: "Greet."}, greet),
		api.Op(api.Row{Name: "greetings.send", Method: "POST", Path: "/v1/greetings/{name}", Roles: both, Summary: "Greet."}, greet),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tb, &log, registry
}

func TestAudit_WritesDownWhatOperatorsChange(t *testing.T) {
	operator := wire.Caller{Role: wire.RoleOperator, User: "olga", RequestID: "req_1"}
	for _, try := range []struct {
		what, operation, params string
		caller                  wire.Caller
		outcome                 string // empty: nothing is written down
	}{
		{"an operator writes", "greetings.send", `{"name":"ann"}`, operator, "ok"},
		{"an operator is refused", "greetings.send", `{"name":"ann","times":9}`, operator, "invalid_params"},
		{"an operator fails", "greetings.send", `{"name":"fail"}`, operator, "internal"},
		{"an operator reads", "greetings.get", `{"name":"ann"}`, operator, ""},
		{"a server writes", "greetings.send", `{"name":"ann"}`, wire.Caller{Role: wire.RoleServer}, ""},
	} {
		t.Run(try.what, func(t *testing.T) {
			tb, log, _ := watched(t)
			_, _ = tb.Call(t.Context(), try.caller, try.operation, json.RawMessage(try.params))
			var line struct{ Msg, Operator, Operation, Outcome, Request, Name string }
			for dec := json.NewDecoder(log); dec.More(); {
				if err := dec.Decode(&line); err != nil {
					t.Fatal(err)
				}
				if line.Msg == "an operator acts" {
					break
				}
			}
			if line.Msg != "an operator acts" {
				line.Outcome = ""
			}
			if line.Outcome != try.outcome {
				t.Fatalf("written down: %+v, want the outcome %q", line, try.outcome)
			}
			if try.outcome != "" && (line.Operator != "olga" || line.Operation != "greetings.send" || line.Request != "req_1" || line.Name == "") {
				t.Errorf("%+v does not say who did what to what", line)
			}
		})
	}
}

func TestMetrics_CallsAreCountedByResultFromZero(t *testing.T) {
	tb, _, registry := watched(t)
	want := map[string]float64{"ok": 0, "refused": 0, "failed": 0}
	check := func() {
		t.Helper()
		for result, n := range want {
			if got := callsOf(t, registry, "greetings.send", result); got != n {
				t.Errorf("%s: %v, want %v", result, got, n)
			}
		}
	}
	check()
	server := wire.Caller{Role: wire.RoleServer}
	for params, result := range map[string]string{`{"name":"ann"}`: "ok", `{"name":7}`: "refused", `{"name":"fail"}`: "failed"} {
		_, _ = tb.Call(t.Context(), server, "greetings.send", json.RawMessage(params))
		want[result]++
	}
	check()
}

// callsOf reads a counter; -1 when there is none.
func callsOf(t *testing.T, registry *prometheus.Registry, operation, result string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "parley_api_calls_total" && has(m, "operation", operation) && has(m, "result", result) {
				return m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

func has(m *dto.Metric, label, value string) bool {
	for _, l := range m.GetLabel() {
		if l.GetName() == label {
			return l.GetValue() == value
		}
	}
	return false
}
