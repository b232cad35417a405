package media

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"parley/wire"
)

// SFU holds the rooms of one node. Its methods may be called from any
// goroutine, while Run runs.
type SFU struct {
	cfg     Config
	deps    Deps
	engine  *engine
	metrics *metrics
	epoch   time.Time      // zero of the monotonic time on the media path
	ready   chan struct{}  // closed when Run has begun
	wake    chan struct{}  // a peer's state or a room has changed
	closing sync.WaitGroup // connections that Run gave up

	mu     sync.Mutex // guards what follows; never held while a connection opens or closes
	rooms  map[wire.CallID]*room
	closed bool
}

// New opens the UDP sockets of cfg. Run serves them, and must be called even
// if only to close them.
func New(cfg Config, deps Deps) (*SFU, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	deps = deps.withDefaults()
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, err
	}
	e, err := listen(cfg)
	if err != nil {
		return nil, err
	}
	return &SFU{
		cfg: cfg, deps: deps, engine: e, metrics: m,
		epoch: time.Now(),
		ready: make(chan struct{}),
		wake:  make(chan struct{}, 1),
		rooms: map[wire.CallID]*room{},
	}, nil
}

// Addrs returns the UDP addresses that all participants share; empty when each
// has its own socket.
func (s *SFU) Addrs() []netip.AddrPort {
	var out []netip.AddrPort
	for _, c := range s.engine.sockets {
		out = append(out, netip.MustParseAddrPort(c.LocalAddr().String()))
	}
	return out
}

// Join puts who into the room, making it if need be, and answers the offer:
// one audio section that sends (the microphone) and up to twelve recvonly ones.
// slots says whose voice each attached section carries; changes go to the
// Observer. A participant who is in the room already is replaced, mute
// included. The answer is complete: there are no candidates to come. Errors:
// ErrOffer, ErrRoomFull, ErrClosed, or ctx's.
func (s *SFU) Join(ctx context.Context, id wire.CallID, who Participant, offerSDP string) (answerSDP string, slots []Slot, err error) {
	began := time.Now()
	select {
	case <-s.ready:
	case <-ctx.Done():
		return "", nil, fmt.Errorf("media: join: %w", ctx.Err())
	}
	o, err := parseOffer(offerSDP)
	if err != nil {
		s.metrics.refused.WithLabelValues("offer").Inc()
		return "", nil, err
	}
	if err := s.spare(id, who); err != nil { // before the work, and again after it
		return "", nil, err
	}
	p, answer, err := newPeer(ctx, s.engine, who, o, s.epoch, s.poke)
	if err != nil {
		s.metrics.refused.WithLabelValues("offer").Inc()
		return "", nil, err
	}
	old, slots, err := s.seat(id, p)
	if err != nil {
		p.close()
		return "", nil, err
	}
	if old != nil {
		old.close()
	}
	s.poke()
	s.metrics.answer.Observe(time.Since(began).Seconds())
	return answer, slots, nil
}

// spare reports whether there is room for who.
func (s *SFU) spare(id wire.CallID, who Participant) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.admit(s.rooms[id], who)
}

func (s *SFU) admit(r *room, who Participant) error {
	if s.closed {
		return ErrClosed
	}
	if r != nil && r.find(who) == nil && len(r.peers) >= s.cfg.MaxParticipants {
		s.metrics.refused.WithLabelValues("room_full").Inc()
		return fmt.Errorf("%w: it holds %d people", ErrRoomFull, s.cfg.MaxParticipants)
	}
	return nil
}

// seat puts p into the room and returns the peer that it replaces, which the caller closes.
func (s *SFU) seat(id wire.CallID, p *peer) (old *peer, slots []Slot, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[id]
	if err := s.admit(r, p.Participant); err != nil {
		return nil, nil, err
	}
	p.joined = s.deps.Clock.Now()
	if r == nil {
		r = newRoom(id, p.joined)
		s.rooms[id] = r
	}
	if old = r.find(p.Participant); old != nil {
		p.reported = old.reported
		p.feed.mute(old.feed.muted.Load())
		s.drop(r, old)
		s.rooms[id] = r // dropping the only one discards the room
	}
	r.peers = append(r.peers, p)
	r.reconcile()
	p.changed = false
	return old, p.attached(), nil
}

// drop takes p out of the room. The mutex must be held; the caller closes p after.
func (s *SFU) drop(r *room, p *peer) {
	r.peers = slices.DeleteFunc(r.peers, func(q *peer) bool { return q == p })
	p.feed.silence()
	for _, sl := range p.slots {
		sl.attach(nil)
	}
	if p.feed.speech.speaking {
		r.listSpeakers()
		r.dirty = true
	}
	r.reconcile()
	s.metrics.count(p)
	s.discard(r)
}

// discard forgets an empty room.
func (s *SFU) discard(r *room) {
	if len(r.peers) == 0 && r.waiting == 0 {
		delete(s.rooms, r.id)
	}
}

// Leave takes who out of the room. Errors: ErrUnknownRoom, ErrUnknownParticipant.
func (s *SFU) Leave(id wire.CallID, who Participant) error {
	p, err := s.remove(id, who)
	if err != nil {
		return err
	}
	p.close()
	s.poke()
	return nil
}

func (s *SFU) remove(id wire.CallID, who Participant) (*peer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p, err := s.locate(id, who)
	if err != nil {
		return nil, err
	}
	s.drop(r, p)
	return p, nil
}

// locate finds a participant. The mutex must be held.
func (s *SFU) locate(id wire.CallID, who Participant) (*room, *peer, error) {
	r := s.rooms[id]
	if r == nil {
		return nil, nil, ErrUnknownRoom
	}
	p := r.find(who)
	if p == nil {
		return nil, nil, ErrUnknownParticipant
	}
	return r, p, nil
}

// Close takes everybody out of the room. Closing a room that is not there is no error.
func (s *SFU) Close(id wire.CallID) {
	s.mu.Lock()
	var gone []*peer
	if r := s.rooms[id]; r != nil {
		gone = slices.Clone(r.peers)
		for _, p := range gone {
			s.drop(r, p)
		}
	}
	s.mu.Unlock()
	closeAll(gone)
}

// closeAll closes connections side by side and waits for all.
func closeAll(peers []*peer) {
	var wg sync.WaitGroup
	for _, p := range peers {
		wg.Go(p.close)
	}
	wg.Wait()
}

// Mute makes the server drop, or let through again, what who sends. Errors:
// ErrUnknownRoom, ErrUnknownParticipant.
func (s *SFU) Mute(id wire.CallID, who Participant, muted bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, p, err := s.locate(id, who)
	if err != nil {
		return err
	}
	p.feed.mute(muted)
	return nil
}

// poke makes Run look at once. It never blocks.
func (s *SFU) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (p *peer) connection() webrtc.PeerConnectionState {
	return webrtc.PeerConnectionState(p.state.Load())
}
