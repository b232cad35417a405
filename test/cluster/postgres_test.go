package cluster_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// postgres is a PostgreSQL server of the test's own.
type postgres struct {
	t    *testing.T
	bin  string
	dir  string
	addr string
	as   *syscall.Credential // nil: this process's; PostgreSQL refuses to run as root
}

// startPostgres starts a server with an empty database "parley".
func startPostgres(t *testing.T) *postgres {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(found) == 0 {
		t.Fatal("PostgreSQL is missing: run scripts/deps test")
	}
	slices.Sort(found)
	dir, err := os.MkdirTemp("", "parley-cluster-pg-")
	if err != nil {
		t.Fatal(err)
	}
	p := &postgres{t: t, bin: found[len(found)-1], dir: dir, addr: freeAddr(t)}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Getuid() == 0 {
		p.as = credential(t, "postgres")
		if err := os.Chown(dir, int(p.as.Uid), int(p.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	p.run("initdb", "-D", dir+"/data", "-U", "parley", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8")
	p.start()
	t.Cleanup(p.kill)
	host, port, _ := net.SplitHostPort(p.addr)
	p.run("createdb", "-h", host, "-p", port, "-U", "parley", "parley")
	return p
}

func credential(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32) // numbers on this system
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// run runs one of PostgreSQL's programs.
func (p *postgres) run(name string, args ...string) {
	p.t.Helper()
	if out, err := p.command(name, args...).CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (p *postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(p.bin, name), args...) //nolint:gosec // the test's own arguments
	cmd.Dir = p.dir
	if p.as != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	}
	return cmd
}

// start starts the server, again after stop or kill.
func (p *postgres) start() {
	p.t.Helper()
	_, port, _ := net.SplitHostPort(p.addr)
	cmd := p.command("pg_ctl", "-D", p.dir+"/data", "-l", p.dir+"/log", "-w", "-o",
		fmt.Sprintf("-c listen_addresses=127.0.0.1 -c port=%s -c unix_socket_directories='' -c max_connections=200", port), "start")
	if err := cmd.Run(); err != nil { // no pipe: the server would keep it open
		p.t.Fatalf("PostgreSQL: %v\n%s", err, p.log())
	}
}

// log is what the server has said.
func (p *postgres) log() string {
	text, _ := os.ReadFile(p.dir + "/log") // none yet
	return string(text)
}

// kill ends the server as a power cut would: it recovers when started again.
func (p *postgres) kill() {
	_ = p.command("pg_ctl", "-D", p.dir+"/data", "-m", "immediate", "-w", "stop").Run() // it may have ended
}

// limitFiles lets no process of the server write a file behind so many bytes,
// as on a disk that is full; "unlimited" frees it.
func (p *postgres) limitFiles(size string) {
	p.t.Helper()
	text, err := os.ReadFile(p.dir + "/data/postmaster.pid")
	if err != nil {
		p.t.Logf("the server has ended: %v", err)
		return
	}
	master, _, _ := strings.Cut(string(text), "\n")
	children, _ := exec.CommandContext(context.Background(), "pgrep", "-P", master).Output() //nolint:gosec // a number
	for _, pid := range append(strings.Fields(string(children)), master) {
		cmd := exec.CommandContext(context.Background(), "prlimit", "--pid", pid, "--fsize="+size+":unlimited") //nolint:gosec // numbers
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}                                                // whoever owns a process may limit it
		if out, err := cmd.CombinedOutput(); err != nil && pid == master {
			p.t.Fatalf("prlimit: %v\n%s", err, out)
		}
	}
}

func (p *postgres) url(addr string) string {
	return "postgres://parley@" + addr + "/parley?sslmode=disable"
}

// freeAddr is an address on loopback that nothing listens on; the next to listen may be somebody else.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // nothing was accepted
	return l.Addr().String()
}
