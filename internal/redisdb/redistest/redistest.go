// Package redistest starts real Redis servers for tests, on free ports of
// loopback and in temporary folders: one, a master with a replica and a
// Sentinel, or a Cluster of three masters. They end with the test.
package redistest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/internal/redisdb"
)

// patience bounds every wait; what it waits for takes a second or two.
const patience = 30 * time.Second

// Server is one redis-server process.
type Server struct {
	Addr string

	t    testing.TB
	args []string
	cmd  *exec.Cmd
}

// Start starts a server that keeps nothing on disk.
func Start(t testing.TB) *Server {
	t.Helper()
	return launch(t)
}

// launch starts a server with more arguments.
func launch(t testing.TB, more ...string) *Server {
	t.Helper()
	port := freePort(t)
	s := &Server{t: t, Addr: "127.0.0.1:" + port}
	s.args = append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir()}, more...)
	s.Restart()
	t.Cleanup(s.Kill)
	return s
}

// Config says how to reach the server.
func (s *Server) Config() redisdb.Config { return redisdb.Config{URLs: []string{"redis://" + s.Addr}} }

// Restart starts the server again, empty, after Kill.
func (s *Server) Restart() {
	s.t.Helper()
	s.run(s.args, "Ready to accept connections")
}

// run starts the process and waits until it has said word.
func (s *Server) run(args []string, word string) {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", args...) //nolint:gosec // the test's own arguments
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("redis-server (package redis-server of the system): %v", err)
	}
	lines := bufio.NewScanner(out)
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		if strings.Contains(lines.Text(), word) {
			go func() { _, _ = io.Copy(io.Discard, out) }() // until it is killed
			return
		}
	}
	_ = s.cmd.Wait()
	s.t.Fatalf("redis-server %v did not start:\n%s", args, strings.Join(said, "\n"))
}

// Kill ends the server at once, as a power cut would. It may be called again.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // "signal: killed"
	s.cmd = nil
}

// Freeze stops the server without closing its connections, until Thaw.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// Cluster is a Redis Cluster of three masters.
type Cluster struct{ Servers []*Server }

// Config says how to reach the cluster.
func (c *Cluster) Config() redisdb.Config {
	return redisdb.Config{URLs: []string{c.Servers[0].Addr, c.Servers[1].Addr}, Cluster: true}
}

// StartCluster starts three masters and joins them.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{}
	args := []string{"--cluster", "create"}
	for range 3 {
		s := launch(t, "--cluster-enabled", "yes", "--cluster-port", freePort(t), "--cluster-node-timeout", "2000")
		c.Servers = append(c.Servers, s)
		args = append(args, s.Addr)
	}
	cli(t, append(args, "--cluster-yes")...)
	for _, s := range c.Servers {
		s.Await("cluster_state:ok", "CLUSTER", "INFO")
	}
	return c
}

// Sentinel is a master, its replica and the Sentinel that watches them.
type Sentinel struct {
	Master, Replica *Server
	sentinel        *Server
}

// Config says how to reach the master through the Sentinel.
func (s *Sentinel) Config() redisdb.Config {
	return redisdb.Config{URLs: []string{s.sentinel.Addr}, Master: "main"}
}

// StartSentinel starts the three processes and waits until each knows the others.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	master := launch(t)
	host, port, _ := net.SplitHostPort(master.Addr)
	replica := launch(t, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")
	replica.Await("master_link_status:up", "INFO", "replication")
	at := freePort(t)
	s := &Server{t: t, Addr: "127.0.0.1:" + at}
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\nsentinel monitor main %s %s 1\nsentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n", at, host, port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run([]string{file, "--sentinel"}, "+monitor")
	t.Cleanup(s.Kill)
	s.Await("slaves=1", "INFO", "sentinel")
	return &Sentinel{Master: master, Replica: replica, sentinel: s}
}

// Await asks the server with a command until its answer has word. One that does
// not answer is asked again: a Redis that Sentinel promotes closes its
// connections, also that of who asks.
func (s *Server) Await(word string, command ...string) {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(s.Addr)
	deadline, poll := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer poll.Stop()
	for {
		out, err := ask(append([]string{"-h", host, "-p", port}, command...)...)
		if err == nil && strings.Contains(out, word) {
			return
		}
		select {
		case <-poll.C:
		case <-deadline:
			s.t.Fatalf("%s: %v never said %s:\n%s%v", s.Addr, command, word, out, err)
		}
	}
}

func cli(t testing.TB, args ...string) string {
	t.Helper()
	out, err := ask(args...)
	if err != nil {
		t.Fatalf("redis-cli %v: %v\n%s", args, err, out)
	}
	return out
}

// ask runs redis-cli and returns all that it said.
func ask(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "redis-cli", args...).CombinedOutput() //nolint:gosec // the test's own arguments
	return string(out), err
}

// freePort finds a port that nothing listens on; the next to listen may be somebody else.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return port
}
