package app_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"parley/internal/redisdb/redistest"
)

const configsDir = "../../configs/"

// metricName is a metric in an expression; what follows a histogram's name is its series.
var metricName = regexp.MustCompile(`\b(?:parley|go|process)_[a-z0-9_]+\b`)

// exists reports whether a node shows the series that an expression names.
func exists(shown map[string]*metric, name string) bool {
	if shown[name] != nil {
		return shown[name].kind != "histogram" // whose series all have an ending
	}
	for _, ending := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, ending); ok && shown[base] != nil {
			return shown[base].kind == "histogram" || shown[base].kind == "summary" && ending != "_bucket"
		}
	}
	return false
}

// labelNames are those that an expression selects or groups by.
var labelNames = regexp.MustCompile(`(?:\bby \(([a-z_, ]*)\))|([a-z_]+)(?:=~|!~|!=|=)"`)

// checkExpr says what is wrong with an expression: a metric or a label that no node shows.
func checkExpr(t *testing.T, shown map[string]*metric, where, expr string) {
	t.Helper()
	known := map[string]bool{"instance": true, "job": true, "le": true}
	names := metricName.FindAllString(expr, -1)
	for _, name := range names {
		if !exists(shown, name) {
			t.Errorf("%s: no node shows %s", where, name)
			continue
		}
		for _, ending := range []string{"", "_bucket", "_sum", "_count"} {
			if m := shown[strings.TrimSuffix(name, ending)]; m != nil {
				for l := range m.labels {
					known[l] = true
				}
			}
		}
	}
	for _, found := range labelNames.FindAllStringSubmatch(expr, -1) {
		for _, l := range strings.FieldsFunc(found[1]+","+found[2], func(r rune) bool { return r == ',' || r == ' ' }) {
			if !known[l] {
				t.Errorf("%s: nothing in %q has the label %s", where, expr, l)
			}
		}
	}
	if strings.Count(expr, "(") != strings.Count(expr, ")") || strings.Count(expr, "{") != strings.Count(expr, "}") || len(names) == 0 && !strings.HasPrefix(expr, "up{") {
		t.Errorf("%s: %q is no expression", where, expr)
	}
}

func TestDashboard_ShowsWhatNodesShow(t *testing.T) {
	redis := redistest.Start(t)
	shown := start(t, t.TempDir(), "redis.url=redis://"+redis.Addr).metrics()
	file, err := os.ReadFile(configsDir + "grafana/parley.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Type, Title string
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(file, &board); err != nil {
		t.Fatal(err)
	}
	rows := []string{}
	for _, p := range board.Panels {
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if len(p.Targets) == 0 {
			t.Errorf("panel %q asks nothing", p.Title)
		}
		for _, q := range p.Targets {
			checkExpr(t, shown, "panel "+p.Title, strings.ReplaceAll(q.Expr, "$__rate_interval", "1m"))
		}
	}
	if got := strings.Join(rows, ", "); got != "Sockets, Delivery, Bus, Calls, TURN, Ledger, Webhooks, Process" {
		t.Errorf("rows are %s", got)
	}
}

func TestAlerts_AreAboutWhatNodesShowAndHaveARunbook(t *testing.T) {
	redis := redistest.Start(t)
	shown := start(t, t.TempDir(), "redis.url=redis://"+redis.Addr).metrics()
	file, err := os.ReadFile(configsDir + "prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.UnmarshalWithOptions(file, &rules, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	runbook, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, r := range rules.Groups[0].Rules {
		checkExpr(t, shown, "alert "+r.Alert, r.Expr)
		if s := r.Labels["severity"]; s != "warning" && s != "critical" {
			t.Errorf("%s has the severity %q", r.Alert, s)
		}
		_, anchor, _ := strings.Cut(r.Annotations["runbook"], "#")
		told[anchor] = true
		if heading := "\n### " + strings.ToUpper(anchor[:1]) + strings.ReplaceAll(anchor[1:], "-", " ") + "\n"; !strings.Contains(string(runbook), heading) {
			t.Errorf("%s: docs/operations.md has no heading %q", r.Alert, strings.TrimSpace(heading))
		}
		if r.Annotations["summary"] == "" {
			t.Errorf("%s has no summary", r.Alert)
		}
	}
	if len(told) < 10 {
		t.Errorf("only %d places of the runbook are used", len(told))
	}
}
