package rawsock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// Watcher waits for the first bytes of many connections, without a goroutine for each.
type Watcher struct {
	file *os.File
	raw  syscall.RawConn
	fd   int // of epoll, open until Close

	mu   sync.Mutex
	byFD map[int]watched
}

// watched is a connection and what to do when something has come.
type watched struct {
	c    *Conn
	then func()
}

// NewWatcher makes a Watcher, which Close ends.
func NewWatcher() (*Watcher, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err == nil {
		err = syscall.SetNonblock(fd, true) // or Go's poller does not take it
	}
	if err != nil {
		return nil, fmt.Errorf("rawsock: epoll: %w", err)
	}
	w := &Watcher{file: os.NewFile(uintptr(fd), "epoll"), fd: fd, byFD: make(map[int]watched)} //nolint:gosec // a descriptor
	if w.raw, err = w.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("rawsock: epoll: %w", err), w.file.Close())
	}
	return w, nil
}

// Close ends Run and forgets who waits.
func (w *Watcher) Close() error { return w.file.Close() }

// Add has Run call then once, when something has come or the other side has
// ended; not after c was closed. Another may be added for c afterwards.
func (w *Watcher) Add(c *Conn, then func()) error {
	return c.Control(func(fd int) error {
		w.mu.Lock()
		w.byFD[fd] = watched{c, then}
		w.mu.Unlock()
		event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP, Fd: int32(fd)} //nolint:gosec // a descriptor
		if err := syscall.EpollCtl(w.fd, syscall.EPOLL_CTL_ADD, fd, &event); err != nil {
			w.take(fd)
			return os.NewSyscallError("epoll_ctl", err)
		}
		return nil
	})
}

// Forget lets go of a connection that was closed.
func (w *Watcher) Forget(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byFD[c.fd].c == c {
		delete(w.byFD, c.fd)
	}
}

func (w *Watcher) take(fd int) (watched, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	found, ok := w.byFD[fd]
	delete(w.byFD, fd)
	return found, ok
}

// Run calls what was added, one after the other, until Close.
func (w *Watcher) Run() {
	events := make([]syscall.EpollEvent, 128)
	var n int
	for w.raw.Read(func(uintptr) bool {
		n, _ = syscall.EpollWait(w.fd, events, 0) // -1 after an error
		return n > 0
	}) == nil {
		for _, e := range events[:n] {
			if found, ok := w.take(int(e.Fd)); ok {
				w.ready(found)
			}
		}
	}
}

// ready no longer watches a connection and does what is to be done.
func (w *Watcher) ready(found watched) {
	err := found.c.Control(func(fd int) error { return syscall.EpollCtl(w.fd, syscall.EPOLL_CTL_DEL, fd, nil) })
	if !errors.Is(err, net.ErrClosed) {
		found.then()
	}
}
