package hub

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"parley/wire"
)

// How sessions are compared with the log after the bus has lost something. One
// question is asked at a time, so that a node never asks faster than the
// database answers.
const (
	// lossSettle is what is waited before comparing, half of it at random: one
	// break is told of by each of the bus' connections, and to every node.
	lossSettle = 500 * time.Millisecond
	// lossSpread is the time over which the comparisons of one loss are spread, and
	// the least from the beginning of one round to that of the next.
	lossSpread = 2 * time.Second
	lossPause  = 100 * time.Millisecond // the longest between two batches
	// logReaders is how many sessions read their logs at once.
	logReaders = 32
)

// Why heads are compared, as counted by parley_hub_heads_compared_total.
const (
	causeBeat = iota
	causeLoss
	causeCount
)

var causeNames = [causeCount]string{"heartbeat", "loss"}

// checkHeads compares sessions' positions with the log's heads before their
// heartbeats, until ctx ends.
func (h *Hub) checkHeads(ctx context.Context) {
	for {
		var sessions []*session
		select {
		case <-ctx.Done():
			return
		case sessions = <-h.checks:
		}
		for batch := range slices.Chunk(sessions, headsAtOnce) {
			h.compare(ctx, batch, causeBeat)
			quiet := heartbeatFrame(heartbeat{Time: h.cfg.Clock.Now(), Heads: map[wire.ConversationID]int64{}})
			for _, s := range batch {
				s.beat(quiet)
			}
		}
	}
}

// lose has every session compared, and every topic's stream read: the bus may
// have lost something. It does not block.
func (h *Hub) lose() {
	h.losses.Add(1)
	h.doubtAll()
	h.metrics.drops[dropLost].Inc()
	h.cfg.Log.Warn("bus may have lost messages: comparing heads")
	h.askRound()
}

func (h *Hub) askRound() {
	select {
	case h.lost <- struct{}{}:
	default: // the round that is asked for already comes after this loss
	}
}

// compareLost compares every session after a loss, until ctx ends. What the log
// does not answer now is compared at the session's next heartbeat.
func (h *Hub) compareLost(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.lost:
		}
		told := h.uptime()
		if !pause(ctx, lossSettle/2+rand.N(lossSettle/2)) {
			return
		}
		h.takeRound()
		began := h.uptime()
		if !h.compareAll(ctx) {
			return
		}
		h.metrics.lossSeconds.Observe((h.uptime() - told).Seconds())
		if !pause(ctx, lossSpread-(h.uptime()-began)) {
			return
		}
	}
}

// takeRound folds what was asked for meanwhile into the round that begins.
func (h *Hub) takeRound() {
	select {
	case <-h.lost:
	default:
	}
}

// compareAll compares every session that was not since the last loss, spread
// over lossSpread or as long as the log takes to answer. It reports false when ctx ends.
func (h *Hub) compareAll(ctx context.Context) bool {
	all := h.roster.all()
	gap := min(lossPause, lossSpread/time.Duration(1+(len(all)-1)/headsAtOnce))
	next := h.uptime()
	for batch := range slices.Chunk(all, headsAtOnce) {
		if !pause(ctx, next-h.uptime()) {
			return false
		}
		next += gap
		for _, s := range h.compare(ctx, h.behindLosses(batch), causeLoss) {
			s.beat(nil)
		}
	}
	return true
}

// behindLosses returns those that were not compared since the last loss.
func (h *Hub) behindLosses(sessions []*session) []*session {
	losses := h.losses.Load()
	due := make([]*session, 0, len(sessions))
	for _, s := range sessions {
		s.mu.Lock()
		if s.stage == stageOpen && s.losses != losses {
			due = append(due, s)
		}
		s.mu.Unlock()
	}
	return due
}

// compare asks once for the heads of everybody in sessions and has the log read
// for what each turns out to lack. It returns the sessions that have learnt of a
// conversation, of which only their heartbeat tells.
func (h *Hub) compare(ctx context.Context, sessions []*session, cause int) (learnt []*session) {
	if len(sessions) == 0 || ctx.Err() != nil {
		return nil
	}
	losses := h.losses.Load()
	heads, err := h.askHeads(ctx, usersOf(sessions))
	if err != nil {
		h.cfg.Log.Warn("heads not compared", "sessions", len(sessions), "err", err)
		h.metrics.drops[dropCheck].Add(float64(len(sessions)))
		return nil
	}
	h.metrics.compared[cause].Add(float64(len(sessions)))
	for _, s := range sessions {
		if s.compare(ctx, heads[s.caller.User], losses) {
			learnt = append(learnt, s)
		}
	}
	return learnt
}

func usersOf(sessions []*session) []wire.UserID {
	users := make([]wire.UserID, 0, len(sessions))
	seen := make(map[wire.UserID]struct{}, len(sessions))
	for _, s := range sessions {
		if _, ok := seen[s.caller.User]; !ok {
			seen[s.caller.User] = struct{}{}
			users = append(users, s.caller.User)
		}
	}
	return users
}

// compare has the log read for what s lacks of heads, which were asked for after
// so many losses. It reports whether a conversation is new to s.
func (s *session) compare(ctx context.Context, heads []Head, losses int64) (learnt bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stage != stageOpen {
		return false
	}
	s.losses, s.checked = losses, s.hub.uptime()
	behind := false
	for _, head := range heads {
		lacks, fresh := s.pos.know(head.Conversation, head.Seq)
		behind, learnt = behind || lacks, learnt || fresh
	}
	if behind {
		s.startReadingLocked(ctx)
	}
	return learnt
}
