package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMessage says that bytes are no encoded Message.
var ErrMessage = errors.New("broker: not a message")

// codecVersion begins every encoded message, so that nodes of two versions notice each other.
const codecVersion = 1

// Bounds of what Decode accepts, far above what is published.
const (
	maxTargets = 1 << 16
	maxField   = 1 << 24
)

// Encode returns m as bytes for buses that leave the process: version, kind,
// then every field with its length as an unsigned varint, targets last.
func Encode(m *Message) []byte {
	return appendMessage(make([]byte, 0, encodedSize(m)+64*len(m.To)), m, m.To)
}

// encodedSize is about how long an encoded message is, without its targets.
func encodedSize(m *Message) int { return 32 + len(m.Conversation) + len(m.Frame) }

// appendMessage appends m with to as its targets.
func appendMessage(b []byte, m *Message, to []Target) []byte {
	b = append(b, codecVersion, byte(m.Kind))
	b = appendField(b, m.Conversation)
	b = binary.AppendVarint(b, m.Seq)
	b = appendField(b, m.Frame)
	b = binary.AppendUvarint(b, uint64(len(to)))
	for _, t := range to {
		b = appendField(b, t.Topic)
		b = appendField(b, t.Device)
		b = appendField(b, t.NotSession)
		b = appendField(b, t.NotDevice)
	}
	return b
}

func appendField[T string | []byte](b []byte, field T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(field))), field...)
}

// Decode reads what Encode wrote. The message's Frame points into b. Errors wrap ErrMessage.
func Decode(b []byte) (*Message, error) {
	if len(b) < 2 || b[0] != codecVersion {
		return nil, fmt.Errorf("%w: of version %d", ErrMessage, codecVersion)
	}
	d := decoder{rest: b[2:]}
	m := &Message{Kind: Kind(b[1])}
	m.Conversation = string(d.field())
	m.Seq = d.varint()
	m.Frame = d.field()
	n := d.uvarint()
	if n > maxTargets || n > uint64(len(d.rest)) { // a target has four bytes at least
		d.broken = true
	}
	for i := uint64(0); i < n && !d.broken; i++ {
		m.To = append(m.To, Target{Topic: string(d.field()), Device: string(d.field()), NotSession: string(d.field()), NotDevice: string(d.field())})
	}
	if d.broken || len(d.rest) > 0 {
		return nil, fmt.Errorf("%w: it breaks off or has too much", ErrMessage)
	}
	return m, nil
}

// decoder reads fields until one is broken.
type decoder struct {
	rest   []byte
	broken bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.broken, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.broken, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) field() []byte {
	n := d.uvarint()
	if n > maxField || n > uint64(len(d.rest)) {
		d.broken, d.rest = true, nil
		return nil
	}
	f := d.rest[:n:n]
	d.rest = d.rest[n:]
	return f
}
