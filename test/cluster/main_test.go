package cluster_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// binary is the node under test: the one that CLUSTER_BIN names, or one that is
// built for the tests.
var binary = os.Getenv("CLUSTER_BIN")

// long, by CLUSTER_LONG=1, makes faults last as long as in the field.
var long = os.Getenv("CLUSTER_LONG") == "1"

// patience bounds every wait; what it waits for takes a few seconds.
const patience = 60 * time.Second

// lasting is how long a fault lasts: brief in the ordinary run.
func lasting(brief, field time.Duration) time.Duration {
	if long {
		return field
	}
	return brief
}

func TestMain(m *testing.M) {
	remove := func() {}
	if binary == "" {
		dir, err := build()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		remove = func() { _ = os.RemoveAll(dir) } // the system empties its temporary folder too
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		remove()
		os.Exit(code)
	}))
}

func build() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "parley-cluster-test-"); err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "parley")
	if out, err := goBuild(binary); err != nil {
		return "", fmt.Errorf("build the node: %w\n%s", err, out)
	}
	return dir, nil
}

// goBuild builds a node and returns what the compiler says.
func goBuild(to string, flags ...string) ([]byte, error) {
	args := append(append([]string{"build", "-o", to}, flags...), "parley/cmd/parley")
	return exec.CommandContext(context.Background(), "go", args...).CombinedOutput() //nolint:gosec // the test's own arguments
}

// after returns once d has passed: how long a fault lasts is real time.
func after(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// until polls ok, a few milliseconds apart, and fails the test when it stays false.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
