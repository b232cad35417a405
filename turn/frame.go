package turn

import (
	"bufio"
	"encoding/binary"
	"errors"
)

// errFrame ends a stream: its bytes are neither a STUN message nor ChannelData
// of a size that a client may send.
var errFrame = errors.New("turn: not a STUN or ChannelData frame")

// Channel numbers that a client may bind (RFC 8656 §12).
const (
	minChannel = 0x4000
	maxChannel = 0x4FFF
)

// readFrame returns the next frame of a stream (RFC 8656 §12.5: ChannelData is
// padded to four bytes) and how many bytes of the stream it takes. The frame is
// valid until the caller discards them. r must hold maxPacket bytes.
func readFrame(r *bufio.Reader) (frame []byte, size int, err error) {
	head, err := r.Peek(channelHeader)
	if err != nil {
		return nil, 0, err
	}
	length, size, ok := frameSize(head)
	if !ok || size > maxPacket {
		return nil, 0, errFrame
	}
	if head[0]&0xC0 == 0 {
		if head, err = r.Peek(8); err != nil {
			return nil, 0, err
		}
		if binary.BigEndian.Uint32(head[4:]) != magicCookie {
			return nil, 0, errFrame
		}
	}
	frame, err = r.Peek(size)
	if err != nil {
		return nil, 0, err
	}
	return frame[:length], size, nil
}

// frameSize reads from a frame's first four bytes how long it is, without and with padding.
func frameSize(head []byte) (length, size int, ok bool) {
	length = int(binary.BigEndian.Uint16(head[2:]))
	switch number := binary.BigEndian.Uint16(head); {
	case head[0]&0xC0 == 0:
		length += headerSize
		ok = length%4 == 0
	case number >= minChannel && number <= maxChannel:
		length += channelHeader
		ok = true
	}
	return length, (length + 3) &^ 3, ok
}
