// Package load drives a running node over its own doors and measures it: how
// much gets through, how long it takes, what it costs the server, and whether
// anything was lost, doubled or out of order.
//
// It is a client like any other and knows nothing of the node's inside; only
// Payments runs the ledger core in its own process.
package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"parley/client"
	"parley/wire"
)

// Result is the one line that a run prints; fields that do not apply are left out.
type Result struct {
	Bench              string  `json:"bench"`
	Units              int64   `json:"units"`
	UnitsPerS          float64 `json:"units_per_s"`
	ServerCPUUsPerUnit float64 `json:"server_cpu_us_per_unit,omitempty"`
	P50MS              float64 `json:"p50_ms,omitempty"`
	P99MS              float64 `json:"p99_ms,omitempty"`
	MaxMS              float64 `json:"max_ms,omitempty"`
	Memory
	ConnectCPUUs float64 `json:"connect_cpu_us,omitempty"`
	Lost         int64   `json:"lost"`
	Doubled      int64   `json:"doubled"`
	Reordered    int64   `json:"reordered"`
	Errors       int64   `json:"errors"`
	// ErrorsSaid counts the errors by what they said.
	ErrorsSaid map[string]int64 `json:"errors_said,omitempty"`
	// Nodes are the parts of each where there are several.
	Nodes []NodeResult `json:"nodes,omitempty"`
}

// String writes the result for people.
func (r Result) String() string {
	s := fmt.Sprintf("%s: %d units, %.0f/s, server CPU %.2f us per unit, p50 %.2f ms, p99 %.2f ms, most %.0f ms",
		r.Bench, r.Units, r.UnitsPerS, max(r.ServerCPUUsPerUnit, r.ConnectCPUUs), r.P50MS, r.P99MS, r.MaxMS)
	if r.RSSBytesPerConn > 0 {
		s += fmt.Sprintf(", %d bytes resident per socket", r.RSSBytesPerConn)
	}
	if len(r.RSSBytesPerConnByMinute) > 0 {
		s += fmt.Sprintf(", by minute %d", r.RSSBytesPerConnByMinute)
	}
	s += fmt.Sprintf("; lost %d, doubled %d, reordered %d, errors %d", r.Lost, r.Doubled, r.Reordered, r.Errors)
	if len(r.ErrorsSaid) > 0 {
		s += " (" + saidText(r.ErrorsSaid) + ")"
	}
	return s
}

// Target is the node under load.
type Target struct {
	URL       string                   `json:"url"`
	SocketURL string                   `json:"socket_url"`
	PID       int                      `json:"pid"`
	Users     []struct{ Token string } `json:"users"`
	Keys      struct {
		Secret string `json:"secret"`
	} `json:"keys"`
	// Deflate has every socket offer permessage-deflate.
	Deflate bool `json:"-"`
	// Mint makes a token for a user; a spawned node's dev secret signs it.
	Mint func(user wire.UserID) (string, error) `json:"-"`
}

// open connects a user's only device with the SDK.
func open(ctx context.Context, t Target, user wire.UserID, on func(wire.Event)) (*client.Conn, error) {
	token, err := t.Mint(user)
	if err != nil {
		return nil, err
	}
	return client.Dial(ctx, client.Options{SocketURL: t.SocketURL, Token: token, Device: "dev_load", OnEvent: on})
}

// Spawn starts the binary as a dev node of its own process group and waits until
// it is ready. stop ends it.
func Spawn(ctx context.Context, binary string, stderr io.Writer, sets ...string) (t Target, stop func(), err error) {
	args := []string{"dev", "--port", "0", "--ephemeral", "--json"}
	for _, s := range sets {
		args = append(args, "--set", s)
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stderr = stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return t, nil, fmt.Errorf("load: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return t, nil, fmt.Errorf("load: start %s: %w", binary, err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = cmd.Wait()                          // its exit code is of no use here
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &t)
	}
	if err != nil {
		stop()
		return t, nil, fmt.Errorf("load: the node did not get ready: %w", err)
	}
	return t, stop, nil
}

// ErrNoProcess says that a process's figures cannot be read.
var ErrNoProcess = errors.New("load: no such process to measure")

// ticksPerSecond is USER_HZ, 100 on every Linux that Go runs on.
const ticksPerSecond = 100

// CPU is the processor time a process has used, user and system.
func CPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoProcess, err)
	}
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0, ErrNoProcess
	}
	user, uerr := strconv.ParseInt(fields[11], 10, 64)
	system, serr := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticksPerSecond, errors.Join(uerr, serr)
}

// RSS is the memory a process has resident, in bytes.
func RSS(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoProcess, err)
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, ErrNoProcess
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// samples gathers durations from several goroutines.
type samples struct {
	mu   sync.Mutex
	list []time.Duration
}

func (s *samples) add(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, d)
}

// at is the value below which the given share of the samples lie, in ms.
func (s *samples) at(share float64) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == 0 {
		return 0
	}
	slices.Sort(s.list)
	i := min(int(share*float64(len(s.list))), len(s.list)-1)
	return float64(s.list[i].Microseconds()) / 1000
}

// meter measures a span of a run on the servers.
type meter struct {
	pids  []int
	cpu   time.Duration
	blind bool // their processor time cannot be told: the figures are left out
	begun time.Time
}

func newMeter(pids ...int) meter {
	cpu, err := cpuOf(pids)
	return meter{pids: pids, cpu: cpu, blind: err != nil, begun: time.Now()}
}

func cpuOf(pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		cpu, err := CPU(pid)
		if err != nil {
			return 0, err
		}
		sum += cpu
	}
	return sum, nil
}

// finish fills in the rates of r for its units.
func (m meter) finish(r *Result) {
	took := time.Since(m.begun)
	if r.Units == 0 || took <= 0 {
		return
	}
	r.UnitsPerS = float64(r.Units) / took.Seconds()
	if cpu, err := cpuOf(m.pids); err == nil && !m.blind {
		r.ServerCPUUsPerUnit = float64((cpu - m.cpu).Microseconds()) / float64(r.Units)
	}
}
