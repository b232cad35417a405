package media

import "time"

// voice is a talker as assign sees it, in the order in which they joined.
type voice struct {
	feed     *feed
	urgent   bool      // a prompt: must be heard
	speaking bool      // now
	spoke    time.Time // last
}

// assign says who should be in which of a receiver's slots: who is seated
// stays, who waits takes a free one. When none is free, somebody who speaks
// takes the seat of whoever has been silent for longest, so that with fewer
// slots than people everybody who speaks is heard.
func assign(slots []*feed, voices []voice) []*feed {
	out := make([]*feed, len(slots))
	seated := make(map[*feed]voice, len(slots))
	for i, f := range slots {
		for _, v := range voices {
			if f != nil && v.feed == f {
				out[i], seated[f] = f, v
			}
		}
	}
	for _, v := range voices {
		if _, ok := seated[v.feed]; ok {
			continue
		}
		if i := seatFor(v, out, seated); i >= 0 {
			delete(seated, out[i])
			out[i], seated[v.feed] = v.feed, v
		}
	}
	return out
}

// seatFor returns the slot that v takes, or -1 if it has to wait.
func seatFor(v voice, slots []*feed, seated map[*feed]voice) int {
	best := -1
	for i, f := range slots {
		if f == nil {
			return i
		}
		s := seated[f]
		if s.urgent || (!v.urgent && (!v.speaking || s.speaking)) {
			continue
		}
		if best < 0 || quieter(s, seated[slots[best]]) {
			best = i
		}
	}
	return best
}

func quieter(a, b voice) bool {
	if a.speaking != b.speaking {
		return !a.speaking
	}
	return a.spoke.Before(b.spoke)
}
