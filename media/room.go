package media

import (
	"slices"
	"time"

	"parley/wire"
)

// room is who is in a call. All of it is guarded by the SFU's mutex.
type room struct {
	id       wire.CallID
	since    time.Time
	peers    []*peer // in the order in which they joined
	prompt   *feed   // nil: none plays
	waiting  int     // prompts that play or wait
	turn     chan struct{}
	dirty    bool // speakers changed, or prompt gone
	speakers []wire.UserID
}

func newRoom(id wire.CallID, now time.Time) *room {
	return &room{id: id, since: now, turn: make(chan struct{}, 1)}
}

// find returns who's peer, or nil.
func (r *room) find(who Participant) *peer {
	i := slices.IndexFunc(r.peers, func(p *peer) bool { return p.Participant == who })
	if i < 0 {
		return nil
	}
	return r.peers[i]
}

// reconcile makes who hears whom what it should be, whatever it was.
// Calling it again changes nothing.
func (r *room) reconcile() {
	all := r.voices()
	heard := make(map[*feed][]*slot, len(all))
	for _, p := range r.peers {
		now := make([]*feed, len(p.slots))
		for i, s := range p.slots {
			now[i] = s.source
		}
		for i, f := range assign(now, others(all, p.User)) {
			if f != now[i] {
				p.slots[i].attach(f)
				p.changed = true
			}
			if f != nil {
				heard[f] = append(heard[f], p.slots[i])
			}
		}
	}
	for _, v := range all {
		listeners := heard[v.feed]
		if had := v.feed.listeners.Load(); had == nil || !slices.Equal(*had, listeners) {
			v.feed.listeners.Store(&listeners)
		}
	}
}

// voices of the room: a prompt first.
func (r *room) voices() []voice {
	out := make([]voice, 0, len(r.peers)+1)
	if r.prompt != nil {
		out = append(out, voice{feed: r.prompt, urgent: true})
	}
	for _, p := range r.peers {
		out = append(out, voice{feed: p.feed, speaking: p.feed.speech.speaking, spoke: p.feed.spoke})
	}
	return out
}

// others leaves out the listener's own devices.
func others(all []voice, listener wire.UserID) []voice {
	out := make([]voice, 0, len(all))
	for _, v := range all {
		if v.feed.user != listener {
			out = append(out, v)
		}
	}
	return out
}

// silence takes a feed away from everybody who hears it.
func (f *feed) silence() { f.listeners.Store(nil) }

// hear takes the levels of one tick and reports whether the list of speakers
// has changed.
func (r *room) hear(now time.Time) bool {
	changed := false
	for _, p := range r.peers {
		f := p.feed
		changed = f.speech.tick(f.levels.drain()) || changed
		if f.speech.speaking {
			f.spoke = now
		}
	}
	if changed {
		r.listSpeakers()
	}
	return changed
}

// listSpeakers sorts who speaks by loudness.
func (r *room) listSpeakers() {
	var feeds []*feed
	for _, p := range r.peers {
		if p.feed.speech.speaking {
			feeds = append(feeds, p.feed)
		}
	}
	slices.SortStableFunc(feeds, func(a, b *feed) int { return int(b.speech.loudness) - int(a.speech.loudness) })
	r.speakers = []wire.UserID{}
	for _, f := range feeds {
		if !slices.Contains(r.speakers, f.user) {
			r.speakers = append(r.speakers, f.user)
		}
	}
}
