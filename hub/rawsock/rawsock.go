// Package rawsock owns TCP sockets that Go's network poller does not know.
//
// The poller watches each connection of package net for as long as it is open:
// whatever arrives wakes it, though somebody else's epoll waits for the same
// bytes, and accepting one takes half a dozen system calls. A hub that waits for
// its sockets itself has no use for that. Linux only; elsewhere there are none of
// these, and whoever asks keeps the connections of package net.
package rawsock

import (
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// Conn is a socket whose calls never wait: what would wait ends with
// os.ErrDeadlineExceeded, as if the deadline were always now. Its methods may be
// called at the same time as Close, after which they answer net.ErrClosed.
type Conn struct {
	fd int
	// state counts who uses fd, and says whether Close was called. Whoever is the
	// last to use it then closes it, so that nobody meets another's descriptor.
	state  atomic.Int32
	remote netip.AddrPort
}

var _ net.Conn = (*Conn)(nil)

// Listener accepts connections that Go's poller does not know.
type Listener struct {
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool
}

// Close stops listening.
func (l *Listener) Close() error {
	l.closed.Store(true)
	return l.file.Close()
}

const (
	closing int32 = 1 << 29 // Close was called
	closed  int32 = 1 << 30 // and the descriptor is closed
)

// enter keeps the descriptor open until leave.
func (c *Conn) enter() bool {
	if c.state.Add(1)&closing == 0 {
		return true
	}
	c.leave()
	return false
}

func (c *Conn) leave() {
	if c.state.Add(-1) == closing && c.state.CompareAndSwap(closing, closing|closed) {
		_ = closeFD(c.fd)
	}
}

// Control runs f with the descriptor, which stays open until f returns.
func (c *Conn) Control(f func(fd int) error) error {
	if !c.enter() {
		return net.ErrClosed
	}
	defer c.leave()
	return f(c.fd)
}

// Close implements net.Conn. It never waits.
func (c *Conn) Close() error {
	if c.state.Or(closing)&closing != 0 {
		return net.ErrClosed
	}
	if c.state.CompareAndSwap(closing, closing|closed) {
		return closeFD(c.fd)
	}
	return nil
}

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// SetDeadline implements net.Conn: nothing ever waits.
func (c *Conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }
