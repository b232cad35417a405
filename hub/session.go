package hub

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"parley/wire"
)

// stage is how far a session has come.
type stage uint8

const (
	stageNew     stage = iota // waits for session.open
	stageOpening              // session.open is being worked on; live events are noted, not sent
	stageOpen
	stageEnded // a close frame is queued or the connection is gone
)

// A session is one socket. Whoever reads the socket owns the session, a poller
// or a goroutine: when the socket has ended, depart waits until everything the
// session started has ended too.
type session struct {
	hub     *Hub
	link    link
	form    form
	pollers *pollers // that read it; nil: a goroutine does
	poller  *poller
	fd      int
	reader  atomic.Int32
	in      inbound // the reader's own
	deaf    bool    // the reader's own: the client broke the protocol and is not listened to
	id      wire.SessionID
	addr    netip.Addr
	born    time.Duration // hub uptime at the handshake
	seen    atomic.Int64  // hub uptime of the last byte from the client

	mu       sync.Mutex // guards what follows
	stage    stage
	caller   wire.Caller
	token    token
	name     string // the client's own description
	stamp    int64  // orders sessions of one device, see Hub.nextStamp
	opened   time.Time
	out      outbox
	pos      positions
	reading  bool // a goroutine reads the log for this session
	held     heldEvents
	jobs     []job
	jobBytes int
	working  bool // a goroutine works through jobs
	bucket   bucket
	ending   ending
	closeBy  time.Duration // hub uptime at which the connection is cut; 0 before the close frame
	told     bool          // observers know of the session
	settled  bool          // no longer counted among the unopened
	asking   bool          // counted among those whose session.open is under way

	seating    *seating      // in open topics; nil: none
	subscribed bool          // to its user's topic
	dirty      bool          // on the list of a round of deliveries
	owes       bool          // on the list of those whose answer waits
	nextBeat   time.Duration // hub uptime of the next heartbeat
	checked    time.Duration // hub uptime of the last comparison with the log's heads
	losses     int64         // the hub's losses then, or when it opened
	tasks      sync.WaitGroup

	cancel context.CancelFunc // of the context its operations run in; nil: the hub's own
	timer  timer              // guarded by the wheel
}

// token is what matters of the token after it was checked.
type token struct {
	id              string
	issued, expires time.Time
	noticed         time.Time // the expiry the client was last told of
}

// readBuffer is what a goroutine reads at once from a connection that no poller takes.
const readBuffer = 512

// serve reads the connection until it ends, for sessions that no poller reads.
// Requests run in ctx.
func (s *session) serve(ctx context.Context, early []byte) {
	more := len(early) == 0 || s.receive(ctx, early)
	buf := make([]byte, readBuffer)
	for more {
		n, err := s.link.Read(buf)
		more = (n == 0 || s.receive(ctx, buf[:n])) && err == nil
	}
	s.depart(ctx)
	s.cancel()
}

// receive takes in what was read, which it changes, and reports whether there
// may be more. It never waits. What it has to answer leaves in one write.
func (s *session) receive(ctx context.Context, data []byte) (more bool) {
	s.seen.Store(int64(s.hub.uptime()))
	if s.deaf { // closing while the client still sends would take the close frame away from it
		return true
	}
	s.in.fill(data)
	corked := false
	defer func() {
		if corked {
			s.uncork()
		}
	}()
	for {
		op, payload, err := s.in.next(s.hub.cfg.MaxFrame)
		switch {
		case err != nil:
			s.deaf, s.in = true, inbound{}
			s.end(endingOfFrame(err))
			return true
		case op == 0:
			return true
		case op == opClose:
			return s.hungUp(payload)
		}
		if len(s.in.rest) > 0 && !corked {
			corked = true
			s.cork()
		}
		s.take(ctx, op, payload)
	}
}

// take takes in one message or ping.
func (s *session) take(ctx context.Context, op byte, payload []byte) {
	switch {
	case s.over():
	case op == opPing:
		if _, ok := s.admit(1); ok { // pings count as requests do
			s.push(append(appendHeader(make([]byte, 0, 2+len(payload)), finPong, len(payload)), payload...))
		}
	default:
		s.hear(ctx, op, payload)
	}
}

// hear takes in one message.
func (s *session) hear(ctx context.Context, op byte, payload []byte) {
	json, wrong, err := s.form.message(op, payload, s.hub.cfg.MaxFrame)
	switch {
	case wrong.reason != "":
		s.end(wrong)
	case err != nil:
		s.hub.metrics.messagesIn.Inc()
		s.reject(err)
	default:
		s.hub.metrics.messagesIn.Inc()
		s.route(ctx, json)
	}
}

