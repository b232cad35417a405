package hub

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"parley/wire"
)

// postTimeout bounds the reading of one request's body.
const postTimeout = 10 * time.Second

// streamPadding is what a stream begins with: some proxies hold back the first
// two kilobytes.
const streamPadding = 2 << 10

// Streams answers for clients that cannot have a WebSocket: a session whose
// messages go down as server-sent events and come up as HTTP requests. It is
// the same session otherwise.
//
//	POST /v1/events/open       session.open; answers a ticket and a key
//	GET  /v1/events?ticket=…   the stream, once for a ticket
//	POST /v1/events/{session}  a message, with the key as bearer
func (h *Hub) Streams() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/events/open", h.openStream)
	mux.HandleFunc("GET /v1/events", h.serveStream)
	mux.HandleFunc("POST /v1/events/{session}", h.postStream)
	return mux
}

// streamOpened answers POST /v1/events/open. The answer to session.open itself
// is the stream's first message.
type streamOpened struct {
	Session wire.SessionID `json:"session"`
	Ticket  string         `json:"ticket"` // for one GET of the stream
	Key     string         `json:"key"`    // for POSTs, never part of a URL
}

// openStream makes a session and keeps its first message until the stream is read.
func (h *Hub) openStream(w http.ResponseWriter, r *http.Request) {
	if h.pollers.Load() == nil {
		h.refuse(w, h.problem("node_busy"))
		return
	}
	body, p := h.readPost(w, r)
	if p != nil {
		h.refuse(w, p)
		return
	}
	s, st, p := h.makeStream(r, "", body)
	if p != nil {
		h.refuse(w, p)
		return
	}
	answer(w, http.StatusOK, streamOpened{Session: s.id, Ticket: string(s.id) + "." + st.ticket, Key: st.key})
}

// makeStream makes a session, under an id of its own unless one is given, that
// will be told first.
func (h *Hub) makeStream(r *http.Request, id wire.SessionID, first []byte) (*session, *stream, *wire.Problem) {
	s := &session{hub: h, addr: h.cfg.ClientAddr(r), born: h.uptime(), form: formSSE}
	if p := h.welcome(r, s.addr); p != nil {
		return nil, nil, p
	}
	h.prepare(s)
	if id != "" {
		s.id = id
	}
	st := newStream(h.secretOf("ticket", s.id), h.secretOf("key", s.id))
	st.first = first
	s.link = st
	if !h.alone() {
		if err := h.bus.Subscribe(r.Context(), streamTopic(s.id)); err != nil {
			h.unsettle(s)
			return nil, nil, h.problem("node_busy")
		}
	}
	if !h.admit(s) {
		h.unsettle(s)
		h.forgetStream(s)
		return nil, nil, h.problem("node_draining")
	}
	h.streams.Store(s.id, s)
	h.metrics.accepted[s.form].Inc()
	h.wheel.schedule(s, s.born+h.cfg.OpenTimeout)
	h.attach(r.Context(), s, nil)
	return s, st, nil
}

// forgetStream takes back what makeStream did for s' id.
func (h *Hub) forgetStream(s *session) {
	h.streams.CompareAndDelete(s.id, s)
	if !h.alone() {
		h.bus.Unsubscribe(streamTopic(s.id))
	}
}

