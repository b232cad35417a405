package media

import (
	"context"
	"slices"
	"time"

	"github.com/pion/webrtc/v4"

	"parley/wire"
)

const (
	tick        = 250 * time.Millisecond // speakers: at most 4 a second
	aliveTicks  = 4                      // Alive, and reconciling what is against what should be
	reportTicks = 12                     // receiver reports
)

// Run serves until ctx ends, then closes all rooms and sockets. It returns
// after everything it started has ended.
func (s *SFU) Run(ctx context.Context) error {
	s.engine.start()
	close(s.ready)
	s.deps.Logger.Info("media: listening", "udp", s.Addrs())
	defer s.shut()
	ticks := make(chan struct{}, 1)
	ticking := make(chan struct{})
	go func() {
		defer close(ticking)
		for s.deps.Clock.Wait(ctx, s.deps.Clock.Now().Add(tick)) == nil {
			select {
			case ticks <- struct{}{}:
			default: // Run is behind: one tick is as good as two
			}
		}
	}()
	defer func() { <-ticking }()
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
			s.settle()
		case <-ticks:
			n++
			s.beat(n)
			s.settle()
		}
	}
}

// shut closes whatever is open.
func (s *SFU) shut() {
	s.mu.Lock()
	s.closed = true
	var gone []*peer
	for _, r := range s.rooms {
		gone = append(gone, r.peers...)
		for _, p := range slices.Clone(r.peers) {
			s.drop(r, p)
		}
	}
	s.mu.Unlock()
	closeAll(gone)
	s.closing.Wait()
	s.engine.close()
}

// report is one call of the observer, made after the mutex is free.
type report func(Observer)

func (s *SFU) tell(reports []report) {
	for _, r := range reports {
		r(s.deps.Observer)
	}
}

// beat is the n-th tick: levels, signs of life, reports to the clients.
func (s *SFU) beat(n int) {
	now := s.deps.Clock.Now()
	var reports []report
	var listening []*peer
	s.mu.Lock()
	for _, r := range s.rooms {
		if r.hear(now) {
			r.dirty = true
			r.reconcile()
		}
		for _, p := range r.peers {
			if rep := p.sign(r.id, now, n%aliveTicks == 0); rep != nil {
				reports = append(reports, rep)
			}
			s.metrics.count(p)
		}
		if n%aliveTicks == 0 {
			r.reconcile()
		}
		if n%reportTicks == 0 {
			listening = append(listening, r.peers...)
		}
	}
	s.metrics.size(s.rooms)
	s.mu.Unlock()
	for _, p := range listening {
		p.report()
	}
	s.tell(reports)
}

// sign notes when the last packet came, to the tick, and reports it when due.
func (p *peer) sign(id wire.CallID, now time.Time, due bool) report {
	f := p.feed
	if got := f.packets.Load(); got != f.seen {
		f.seen, f.lastRTP, f.fresh = got, now, true
	}
	if !due || !f.fresh {
		return nil
	}
	f.fresh = false
	who, last := p.Participant, f.lastRTP
	return func(o Observer) { o.Alive(id, who, last) }
}

// settle compares what observers were told with what is, and takes out whose
// connection has ended for good.
func (s *SFU) settle() {
	now := s.deps.Clock.Now()
	var reports []report
	var gone []*peer
	s.mu.Lock()
	for _, r := range s.rooms {
		for _, p := range slices.Clone(r.peers) {
			if s.ended(p, now) {
				s.drop(r, p)
				gone = append(gone, p)
				s.deps.Logger.Info("media: a connection ended", "room", r.id, "state", p.connection(), "age", now.Sub(p.joined))
				reports = append(reports, disconnected(r.id, p.Participant))
			} else if rep := p.transition(r.id); rep != nil {
				reports = append(reports, rep)
			}
		}
		reports = append(reports, r.changes()...)
	}
	s.mu.Unlock()
	for _, p := range gone {
		s.closing.Go(p.close) // may take its time; the other rooms do not wait for it
	}
	s.tell(reports)
}

// ended reports whether p's connection will not come back.
func (s *SFU) ended(p *peer, now time.Time) bool {
	switch p.connection() {
	case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
		return true
	case webrtc.PeerConnectionStateConnected:
		p.wasConnected = true
	case webrtc.PeerConnectionStateDisconnected:
	default:
		return !p.wasConnected && now.Sub(p.joined) > s.cfg.Connect
	}
	return false
}

// transition reports whether media can flow, if that is news.
func (p *peer) transition(id wire.CallID) report {
	is := p.connection() == webrtc.PeerConnectionStateConnected
	if is == p.reported {
		return nil
	}
	p.reported = is
	who := p.Participant
	if !is {
		return disconnected(id, who)
	}
	return func(o Observer) { o.Connected(id, who) }
}

func disconnected(id wire.CallID, who Participant) report {
	return func(o Observer) { o.Disconnected(id, who) }
}

// changes reports slots and speakers that are news.
func (r *room) changes() []report {
	var out []report
	id := r.id
	for _, p := range r.peers {
		if p.changed {
			p.changed = false
			who, slots := p.Participant, p.attached()
			out = append(out, func(o Observer) { o.Slots(id, who, slots) })
		}
	}
	if r.dirty {
		r.dirty = false
		speakers := slices.Clone(r.speakers)
		out = append(out, func(o Observer) { o.Speakers(id, speakers) })
	}
	return out
}
