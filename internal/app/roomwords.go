package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/signaling"
	"parley/wire"
)

// roomWord is what nodes say to each other about calls' rooms and relays. What
// ends or changes goes to all, and the one that has it acts; a question goes to
// the one that holds the room, and its answer comes back.
type roomWord struct {
	From   string        `json:"from"` // node
	Do     string        `json:"do"`
	Call   wire.CallID   `json:"call"`
	User   wire.UserID   `json:"user,omitempty"`
	Device wire.DeviceID `json:"device,omitempty"`
	Muted  bool          `json:"muted,omitempty"`

	Ask     string           `json:"ask,omitempty"` // of join and play; the answer repeats it
	SDP     string           `json:"sdp,omitempty"`
	Prompt  string           `json:"prompt,omitempty"`
	Slots   []signaling.Slot `json:"slots,omitempty"`
	Problem *wire.Problem    `json:"problem,omitempty"` // of an answer: it was refused
	NoSFU   bool             `json:"no_sfu,omitempty"`  // of an answer: there is no media server
}

// What is said: the first three to all nodes, the others to one.
const (
	wordLeave  = "leave"
	wordClose  = "close"
	wordMute   = "mute"
	wordJoin   = "join"
	wordPlay   = "play"
	wordAnswer = "answer"
)

// askTimeout is how long a node is waited for; asksMax bounds the questions that wait.
const (
	askTimeout = 5 * time.Second
	asksMax    = 256
)

// asks are the questions of this node that wait for other nodes' answers.
type asks struct {
	results map[string]prometheus.Counter

	mu      sync.Mutex
	waiting map[string]chan roomWord // each has room for the one answer
}

// Results of asking, as counted by parley_room_asks_total.
const (
	askedOK      = "ok"
	askedRefused = "refused"
	askedSilent  = "silent"   // no answer in time
	askedTooMany = "too_many" // asksMax wait already
	askedBus     = "bus"      // the bus did not take it
)

func newAsks(reg prometheus.Registerer) *asks {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "parley_room_asks_total", Help: "Questions to the nodes that hold rooms, by result."}, []string{"result"})
	reg.MustRegister(vec)
	a := &asks{results: map[string]prometheus.Counter{}, waiting: map[string]chan roomWord{}}
	for _, r := range []string{askedOK, askedRefused, askedSilent, askedTooMany, askedBus} {
		a.results[r] = vec.WithLabelValues(r)
	}
	return a
}

// begin takes a place for a question, if there is one left.
func (a *asks) begin(id string) (answer chan roomWord, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= asksMax {
		return nil, false
	}
	answer = make(chan roomWord, 1)
	a.waiting[id] = answer
	return answer, true
}

func (a *asks) end(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, id)
}

// take hands an answer to whoever waits for it; one that comes too late is dropped.
func (a *asks) take(w roomWord) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if answer, ok := a.waiting[w.Ask]; ok {
		delete(a.waiting, w.Ask)
		answer <- w
	}
}

// ask asks another node and waits for its answer. A node that does not answer
// is as good as none: ErrNoSFU, and its rooms move once the list of nodes says so.
func (r *rooms) ask(ctx context.Context, node string, w roomWord) (roomWord, error) {
	w.From, w.Ask = r.node, wire.NewID[string]("ask_", time.Now())
	answer, ok := r.asks.begin(w.Ask)
	if !ok {
		r.asks.results[askedTooMany].Inc()
		return roomWord{}, signaling.ErrNoSFU
	}
	defer r.asks.end(w.Ask)
	body, err := json.Marshal(w)
	if err == nil {
		err = r.tellNode(node, body)
	}
	if err != nil {
		r.asks.results[askedBus].Inc()
		return roomWord{}, errors.Join(signaling.ErrNoSFU, err)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	select {
	case got := <-answer:
		return got, r.taken(got)
	case <-ctx.Done():
		r.asks.results[askedSilent].Inc()
		return roomWord{}, signaling.ErrNoSFU
	}
}

// taken counts an answer and returns what it refuses.
func (r *rooms) taken(w roomWord) error {
	switch {
	case w.NoSFU:
		r.asks.results[askedRefused].Inc()
		return signaling.ErrNoSFU
	case w.Problem != nil:
		r.asks.results[askedRefused].Inc()
		return w.Problem
	}
	r.asks.results[askedOK].Inc()
	return nil
}

// told takes what another node said. It does not block.
func (r *rooms) told(w roomWord) {
	if w.Do == wordAnswer {
		r.asks.take(w)
		return
	}
	r.events.background(func(ctx context.Context) error {
		switch w.Do {
		case wordLeave:
			r.leave(w.Call, w.User, w.Device)
		case wordClose:
			r.close(w.Call)
		case wordMute:
			r.mute(w.Call, w.User, w.Muted)
		case wordJoin, wordPlay:
			return r.answer(ctx, w)
		}
		return nil
	})
}

// answer does what another node asks for and tells it how that went.
func (r *rooms) answer(ctx context.Context, w roomWord) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	reply := roomWord{From: r.node, Do: wordAnswer, Ask: w.Ask, Call: w.Call}
	var err error
	if w.Do == wordPlay {
		err = r.play(w.Call, w.Prompt)
	} else {
		reply.SDP, reply.Slots, err = r.join(ctx, w.Call, w.User, w.Device, w.SDP)
	}
	switch {
	case err == nil:
	case errors.Is(err, signaling.ErrNoSFU):
		reply.NoSFU = true
	case !errors.As(err, &reply.Problem):
		r.events.log.Error("room not joined for another node", "call", w.Call, "err", err)
		reply.Problem = &wire.Problem{Code: "internal", Status: http.StatusInternalServerError, Title: "Something went wrong"}
	}
	body, err := json.Marshal(reply)
	if err != nil {
		return err
	}
	return r.tellNode(w.From, body)
}

// tellOthers hands w to the other nodes.
func (r *rooms) tellOthers(w roomWord) {
	if r.tell == nil {
		return
	}
	w.From = r.node
	body, err := json.Marshal(w)
	if err == nil {
		err = r.tell(body)
	}
	if err != nil {
		r.events.log.Warn("other nodes not told of a room", "do", w.Do, "err", err)
	}
}
