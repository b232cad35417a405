package media_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"parley/media"
)

func frames(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = fmt.Appendf(nil, "server %d", i+1)
	}
	return out
}

func TestPlay_EverybodyHearsThePromptThenTheSlotIsFree(t *testing.T) {
	w := newWitness()
	s := served(t, media.Config{}, media.Deps{Observer: w})
	people := []*client{join(t, s, "ann", 2), join(t, s, "bob", 2)}
	began := time.Now()
	if err := s.Play(t.Context(), room, frames(20)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 19*20*time.Millisecond {
		t.Errorf("played in %v: faster than it sounds", took)
	}
	w.waitFor(t, "slots ann [bob server]", 1)
	w.waitFor(t, "slots ann [bob]", 2)
	for _, c := range people {
		var last heard
		for i := range 20 {
			h := <-c.heard
			if want := fmt.Sprintf("server %d", i+1); string(h.Payload) != want {
				t.Fatalf("%s heard %q, want %q", c.User, h.Payload, want)
			}
			if i > 0 && (h.SequenceNumber != last.SequenceNumber+1 || h.Timestamp != last.Timestamp+960 || h.mid != last.mid) {
				t.Errorf("packet %d does not continue the one before", i)
			}
			last = h
		}
	}
}

func TestPlay_TakesTheSeatOfTheQuietestWhenNoSlotIsFree(t *testing.T) {
	w := newWitness()
	s := served(t, media.Config{}, media.Deps{Observer: w})
	ann, bob := join(t, s, "ann", 1), join(t, s, "bob", 1)
	if err := s.Play(t.Context(), room, frames(10)); err != nil {
		t.Fatal(err)
	}
	w.waitFor(t, "slots ann [server]", 1)
	ann.hears(t, bob)
}

func TestPlay_PromptsOfARoomWaitForEachOther(t *testing.T) {
	s := served(t, media.Config{MaxPrompts: 2}, media.Deps{})
	ann := join(t, s, "ann", 1)
	ctx, cancel := context.WithCancel(t.Context())
	long, second := make(chan error, 1), make(chan error, 1)
	go func() { long <- s.Play(ctx, room, frames(100000)) }()
	ann.next(t, func() {})
	go func() { second <- s.Play(t.Context(), room, [][]byte{[]byte("second")}) }()
	waitUntil(t, "the second waits", func() bool { return s.Rooms()[0].Prompts == 2 })
	if err := s.Play(t.Context(), room, frames(1)); !errors.Is(err, media.ErrPromptQueue) {
		t.Errorf("a third: %v", err)
	}
	cancel()
	if err := <-long; !errors.Is(err, context.Canceled) {
		t.Errorf("the cut prompt: %v", err)
	}
	if err := <-second; err != nil {
		t.Errorf("the one that waited: %v", err)
	}
	waitUntil(t, "the second is heard", func() bool { return bytes.Equal((<-ann.heard).Payload, []byte("second")) })
}

func TestPlay_EndsWhenEverybodyHasLeft(t *testing.T) {
	s := served(t, media.Config{}, media.Deps{})
	ann := join(t, s, "ann", 1)
	done := make(chan error, 1)
	go func() { done <- s.Play(t.Context(), room, frames(100000)) }()
	ann.next(t, func() {})
	if err := s.Leave(room, ann.Participant); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if rooms := s.Rooms(); len(rooms) != 0 {
		t.Errorf("rooms left: %v", rooms)
	}
}

func TestPlay_RefusesWhatIsNoPrompt(t *testing.T) {
	s := served(t, media.Config{}, media.Deps{})
	join(t, s, "ann", 1)
	for name, f := range map[string][][]byte{"none": nil, "empty frame": {{}}, "too long": {make([]byte, 1276)}} {
		if err := s.Play(t.Context(), room, f); !errors.Is(err, media.ErrPrompt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Play(t.Context(), "call_other", frames(1)); !errors.Is(err, media.ErrUnknownRoom) {
		t.Errorf("another room: %v", err)
	}
}
