package media

import "encoding/binary"

// noLevel stands for a packet without an audio level.
const noLevel = 0xff

// packet is what the forwarder needs of an RTP packet (RFC 3550, 5.1). It
// points into the buffer that was read and lives until the next one.
type packet struct {
	seq     uint16
	ts      uint32
	marker  bool
	pt      uint8
	level   uint8 // RFC 6464: 0 is loudest, 127 is silence, noLevel if absent
	red     bool  // the payload is RED (RFC 2198) around Opus; set by the reader
	payload []byte
}

// parsePacket reads b without allocating. levelID is the number negotiated
// for the audio level extension, 0 for none. It reports whether b is RTP with
// something in it.
func parsePacket(b []byte, levelID uint8, p *packet) bool {
	if len(b) < 12 || b[0]>>6 != 2 {
		return false
	}
	p.marker, p.pt = b[1]&0x80 != 0, b[1]&0x7f
	p.seq, p.ts = binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:])
	p.level, p.red = noLevel, false
	at := 12 + 4*int(b[0]&0x0f)
	if b[0]&0x10 != 0 {
		if len(b) < at+4 {
			return false
		}
		profile, n := binary.BigEndian.Uint16(b[at:]), 4*int(binary.BigEndian.Uint16(b[at+2:]))
		at += 4
		if len(b) < at+n {
			return false
		}
		p.level = audioLevel(b[at:at+n], profile, levelID)
		at += n
	}
	end := len(b)
	if b[0]&0x20 != 0 && end > at {
		end -= int(b[end-1])
	}
	if end <= at {
		return false
	}
	p.payload = b[at:end]
	return true
}

// audioLevel finds extension id among one-byte (RFC 8285, 4.2) or two-byte (4.3) elements.
func audioLevel(ext []byte, profile uint16, id uint8) uint8 {
	if id == 0 {
		return noLevel
	}
	oneByte := profile == 0xBEDE
	if !oneByte && profile&0xfff0 != 0x1000 {
		return noLevel
	}
	for len(ext) > 0 {
		if ext[0] == 0 { // padding
			ext = ext[1:]
			continue
		}
		var got uint8
		var head, n int
		if oneByte {
			got, head, n = ext[0]>>4, 1, int(ext[0]&0x0f)+1
			if got == 15 { // reserved: stop
				return noLevel
			}
		} else {
			if len(ext) < 2 {
				return noLevel
			}
			got, head, n = ext[0], 2, int(ext[1])
		}
		if len(ext) < head+n {
			return noLevel
		}
		if got == id && n > 0 {
			return ext[head] & 0x7f
		}
		ext = ext[head+n:]
	}
	return noLevel
}

// redPrimary returns the newest frame in a RED payload (RFC 2198, 3), which is
// what a receiver that did not negotiate RED can play, or nil if b is not RED.
func redPrimary(b []byte) []byte {
	skip := 0
	for {
		if len(b) == 0 {
			return nil
		}
		if b[0]&0x80 == 0 { // the primary's header: one octet, no length
			b = b[1:]
			break
		}
		if len(b) < 4 {
			return nil
		}
		skip += int(b[2]&0x03)<<8 | int(b[3])
		b = b[4:]
	}
	if len(b) <= skip {
		return nil
	}
	return b[skip:]
}
