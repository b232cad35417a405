package client

import (
	"context"
	"sync/atomic"

	"github.com/pion/rtp"

	"parley/wire"
)

// RoomCall is this device's part of a call through the node's SFU: one offer
// with a section to speak in and several to listen on, never renegotiated.
type RoomCall struct {
	voice *Voice
	heard atomic.Int64
}

// roomSections is how many people a RoomCall can hear at once.
const roomSections = 12

// JoinRoom joins the media of a call that the device is in. onAudio receives
// every packet with the mid it came on; the event call.slots says whose it is.
func JoinRoom(ctx context.Context, conn *Conn, call wire.CallID, onAudio func(mid string, p *rtp.Packet)) (*RoomCall, error) {
	r := &RoomCall{}
	var err error
	r.voice, err = NewVoice(VoiceOptions{Listen: roomSections, OnAudio: func(mid string, p *rtp.Packet) {
		r.heard.Add(1)
		if onAudio != nil {
			onAudio(mid, p)
		}
	}})
	if err != nil {
		return nil, err
	}
	offer, err := r.voice.Offer(false)
	if err != nil {
		r.Close()
		return nil, err
	}
	var joined struct {
		SDP string `json:"sdp"`
	}
	if err := conn.Call(ctx, "calls.join", map[string]any{"call": call, "sdp": offer}, &joined); err != nil {
		r.Close()
		return nil, err
	}
	if err := r.voice.Accept(joined.SDP); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Say sends one 20 ms Opus frame; before the connection stands it is dropped.
func (r *RoomCall) Say(frame []byte) error { return r.voice.WriteOpus(frame) }

// Heard counts the packets received so far.
func (r *RoomCall) Heard() int64 { return r.heard.Load() }

// Close ends the media. It does not hang up.
func (r *RoomCall) Close() { _ = r.voice.Close() } // nothing to save
