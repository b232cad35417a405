package app

import (
	"bytes"
	"errors"
	"net"
	"syscall"
)

// peek looks at the first bytes of a connection and leaves them there. With
// wait it waits for some.
func peek(c net.Conn, wait bool) (first, error) {
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
		return !wait || !errors.Is(failed, syscall.EAGAIN)
	})
	switch {
	case err != nil:
		return firstNothing, err
	case errors.Is(failed, syscall.EAGAIN):
		return firstNothing, nil
	case failed != nil:
		return firstNothing, failed
	case n == 0:
		return firstNothing, net.ErrClosed
	}
	return judge(seen[:n]), nil
}

// judge tells what a connection begins with.
func judge(seen []byte) first {
	rest, ok := bytes.CutPrefix(seen, []byte(socketLine))
	switch {
	case !ok || len(rest) == 0 || rest[0] != ' ' && rest[0] != '?':
		return firstOther
	case !bytes.Contains(rest, []byte("\r\n\r\n")):
		return firstPart
	}
	return firstWhole
}
