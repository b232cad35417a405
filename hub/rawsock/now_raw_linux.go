//go:build !race

package rawsock

import (
	"syscall"
	"unsafe"
)

// Go's scheduler is not told of these calls, as it is of system calls that may
// take long: it would look for another goroutine to run meanwhile, which costs
// more than it gains.

// readNow reads what has come.
func readNow(fd int, b []byte) (int, error) { return now(syscall.SYS_READ, fd, b) }

// writeNow writes what the socket takes.
func writeNow(fd int, b []byte) (int, error) { return now(syscall.SYS_WRITE, fd, b) }

// now makes a system call with the memory of b, which is not empty.
func now(call uintptr, fd int, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))) //nolint:gosec // the kernel is given len(b) bytes of b
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil //nolint:gosec // at most len(b)
}
