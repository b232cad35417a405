package client

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/pion/rtp"

	"parley/wire"
)

// RoomCall is this device's part of a call through the nodes' SFU: one offer
// with a section to speak in and several to listen on, never renegotiated.
type RoomCall struct {
	conn    *Conn
	call    wire.CallID
	onAudio func(mid string, p *rtp.Packet)
	heard   atomic.Int64

	moving sync.Mutex // held by Move
	mu     sync.Mutex // guards what follows
	voice  *Voice
	room   int
}

// roomSections is how many people a RoomCall can hear at once.
const roomSections = 12

// JoinRoom joins the media of a call that the device is in. onAudio receives
// every packet with the mid it came on; the event call.slots says whose it is.
func JoinRoom(ctx context.Context, conn *Conn, call wire.CallID, onAudio func(mid string, p *rtp.Packet)) (*RoomCall, error) {
	r := &RoomCall{conn: conn, call: call, onAudio: onAudio}
	var err error
	if r.voice, r.room, err = r.join(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// join joins with a connection of its own.
func (r *RoomCall) join(ctx context.Context) (*Voice, int, error) {
	voice, err := NewVoice(VoiceOptions{Listen: roomSections, OnAudio: func(mid string, p *rtp.Packet) {
		r.heard.Add(1)
		if r.onAudio != nil {
			r.onAudio(mid, p)
		}
	}})
	if err != nil {
		return nil, 0, err
	}
	room, err := r.negotiate(ctx, voice)
	if err != nil {
		return nil, 0, errors.Join(err, voice.Close())
	}
	return voice, room, nil
}

func (r *RoomCall) negotiate(ctx context.Context, voice *Voice) (room int, err error) {
	offer, err := voice.Offer(false)
	if err != nil {
		return 0, err
	}
	var joined struct {
		Call struct {
			Room int `json:"room"`
		} `json:"call"`
		SDP string `json:"sdp"`
	}
	if err := r.conn.Call(ctx, "calls.join", map[string]any{"call": r.call, "sdp": offer}, &joined); err != nil {
		return 0, err
	}
	return joined.Call.Room, voice.Accept(joined.SDP)
}

// Move joins anew over conn, the socket at hand, when the call's record names
// another room than the one joined; the old connection is closed once the new one
// is made. It does nothing when room is the one joined.
func (r *RoomCall) Move(ctx context.Context, conn *Conn, room int) error {
	r.moving.Lock()
	defer r.moving.Unlock()
	if room == r.Room() {
		return nil
	}
	r.conn = conn
	voice, room, err := r.join(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	old := r.voice
	r.voice, r.room = voice, room
	r.mu.Unlock()
	return old.Close()
}

// Room is the number of the room that was joined, as the call's record counts them.
func (r *RoomCall) Room() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.room
}

func (r *RoomCall) line() *Voice {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.voice
}

// Say sends one 20 ms Opus frame; before the connection stands it is dropped.
func (r *RoomCall) Say(frame []byte) error { return r.line().WriteOpus(frame) }

// Heard counts the packets received so far.
func (r *RoomCall) Heard() int64 { return r.heard.Load() }

// Close ends the media. It does not hang up.
func (r *RoomCall) Close() { _ = r.line().Close() } // nothing to save
