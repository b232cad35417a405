package rawsock

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
)

// Over takes a listener over: l is closed, its socket lives on. Where it answers
// false, l is no TCP listener of package net and stays as it was.
func Over(l net.Listener) (*Listener, bool) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, false
	}
	var fd int
	var failed error
	err = raw.Control(func(listener uintptr) {
		fd, failed = duplicate(int(listener)) //nolint:gosec // a descriptor
	})
	if err != nil || failed != nil {
		return nil, false
	}
	file := os.NewFile(uintptr(fd), "listener") //nolint:gosec // a descriptor
	own, err := file.SyscallConn()
	if err == nil { // whoever is accepted has the option, too
		err = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	}
	if err != nil {
		_ = file.Close()
		return nil, false
	}
	_ = tcp.Close()
	return &Listener{file: file, raw: own}, true
}

// duplicate makes one more descriptor of the same socket.
func duplicate(fd int) (int, error) {
	r, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 0) //nolint:gosec // a descriptor
	if errno != 0 {
		return -1, os.NewSyscallError("fcntl", errno)
	}
	return int(r), nil //nolint:gosec // a descriptor
}

// Accept waits for the next connection. Close ends the wait with net.ErrClosed.
func (l *Listener) Accept() (*Conn, error) {
	var fd int
	var from syscall.Sockaddr
	var failed error
	err := l.raw.Read(func(listener uintptr) bool {
		for {
			fd, from, failed = syscall.Accept4(int(listener), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC) //nolint:gosec // a descriptor
			switch {
			case errors.Is(failed, syscall.EINTR), errors.Is(failed, syscall.ECONNABORTED): // gone before it was taken
			default:
				return !errors.Is(failed, syscall.EAGAIN)
			}
		}
	})
	switch {
	case err != nil && l.closed.Load():
		return nil, net.ErrClosed
	case err != nil:
		return nil, err
	case failed != nil:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", failed)}
	}
	return &Conn{fd: fd, remote: addrOf(from)}, nil
}

// Take takes a connection over from Go's poller. Where it answers false, c is no
// plain TCP connection and stays as it was.
func Take(c net.Conn) (*Conn, bool) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, false
	}
	taken := &Conn{}
	var failed error
	err = raw.Control(func(fd uintptr) {
		taken.fd, failed = duplicate(int(fd)) //nolint:gosec // a descriptor
	})
	if err != nil || failed != nil {
		return nil, false
	}
	if at, ok := tcp.RemoteAddr().(*net.TCPAddr); ok {
		taken.remote = at.AddrPort()
	}
	_ = tcp.Close() // the socket lives on in the copy
	return taken, true
}

// Detach gives the connection to Go's poller and ends c.
func (c *Conn) Detach() (net.Conn, error) {
	var detached net.Conn
	err := c.Control(func(fd int) error {
		copied, err := duplicate(fd)
		if err != nil {
			return err
		}
		file := os.NewFile(uintptr(copied), "socket") //nolint:gosec // a descriptor
		detached, err = net.FileConn(file)            // which copies it again
		return errors.Join(err, file.Close())
	})
	_ = c.Close()
	if err != nil {
		return nil, fmt.Errorf("rawsock: detach: %w", err)
	}
	return detached, nil
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if !c.enter() {
		return 0, net.ErrClosed
	}
	n, err := readNow(c.fd, b)
	for errors.Is(err, syscall.EINTR) {
		n, err = readNow(c.fd, b)
	}
	c.leave()
	switch {
	case err == nil && n > 0:
		return n, nil
	case err == nil:
		return 0, io.EOF
	case errors.Is(err, syscall.EAGAIN):
		return 0, os.ErrDeadlineExceeded
	}
	return 0, err
}

// Write implements net.Conn. It writes what the socket takes at once.
func (c *Conn) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if !c.enter() {
		return 0, net.ErrClosed
	}
	n, err := writeNow(c.fd, b)
	for errors.Is(err, syscall.EINTR) {
		n, err = writeNow(c.fd, b)
	}
	c.leave()
	switch {
	case n == len(b):
		return n, nil
	case err == nil, errors.Is(err, syscall.EAGAIN):
		return max(n, 0), os.ErrDeadlineExceeded
	}
	return 0, err
}

// Peek looks at what has come and leaves it there.
func (c *Conn) Peek(b []byte) (n int, err error) {
	err = c.Control(func(fd int) (err error) {
		n, _, err = syscall.Recvfrom(fd, b, syscall.MSG_PEEK)
		for errors.Is(err, syscall.EINTR) {
			n, _, err = syscall.Recvfrom(fd, b, syscall.MSG_PEEK)
		}
		return err
	})
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return 0, os.ErrDeadlineExceeded
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr {
	var at netip.AddrPort
	_ = c.Control(func(fd int) error {
		name, err := syscall.Getsockname(fd)
		at = addrOf(name)
		return err
	})
	return net.TCPAddrFromAddrPort(at)
}

func closeFD(fd int) error { return syscall.Close(fd) }

// addrOf reads a TCP address as package net does, IPv4 in IPv6 as IPv4.
func addrOf(a syscall.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)) //nolint:gosec // a port
	case *syscall.SockaddrInet6:
		addr := netip.AddrFrom16(a.Addr).Unmap()
		if a.ZoneId != 0 && addr.Is6() {
			addr = addr.WithZone(strconv.FormatUint(uint64(a.ZoneId), 10))
		}
		return netip.AddrPortFrom(addr, uint16(a.Port)) //nolint:gosec // a port
	}
	return netip.AddrPort{}
}
