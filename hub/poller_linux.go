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
	p := &poller{file: os.NewFile(uintptr(fd), "epoll"), chunk: make([]byte, pollBuffer)}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("hub: epoll: %w", err), p.file.Close())
	}
	return p, nil
}

func (p *poller) close() error { return p.file.Close() }

// control runs f with the descriptors of epoll and of the session's socket.
func (p *poller) control(s *session, f func(epoll, fd int) error) error {
	var failed error
	err := p.raw.Control(func(epoll uintptr) {
		failed = s.raw().Control(func(fd uintptr) { failed = f(int(epoll), int(fd)) })
	})
	return errors.Join(err, failed)
}

// add watches the session's socket until it is closed.
func (p *poller) add(s *session) error {
	var failed error
	err := p.control(s, func(epoll, fd int) error {
		p.mu.Lock()
		for len(p.byFD) <= fd {
			p.byFD = append(p.byFD, nil)
		}
		p.byFD[fd], s.fd = s, fd
		p.mu.Unlock()
		event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP, Fd: int32(fd)}
		if failed = syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, fd, &event); failed != nil || s.reader.Load() != readByPoller { // cut meanwhile, and forgotten before it was known
			p.forget(s)
		}
		return nil
	})
	return errors.Join(err, failed)
}

// forget lets go of a session; the kernel forgot its socket when that was closed.
func (p *poller) forget(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.fd < len(p.byFD) && p.byFD[s.fd] == s {
		p.byFD[s.fd] = nil
	}
}

// run reads what arrives until close is called.
func (p *poller) run(ctx context.Context) {
	events := make([]syscall.EpollEvent, 256)
	ready := make([]*session, 0, len(events))
	var n int
	wait := func(fd uintptr) bool {
		var err error
		n, err = syscall.EpollWait(int(fd), events, 0)
		if err != nil {
			n = 0
		}
		return n > 0
	}
	r := newPollReader(p.chunk)
	for p.raw.Read(wait) == nil {
		ready = ready[:0]
		p.mu.Lock()
		for i := range events[:n] {
			// A descriptor that was closed and taken anew since is another session's,
			// for which there is then nothing to read.
			if fd := int(events[i].Fd); fd < len(p.byFD) && p.byFD[fd] != nil {
				ready = append(ready, p.byFD[fd])
			}
		}
		p.mu.Unlock()
		for _, s := range ready {
			r.read(ctx, s)
		}
		clear(ready)
	}
}

// pollReader reads from one descriptor after the other.
type pollReader struct {
	chunk []byte
	n     int
	err   error
	once  func(fd uintptr)
}

func newPollReader(chunk []byte) *pollReader {
	r := &pollReader{chunk: chunk}
	r.once = func(fd uintptr) {
		r.n, r.err = readNow(fd, r.chunk)
		for errors.Is(r.err, syscall.EINTR) {
			r.n, r.err = readNow(fd, r.chunk)
		}
	}
	return r
}

// read reads once; epoll tells again when there is more.
func (r *pollReader) read(ctx context.Context, s *session) {
	if err := s.raw().Control(r.once); err != nil {
		s.cut()
		return
	}
	switch {
	case errors.Is(r.err, syscall.EAGAIN):
	case r.err != nil || r.n <= 0:
		s.cut()
	case !s.receive(ctx, r.chunk[:r.n]):
		s.cut()
	}
}
