package app_test

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"parley/internal/redisdb/redistest"
)

var updateMetrics = flag.Bool("update", false, "write docs/metrics.md anew")

// metric is one that a node shows.
type metric struct {
	name, kind, help string
	labels           map[string]bool
}

var sampleLine = regexp.MustCompile(`^([a-z_0-9]+)(?:\{(.*)\})? \S+$`)

// metrics reads what the node shows to Prometheus.
func (n *node) metrics() map[string]*metric {
	n.t.Helper()
	res, err := http.Get(n.info.URL + "/metrics")
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	found := map[string]*metric{}
	var last *metric
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSpace(line)
		if help, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, text, _ := strings.Cut(help, " ")
			last = &metric{name: name, help: text, labels: map[string]bool{}}
			found[name] = last
		} else if kind, ok := strings.CutPrefix(line, "# TYPE "); ok {
			_, last.kind, _ = strings.Cut(kind, " ")
		} else if sample := sampleLine.FindStringSubmatch(line); sample != nil {
			for _, label := range labelName.FindAllStringSubmatch(sample[2], -1) {
				last.labels[label[1]] = true
			}
		}
	}
	return found
}

var labelName = regexp.MustCompile(`(?:^|,)([a-z_]+)="`)

// ours are a node's own metrics by name; the rest are the process's and Go's.
func ours(all map[string]*metric) (list []*metric) {
	for name, m := range all {
		if strings.HasPrefix(name, "parley_") {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b *metric) int { return strings.Compare(a.name, b.name) })
	return list
}

const metricsDoc = "../../docs/metrics.md"

func TestMetrics_AreDocumented(t *testing.T) {
	redis := redistest.Start(t)
	all := start(t, t.TempDir(), "redis.url=redis://"+redis.Addr).metrics()
	maps.Copy(all, start(t, t.TempDir()).metrics())
	shown := ours(all)
	var doc strings.Builder
	doc.WriteString("# Metrics\n\nWhat a node shows at `/metrics`, besides `go_` and `process_`. Those of Redis exist where it is configured, `parley_streams` where it is not. " +
		"A counter and each of its labels are there from the start, at zero. [Alerts and what to do](operations.md#alerts).\n\n" +
		"This file is written by `go test ./internal/app -run TestMetrics_AreDocumented -update`.\n\n| metric | kind | labels | what |\n|---|---|---|---|\n")
	for _, m := range shown {
		labels := []string{}
		for l := range m.labels {
			if l != "le" {
				labels = append(labels, "`"+l+"`")
			}
		}
		slices.Sort(labels)
		fmt.Fprintf(&doc, "| `%s` | %s | %s | %s |\n", m.name, m.kind, strings.Join(labels, ", "), m.help)
	}
	if *updateMetrics {
		if err := os.WriteFile(metricsDoc, []byte(doc.String()), 0o644); err != nil { //nolint:gosec // docs are for everybody
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(metricsDoc)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(doc.String()) {
		if !strings.Contains(string(written), line) {
			t.Errorf("docs/metrics.md lacks %q: run this test with -update", line)
		}
	}
	for line := range strings.Lines(string(written)) {
		if !strings.Contains(doc.String(), line) {
			t.Errorf("docs/metrics.md has %q, which no node shows: run this test with -update", line)
		}
	}
}

// fewValued are the labels there may be: each has few values, none of which
// comes from a user.
var fewValued = []string{"action", "cause", "change", "code", "consumer", "direction", "kind", "le", "operation", "outcome", "reason", "result", "rule", "status", "transport"}

func TestMetrics_AreNamedByConvention(t *testing.T) {
	for _, m := range ours(start(t, t.TempDir()).metrics()) {
		if m.help == "" || !strings.HasSuffix(m.help, ".") {
			t.Errorf("%s: help %q is no sentence", m.name, m.help)
		}
		if total := strings.HasSuffix(m.name, "_total"); total != (m.kind == "counter") {
			t.Errorf("%s is a %s: counters, and only they, end in _total", m.name, m.kind)
		}
		if m.kind == "histogram" && !regexp.MustCompile(`_(seconds|ratio|bytes|messages|sockets|entries|transactions|groups|users)$`).MatchString(m.name) {
			t.Errorf("%s: a histogram's name ends in its unit", m.name)
		}
		for l := range m.labels {
			if !slices.Contains(fewValued, l) {
				t.Errorf("%s has the label %s: add it to the list if it has few values", m.name, l)
			}
		}
	}
}

// A queue shows how full it is and what happens at its bound, from the start.
func TestMetrics_EveryQueueHasABound(t *testing.T) {
	redis := redistest.Start(t)
	shown := start(t, t.TempDir(), "redis.url=redis://"+redis.Addr).metrics()
	for name := range shown {
		if strings.HasSuffix(name, "_queue_length") || strings.HasSuffix(name, "queued_bytes") {
			bound := strings.TrimSuffix(name, "_length") + "_capacity"
			if shown[bound] == nil {
				t.Errorf("%s has no %s", name, bound)
			}
		}
	}
	for _, drops := range []string{"parley_hub_drops_total", "parley_broker_dropped_total", "parley_broker_redis_dropped_total", "parley_turn_drops_total", "parley_auth_devices_dropped_total", "parley_room_events_dropped_total"} {
		if shown[drops] == nil {
			t.Errorf("%s is not there from the start", drops)
		}
	}
}
