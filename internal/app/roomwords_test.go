package app

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/signaling"
	"parley/wire"
)

// asker is a node that asks, and notes what it has said.
func asker(answer func(r *rooms, w roomWord)) *rooms {
	r := &rooms{node: "here", asks: newAsks(prometheus.NewRegistry())}
	r.tellNode = func(_ string, body []byte) error {
		var w roomWord
		if err := json.Unmarshal(body, &w); err != nil {
			return err
		}
		answer(r, w)
		return nil
	}
	return r
}

func (r *rooms) askJoin() (string, error) {
	sdp, _, err := r.Join(context.Background(), "there", "call_1", "ann", "dev_a", "v=0")
	return sdp, err
}

func TestRooms_AnswersOfAnotherNode(t *testing.T) {
	for name, c := range map[string]struct {
		reply roomWord
		want  error
	}{
		"joined":     {roomWord{SDP: "answer"}, nil},
		"refused":    {roomWord{Problem: &wire.Problem{Code: "room_full", Status: 409}}, &wire.Problem{Code: "room_full"}},
		"has no SFU": {roomWord{NoSFU: true}, signaling.ErrNoSFU},
	} {
		r := asker(func(r *rooms, w roomWord) {
			c.reply.Do, c.reply.Ask = wordAnswer, w.Ask
			r.told(c.reply)
			r.told(c.reply) // a second one has nobody to go to
		})
		sdp, err := r.askJoin()
		var got, want *wire.Problem
		if errors.As(c.want, &want) && (!errors.As(err, &got) || got.Code != want.Code) || want == nil && !errors.Is(err, c.want) || sdp != c.reply.SDP {
			t.Errorf("%s: %q, %v", name, sdp, err)
		}
	}
}

// A node that says nothing is waited for, but neither for long nor by many.
func TestRooms_AskingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var last roomWord
		r := asker(func(_ *rooms, w roomWord) {
			mu.Lock()
			defer mu.Unlock()
			last = w
		})
		began := time.Now()
		var all sync.WaitGroup
		for range asksMax {
			all.Go(func() {
				if _, err := r.askJoin(); !errors.Is(err, signaling.ErrNoSFU) || time.Since(began) != askTimeout {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			})
		}
		synctest.Wait()
		if _, err := r.askJoin(); !errors.Is(err, signaling.ErrNoSFU) || time.Since(began) != 0 {
			t.Errorf("one too many: %v after %v", err, time.Since(began))
		}
		all.Wait()
		r.told(roomWord{Do: wordAnswer, Ask: last.Ask}) // too late
		if len(r.asks.waiting) != 0 {
			t.Errorf("%d still wait", len(r.asks.waiting))
		}
	})
}
