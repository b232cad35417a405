package cluster_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/client"
)

// Keys of the tests' nodes; those of parley dev are good on loopback only.
const (
	secret = "a-secret-of-the-tests-that-is-long-enough"
	key    = "sk_test_of_the_cluster"
)

// node is one process. Its clients, its Redis and its database are behind a gate each.
type node struct {
	t                     *testing.T
	listen                string // its own address, past the gate
	door, redis, database *gate
	args                  []string
	binary                string // of its version
	space                 string // network namespace; empty: this one
	cmd                   *exec.Cmd
	ended                 chan struct{}
}

// plan prepares a node that start starts.
func plan(t *testing.T, stores stores, sets ...string) *node {
	t.Helper()
	n := &node{t: t, listen: freeAddr(t), binary: binary}
	n.door = newGate(t, n.listen)
	n.database = newGate(t, stores.postgres.addr)
	redis := stores.redisURL
	if redis == "" {
		n.redis = newGate(t, stores.redis.Addr)
		redis = "redis://" + n.redis.addr
	}
	n.args = []string{"serve", "--config", "../../configs/cluster.yaml"}
	for _, set := range append([]string{
		"http.listen=" + n.listen, "http.public_url=http://localhost",
		"database.url=" + stores.postgres.url(n.database.addr), "redis.url=" + redis,
		"auth.secret=" + secret, "auth.server_keys=" + key,
		"hub.heartbeat=1s", "hub.rate=100000", "hub.burst=100000", "hub.max_per_user=-1", "hub.max_per_addr=-1", "hub.drain_time=2s", "limits.rules=",
		"turn.enabled=false", "media.enabled=false", "log.level=error",
	}, sets...) {
		n.args = append(n.args, "--set", set)
	}
	t.Cleanup(n.kill)
	return n
}

// launch starts the process, again after kill, without waiting for it.
func (n *node) launch() {
	n.t.Helper()
	argv := append([]string{n.binary}, n.args...)
	if n.space != "" {
		argv = append([]string{"ip", "netns", "exec", n.space}, argv...)
	}
	n.cmd = exec.CommandContext(context.Background(), argv[0], argv[1:]...) //nolint:gosec // the test's own
	n.cmd.Stderr = n.t.Output()
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PARLEY_") {
			n.cmd.Env = append(n.cmd.Env, e)
		}
	}
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.ended = make(chan struct{})
	cmd, ended := n.cmd, n.ended
	go func() {
		_ = cmd.Wait() // killed
		close(ended)
	}()
}

// start launches the node and waits until it takes traffic.
func (n *node) start() {
	n.t.Helper()
	n.launch()
	n.awaitReady(http.StatusOK)
}

// awaitReady waits until readyz answers so.
func (n *node) awaitReady(status int) {
	n.t.Helper()
	until(n.t, "readyz of "+n.listen, func() bool {
		select {
		case <-n.ended:
			n.t.Fatalf("node %s ended", n.listen)
		default:
		}
		return n.ready() == status
	})
}

// ready asks readyz; 0 when there is no answer.
func (n *node) ready() int {
	resp, err := http.Get("http://" + n.listen + "/readyz")
	if err != nil {
		return 0
	}
	_ = resp.Body.Close() // nothing was read
	return resp.StatusCode
}

// kill ends the process with SIGKILL; it may be called again.
func (n *node) kill() { n.end(syscall.SIGKILL) }

// end sends a signal and waits for the process to end.
func (n *node) end(sig syscall.Signal) {
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Signal(sig) // it may have ended
	<-n.ended
	n.cmd = nil
}

func (n *node) signal(sig syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(sig); err != nil {
		n.t.Fatal(err)
	}
}

// rest calls operations with the server key, past the gate.
func (n *node) rest() *client.REST {
	return &client.REST{URL: "http://" + n.listen, Token: key}
}

// drain has the node emptied and waits until it is.
func (n *node) drain(within time.Duration) {
	n.t.Helper()
	n.parley("drain", n.name(), "--within", within.String())
	n.awaitReady(http.StatusServiceUnavailable)
}

func (n *node) undrain() {
	n.t.Helper()
	n.parley("drain", n.name(), "--undo")
}

// name is what the list of nodes calls it.
func (n *node) name() string {
	n.t.Helper()
	host, err := os.Hostname()
	if err != nil {
		n.t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(n.listen)
	return net.JoinHostPort(host, port)
}

// parley runs a command of the binary against the node.
func (n *node) parley(args ...string) {
	n.t.Helper()
	args = append(args, "--url", "http://"+n.listen, "--key", key)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput(); err != nil { //nolint:gosec // the test's own
		n.t.Fatalf("parley %v: %v\n%s", args, err, out)
	}
}

// devArgs are the arguments that make it a node of dev mode, whose clock can be moved.
func (n *node) devArgs() []string {
	_, port, _ := net.SplitHostPort(n.listen)
	args := []string{"dev", "--ephemeral", "--json", "--port", port}
	for i, arg := range n.args {
		if arg == "--set" && !strings.HasPrefix(n.args[i+1], "log.") {
			args = append(args, arg, n.args[i+1])
		}
	}
	return args
}

// advance moves the clock of a node of dev mode.
func (n *node) advance(by string) {
	n.t.Helper()
	n.parley("clock", "advance", by)
}
