package media

// rewriter makes one continuous RTP stream (one numbering, one time line) of
// packets that come from one talker after another. The zero value needs start.
type rewriter struct {
	nextSeq uint16 // what the first packet of the next source gets
	lastTS  uint32 // timestamp last sent
	lastAt  int64  // when, in nanoseconds of a monotonic clock

	started   bool // the current source has sent
	sent      bool // any source has sent
	firstSeq  uint16
	highSeq   uint16
	seqOffset uint16
	tsOffset  uint32
	late      int // packets refused in a row
}

// maxLate refusals in a row mean that the source itself began anew.
const maxLate = 16

// start sets where the numbering begins.
func (r *rewriter) start(seq uint16, ts uint32) { r.nextSeq, r.lastTS = seq, ts }

// change says that packets come from another source from now on.
func (r *rewriter) change() { r.started = false }

// next returns the numbers under which a packet goes out that came with seq
// and ts at time now, and whether it is the first of its source. A packet older
// than the first of its source would take the number of another: ok is false.
func (r *rewriter) next(seq uint16, ts uint32, now int64) (outSeq uint16, outTS uint32, first, ok bool) {
	if !r.started || r.late >= maxLate {
		first = true
		r.started, r.late, r.firstSeq, r.highSeq = true, 0, seq, seq
		r.seqOffset = r.nextSeq - seq
		r.tsOffset = r.lastTS + r.pause(now) - ts
	} else if ahead := int16(seq - r.highSeq); ahead > 0 {
		// Once the source is far from its first packet, the numbers before that
		// one stop being reachable and the check below must not see a wrap.
		if r.highSeq = seq; seq-r.firstSeq > 1<<14 {
			r.firstSeq = seq - 1<<13
		}
	} else if int16(seq-r.firstSeq) < 0 {
		r.late++
		return 0, 0, false, false
	}
	r.late = 0
	outSeq, outTS = seq+r.seqOffset, ts+r.tsOffset
	if seq == r.highSeq {
		r.nextSeq, r.lastTS, r.lastAt, r.sent = outSeq+1, outTS, now, true
	}
	return outSeq, outTS, first, true
}

// pause is the time since the last packet in ticks of 48 kHz, in whole frames
// and at least one: time lines of different sources do not meet to the tick.
func (r *rewriter) pause(now int64) uint32 {
	if !r.sent {
		return 0
	}
	frames := (now - r.lastAt) / int64(frame)
	return uint32(max(frames, 1)) * frameTicks
}
