package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/hub/presence"
	"parley/media"
	"parley/media/opus"
	"parley/signaling"
	"parley/turn"
	"parley/wire"
)

// iceServers hands out the bundled relay (signaling.ICE).
type iceServers struct {
	turn *turn.Server
}

// credentialLife is how long a relay credential lasts: clients in a call ask
// for fresh ones, a device that is gone keeps nothing for long.
const credentialLife = 10 * time.Minute

// Servers implements signaling.ICE.
func (i iceServers) Servers(call wire.CallID, user wire.UserID, _ bool) []signaling.ICEServer {
	username, credential := i.turn.Credentials(string(call), string(user), credentialLife)
	return []signaling.ICEServer{{URLs: i.turn.ICEURLs(), Username: username, Credential: credential}}
}

// rooms is the SFU of every node as calls see them (signaling.Room), with the
// prompts this one can play. Without an SFU nobody joins here, but relays still
// end with their calls.
type rooms struct {
	sfu      *media.SFU // nil: off
	prompts  opus.Library
	turn     *turn.Server // nil: no relay to close with the call
	events   *roomEvents
	node     string                               // this one's id
	tell     func(body []byte) error              // reaches all nodes; nil: there are none
	tellNode func(node string, body []byte) error // reaches one
	hosts    *hosts
	asks     *asks
}

// Host implements signaling.Room.
func (r *rooms) Host(ctx context.Context, now string) (string, error) {
	return r.hosts.choose(ctx, now)
}

// Join implements signaling.Room.
func (r *rooms) Join(ctx context.Context, node string, call wire.CallID, user wire.UserID, device wire.DeviceID, sdp string) (string, []signaling.Slot, error) {
	if node == r.node {
		return r.join(ctx, call, user, device, sdp)
	}
	answer, err := r.ask(ctx, node, roomWord{Do: wordJoin, Call: call, User: user, Device: device, SDP: sdp})
	return answer.SDP, answer.Slots, err
}

// join lets a device into a room here.
func (r *rooms) join(ctx context.Context, call wire.CallID, user wire.UserID, device wire.DeviceID, sdp string) (string, []signaling.Slot, error) {
	if r.sfu == nil {
		return "", nil, signaling.ErrNoSFU
	}
	answer, slots, err := r.sfu.Join(ctx, call, media.Participant{User: user, Device: device}, sdp)
	switch {
	case errors.Is(err, media.ErrOffer):
		return "", nil, &wire.Problem{Code: "sdp_invalid", Status: 422, Title: "The offer cannot be used", Detail: err.Error() + "."}
	case errors.Is(err, media.ErrRoomFull):
		return "", nil, &wire.Problem{Code: "room_full", Status: 409, Title: "The call is full", Detail: "A call has at most 13 people."}
	case errors.Is(err, media.ErrClosed):
		return "", nil, signaling.ErrNoSFU
	}
	return answer, convertSlots(slots), err
}

func convertSlots(slots []media.Slot) []signaling.Slot {
	list := make([]signaling.Slot, len(slots))
	for i, s := range slots {
		list[i] = signaling.Slot{Mid: s.MID, User: s.User}
	}
	return list
}

// Leave implements signaling.Room, wherever the device is in the room.
func (r *rooms) Leave(call wire.CallID, user wire.UserID, device wire.DeviceID) {
	r.leave(call, user, device)
	r.tellOthers(roomWord{Do: wordLeave, Call: call, User: user, Device: device})
}

func (r *rooms) leave(call wire.CallID, user wire.UserID, device wire.DeviceID) {
	if r.sfu != nil {
		_ = r.sfu.Leave(call, media.Participant{User: user, Device: device}) // gone already is as good
	}
}

// Close implements signaling.Room; the call's relay allocations, on any node, end with it.
func (r *rooms) Close(call wire.CallID) {
	r.close(call)
	r.tellOthers(roomWord{Do: wordClose, Call: call})
}

func (r *rooms) close(call wire.CallID) {
	if r.sfu != nil {
		r.sfu.Close(call)
	}
	if r.turn != nil {
		r.turn.Revoke(string(call))
	}
}

// Mute implements signaling.Room for whichever device of user is in the room.
func (r *rooms) Mute(call wire.CallID, user wire.UserID, muted bool) {
	r.mute(call, user, muted)
	r.tellOthers(roomWord{Do: wordMute, Call: call, User: user, Muted: muted})
}

func (r *rooms) mute(call wire.CallID, user wire.UserID, muted bool) {
	if r.sfu == nil {
		return
	}
	for _, room := range r.sfu.Rooms() {
		if room.Room != call {
			continue
		}
		for _, p := range room.Participants {
			if p.User == user {
				_ = r.sfu.Mute(call, p.Participant, muted) // left meanwhile is as good
			}
		}
	}
}

