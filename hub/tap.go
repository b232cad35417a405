package hub

import (
	"maps"
	"slices"
	"time"

	"parley/wire"
)

// Tapped is a message between a client and this node, as whoever taps the user sees it.
type Tapped struct {
	Time    time.Time
	User    wire.UserID
	Session wire.SessionID
	Device  wire.DeviceID
	In      bool // from the client
	// JSON is the message, or a batch of them, valid during the call only.
	JSON []byte
}

// tap is somebody who looks at a user's messages.
type tap struct{ see func(Tapped) }

// taps are those who look, by user. The map is replaced, never changed; the
// pointer to it is nil while nobody looks, which is all that a message costs then.
type taps map[wire.UserID][]*tap

// Tap has see called with every message of the user's sessions on this node,
// once they are open, until stop is called. see runs between the message and
// its socket: it must not block, nor call the hub.
func (h *Hub) Tap(user wire.UserID, see func(Tapped)) (stop func()) {
	t := &tap{see: see}
	h.changeTaps(func(all taps) { all[user] = append(slices.Clone(all[user]), t) })
	return func() {
		h.changeTaps(func(all taps) {
			all[user] = slices.DeleteFunc(slices.Clone(all[user]), func(other *tap) bool { return other == t })
			if len(all[user]) == 0 {
				delete(all, user)
			}
		})
	}
}

func (h *Hub) changeTaps(change func(taps)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := taps{}
	if now := h.taps.Load(); now != nil {
		next = maps.Clone(*now)
	}
	change(next)
	if len(next) == 0 {
		h.taps.Store(nil)
		return
	}
	h.taps.Store(&next)
}

// tapIn shows what the client said to who looks.
func (s *session) tapIn(message []byte) {
	if all := s.hub.taps.Load(); all != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.showLocked(*all, true, message)
	}
}

// tapOut shows a frame for the client to who looks.
func (s *session) tapOut(frame []byte) {
	if all := s.hub.taps.Load(); all != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tapOutLocked(frame)
	}
}

func (s *session) tapOutLocked(frame []byte) {
	if all := s.hub.taps.Load(); all != nil && frame[0] == finText {
		s.showLocked(*all, false, payloadOf(frame))
	}
}

func (s *session) showLocked(all taps, in bool, message []byte) {
	for _, t := range all[s.caller.User] {
		t.see(Tapped{Time: s.hub.cfg.Clock.Now(), User: s.caller.User, Session: s.id, Device: s.caller.Device, In: in, JSON: message})
	}
}
