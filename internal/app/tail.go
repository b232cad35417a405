package app

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/hub"
	"parley/wire"
)

// tailWord passes between nodes about somebody who looks at a user's messages.
type tailWord struct {
	Do     string      `json:"do"` // tail, untail or tailed
	To     string      `json:"to,omitempty"`
	ID     string      `json:"id"`   // of the look
	Node   string      `json:"node"` // that asks
	User   wire.UserID `json:"user,omitempty"`
	Bodies bool        `json:"bodies,omitempty"`
	Line   *TailLine   `json:"line,omitempty"`
}

const (
	wordTail   = "tail"
	wordUntail = "untail"
	wordTailed = "tailed"
)

// TailLine is one message of a user's socket, as `parley tail` shows it.
type TailLine struct {
	Time         time.Time       `json:"time"`
	Node         string          `json:"node"`
	Session      wire.SessionID  `json:"session"`
	Device       wire.DeviceID   `json:"device"`
	Way          string          `json:"way"`  // in: from the client; out: to it
	What         string          `json:"what"` // method, type of event, reply, or problem code
	Conversation string          `json:"conversation,omitempty"`
	Seq          int64           `json:"seq,omitempty"`
	Bytes        int             `json:"bytes"`
	Body         json.RawMessage `json:"body,omitempty"`    // without secrets; only where bodies were asked for
	Dropped      int64           `json:"dropped,omitempty"` // messages before this one that were too many to be shown
}

const (
	// tailRenew is how often the node that asks renews its look at the others,
	// tailLease how long one is good that is not renewed.
	tailRenew, tailLease = 5 * time.Second, 15 * time.Second
	// tailQueue is how many messages wait to be told; more are dropped and counted.
	tailQueue = 512
	// tailMax is how many looks a node has at a time.
	tailMax = 16
)

// tails shows operators what goes over one user's sockets on any node.
type tails struct {
	p     *parts
	queue chan tailWord // from taps here to who asked

	mu      sync.Mutex
	here    map[string]*look           // by id: taps on this node
	readers map[string]chan<- TailLine // by id: who asked at this node
}

// look is a tap on this node that somebody at any node asked for.
type look struct {
	until   time.Time
	stop    func()
	dropped atomic.Int64 // since the last line that was shown
}

func newTails(p *parts) *tails {
	return &tails{p: p, queue: make(chan tailWord, tailQueue), here: map[string]*look{}, readers: map[string]chan<- TailLine{}}
}

// Run passes on what taps show and ends those whose reader has gone.
func (t *tails) Run(ctx context.Context) error {
	sweep := time.NewTicker(tailRenew)
	defer sweep.Stop()
	for {
		select {
		case w := <-t.queue:
			t.tell(w)
		case <-sweep.C:
			t.expire(time.Now())
		case <-ctx.Done():
			t.expire(time.Now().Add(2 * tailLease))
			return nil
		}
	}
}

// expire ends the taps that are no longer asked for.
func (t *tails) expire(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, l := range t.here {
		if l.until.Before(now) {
			l.stop()
			delete(t.here, id)
		}
	}
}

// tell hands w to its node, or to all.
func (t *tails) tell(w tailWord) {
	if w.To == t.p.nodeID {
		t.told(w)
		return
	}
	body, err := json.Marshal(w)
	if err == nil {
		err = t.p.hub.TellNodes(body)
	}
	if err != nil {
		t.p.log.Warn("other nodes not told of a tail", "err", err)
	}
}

// told does what a node said. It never blocks.
func (t *tails) told(w tailWord) {
	switch {
	case w.Do == wordTail:
		t.open(w)
	case w.Do == wordUntail:
		t.close(w.ID)
	case w.Line != nil && w.To == t.p.nodeID:
		t.mu.Lock()
		defer t.mu.Unlock()
		if reader := t.readers[w.ID]; reader != nil {
			select {
			case reader <- *w.Line:
			default: // it reads too slowly; numbers of entries show what is missing
			}
		}
	}
}

// open taps the user here, or renews that.
func (t *tails) open(w tailWord) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.here[w.ID]
	if l == nil {
		if len(t.here) >= tailMax {
			return
		}
		l = &look{}
		l.stop = t.p.hub.Tap(w.User, func(m hub.Tapped) { t.see(w, l, m) })
		t.here[w.ID] = l
	}
	l.until = time.Now().Add(tailLease)
}

func (t *tails) close(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.here[id]; l != nil {
		l.stop()
		delete(t.here, id)
	}
}

// see queues a message for who asked. It is called between the message and its
// socket, by many sessions, and never waits.
func (t *tails) see(w tailWord, l *look, m hub.Tapped) {
	for _, line := range tailLines(m, w.Bodies) {
		line.Node, line.Dropped = t.p.name, l.dropped.Swap(0)
		select {
		case t.queue <- tailWord{Do: wordTailed, To: w.Node, ID: w.ID, Line: &line}:
		default:
			l.dropped.Add(line.Dropped + 1)
		}
	}
}

// ServeHTTP streams a user's messages as lines of JSON until the client goes.
func (t *tails) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	who, err := t.p.door.Identify(r, bearer, "")
	if err != nil || !who.IsServer() && who.Role != wire.RoleOperator {
		http.Error(w, "operators only", http.StatusForbidden)
		return
	}
	ask := tailWord{Do: wordTail, ID: wire.NewID[string]("tail_", t.p.node.clock.Now()), Node: t.p.nodeID,
		User: wire.UserID(r.PathValue("user")), Bodies: r.URL.Query().Get("bodies") == "true"}
	lines := make(chan TailLine, tailQueue)
	if !t.enter(ask.ID, lines) {
		http.Error(w, "too many are looking already", http.StatusTooManyRequests)
		return
	}
	defer t.leave(ask.ID)
	audit := t.p.log.With("tail", ask.ID, "by", string(who.Role), "operator", who.User, "addr", who.Addr, "user", ask.User, "bodies", ask.Bodies)
	audit.LogAttrs(r.Context(), slog.LevelWarn, "audit: somebody looks at a user's messages")
	defer audit.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelWarn, "audit: somebody no longer looks at a user's messages")
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	t.stream(r.Context(), w, ask, lines)
}

// stream writes lines, and an empty one now and then so that proxies wait.
func (t *tails) stream(ctx context.Context, w http.ResponseWriter, ask tailWord, lines <-chan TailLine) {
	flush := http.NewResponseController(w)
	enc := json.NewEncoder(w)
	t.ask(ask)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	_, err := w.Write([]byte("\n")) // it has begun
	for last := time.Now(); err == nil; {
		err = errors.Join(err, flush.Flush())
		select {
		case line := <-lines:
			err = errors.Join(err, enc.Encode(line))
		case now := <-tick.C:
			if t.p.stopping.Load() {
				return
			}
			if now.Sub(last) >= tailRenew {
				last = now
				t.ask(ask)
				_, werr := w.Write([]byte("\n"))
				err = errors.Join(err, werr)
			}
		case <-ctx.Done():
			return
		}
	}
}

// ask has every node look, this one at once, also without a bus.
func (t *tails) ask(w tailWord) {
	t.told(w)
	t.tell(w)
}

func (t *tails) enter(id string, lines chan<- TailLine) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.readers) >= tailMax {
		return false
	}
	t.readers[id] = lines
	return true
}

func (t *tails) leave(id string) {
	t.mu.Lock()
	delete(t.readers, id)
	t.mu.Unlock()
	t.ask(tailWord{Do: wordUntail, ID: id})
}
