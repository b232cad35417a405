package crash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait; what it waits for takes a second or two.
const patience = 60 * time.Second

// Postgres is a PostgreSQL server of a test, on a port of loopback.
type Postgres struct {
	t    testing.TB
	bin  string // folder of its programs
	dir  string
	port string
	as   *syscall.Credential // nil: the one who runs the test
	cmd  *exec.Cmd
	log  *os.File
}

// OnPostgres runs f as a subtest with a server of its own, where PostgreSQL is
// installed. It ends with the subtest.
func OnPostgres(t *testing.T, f func(t *testing.T, s *Postgres)) {
	t.Helper()
	bin := postgresBin()
	if bin == "" {
		return
	}
	t.Run("postgres", func(t *testing.T) { f(t, newPostgres(t, bin)) })
}

// postgresBin is the folder of the newest PostgreSQL, or "".
func postgresBin() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is right
	if len(found) == 0 {
		at, err := exec.LookPath("initdb")
		if err != nil {
			return ""
		}
		found = []string{at}
	}
	return filepath.Dir(slices.Max(found))
}

func newPostgres(t testing.TB, bin string) *Postgres {
	t.Helper()
	dir, err := os.MkdirTemp("", "parley-pg") // the test's own folder is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // temporary anyway
	s := &Postgres{t: t, bin: bin, dir: dir, port: freePort(t)}
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		s.as = credential(t, "postgres")
		if err := os.Chown(dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := s.command("initdb", "-D", "data", "-U", "parley", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	if s.log, err = os.Create(filepath.Join(dir, "log")); err != nil { //nolint:gosec // the test's own
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Kill()
		_ = s.log.Close() // nothing more is written
	})
	s.Start()
	return s
}

func credential(t testing.TB, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (s *Postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...) //nolint:gosec // the test's own arguments
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Pdeathsig: syscall.SIGQUIT}
	return cmd
}

// Start starts the server and waits until it answers. A deadlock is found
// quickly, and a server that was killed recovers first. It need not sync: the
// machine stays up, so what it has written is there.
func (s *Postgres) Start() {
	s.t.Helper()
	s.cmd = s.command("postgres", "-D", "data", "-p", s.port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "max_connections=200", "-c", "deadlock_timeout=20ms", "-c", "fsync=off", "-c", "shared_buffers=64MB")
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	deadline, poll := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer poll.Stop()
	for !s.answers() {
		select {
		case <-poll.C:
		case <-deadline:
			said, _ := os.ReadFile(s.log.Name()) // for the message only
			s.t.Fatalf("PostgreSQL did not start:\n%s", bytes.TrimSpace(said))
		}
	}
}

// answers reports whether the server lets somebody in: it answers the first
// message of a connection with one of type R, and with E while it recovers.
func (s *Postgres) answers() bool {
	conn, err := net.DialTimeout("tcp", s.Addr(), patience)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }() // only asked
	hello := append(binary.BigEndian.AppendUint32(nil, 3<<16), "user\x00parley\x00database\x00postgres\x00\x00"...)
	var kind [1]byte
	_, err = conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(hello)+4)), hello...)) //nolint:gosec // a few bytes
	if err == nil {
		_, err = conn.Read(kind[:])
	}
	return err == nil && kind[0] == 'R'
}

// Kill ends the server in its immediate mode: every process of it stops where
// it is, and the next start recovers from the log. It may be called again.
func (s *Postgres) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // it may have ended
	_ = s.cmd.Wait()                          // of no interest
	s.cmd = nil
}

// Addr is where the server listens.
func (s *Postgres) Addr() string { return "127.0.0.1:" + s.port }

// URL names the server's database at an address: its own, or a Proxy's.
func (s *Postgres) URL(addr string) string {
	return fmt.Sprintf("postgres://parley@%s/postgres?sslmode=disable", addr)
}

// freePort finds a port that nothing listens on; the next to listen may be somebody else.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	return port
}
