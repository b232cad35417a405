//go:build !linux

package hub

import "syscall"

// writeNow writes what a socket that never waits takes.
func writeNow(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }
