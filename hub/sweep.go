package hub

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"parley/wire"
)

// sweep looks at the sessions that are due, until ctx ends.
func (h *Hub) sweep(ctx context.Context) {
	ticker := time.NewTicker(wheelTick)
	defer ticker.Stop()
	var due, beats []*session
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		due = h.wheel.advance(h.uptime(), due[:0])
		beats = beats[:0]
		for _, s := range due {
			next, beat := s.look(h.uptime())
			if next > 0 {
				h.wheel.schedule(s, next)
			}
			if beat {
				beats = append(beats, s)
			}
		}
		if len(beats) > 0 {
			h.beat(ctx, beats)
		}
		clear(due)
		clear(beats)
	}
}

// firstBeat spreads the first heartbeats over an interval, so that sessions that
// opened together do not beat together.
func (h *Hub) firstBeat() time.Duration {
	return h.uptime() + h.cfg.Heartbeat/2 + rand.N(h.cfg.Heartbeat/2+1)
}

// look does what is due for a session and says when to look again; beat asks for a heartbeat.
func (s *session) look(now time.Duration) (next time.Duration, beat bool) {
	cfg := &s.hub.cfg
	seen := time.Duration(s.seen.Load())
	s.mu.Lock()
	stage, closeBy, expires := s.stage, s.closeBy, s.token.expires
	s.mu.Unlock()
	silence := 5 * cfg.Heartbeat / 2
	switch {
	case stage == stageEnded:
		if now < closeBy {
			return closeBy, false
		}
		s.cut()
		return 0, false
	case stage == stageNew && now >= s.born+cfg.OpenTimeout:
		s.end(endOpenTimeout)
		return 0, false // end has scheduled the cut
	case stage == stageNew:
		return s.born + cfg.OpenTimeout, false
	case now-seen >= silence:
		s.end(endSilent)
		return 0, false
	case stage == stageOpening:
		return now + cfg.OpenTimeout, false
	}
	if s.expire(expires) {
		return 0, false
	}
	return s.nextLook(now, seen+silence, expires)
}

// nextLook says when an open session is due again: the earliest of its
// heartbeat, its client's silence and its token's notice and end.
func (s *session) nextLook(now, silent time.Duration, expires time.Time) (next time.Duration, beat bool) {
	cfg := &s.hub.cfg
	s.mu.Lock()
	if beat = now >= s.nextBeat; beat {
		s.nextBeat = now + cfg.Heartbeat
	}
	next = min(s.nextBeat, silent)
	s.mu.Unlock()
	if !expires.IsZero() {
		left := expires.Sub(cfg.Clock.Now())
		if left > cfg.TokenNotice {
			left -= cfg.TokenNotice
		}
		next = min(next, now+max(left, wheelTick))
	}
	return next, beat
}

// expire tells the client that its token ends soon, once, and ends the session
// when it has ended and no grace is left.
func (s *session) expire(expires time.Time) (ended bool) {
	if expires.IsZero() {
		return false
	}
	h := s.hub
	left := expires.Sub(h.cfg.Clock.Now())
	if left > h.cfg.TokenNotice {
		return false
	}
	s.mu.Lock()
	notice := !s.token.noticed.Equal(expires)
	s.token.noticed = expires
	caller := s.caller
	s.mu.Unlock()
	if left <= 0 && (h.cfg.Grace == nil || h.cfg.Grace.Extra(caller) <= -left) {
		s.end(endExpired)
		return true
	}
	if left <= 0 {
		s.expel("token_expired", func(string) bool { return true })
	}
	if notice {
		s.notify("session.expiring", struct {
			Expires time.Time `json:"expires"`
		}{expires.UTC()})
	}
	return false
}

// notify sends a signal of the hub's own to this session.
func (s *session) notify(kind string, data any) {
	body, err := json.Marshal(data)
	if err != nil {
		return
	}
	frame, err := eventFrame(&wire.Event{Type: kind, Time: s.hub.cfg.Clock.Now(), Data: body})
	if err != nil {
		return
	}
	s.push(frame)
}

type heartbeat struct {
	Time  time.Time                     `json:"time"`
	Heads map[wire.ConversationID]int64 `json:"heads"`
}

// beat sends heartbeats. Sessions whose positions are to be compared first are
// left to checkHeads; when that is still busy they beat without.
func (h *Hub) beat(ctx context.Context, sessions []*session) {
	now := h.uptime()
	var check []*session
	quiet := heartbeatFrame(heartbeat{Time: h.cfg.Clock.Now(), Heads: map[wire.ConversationID]int64{}})
	losses := h.losses.Load()
	for _, s := range sessions {
		s.mu.Lock()
		due := s.losses != losses || now-s.checked >= h.cfg.HeadsEvery
		s.mu.Unlock()
		if due {
			check = append(check, s)
		} else {
			s.beat(quiet)
		}
	}
	if len(check) == 0 {
		return
	}
	select {
	case h.checks <- check:
	default:
		h.metrics.drops[dropCheck].Add(float64(len(check)))
		for _, s := range check {
			s.beat(quiet)
		}
	}
}

// beat sends the session's heartbeat: quiet, unless conversations moved. With
// a nil quiet it sends none then.
func (s *session) beat(quiet []byte) {
	s.mu.Lock()
	heads := s.pos.moved()
	s.mu.Unlock()
	if heads != nil {
		quiet = heartbeatFrame(heartbeat{Time: s.hub.cfg.Clock.Now(), Heads: heads})
	}
	if quiet != nil {
		s.push(quiet)
	}
}

func heartbeatFrame(b heartbeat) []byte {
	body, err := json.Marshal(b)
	if err != nil { // times and numbers always encode
		return nil
	}
	return textFrame(heartbeatPrefix, body, closeBrace)
}
