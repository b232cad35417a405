//go:build !linux

package rawsock

import (
	"errors"
	"net"
)

// Over answers false: there are no such connections here.
func Over(net.Listener) (*Listener, bool) { return nil, false }

// Accept waits for the next connection.
func (l *Listener) Accept() (*Conn, error) { return nil, errors.ErrUnsupported }

// Take answers false: the connection stays with Go's poller.
func Take(net.Conn) (*Conn, bool) { return nil, false }

// Detach gives the connection to Go's poller and ends c.
func (c *Conn) Detach() (net.Conn, error) { return nil, errors.ErrUnsupported }

// Read implements net.Conn.
func (c *Conn) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Write implements net.Conn.
func (c *Conn) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Peek looks at what has come and leaves it there.
func (c *Conn) Peek([]byte) (int, error) { return 0, errors.ErrUnsupported }

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return nil }

func closeFD(int) error { return nil }

// Watcher waits for the first bytes of many connections.
type Watcher struct{}

// NewWatcher makes a Watcher.
func NewWatcher() (*Watcher, error) { return nil, errors.ErrUnsupported }

// Close ends Run.
func (w *Watcher) Close() error { return nil }

// Add has Run call then once, when something has come.
func (w *Watcher) Add(*Conn, func()) error { return errors.ErrUnsupported }

// Forget lets go of a connection that was closed.
func (w *Watcher) Forget(*Conn) {}

// Run calls what was added.
func (w *Watcher) Run() {}
