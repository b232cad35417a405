package cluster_test

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// scripts/cluster carries a chat load through its proxy and hands on the exit
// code of its command, and leaves nothing behind.
func TestScript_CarriesAChatAndEndsCleanly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../../scripts/cluster", "--dir", dir, "--bin", binary, "--", "sh", "-c", //nolint:gosec // the repository's own
		`set -e
		"$CLUSTER_BIN" nodes --json --url "$CLUSTER_URL"
		"$CLUSTER_BIN" load chat --conns 12 --seconds 1 --url "$CLUSTER_URL" --json
		exit 7`)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if cmd.ProcessState.ExitCode() != 7 { // the command's own
		t.Fatalf("%v\n%s%s", err, out, errs.String())
	}
	first, second, _ := strings.Cut(string(out), "\n")
	var nodes []struct{ ID, Name string }
	if err := json.Unmarshal([]byte(first), &nodes); err != nil || len(nodes) != 3 || nodes[0].Name == nodes[1].Name {
		t.Errorf("nodes %s: %v", first, err)
	}
	var load struct{ Units, Lost, Doubled, Reordered, Errors int }
	if err := json.Unmarshal([]byte(second), &load); err != nil || load.Units == 0 || load.Lost+load.Doubled+load.Reordered+load.Errors > 0 {
		t.Errorf("load %s: %v", second, err)
	}
	if left, _ := filepath.Glob(dir + "/*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
