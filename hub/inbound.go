package hub

import (
	"encoding/binary"
	"errors"
	"slices"
)

// Opcodes of RFC 6455, section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// maxControl is the most bytes of a control frame's payload.
const maxControl = 125

// inbound takes apart what a client sends (RFC 6455, section 5). It holds no
// memory between whole messages: bytes are parsed where they were read, and
// only the beginning of a frame or message whose rest has not come is kept.
type inbound struct {
	rest []byte // of what was read, not taken apart yet
	held []byte // the memory behind rest when a frame was incomplete
	// message is what has come of a fragmented message, op its opcode, 0 when none is.
	message []byte
	op      byte
	squeeze bool // messages may be compressed
	// squeezed says that the message that is being read is.
	squeezed bool
	// idle counts the bytes of frames since the last whole message or ping: many
	// small fragments must not keep a reader busy for nothing.
	idle int
}

// Reasons why what a client sends is no WebSocket message.
var (
	errReserved     = errors.New("hub: reserved bits are set")
	errUnmasked     = errors.New("hub: a client's frame is not masked")
	errOpcode       = errors.New("hub: unknown opcode")
	errControl      = errors.New("hub: a control frame is fragmented or longer than 125 bytes")
	errContinuation = errors.New("hub: a continuation of nothing")
	errUnfinished   = errors.New("hub: a new message before the last one ended")
	errEndless      = errors.New("hub: too much sent without finishing a message")
	errOversize     = errors.New("hub: a message is too large")
)

// fill gives it bytes that were read. They are changed in place and must stay
// until next has answered 0.
func (in *inbound) fill(data []byte) {
	if len(in.held) > 0 {
		in.held = append(in.held, data...)
		in.rest = in.held
		return
	}
	in.rest = data
}

// next returns the next text or binary message of at most most bytes, ping or
// close, which is valid until next or fill is called again. The opcode is 0
// when nothing whole is left. After an error the connection is of no use.
func (in *inbound) next(most int) (op byte, payload []byte, err error) {
	for {
		f, size, err := parseHeader(in.rest)
		if err != nil {
			return 0, nil, err
		}
		if size == 0 {
			in.keep()
			return 0, nil, nil
		}
		if err := in.allowed(f, most); err != nil {
			return 0, nil, err
		}
		if len(in.rest)-size < f.length {
			in.keep()
			return 0, nil, nil
		}
		payload = in.rest[size : size+f.length]
		in.rest = in.rest[size+f.length:]
		unmask(payload, f.mask)
		if op, payload := in.assemble(f, payload); op != 0 {
			in.idle = 0
			if op < opClose && in.squeezed {
				payload, err = inflate(payload, most)
			}
			return op, payload, err
		}
		if in.idle += size + f.length; in.idle > 2*most {
			return 0, nil, errEndless
		}
	}
}

// keep copies what is left of an incomplete frame.
func (in *inbound) keep() {
	switch {
	case len(in.rest) == 0:
		in.held = nil
	case len(in.held) > 0:
		in.held = in.held[:copy(in.held, in.rest)]
	default:
		in.held = slices.Clone(in.rest)
	}
	in.rest = nil
}

// allowed checks a frame's header against what came before it.
func (in *inbound) allowed(f header, most int) error {
	first := f.op == opText || f.op == opBinary
	switch {
	case f.squeezed && !(first && in.squeeze):
		return errReserved
	case f.op >= opClose:
		return nil
	case first && in.op != 0:
		return errUnfinished
	case !first && in.op == 0:
		return errContinuation
	}
	if f.length > most-len(in.message) {
		return errOversize
	}
	return nil
}

// assemble takes in a frame and returns what is whole with it, or 0.
func (in *inbound) assemble(f header, payload []byte) (byte, []byte) {
	switch {
	case f.op == opPong:
		return 0, nil
	case f.op >= opClose:
		return f.op, payload
	case f.op != opContinuation:
		in.squeezed = f.squeezed
		if f.fin {
			return f.op, payload
		}
		in.op = f.op
	}
	in.message = append(in.message, payload...)
	if !f.fin {
		return 0, nil
	}
	op, message := in.op, in.message
	in.op, in.message = 0, nil
	return op, message
}

// header is a frame's.
type header struct {
	fin      bool
	squeezed bool // the message that begins is compressed
	op       byte
	length   int
	mask     [4]byte
}

// parseHeader reads a client's frame header; size is its length, 0 when it has not wholly come.
func parseHeader(b []byte) (h header, size int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h.fin, h.squeezed, h.op = b[0]&0x80 != 0, b[0]&rsv1 != 0, b[0]&0xf
	length := uint64(b[1] & 0x7f)
	switch {
	case b[0]&0x30 != 0:
		return h, 0, errReserved
	case h.op > opBinary && h.op < opClose || h.op > opPong:
		return h, 0, errOpcode
	case b[1]&0x80 == 0:
		return h, 0, errUnmasked
	case h.op >= opClose && (!h.fin || length > maxControl):
		return h, 0, errControl
	}
	size = 2
	switch {
	case length == 126 && len(b) >= 4:
		length, size = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case length == 127 && len(b) >= 10:
		length, size = binary.BigEndian.Uint64(b[2:]), 10
	case length > 125:
		return h, 0, nil
	}
	if length > 1<<31-1 {
		return h, 0, errOversize
	}
	h.length = int(length)
	if len(b) < size+4 {
		return h, 0, nil
	}
	copy(h.mask[:], b[size:])
	return h, size + 4, nil
}

// unmask takes a client's mask off, eight bytes at a time.
func unmask(b []byte, mask [4]byte) {
	word := uint64(binary.LittleEndian.Uint32(mask[:]))
	word |= word << 32
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= mask[i&3]
	}
}

// closeStatus reads a close frame's payload: 1005 when it says nothing, and ok
// false when it says what may not be said (RFC 6455, section 7.4).
func closeStatus(payload []byte) (code int, ok bool) {
	if len(payload) == 0 {
		return closeNoStatus, true
	}
	if len(payload) == 1 {
		return 0, false
	}
	code = int(binary.BigEndian.Uint16(payload))
	switch {
	case code >= 1000 && code <= 1014:
		return code, code != 1004 && code != closeNoStatus && code != 1006
	}
	return code, code >= 3000 && code <= 4999
}
