package media

import "sync/atomic"

// Speech detection over RFC 6464 levels, in windows of one tick of Run.
const (
	loudLevel  = 40 // -40 dBov or louder starts speech
	softLevel  = 50 // -50 dBov or louder keeps it going
	loudShare  = 3  // a window is loud when one in loudShare of its packets is
	quietTicks = 3  // so many windows without speech end it
)

// levels collects one window of a talker's levels. The reader adds, Run drains.
type levels struct {
	packets, loud, soft, sum atomic.Uint32
}

func (l *levels) add(level uint8) {
	l.packets.Add(1)
	l.sum.Add(uint32(127 - level))
	if level <= loudLevel {
		l.loud.Add(1)
	}
	if level <= softLevel {
		l.soft.Add(1)
	}
}

// window is what came in one tick.
type window struct{ packets, loud, soft, sum uint32 }

func (l *levels) drain() window {
	return window{l.packets.Swap(0), l.loud.Swap(0), l.soft.Swap(0), l.sum.Swap(0)}
}

// speech decides from window to window whether somebody speaks. Louder is
// needed to begin than to go on, and a pause between words does not end it.
type speech struct {
	speaking bool
	quiet    int
	loudness uint32 // mean of the last loud window, larger is louder
}

// tick takes a window and reports whether speaking has changed.
func (s *speech) tick(w window) bool {
	was := s.speaking
	enough := w.loud
	if was {
		enough = w.soft
	}
	if w.packets > 0 && enough*loudShare >= w.packets {
		s.speaking, s.quiet, s.loudness = true, 0, w.sum/w.packets
	} else if s.quiet++; s.quiet >= quietTicks {
		s.speaking = false
	}
	return s.speaking != was
}
