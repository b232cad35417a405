package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// poller reads sockets that epoll says are readable. The epoll descriptor
// itself is watched by Go's runtime, so that waiting holds no thread.
type poller struct {
	file *os.File
	raw  syscall.RawConn
	fd   int // of epoll, open until run has ended

	mu    sync.Mutex
	byFD  []*session // indexed by descriptor
	chunk []byte     // what is read into; its run's own
}

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("hub: epoll: %w", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("hub: epoll: %w", err)
	}
	p := &poller{file: os.NewFile(uintptr(fd), "epoll"), fd: fd, chunk: make([]byte, pollBuffer)}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("hub: epoll: %w", err), p.file.Close())
	}
	return p, nil
}

func (p *poller) close() error { return p.file.Close() }

// What epoll tells of a socket, always and while somebody waits to write.
const (
	tellRead = syscall.EPOLLIN | syscall.EPOLLRDHUP
	tellRoom = syscall.EPOLLOUT
)

// add watches the session's socket until it is closed.
func (p *poller) add(s *session, l *line) error {
	return l.Control(func(fd int) error {
		p.mu.Lock()
		for len(p.byFD) <= fd {
			p.byFD = append(p.byFD, nil)
		}
		p.byFD[fd], s.fd = s, fd
		p.mu.Unlock()
		event := syscall.EpollEvent{Events: tellRead, Fd: int32(fd)} //nolint:gosec // a descriptor
		err := syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &event)
		if err != nil || s.reader.Load() != readByPoller { // cut meanwhile, and forgotten before it was known
			p.forget(s)
		}
		return err
	})
}

// watch has epoll tell when the line can be written to again, or no longer.
func (p *poller) watch(l *line, room bool) error {
	return l.Control(func(fd int) error {
		event := syscall.EpollEvent{Events: tellRead, Fd: int32(fd)} //nolint:gosec // a descriptor
		if room {
			event.Events |= tellRoom
		}
		return syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_MOD, fd, &event)
	})
}

// forget lets go of a session; the kernel forgot its socket when that was closed.
func (p *poller) forget(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.fd < len(p.byFD) && p.byFD[s.fd] == s {
		p.byFD[s.fd] = nil
	}
}

// readySocket is a session of whose socket epoll tells.
type readySocket struct {
	s      *session
	events uint32
}

// run reads what arrives until close is called.
func (p *poller) run(ctx context.Context) {
	events := make([]syscall.EpollEvent, 256)
	ready := make([]readySocket, 0, len(events))
	var n int
	wait := func(fd uintptr) bool {
		var err error
		n, err = syscall.EpollWait(int(fd), events, 0)
		if err != nil {
			n = 0
		}
		return n > 0
	}
	for p.raw.Read(wait) == nil {
		ready = ready[:0]
		p.mu.Lock()
		for i := range events[:n] {
			// A descriptor that was closed and taken anew since is another session's,
			// for which there is then nothing to read.
			if fd := int(events[i].Fd); fd < len(p.byFD) && p.byFD[fd] != nil {
				ready = append(ready, readySocket{p.byFD[fd], events[i].Events})
			}
		}
		p.mu.Unlock()
		for _, r := range ready {
			p.serve(ctx, r)
		}
		clear(ready)
	}
}

// serve does what epoll asks for. It reads once: epoll tells again when there is more.
func (p *poller) serve(ctx context.Context, r readySocket) {
	l := r.s.link.(*line)
	if r.events&tellRoom != 0 {
		_ = p.watch(l, false) // it may have been cut
		l.hasRoom()
		if r.events&^tellRoom == 0 {
			return
		}
	}
	n, err := l.Read(p.chunk)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
	case err != nil || !r.s.receive(ctx, p.chunk[:n]):
		r.s.cut()
	}
}
