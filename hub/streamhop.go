package hub

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/hub/broker"
	"parley/wire"
)

// A stream's requests may reach any node. The node that holds its session hears
// of them on the session's own topic and answers on that of the node that asked.

const (
	// hopTimeout is how long the node that holds a stream is waited for; hopsMax
	// bounds the requests of this node that wait.
	hopTimeout = 3 * time.Second
	hopsMax    = 256
)

// streamTopic is the bus topic of a stream's session.
func streamTopic(id wire.SessionID) string { return "#stream:" + string(id) }

// streamWord is what nodes say to each other about a stream.
type streamWord struct {
	Do      string         `json:"do"`
	From    string         `json:"from"` // node
	Ask     string         `json:"ask"`  // the answer repeats it
	Session wire.SessionID `json:"session,omitempty"`
	Secret  string         `json:"secret,omitempty"` // the stream's ticket or key
	Body    []byte         `json:"body,omitempty"`   // of post: the message; of an answer to take: the first one
	OK      bool           `json:"ok,omitempty"`     // of an answer
}

// What is said.
const (
	streamTake   = "take"   // hand the session over to the node where the stream is read
	streamPost   = "post"   // a message
	streamLarge  = "large"  // a message that was too large
	streamAnswer = "answer" //
)

// Results of hops, as counted by parley_hub_stream_hops_total.
const (
	hopOK = iota
	hopRefused
	hopSilent  // no answer in time: most likely nobody has the stream
	hopTooMany // hopsMax wait already
	hopCount
)

var hopNames = [hopCount]string{"ok", "refused", "silent", "too_many"}

// secretOf is a stream's ticket or key. Nodes that share Config.StreamSecret
// agree on it, so that only requests that carry it are passed on.
func (h *Hub) secretOf(what string, id wire.SessionID) string {
	mac := hmac.New(sha256.New, h.streamSecret)
	_, _ = mac.Write([]byte("parley/stream/" + what + "/" + string(id))) // never fails
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(mac.Sum(nil))
}

// streamSecretOf is the configured secret, or one of this hub's own.
func streamSecretOf(cfg Config) []byte {
	if len(cfg.StreamSecret) > 0 {
		return cfg.StreamSecret
	}
	return []byte(rand.Text())
}

// hops are requests that wait for the node that holds their stream.
type hops struct {
	mu      sync.Mutex
	waiting map[string]chan streamWord // each has room for the one answer
}

func newHops() *hops { return &hops{waiting: make(map[string]chan streamWord)} }

func (hs *hops) begin(id string) (answer chan streamWord, ok bool) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if len(hs.waiting) >= hopsMax {
		return nil, false
	}
	answer = make(chan streamWord, 1)
	hs.waiting[id] = answer
	return answer, true
}

func (hs *hops) end(id string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	delete(hs.waiting, id)
}

func (hs *hops) take(w streamWord) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if answer, ok := hs.waiting[w.Ask]; ok {
		delete(hs.waiting, w.Ask)
		answer <- w
	}
}

// alone reports that no other node could have a stream.
func (h *Hub) alone() bool { return h.cfg.Node == "" }

// ask asks whichever node holds w's session, and waits for its answer.
func (h *Hub) ask(ctx context.Context, w streamWord) (streamWord, bool) {
	if h.alone() {
		return streamWord{}, false
	}
	w.From, w.Ask = h.cfg.Node, rand.Text()
	answer, ok := h.hops.begin(w.Ask)
	if !ok {
		h.metrics.hops[hopTooMany].Inc()
		return streamWord{}, false
	}
	defer h.hops.end(w.Ask)
	if !h.say(kindStreamAsk, streamTopic(w.Session), w) {
		h.metrics.hops[hopRefused].Inc()
		return streamWord{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, hopTimeout)
	defer cancel()
	select {
	case got := <-answer:
		if !got.OK {
			h.metrics.hops[hopRefused].Inc()
			return got, false
		}
		h.metrics.hops[hopOK].Inc()
		return got, true
	case <-ctx.Done():
		h.metrics.hops[hopSilent].Inc()
		return streamWord{}, false
	}
}

// say publishes a word about a stream.
func (h *Hub) say(kind broker.Kind, topic string, w streamWord) bool {
	body, err := json.Marshal(w)
	if err != nil {
		return false
	}
	if err := h.bus.Publish(&broker.Message{Kind: kind, Frame: body, To: []broker.Target{{Topic: topic}}}); err != nil {
		h.metrics.drops[dropBus].Inc()
		return false
	}
	return true
}

// hopped takes a word about a stream from the bus. It does not block.
func (h *Hub) hopped(kind broker.Kind, frame []byte) {
	var w streamWord
	if err := json.Unmarshal(frame, &w); err != nil {
		h.cfg.Log.Error("word about a stream not understood", "err", err)
		return
	}
	if kind == kindStreamAnswer {
		h.hops.take(w)
		return
	}
	if w.From == h.cfg.Node {
		return // it looked here before it asked
	}
	if s, st := h.stream(string(w.Session)); s != nil {
		reply := streamWord{Do: streamAnswer, From: h.cfg.Node, Ask: w.Ask}
		reply.Body, reply.OK = h.answerHop(s, st, w)
		h.say(kindStreamAnswer, topicOf(w.From), reply)
	}
}

// answerHop does what another node asks of a stream that is here.
func (h *Hub) answerHop(s *session, st *stream, w streamWord) (body []byte, ok bool) {
	ps := h.pollers.Load()
	if ps == nil || s.over() {
		return nil, false
	}
	switch w.Do {
	case streamTake:
		if !st.claim(w.Secret) {
			return nil, false
		}
		body = st.first
		s.cut() // it has not opened: nobody knows of it
		return body, true
	case streamPost:
		if !same(w.Secret, st.key) {
			return nil, false
		}
		s.seen.Store(int64(h.uptime()))
		ps.hear(s, w.Body)
		return nil, true
	case streamLarge:
		if same(w.Secret, st.key) {
			s.end(endOversize)
			return nil, true
		}
	}
	return nil, false
}

// hopMetrics counts hops by result.
func hopMetrics() (*prometheus.CounterVec, [hopCount]prometheus.Counter) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_hub_stream_hops_total", Help: "Requests of event streams that were passed to the node that holds the stream, by result.",
	}, []string{"result"})
	var list [hopCount]prometheus.Counter
	for i, name := range hopNames {
		list[i] = vec.WithLabelValues(name)
	}
	return vec, list
}
