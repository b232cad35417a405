//go:build linux && !race

package hub

import (
	"syscall"
	"unsafe"
)

// Reads and writes of a socket that never waits. Go's scheduler is not told of
// them, as it is of system calls that may take long: it would look for another
// goroutine to run meanwhile, which costs more than it gains.

// readNow reads what has come.
func readNow(fd uintptr, b []byte) (int, error) { return now(syscall.SYS_READ, fd, b) }

// writeNow writes what the socket takes.
func writeNow(fd uintptr, b []byte) (int, error) { return now(syscall.SYS_WRITE, fd, b) }

// now makes a system call with the memory of b, which is not empty.
func now(call, fd uintptr, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))) //nolint:gosec // the kernel is given len(b) bytes of b
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil //nolint:gosec // at most len(b)
}
