package main

import (
	"encoding/json"
	"strings"
	"testing"

	"parley/internal/cluster"
)

func TestNodes_ListsARunningNode(t *testing.T) {
	info, _ := serve(t, "--ephemeral")
	code, out, err := run(t, nil, "nodes", "--url", info.URL)
	if code != 0 || !strings.Contains(out, info.URL) || !strings.Contains(out, "hub,turn,media") || !strings.Contains(out, "SOCKETS") {
		t.Errorf("exit %d, printed %s%s", code, out, err)
	}
	code, out, err = run(t, nil, "nodes", "--url", info.URL, "--json")
	var list []cluster.Node
	if jerr := json.Unmarshal([]byte(out), &list); code != 0 || jerr != nil || len(list) != 1 || list[0].Address != info.URL || list[0].Started.IsZero() {
		t.Errorf("exit %d, printed %s%s: %v", code, out, err, jerr)
	}
}
