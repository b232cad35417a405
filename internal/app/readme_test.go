package app_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// block returns the fenced code after the marker <!-- test: name --> of a file.
func block(t *testing.T, file, name string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(text), "<!-- test: "+name+" -->\n```")
	if !ok {
		t.Fatalf("%s has no block %q", file, name)
	}
	_, after, _ = strings.Cut(after, "\n")
	code, _, _ := strings.Cut(after, "\n```")
	return code
}

func TestReadme_CurlStoryCaptures(t *testing.T) {
	n := start(t, t.TempDir())
	script := block(t, "../../README.md", "curl")
	if requests := strings.Count(script, "post /v1"); requests < 3 || requests > 6 {
		t.Errorf("the story takes %d requests", requests)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-euc", script) //nolint:gosec // our own README
	cmd.Env = append(os.Environ(), "URL="+n.info.URL, "KEY="+n.info.Keys.Secret)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"state":"captured"`) {
		t.Fatalf("%v\n%s", err, out)
	}
	if b, s := available(n, "buyer"), available(n, "seller"); b != 50000-1250 || s != 50000+1250-12 {
		t.Errorf("buyer has %d, seller %d", b, s)
	}
}
