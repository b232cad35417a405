package hub

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Who reads a session's connection.
const (
	readByOthers int32 = iota // goroutines: TLS, pipes, streams
	readByPoller              // until the connection is cut
	readNoMore                // cut while a poller read it
)

// maxPollers bounds the readers; beyond a few they wait for the CPU, not for bytes.
const maxPollers = 8

// pollBuffer is what a poller reads at once.
const pollBuffer = 64 << 10

// pollers read the sockets of a hub: each waits for many at once, so that a
// socket that says nothing costs no goroutine and no buffer. What arrives is
// taken apart where it was read; requests run in goroutines of their own.
type pollers struct {
	start   func()                             // the first plain socket calls it, once
	receive func(s *session, data []byte) bool // session.receive, in the context of requests
	hear    func(s *session, message []byte)   // session.hear, likewise
	bounded func() context.Context             // of a call that begins now
	list    []*poller
	last    atomic.Uint32
	gone    departures
}

// newPollers makes what reads in ctx until stop is called, which must not be
// while a session is there. Nothing runs before the first plain socket comes.
func newPollers(ctx context.Context, callTimeout time.Duration, log *slog.Logger) (ps *pollers, stop func() error) {
	var wg sync.WaitGroup
	done := make(chan struct{})
	ps = &pollers{
		gone:    departures{wake: make(chan struct{}, 1)},
		receive: func(s *session, data []byte) bool { return s.receive(ctx, data) },
		hear:    func(s *session, message []byte) { s.hear(ctx, opText, message) },
		bounded: sharedDeadlines(ctx, callTimeout),
	}
	ps.start = sync.OnceFunc(func() {
		if err := ps.open(); err != nil {
			log.Info("sockets are read by goroutines", "err", err)
			return
		}
		for _, p := range ps.list {
			wg.Go(func() { p.run(ctx) })
		}
		wg.Go(func() { ps.gone.run(ctx, done) })
	})
	return ps, func() error {
		close(done)
		err := ps.close()
		wg.Wait()
		return err
	}
}

// open makes as many pollers as there are processors; an error means that this
// system has none.
func (ps *pollers) open() error {
	for range min(runtime.GOMAXPROCS(0), maxPollers) {
		p, err := newPoller()
		if err != nil {
			err = errors.Join(err, ps.close())
			ps.list = nil
			return err
		}
		ps.list = append(ps.list, p)
	}
	return nil
}

// ready reports whether there are pollers.
func (ps *pollers) ready() bool {
	ps.start()
	return len(ps.list) > 0
}

// next returns a poller for one more line; there are some.
func (ps *pollers) next() *poller { return ps.list[ps.last.Add(1)%uint32(len(ps.list))] }

// take has the line's poller read the session, after early.
func (ps *pollers) take(s *session, l *line, early []byte) {
	s.pollers, s.poller = ps, l.poller
	s.reader.Store(readByPoller)
	if len(early) > 0 && !ps.receive(s, early) || l.poller.add(s, l) != nil {
		s.cut()
	}
}

func (ps *pollers) close() error {
	var errs []error
	for _, p := range ps.list {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}

// departures are sessions whose connection was cut. No goroutine of theirs
// would notice, so they are ended here.
type departures struct {
	wake chan struct{} // of capacity 1

	mu   sync.Mutex
	list []*session // bounded by the sockets there are
}

func (d *departures) add(s *session) {
	d.mu.Lock()
	d.list = append(d.list, s)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run ends sessions until done is closed.
func (d *departures) run(ctx context.Context, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-d.wake:
		}
		d.mu.Lock()
		list := d.list
		d.list = nil
		d.mu.Unlock()
		for _, s := range list {
			go s.depart(ctx)
		}
	}
}
