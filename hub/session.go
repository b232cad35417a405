package hub

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
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

	cancel context.CancelFunc // of the context its operations run in
	timer  timer              // guarded by the wheel
}

// token is what matters of the token after it was checked.
type token struct {
	id              string
	issued, expires time.Time
	noticed         time.Time // the expiry the client was last told of
}

// serve takes messages from the client until the connection ends. It runs in
// the session's one standing goroutine. Requests run in ctx.
func (s *session) serve(ctx context.Context, ws *websocket.Conn) {
	defer s.hub.dismiss(s)
	err := s.read(ctx, ws)
	s.linger(err)
	s.finish(ctx)
	_ = ws.CloseNow()
}

// read returns when no further message can be read.
func (s *session) read(ctx context.Context, ws *websocket.Conn) error {
	// The library starts a watcher for every read whose context can end. This
	// one cannot: the connection is cut instead.
	unending := context.WithoutCancel(ctx)
	for {
		kind, r, err := ws.Reader(unending)
		if err != nil {
			return err
		}
		if err := s.readMessage(ctx, kind, r); err != nil {
			return err
		}
	}
}

func (s *session) readMessage(ctx context.Context, kind websocket.MessageType, r io.Reader) error {
	buf := scratches.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= 8<<10 {
			scratches.Put(buf)
		}
	}()
	buf.Reset()
	if _, err := buf.ReadFrom(r); err != nil {
		return err
	}
	s.link.pending = 0
	switch {
	case s.over():
	case kind != websocket.MessageText:
		s.end(endNotText)
	case !utf8.Valid(buf.Bytes()):
		s.end(endNotUTF8)
	default:
		s.hub.metrics.messagesIn.Inc()
		s.route(ctx, buf.Bytes())
	}
	return nil
}

var scratches = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 2<<10)) }}

// over reports whether the close frame is queued: what the client still says does not count.
func (s *session) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stage == stageEnded
}

// pinged answers whether a ping is to be answered; pings count as requests do.
func (s *session) pinged(context.Context, []byte) bool {
	s.link.pending = 0
	_, ok := s.admit(1)
	return ok
}

// linger waits, after the client broke the protocol, until it has read the
// close frame and hung up, or until the wheel cuts the connection: closing
// while the client still sends would take the close frame away from it.
func (s *session) linger(err error) {
	if websocket.CloseStatus(err) != -1 || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return
	}
	s.end(endProtocol)
	_, _ = io.Copy(io.Discard, s.link.Conn)
}

// farewell queues a close frame that the library made, as the last frame.
func (s *session) farewell(frame []byte) {
	s.mu.Lock()
	if s.stage != stageEnded {
		if code := binary.BigEndian.Uint16(append(frame[2:len(frame):len(frame)], 0, 0)); s.ending.reason == "" {
			s.ending.reason = reasonProtocol
			switch websocket.StatusCode(code) {
			case websocket.StatusMessageTooBig:
				s.ending.reason = reasonOversize
			case websocket.StatusProtocolError:
			default: // it answers the client's own
				s.ending.reason = reasonClient
			}
		}
		s.stage = stageEnded
		s.closeBy = s.hub.uptime() + s.hub.cfg.CloseTimeout
		s.sealLocked(frame, false, s.hub.uptime())
		s.hub.wheel.schedule(s, s.closeBy)
	}
	s.mu.Unlock()
	s.flush()
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
func (s *session) finish(ctx context.Context) {
	s.link.cut()
	s.mu.Lock()
	reason := s.ending.reason
	if reason == "" {
		reason = reasonClient
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
			o.SessionClosed(context.WithoutCancel(ctx), caller, reason)
		}
	}
	s.cancel()
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
