package hub

import (
	"context"
	"errors"

	"parley/wire"
)

// readPage is how many entries are read from the log at once.
const readPage = 100

// errReaders says that too many sessions read the log.
var errReaders = errors.New("hub: too many sessions read the log")

// startReadingLocked has the log read for what the client lacks, unless it is being read already.
func (s *session) startReadingLocked(ctx context.Context) {
	if s.reading {
		return
	}
	s.reading = true
	s.spawnLocked(func() {
		defer s.tasks.Done()
		s.catchUp(ctx)
	}, nil)
}

// catchUp reads the log until the client lacks nothing. While it reads a
// conversation, live entries of it are noted and not queued, so that entries
// leave in order; s.reading is set.
func (s *session) catchUp(ctx context.Context) {
	sent := 0
	defer func() { s.hub.metrics.resumed.Observe(float64(sent)) }()
	for s.alive() {
		s.mu.Lock()
		p, ok := s.pos.behind()
		if !ok {
			s.reading = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		sent += s.readOn(ctx, p)
	}
	s.mu.Lock()
	s.reading = false
	s.mu.Unlock()
}

// readOn reads one page of what p lacks and queues it; it returns how many entries that were.
func (s *session) readOn(ctx context.Context, lacks position) int {
	h, conv := s.hub, lacks.conv
	entries, err := s.readLog(ctx, conv, lacks.sent)
	var p *wire.Problem
	switch {
	case errors.As(err, &p) && (p.Status == 403 || p.Status == 404):
		s.mu.Lock()
		s.pos.forget(conv)
		s.mu.Unlock()
		return 0
	case err != nil:
		h.cfg.Log.Warn("log not read", "session", s.id, "conversation", conv, "err", err)
		h.metrics.drops[dropLogError].Inc()
	case len(entries) == 0:
		h.metrics.drops[dropLogShort].Inc()
	}
	if len(entries) == 0 { // heartbeats tell the client the head, and the next entry or comparison tries again
		s.mu.Lock()
		s.pos.settle(lacks)
		s.mu.Unlock()
		return 0
	}
	return s.queueEntries(entries)
}

// queueEntries queues entries read from one conversation's log, no faster than the socket takes them.
func (s *session) queueEntries(entries []wire.Event) (sent int) {
	for i := range entries {
		if !s.awaitRoom() {
			return sent
		}
		ev := &entries[i]
		frame, err := eventFrame(ev)
		if err != nil {
			s.hub.cfg.Log.Error("entry not encoded", "conversation", ev.Conversation, "seq", ev.Seq, "err", err)
			s.hub.metrics.drops[dropEncode].Inc()
			continue
		}
		s.mu.Lock()
		reason := ""
		if s.pos.read(ev.Conversation, ev.Seq) {
			reason = s.pushLocked(frame, s.hub.uptime())
			sent++
		}
		s.mu.Unlock()
		if reason != "" {
			s.end(slow(reason))
			return sent
		}
	}
	s.flush()
	return sent
}

// readLog reads a page of conv's log, once fewer than logReaders do so.
func (s *session) readLog(ctx context.Context, conv wire.ConversationID, after int64) ([]wire.Event, error) {
	h := s.hub
	ctx, cancel := context.WithTimeout(ctx, h.cfg.CallTimeout)
	defer cancel()
	if !h.reading.enter(ctx, h.cfg.CallTimeout) {
		return nil, errReaders
	}
	defer h.reading.leave()
	return h.backend.Entries(ctx, s.caller.User, conv, after, readPage)
}