// serveStream sends a session's messages until it ends or the client leaves. A
// session that waits on another node comes over with its first message.
func (h *Hub) serveStream(w http.ResponseWriter, r *http.Request) {
	id, ticket, _ := strings.Cut(r.URL.Query().Get("ticket"), ".")
	ps := h.pollers.Load()
	if ps == nil || !same(ticket, h.secretOf("ticket", wire.SessionID(id))) {
		writeProblem(w, h.problem("stream_unknown"))
		return
	}
	s, st, p := h.claimStream(r, wire.SessionID(id), ticket)
	if p != nil {
		writeProblem(w, p)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no") // nginx
	rc := http.NewResponseController(w)
	if _, err := io.WriteString(w, ":"+strings.Repeat(" ", streamPadding)+"\n\n"); err != nil || rc.Flush() != nil {
		s.cut()
		return
	}
	st.w, st.rc = w, rc
	close(st.attached)
	ps.hear(s, st.first)
	select {
	case <-r.Context().Done():
		s.cut()
	case <-st.gone:
	}
	st.release()
}

// claimStream uses a ticket up, here or on the node that waits for it.
func (h *Hub) claimStream(r *http.Request, id wire.SessionID, ticket string) (*session, *stream, *wire.Problem) {
	if s, st := h.stream(string(id)); s != nil {
		if !st.claim(ticket) {
			return nil, nil, h.problem("stream_unknown")
		}
		return s, st, nil
	}
	got, ok := h.ask(r.Context(), streamWord{Do: streamTake, Session: id, Secret: ticket})
	if !ok {
		return nil, nil, h.problem("stream_unknown")
	}
	s, st, p := h.makeStream(r, id, got.Body)
	if p == nil {
		st.claim(ticket)
	}
	return s, st, p
}

// postStream takes one message or batch; its answers go down the stream,
// whichever node that is on.
func (h *Hub) postStream(w http.ResponseWriter, r *http.Request) {
	id := wire.SessionID(r.PathValue("session"))
	key, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s, _ := h.stream(string(id))
	ps := h.pollers.Load()
	if ps == nil || !bearer || !same(key, h.secretOf("key", id)) || s != nil && s.over() || s == nil && h.alone() {
		writeProblem(w, h.problem("stream_unknown"))
		return
	}
	body, p := h.readPost(w, r)
	large := p != nil && p.Status == http.StatusRequestEntityTooLarge
	ok := true
	switch {
	case s == nil && large:
		h.ask(r.Context(), streamWord{Do: streamLarge, Session: id, Secret: key})
	case s == nil && p == nil:
		_, ok = h.ask(r.Context(), streamWord{Do: streamPost, Session: id, Secret: key, Body: body})
	case large:
		s.end(endOversize)
	case p == nil:
		s.seen.Store(int64(h.uptime()))
		ps.hear(s, body)
	}
	switch {
	case p != nil:
		writeProblem(w, p)
	case !ok:
		writeProblem(w, h.problem("stream_unknown"))
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

// stream finds a session that has one.
func (h *Hub) stream(id string) (*session, *stream) {
	v, ok := h.streams.Load(wire.SessionID(id))
	if !ok {
		return nil, nil
	}
	s := v.(*session)
	return s, s.link.(*stream)
}

// readPost reads a request's body within the bounds of a message.
func (h *Hub) readPost(w http.ResponseWriter, r *http.Request) ([]byte, *wire.Problem) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(postTimeout)) // not every writer has one
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(h.cfg.MaxFrame)))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, h.problem("message_too_large")
	case err != nil:
		return nil, h.problem("message_cut_short")
	}
	_ = rc.SetReadDeadline(time.Time{})
	return body, nil
}

// answer writes a JSON object that no cache may keep.
func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone
}

// stream is the link of a session without a WebSocket. Until the client reads
// the stream, writing waits; what comes up is no part of it.
type stream struct {
	ticket, key string
	first       []byte        // what the session is told once the stream is read
	attached    chan struct{} // closed when w and rc are set
	gone        chan struct{} // closed by cut
	turn        chan struct{} // of capacity 1: held while the response is written to
	leave       func()        // closes gone, once

	w  http.ResponseWriter
	rc *http.ResponseController

	mu      sync.Mutex
	claimed bool // the ticket is used; guarded by mu
}

func newStream(ticket, key string) *stream {
	st := &stream{
		ticket: ticket, key: key,
		attached: make(chan struct{}), gone: make(chan struct{}), turn: make(chan struct{}, 1),
	}
	st.leave = sync.OnceFunc(func() { close(st.gone) })
	return st
}

// same compares secrets in constant time.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// claim uses the ticket up.
func (st *stream) claim(ticket string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.claimed || !same(ticket, st.ticket) {
		return false
	}
	st.claimed = true
	return true
}

// release waits until nobody writes to the response, which ends with its handler.
func (st *stream) release() {
	select {
	case st.turn <- struct{}{}:
		_ = st.rc.SetWriteDeadline(time.Time{})
	default:
		_ = st.rc.SetWriteDeadline(time.Unix(1, 0)) // whoever writes gives up
		st.turn <- struct{}{}
	}
}

// Read implements link: nothing comes but the end.
func (st *stream) Read([]byte) (int, error) {
	<-st.gone
	return 0, io.EOF
}

// tryWrite implements link: a response cannot be written to without waiting.
func (st *stream) tryWrite([]byte) (int, error) { return 0, nil }

// cut implements link.
func (st *stream) cut() { st.leave() }

// writeBy implements link. What was not wholly written is lost with the response.
func (st *stream) writeBy(b []byte, deadline time.Time) (int, error) {
	if err := st.awaitClient(deadline); err != nil {
		return 0, err
	}
	select {
	case st.turn <- struct{}{}:
	case <-st.gone:
		return 0, io.ErrClosedPipe
	}
	defer func() { <-st.turn }()
	err := st.rc.SetWriteDeadline(deadline)
	select { // after the deadline is set, for release may have set another before
	case <-st.gone:
		return 0, io.ErrClosedPipe
	default:
	}
	if err == nil || errors.Is(err, http.ErrNotSupported) {
		_, err = st.w.Write(b)
	}
	if err == nil {
		err = st.rc.Flush()
	}
	if err != nil {
		return 0, fmt.Errorf("hub: stream: %w", err)
	}
	return len(b), nil
}

// awaitClient waits until the client reads the stream.
func (st *stream) awaitClient(deadline time.Time) error {
	select {
	case <-st.attached:
		return nil
	default:
	}
	timeout := time.NewTimer(time.Until(deadline))
	defer timeout.Stop()
	select {
	case <-st.attached:
		return nil
	case <-st.gone:
		return io.ErrClosedPipe
	case <-timeout.C:
		return os.ErrDeadlineExceeded
	}
}
