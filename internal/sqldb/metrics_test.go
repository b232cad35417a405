package sqldb_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"parley/internal/sqldb"
)

func TestMetrics_TellOfGroupsAndOfWhatBecameOfThem(t *testing.T) {
	registry := prometheus.NewRegistry()
	db, _ := openWith(t, sqldb.Config{URL: filepath.Join(t.TempDir(), "t.db"), Metrics: registry, QueueMax: 77})
	for result, want := range map[string]float64{"committed": 0, "undone": 0, "cancelled": 0, "unavailable": 0} {
		if got := transactions(t, registry, result); got != want {
			t.Errorf("%s is %v before anything happened", result, got)
		}
	}
	for range 3 {
		if err := db.Update(t.Context(), func(*sqldb.Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	refusal := errors.New("no")
	if err := db.Update(t.Context(), func(*sqldb.Tx) error { return refusal }); !errors.Is(err, refusal) {
		t.Fatal(err)
	}
	if err := db.View(t.Context(), func(*sqldb.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if ok, undone := transactions(t, registry, "committed"), transactions(t, registry, "undone"); ok != 3 || undone != 1 {
		t.Errorf("%v committed and %v undone, want 3 and 1", ok, undone)
	}
	group := family(t, registry, "parley_db_commit_transactions")[0].GetHistogram()
	if group.GetSampleSum() != 4 || family(t, registry, "parley_db_commit_seconds")[0].GetHistogram().GetSampleCount() != group.GetSampleCount() {
		t.Errorf("%v transactions in %d commits, want all 4", group.GetSampleSum(), group.GetSampleCount())
	}
	if n := family(t, registry, "parley_db_view_seconds")[0].GetHistogram().GetSampleCount(); n != 1 {
		t.Errorf("%d views, want 1", n)
	}
	if most := family(t, registry, "parley_db_queue_capacity")[0].GetGauge().GetValue(); most != 77 {
		t.Errorf("capacity %v, want 77", most)
	}
}

func transactions(t *testing.T, registry *prometheus.Registry, result string) float64 {
	t.Helper()
	for _, m := range family(t, registry, "parley_db_transactions_total") {
		if m.GetLabel()[0].GetValue() == result {
			return m.GetCounter().GetValue()
		}
	}
	return -1
}

func family(t *testing.T, registry *prometheus.Registry, name string) []*dto.Metric {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}
