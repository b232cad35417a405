package media

import "time"

// What one talker may send. Every packet goes out up to twelve times, so that a
// client which floods its room would be multiplied. Opus needs at most 400
// packets a second (2.5 ms each) and 510 kbit/s; RED doubles the latter.
const (
	packetCost = 2 * time.Millisecond // at most 500 packets a second
	byteCost   = 6 * time.Microsecond // at most 1.3 Mbit/s
	burst      = 1 * time.Second      // after a pause in the network, what waited may come at once
)

// pace admits what comes no faster than that. The zero value is ready.
type pace struct{ spent int64 } // until when, in monotonic ns, what was admitted has used up the time

func (p *pace) admit(now int64, bytes int) bool {
	if p.spent < now {
		p.spent = now
	}
	if p.spent-now > int64(burst) {
		return false
	}
	p.spent += max(int64(packetCost), int64(bytes)*int64(byteCost))
	return true
}
