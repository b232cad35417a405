package hub

import (
	"slices"
	"strings"

	"parley/wire"
)

// A position is how far a session has come in one conversation's log.
type position struct {
	conv wire.ConversationID
	sent int64 // the last entry queued for the client
	want int64 // the last entry known to exist; over sent while the log is being read
	// moved says that sent changed since the last heartbeat.
	moved bool
}

// positions are a session's, sorted by conversation.
type positions []position

func (ps positions) find(conv wire.ConversationID) (int, bool) {
	return slices.BinarySearchFunc(ps, conv, func(p position, c wire.ConversationID) int {
		return strings.Compare(string(p.conv), string(c))
	})
}

// A verdict says what to do with a live entry.
type verdict int

const (
	verdictSend verdict = iota // it follows on
	verdictOld                 // the client has it
	verdictHole                // something before it is missing: read the log
	verdictWait                // the log is being read and will bring it
)

// youngLog is up to which entry a conversation that is new to a session is
// taken for one that has just been made.
const youngLog = 8

// offer takes note of a live entry and says what to do with it. A conversation
// that has just been made begins with its first entry, whichever comes first:
// those written on different nodes at once may overtake each other on the bus.
func (ps *positions) offer(conv wire.ConversationID, seq int64) verdict {
	from := seq
	if seq <= youngLog {
		from = 1
	}
	p := &(*ps)[ps.begin(conv, from)]
	switch {
	case seq <= p.sent:
		return verdictOld
	case p.want > p.sent:
		p.want = max(p.want, seq)
		return verdictWait
	case seq == p.sent+1:
		p.sent, p.want, p.moved = seq, seq, true
		return verdictSend
	}
	p.want = seq
	return verdictHole
}

// begin returns the index of conv's position. A conversation that is new to
// the session, because the user joined it since, begins with the entry seq.
func (ps *positions) begin(conv wire.ConversationID, seq int64) int {
	i, ok := ps.find(conv)
	if !ok {
		*ps = slices.Insert(*ps, i, position{conv: conv, sent: seq - 1, want: seq - 1})
	}
	return i
}

// know takes note that conv's log has come to head, and reports whether the
// client lacks something, or the conversation is new to the session.
func (ps *positions) know(conv wire.ConversationID, head int64) (behind, fresh bool) {
	i, ok := ps.find(conv)
	if !ok { // joined without an entry that rang: the client learns of it by the heartbeat's heads
		*ps = slices.Insert(*ps, i, position{conv: conv, sent: head, want: head, moved: true})
		return false, true
	}
	p := &(*ps)[i]
	p.want = max(p.want, head)
	return p.want > p.sent, false
}

// behind returns a conversation of which the client lacks entries.
func (ps positions) behind() (p position, ok bool) {
	for i := range ps {
		if ps[i].want > ps[i].sent {
			return ps[i], true
		}
	}
	return position{}, false
}

// read takes note of an entry read from the log, and reports whether it is to be sent.
func (ps positions) read(conv wire.ConversationID, seq int64) bool {
	i, ok := ps.find(conv)
	if !ok || seq <= ps[i].sent {
		return false
	}
	p := &ps[i]
	p.sent, p.want, p.moved = seq, max(p.want, seq), true
	return true
}

// settle gives up on what the log did not give when it was asked for what p
// lacks, unless more was heard of since; a later entry or head asks again.
func (ps positions) settle(p position) {
	if i, ok := ps.find(p.conv); ok && ps[i].sent == p.sent && ps[i].want == p.want {
		ps[i].want = p.sent
	}
}

// forget drops a conversation the user may no longer read.
func (ps *positions) forget(conv wire.ConversationID) {
	if i, ok := ps.find(conv); ok {
		*ps = slices.Delete(*ps, i, i+1)
	}
}

// moved returns the heads that changed since it was last called, or nil.
func (ps positions) moved() map[wire.ConversationID]int64 {
	var heads map[wire.ConversationID]int64
	for i := range ps {
		if !ps[i].moved {
			continue
		}
		if heads == nil {
			heads = make(map[wire.ConversationID]int64)
		}
		heads[ps[i].conv] = max(ps[i].sent, ps[i].want)
		ps[i].moved = false
	}
	return heads
}
