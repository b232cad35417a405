// Package crash is support for tests that take things away from running code:
// a process of its own that is killed, the tail of a write-ahead log that never
// reached the disk, a PostgreSQL server that dies, a connection that is cut
// around a COMMIT.
//
// It knows no table and no feature. What must hold afterwards is the test's to say.
package crash

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// roleEnv, in the environment, makes a test binary play a role instead of running tests.
const roleEnv = "PARLEY_CRASH_ROLE"

// Roles are what a child can be, by name. A role that returns ends the child.
type Roles map[string]func(args []string) error

// Main plays the role that the process was started for, and does not return
// then. Call it first thing in TestMain.
func Main(roles Roles) {
	name := os.Getenv(roleEnv)
	if name == "" {
		return
	}
	signal.Ignore(syscall.SIGXFSZ) // where files may not grow, a write fails as on a full disk
	play, ok := roles[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "crash: no role %q\n", name)
		os.Exit(2)
	}
	if err := play(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Say writes one line to the parent, whole or not at all as long as it is
// shorter than 4 KiB (PIPE_BUF). What was said before a kill is heard.
func Say(format string, args ...any) {
	_, _ = os.Stdout.WriteString(fmt.Sprintf(format, args...) + "\n") // the parent may be gone; then so is this process
}

// Wait waits to be killed.
func Wait() {
	hours := time.NewTicker(time.Hour)
	for {
		<-hours.C
	}
}

// Child is the test binary in another process, in a role.
type Child struct {
	t      testing.TB
	cmd    *exec.Cmd
	out    io.Closer
	lines  *bufio.Reader
	killed sync.Once
}

// Start starts this test binary in a role of its Main. It is killed when the test ends.
func Start(t testing.TB, role string, args ...string) *Child {
	t.Helper()
	c := &Child{t: t, cmd: exec.Command(os.Args[0], args...)} //nolint:gosec // the test binary itself
	c.cmd.Env = append(os.Environ(), roleEnv+"="+role)
	c.cmd.Stderr = t.Output()
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.out, c.lines = out, bufio.NewReader(out)
	t.Cleanup(func() { c.Kill() })
	return c
}

// Next returns the next line that the child said; false when it said no more
// before its end. A line that was not finished was not said.
func (c *Child) Next() (string, bool) {
	line, err := c.lines.ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err == nil
}

// Await returns the next line, or fails the test when there is none.
func (c *Child) Await() string {
	c.t.Helper()
	line, ok := c.Next()
	if !ok {
		c.t.Fatal("the child ended without a word")
	}
	return line
}

// Kill ends the child with SIGKILL and returns what it had said before and
// nobody had read. A second call does nothing.
func (c *Child) Kill() (rest []string) {
	c.killed.Do(func() {
		_ = c.cmd.Process.Kill() // it may have ended
		rest = c.readOut()
		_ = c.cmd.Wait() // killed
	})
	return rest
}

// LimitFiles bounds the size that the child's files may grow to, so that its
// disk is full from there on; math.MaxUint64 lifts the bound again.
func (c *Child) LimitFiles(bytes uint64) {
	c.t.Helper()
	limit := syscall.Rlimit{Cur: bytes, Max: math.MaxUint64}                                                                                              // Max as root only, or where there was none
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(c.cmd.Process.Pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0) //nolint:gosec // package syscall has no function for it
	if errno != 0 {
		c.t.Fatalf("limit of file sizes: %v", errno)
	}
}

// Signal sends SIGKILL and does not wait; Next ends soon after.
func (c *Child) Signal() { _ = c.cmd.Process.Kill() } // it may have ended

// KillAfter lets the child go on for d before it is killed, and returns what it
// says meanwhile. A child that ends before by itself fails the test.
func (c *Child) KillAfter(d time.Duration) (rest []string) {
	c.t.Helper()
	c.killed.Do(func() {
		timer := time.AfterFunc(d, func() { _ = c.cmd.Process.Kill() }) // the check of how it ended is below
		defer timer.Stop()
		rest = c.readOut()
		var exit *exec.ExitError
		if err := c.cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			c.t.Errorf("the child ended by itself: %v", err)
		}
	})
	return rest
}

func (c *Child) readOut() (rest []string) {
	for {
		line, ok := c.Next()
		if !ok {
			return rest
		}
		rest = append(rest, line)
	}
}
