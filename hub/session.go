package hub

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

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

// A session is one socket. Its reader goroutine owns it: when the reader
// returns, the session is over and everything it started has ended.
type session struct {
	hub  *Hub
	link *link
	id   wire.SessionID
	addr netip.Addr
	born time.Duration // hub uptime at the handshake
	seen atomic.Int64  // hub uptime of the last byte from the client

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

	subscribed bool          // to its user's topic
	dirty      bool          // on the list of a round of deliveries
	nextBeat   time.Duration // hub uptime of the next heartbeat
	checked    time.Duration // hub uptime of the last comparison with the log's heads
	losses     int64         // the hub's losses then
	tasks      sync.WaitGroup

	timer timer // guarded by the wheel
}

// token is what matters of the token after it was checked.
type token struct {
	id              string
	issued, expires time.Time
	noticed         time.Time // the expiry the client was last told of
}

// read takes frames from the client until the connection ends. It is the
// session's one standing goroutine.
func (s *session) read(ctx context.Context, ws *websocket.Conn) {
	defer s.hub.dismiss(s)
	err := s.readFrames(ctx, ws)
	s.finish(ctx, err)
	_ = ws.CloseNow()
}

func (s *session) readFrames(ctx context.Context, ws *websocket.Conn) error {
	for {
		kind, r, err := ws.Reader(ctx)
		if err != nil {
			return err
		}
		if kind != websocket.MessageText {
			s.end(endNotText)
			_, err := io.Copy(io.Discard, r)
			return err
		}
		buf := scratches.Get().(*bytes.Buffer)
		buf.Reset()
		_, err = buf.ReadFrom(r)
		if err == nil {
			s.receive(ctx, buf.Bytes())
		}
		if buf.Cap() <= 8<<10 {
			scratches.Put(buf)
		}
		if err != nil {
			return err
		}
	}
}

var scratches = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 2<<10)) }}

// receive handles one message. data is valid only during the call.
func (s *session) receive(ctx context.Context, data []byte) {
	s.hub.metrics.framesIn.Inc()
	if !utf8.Valid(data) {
		s.end(endNotUTF8)
		return
	}
	s.route(ctx, data)
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
	s.closeBy = now + s.hub.cfg.CloseTimeout
	s.sealLocked(closeFrame(s.ending.code, s.ending.text), s.ending.drop, now)
	s.hub.wheel.schedule(s, s.closeBy)
}

// finish ends the session after its reader: no event reaches it any more,
// what it started is awaited, and observers are told.
func (s *session) finish(ctx context.Context, cause error) {
	s.link.cut()
	s.mu.Lock()
	reason := s.ending.reason
	if reason == "" {
		reason = reasonClient
		if errors.Is(cause, websocket.ErrMessageTooBig) {
			reason = reasonOversize
		}
	}
	s.stage = stageEnded
	s.jobs, s.jobBytes = nil, 0
	s.pos, s.held = nil, heldEvents{}
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
			o.SessionClosed(ctx, caller, reason)
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

// spawnLocked runs f unless the connection is gone. f must call tasks.Done.
func (s *session) spawnLocked(f func()) {
	if s.out.dead {
		return
	}
	s.tasks.Add(1)
	go f()
}
