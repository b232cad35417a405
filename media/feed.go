package media

import (
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"parley/wire"
)

// feed is one talker: a participant's microphone, or a prompt. Who listens is
// swapped in as a whole; pushing a packet takes no lock that rooms share.
type feed struct {
	user   wire.UserID
	urgent bool

	listeners atomic.Pointer[[]*slot]
	muted     atomic.Bool
	turn      atomic.Uint32 // grows when the stream begins anew for listeners

	packets atomic.Uint64 // came in
	dropped atomic.Uint64 // came in while muted
	flooded atomic.Uint64 // came in faster than any voice
	levels  levels
	reception

	// Of the one goroutine that pushes:
	pace pace
	hdr  rtp.Header // scratch

	// Guarded by the SFU's mutex:
	speech  speech
	spoke   time.Time
	seen    uint64    // packets at the last tick
	lastRTP time.Time // zero: never
	fresh   bool      // lastRTP is news
}

// push forwards one packet to all listeners. Only one goroutine may push.
// It is the seam of the media path: whoever has a decrypted packet of this
// talker, from pion's track or straight from the socket, calls it.
func (f *feed) push(p *packet, now int64) {
	f.packets.Add(1)
	if f.muted.Load() {
		f.dropped.Add(1)
		return
	}
	if p.level != noLevel {
		f.levels.add(p.level)
	}
	listeners := f.listeners.Load()
	if listeners == nil {
		return
	}
	for _, s := range *listeners {
		s.send(f, p, &f.hdr, now)
	}
}

// mute drops or lets through what the talker sends. Listeners hear the stream
// go on without a gap in its numbering, so that nothing is concealed.
func (f *feed) mute(muted bool) {
	if f.muted.Swap(muted) != muted {
		f.turn.Add(1)
	}
}
