package app

import (
	"errors"
	"net"
	"syscall"
)

// asksForSocket waits for the first bytes of a connection, leaves them there, and
// reports whether they begin a request for a socket.
func asksForSocket(c net.Conn) (bool, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false, nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false, err
	}
	var first [len(socketLine) + 1]byte
	var n int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, _, failed = syscall.Recvfrom(int(fd), first[:], syscall.MSG_PEEK)
		return !errors.Is(failed, syscall.EAGAIN)
	})
	if err = errors.Join(err, failed); err != nil {
		return false, err
	}
	if n == 0 {
		return false, net.ErrClosed
	}
	return n == len(first) && string(first[:len(socketLine)]) == socketLine && (first[len(socketLine)] == ' ' || first[len(socketLine)] == '?'), nil
}
