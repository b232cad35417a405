package app

import (
	"errors"
	"net"
	"syscall"
)

// peek waits for the first bytes of a connection and leaves them there.
func peek(c net.Conn) (first, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return firstOther, nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return firstNothing, err
	}
	var seen [frontLooksAt]byte
	var n int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, _, failed = syscall.Recvfrom(int(fd), seen[:], syscall.MSG_PEEK)
		return !errors.Is(failed, syscall.EAGAIN)
	})
	switch {
	case err != nil:
		return firstNothing, err
	case failed != nil:
		return firstNothing, failed
	case n == 0:
		return firstNothing, net.ErrClosed
	}
	return judge(seen[:n]), nil
}
