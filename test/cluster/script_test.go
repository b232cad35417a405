package cluster_test

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// scripts/cluster, of four nodes here, carries a chat load through its proxy and
// one between its nodes, hands on the exit code of its command, and leaves
// nothing behind.
func TestScript_CarriesAChatAndEndsCleanly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../../scripts/cluster", "--nodes", "4", "--dir", dir, "--bin", binary, "--", "sh", "-c", //nolint:gosec // the repository's own
		`set -e
		"$CLUSTER_BIN" nodes --json --url "$CLUSTER_URL"
		"$CLUSTER_BIN" load chat --conns 12 --seconds 1 --url "$CLUSTER_URL" --json
		"$CLUSTER_BIN" load idle --conns 48 --seconds 1 --every 0.5 --key "$CLUSTER_KEY" --json \
			$(printf -- "--url %s " $CLUSTER_NODES) $(printf -- "--pid %s " $CLUSTER_PIDS)
		exit 7`)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if cmd.ProcessState.ExitCode() != 7 { // the command's own
		t.Fatalf("%v\n%s%s", err, out, errs.String())
	}
	lines := strings.Split(string(out), "\n")
	var nodes []struct{ ID, Name string }
	if err := json.Unmarshal([]byte(lines[0]), &nodes); err != nil || len(nodes) != 4 || nodes[0].Name == nodes[1].Name {
		t.Errorf("nodes %s: %v", lines[0], err)
	}
	for _, line := range lines[1:3] {
		var load struct {
			Units, Lost, Doubled, Reordered, Errors int
			Nodes                                   []struct{ Conns int }
		}
		if err := json.Unmarshal([]byte(line), &load); err != nil || load.Units == 0 || load.Lost+load.Doubled+load.Reordered+load.Errors > 0 {
			t.Errorf("load %s: %v", line, err)
		}
		for _, n := range load.Nodes {
			if n.Conns != 12 {
				t.Errorf("load %s: a node has %d of 48 sockets", line, n.Conns)
			}
		}
	}
	if left, _ := filepath.Glob(dir + "/*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
