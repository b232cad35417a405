//go:build !linux || race

package hub

import "syscall"

// The race detector knows of what orders two goroutines over a socket only if the
// calls are those of package syscall.

// readNow reads what has come to a socket that never waits.
func readNow(fd uintptr, b []byte) (int, error) { return syscall.Read(int(fd), b) }

// writeNow writes what such a socket takes.
func writeNow(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }
