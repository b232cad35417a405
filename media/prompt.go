package media

import (
	"context"
	"fmt"
	"time"

	"parley/wire"
)

const (
	maxFrame  = 1275      // bytes, RFC 6716, 3.4
	maxBehind = 5 * frame // a player that is later than this begins anew from now
)

// Play lets everybody in the room hear frames, Opus packets of 20 ms each, as
// the user ServerUser, and returns when the last one is sent. Prompts of one
// room play one after another. Who joins meanwhile hears the rest. Errors:
// ErrUnknownRoom, ErrPrompt, ErrPromptQueue, ErrClosed, or ctx's.
func (s *SFU) Play(ctx context.Context, id wire.CallID, frames [][]byte) error {
	if len(frames) == 0 {
		return fmt.Errorf("%w: it is empty", ErrPrompt)
	}
	for _, f := range frames {
		if len(f) == 0 || len(f) > maxFrame {
			return fmt.Errorf("%w: a frame must have 1 to %d bytes", ErrPrompt, maxFrame)
		}
	}
	r, err := s.queue(id)
	if err != nil {
		return err
	}
	defer s.unqueue(r)
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return fmt.Errorf("media: prompt: %w", ctx.Err())
	}
	f := &feed{user: ServerUser, urgent: true}
	s.setPrompt(r, f)
	defer s.setPrompt(r, nil)
	return s.speak(ctx, r, f, frames)
}

// speak sends one frame every 20 ms.
func (s *SFU) speak(ctx context.Context, r *room, f *feed, frames [][]byte) error {
	due := s.deps.Clock.Now()
	for i, payload := range frames {
		if err := s.deps.Clock.Wait(ctx, due); err != nil {
			return fmt.Errorf("media: prompt: %w", err)
		}
		if s.deserted(r) {
			return nil
		}
		p := packet{seq: uint16(i), ts: uint32(i) * frameTicks, marker: i == 0, level: noLevel, payload: payload}
		f.push(&p, int64(time.Since(s.epoch)))
		if due = due.Add(frame); s.deps.Clock.Now().Sub(due) > maxBehind {
			due = s.deps.Clock.Now()
		}
	}
	return nil
}

// queue takes a place in the room's line of prompts.
func (s *SFU) queue(id wire.CallID) (*room, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[id]
	switch {
	case s.closed:
		return nil, ErrClosed
	case r == nil:
		return nil, ErrUnknownRoom
	case r.waiting >= s.cfg.MaxPrompts:
		return nil, ErrPromptQueue
	}
	r.waiting++
	return r, nil
}

func (s *SFU) unqueue(r *room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.waiting--
	s.discard(r)
}

// setPrompt gives the prompt a slot at every listener, or takes it back.
func (s *SFU) setPrompt(r *room, f *feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.prompt != nil {
		r.prompt.silence()
	}
	r.prompt = f
	r.reconcile()
	s.poke()
}

// deserted reports whether nobody is left to hear a prompt.
func (s *SFU) deserted(r *room) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(r.peers) == 0
}