// over reports whether the close frame is queued: what the client still says does not count.
func (s *session) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stage == stageEnded
}

// hungUp answers the client's close frame with the same words. It reports that
// the connection may be closed, unless the frame was wrong.
func (s *session) hungUp(payload []byte) (more bool) {
	code, ok := closeStatus(payload)
	if !ok {
		s.deaf, s.in = true, inbound{}
		s.end(endProtocol)
		return true
	}
	frame := []byte{finClose, 0}
	if code != closeNoStatus {
		frame = closeFrame(code, string(payload[2:]))
	}
	s.mu.Lock()
	if s.stage != stageEnded {
		if s.ending.reason == "" {
			s.ending.reason = reasonClient
		}
		s.stage = stageEnded
		s.sealLocked(frame, false, s.hub.uptime())
	}
	s.mu.Unlock()
	s.flush()
	return false
}

// cut ends the connection without a farewell. It never blocks.
func (s *session) cut() {
	s.link.cut()
	if s.reader.CompareAndSwap(readByPoller, readNoMore) {
		s.pollers.gone.add(s)
	}
}

// end queues the close frame and gives the client CloseTimeout to answer it.
// The first ending counts.
func (s *session) end(e ending) {
	now := s.hub.uptime()
	s.mu.Lock()
	if s.stage == stageEnded || s.ending.reason != "" && !s.ending.finish {
		s.mu.Unlock()
		return
	}
	s.ending = e
	if e.finish && (s.working || s.reading) {
		s.mu.Unlock() // the worker seals when it is done; see nextJob
		return
	}
	s.endLocked(now)
	s.mu.Unlock()
	s.flush()
}

// endLocked seals the outbox as s.ending says.
func (s *session) endLocked(now time.Duration) {
	s.stage = stageEnded
	s.jobs, s.jobBytes = nil, 0
	s.askedLocked()
	s.closeBy = now + s.hub.cfg.CloseTimeout
	s.sealLocked(s.form.closing(s.ending.code, s.ending.text), s.ending.drop, now)
	s.hub.wheel.schedule(s, s.closeBy)
}

// depart ends the session after its connection: no event reaches it any more,
// what it started is awaited, and observers are told.
func (s *session) depart(ctx context.Context) {
	defer s.hub.dismiss(s)
	s.link.cut()
	if s.form == formSSE {
		s.hub.forgetStream(s)
	}
	if s.poller != nil {
		s.poller.forget(s)
	}
	s.mu.Lock()
	reason := s.ending.reason
	if reason == "" {
		reason = reasonClient
	}
	s.stage = stageEnded
	s.jobs, s.jobBytes = nil, 0
	s.pos, s.held = nil, heldEvents{}
	s.askedLocked()
	s.killLocked()
	s.mu.Unlock()

	s.hub.wheel.remove(s)
	s.hub.leave(s)
	s.tasks.Wait()
	s.hub.leave(s) // in case session.open was on its way in
	s.settle()
	s.hub.depart(s.addr)
	s.hub.metrics.closes[reason].Inc()

	s.mu.Lock()
	told, caller := s.told, s.caller
	s.mu.Unlock()
	if told {
		for _, o := range s.hub.cfg.Observers {
			o.SessionClosed(context.WithoutCancel(ctx), caller, reason)
		}
	}
}

// settle counts the session no longer among those that have not opened.
func (s *session) settle() {
	s.mu.Lock()
	settled := s.settled
	s.settled = true
	s.mu.Unlock()
	if !settled {
		s.hub.unopened.Add(-1)
	}
}

// askLocked counts the session among those that want to be opened.
func (s *session) askLocked() {
	if !s.asking {
		s.asking = true
		s.hub.asking.Add(1)
	}
}

// askedLocked says that session.open was answered or will not be.
func (s *session) askedLocked() {
	if s.asking {
		s.asking = false
		s.hub.asking.Add(-1)
	}
}

// crowdedAt is how many sessions wait to be opened when it is better to let
// others wait outside: as many as are opened within some ten milliseconds.
const crowdedAt = 512

// Crowded reports whether so many sessions wait to be opened that whoever
// accepts connections should pause: a connection that waits to be accepted costs
// nothing, one that is accepted and then runs out of time was work for nothing.
func (h *Hub) Crowded() bool { return h.asking.Load() >= crowdedAt }

// spawnLocked runs f unless the connection is gone, on the crew if one is
// given. f must call tasks.Done.
func (s *session) spawnLocked(f func(), by *crew) {
	if s.out.dead {
		return
	}
	s.tasks.Add(1)
	if by != nil {
		by.run(f)
		return
	}
	go f()
}