// Play implements signaling.Room. It returns when the prompt has begun to wait
// for its turn; it is played to its end in the background.
func (r *rooms) Play(ctx context.Context, node string, call wire.CallID, prompt string) error {
	if node == r.node || node == "" {
		return r.play(call, prompt)
	}
	_, err := r.ask(ctx, node, roomWord{Do: wordPlay, Call: call, Prompt: prompt})
	return err
}

// play plays a prompt into a room here.
func (r *rooms) play(call wire.CallID, prompt string) error {
	if r.sfu == nil {
		return signaling.ErrNoSFU
	}
	p, ok := r.prompts[prompt]
	if !ok {
		return &wire.Problem{Code: "prompt_unknown", Status: 404, Title: "No such prompt", Detail: fmt.Sprintf("There is no prompt %q.", prompt)}
	}
	if !slices.ContainsFunc(r.sfu.Rooms(), func(room media.RoomInfo) bool { return room.Room == call }) {
		return &wire.Problem{Code: "call_state", Status: 409, Title: "Nobody is in the room", Detail: "Nobody has joined the call's room yet."}
	}
	r.events.background(func(ctx context.Context) error { return r.sfu.Play(ctx, call, p.Frames) })
	return nil
}

// roomEvents carries what the SFU observes to the calls (media.Observer). The
// SFU must not wait, so events queue; at the bound they are dropped and counted.
type roomEvents struct {
	calls   *signaling.Service // set before Run
	node    string             // this one's id
	queue   chan func(ctx context.Context) error
	dropped prometheus.Counter
	log     *slog.Logger
	started sync.WaitGroup // by background, from Run
}

// roomEventsMax bounds the SFU events that wait to be handled.
const roomEventsMax = 4096

func newRoomEvents(reg prometheus.Registerer, log *slog.Logger) *roomEvents {
	e := &roomEvents{
		queue: make(chan func(context.Context) error, roomEventsMax), log: log,
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_room_events_dropped_total", Help: "SFU events dropped because too many waited."}),
	}
	reg.MustRegister(e.dropped,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_room_events_queue_length", Help: "SFU events that wait to be handled."},
			func() float64 { return float64(len(e.queue)) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_room_events_queue_capacity", Help: "The most of them; more are dropped."},
			func() float64 { return float64(cap(e.queue)) }))
	return e
}

// Run handles events until ctx ends, and waits for what they started.
func (e *roomEvents) Run(ctx context.Context) error {
	defer e.started.Wait()
	for {
		select {
		case handle := <-e.queue:
			if err := handle(ctx); err != nil && ctx.Err() == nil {
				e.log.Debug("room event not handled", "err", err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// background runs do beside the events, until Run's context ends.
func (e *roomEvents) background(do func(context.Context) error) {
	e.put(func(ctx context.Context) error {
		e.started.Go(func() {
			if err := do(ctx); err != nil && ctx.Err() == nil {
				e.log.Debug("background work for a room failed", "err", err)
			}
		})
		return nil
	})
}

func (e *roomEvents) put(handle func(context.Context) error) {
	select {
	case e.queue <- handle:
	default:
		e.dropped.Inc()
	}
}

// Slots implements media.Observer.
func (e *roomEvents) Slots(room wire.CallID, who media.Participant, slots []media.Slot) {
	e.put(func(ctx context.Context) error {
		return e.calls.SFUSlots(ctx, e.node, room, signaling.Endpoint{User: who.User, Device: who.Device}, convertSlots(slots))
	})
}

// Speakers implements media.Observer.
func (e *roomEvents) Speakers(room wire.CallID, users []wire.UserID) {
	e.put(func(ctx context.Context) error { return e.calls.SFUSpeakers(ctx, e.node, room, users) })
}

// Connected implements media.Observer.
func (e *roomEvents) Connected(room wire.CallID, who media.Participant) {
	e.alive(room, who, true)
}

// Disconnected implements media.Observer.
func (e *roomEvents) Disconnected(room wire.CallID, who media.Participant) {
	e.alive(room, who, false)
}

// Alive implements media.Observer.
func (e *roomEvents) Alive(room wire.CallID, who media.Participant, _ time.Time) {
	e.alive(room, who, true)
}

func (e *roomEvents) alive(room wire.CallID, who media.Participant, alive bool) {
	e.put(func(ctx context.Context) error { return e.calls.SFUAlive(ctx, e.node, room, who.User, alive) })
}

// inCall shows on a person's presence that they are in a call (signaling.Presence).
type inCall struct {
	board presence.Board
	log   *slog.Logger
}

// SetInCall implements signaling.Presence.
func (p inCall) SetInCall(user wire.UserID, in bool) {
	if err := p.board.SetInCall(context.Background(), user, in); err != nil {
		p.log.Warn("presence not set", "err", err)
	}
}
