package crash

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Moment is when a Proxy cuts a connection.
type Moment int

// The moments around a COMMIT.
const (
	// Never lets the COMMIT through.
	Never Moment = iota
	// BeforeCommit cuts before the server has seen it: nothing is committed.
	BeforeCommit
	// AfterCommit cuts after the server has committed, before the client hears of it.
	AfterCommit
)

// Proxy stands between a client and a PostgreSQL server and cuts connections
// around a COMMIT, as a network does that fails at the wrong time.
type Proxy struct {
	t      testing.TB
	server string
	listen net.Listener
	when   func() Moment

	under  sync.WaitGroup
	before atomic.Int64
	after  atomic.Int64
}

// NewProxy returns a running proxy to the server at an address; when says for
// each COMMIT what happens to it, and is called from several goroutines. It ends with the test.
func NewProxy(t testing.TB, server string, when func() Moment) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, server: server, listen: l, when: when}
	p.under.Go(p.serve)
	t.Cleanup(func() {
		_ = l.Close() // ends serve
		p.under.Wait()
	})
	return p
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listen.Addr().String() }

// Cuts tells how many connections were cut before and after a COMMIT.
func (p *Proxy) Cuts() (before, after int64) { return p.before.Load(), p.after.Load() }

func (p *Proxy) serve() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close() // the server is away
			continue
		}
		link := &link{p: p, client: client, server: server}
		p.under.Go(link.up)
		p.under.Go(link.down)
	}
}

// link is one connection through the proxy.
type link struct {
	p              *Proxy
	client, server net.Conn
	// cutting says that what the server answers next is not passed on.
	cutting atomic.Bool
}

// cut ends both sides, as lost packets do not: what is under way is gone.
func (l *link) cut() {
	_ = l.client.Close() // both may be closed already
	_ = l.server.Close()
}

// up passes the client's messages on, up to the COMMIT that is to be cut. The
// first message has no type; every other is a type, a length and a body
// (https://www.postgresql.org/docs/current/protocol-message-formats.html).
func (l *link) up() {
	defer l.cut()
	from := bufio.NewReader(l.client)
	for first := true; ; first = false {
		message, err := readMessage(from, first)
		if err != nil {
			return
		}
		if !first && commits(message) {
			switch l.p.when() {
			case Never:
			case BeforeCommit:
				l.p.before.Add(1)
				return
			case AfterCommit:
				l.cutting.Store(true)
			}
		}
		if _, err := l.server.Write(message); err != nil {
			return
		}
	}
}

// down passes the server's messages on. The first word after a COMMIT that is
// to be cut says that it was done, or that it failed.
func (l *link) down() {
	defer l.cut()
	buffer := make([]byte, 32<<10)
	for {
		n, err := l.server.Read(buffer)
		if l.cutting.Load() {
			if n > 0 {
				l.p.after.Add(1)
			}
			return
		}
		if n > 0 {
			if _, err := l.client.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// messageMax bounds a message; ours are far smaller.
const messageMax = 64 << 20

func readMessage(r io.Reader, first bool) ([]byte, error) {
	head := make([]byte, 5)
	if first {
		head = head[:4]
	}
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[len(head)-4:])
	if size < 4 || size > messageMax {
		return nil, errors.New("message of an impossible size")
	}
	message := append(head, make([]byte, size-4)...)
	_, err := io.ReadFull(r, message[len(head):])
	return message, err
}

// commits reports whether a message is the simple query COMMIT.
func commits(message []byte) bool {
	return message[0] == 'Q' && bytes.EqualFold(bytes.Trim(message[5:], "\x00; "), []byte("commit"))
}
