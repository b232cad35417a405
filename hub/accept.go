package hub

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"parley/wire"
)

// ServeHTTP accepts a socket. It returns as soon as the handshake is done, so
// that the request and its buffers can go.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := &session{hub: h, addr: h.cfg.ClientAddr(r), born: h.uptime()}
	p := h.handshakeProblem(r)
	if p == nil {
		p = h.welcome(r, s.addr)
	}
	if p != nil {
		h.refuse(w, p)
		return
	}
	s.form, _ = offered(r.Header)
	extension := ""
	if h.cfg.Compression {
		extension = deflateOffered(r.Header)
	}
	if extension != "" {
		s.form, s.in.squeeze = s.form.deflated(), true
	}
	h.accept(w, r, s, extension)
}

// refuse answers a handshake with a problem.
func (h *Hub) refuse(w http.ResponseWriter, p *wire.Problem) {
	h.metrics.refused.WithLabelValues(p.Code).Inc()
	writeProblem(w, p)
}

// handshakeProblem says what is missing for a WebSocket.
func (h *Hub) handshakeProblem(r *http.Request) *wire.Problem {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return h.problem("websocket_required")
	}
	if _, ok := offered(r.Header); !ok {
		return h.problem("subprotocol_required")
	}
	return nil
}

// welcome decides whether a client may have a session, and takes its places if so.
func (h *Hub) welcome(r *http.Request, addr netip.Addr) *wire.Problem {
	switch {
	case !h.originAllowed(r):
		return h.problem("origin_not_authorized")
	case h.draining():
		p := h.problem("node_draining")
		p.RetryAfter = 1
		return p
	case !h.places.enter(addr):
		return h.problem("too_many_connections")
	}
	sockets, unopened := h.sockets.Add(1), h.unopened.Add(1)
	if over(sockets, h.cfg.MaxSockets) || over(unopened, h.cfg.MaxUnopened) {
		h.unopened.Add(-1)
		h.depart(addr)
		p := h.problem("node_busy")
		p.RetryAfter = 1
		return p
	}
	return nil
}

func over(n int64, most int) bool { return most >= 0 && n > int64(most) }

// depart gives back what welcome took, except the place among the unopened.
func (h *Hub) depart(addr netip.Addr) {
	h.sockets.Add(-1)
	h.places.leave(addr)
}

func (h *Hub) draining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

// accept makes the handshake, taking up an extension if one is given, and has the session read.
func (h *Hub) accept(w http.ResponseWriter, r *http.Request, s *session, extension string) {
	h.prepare(s)
	early, err := s.shake(w, r, extension)
	if err != nil {
		h.unsettle(s)
		h.metrics.refused.WithLabelValues("handshake").Inc()
		return
	}
	if !h.admit(s) {
		h.unsettle(s)
		s.link.cut()
		return
	}
	h.metrics.accepted[s.form].Inc()
	h.wheel.schedule(s, s.born+h.cfg.OpenTimeout)
	h.attach(r.Context(), s, early)
}

// prepare gives a new session what it begins with.
func (h *Hub) prepare(s *session) {
	s.id = wire.NewID[wire.SessionID](wire.PrefixSession, h.cfg.Clock.Now())
	s.bucket.tokens = float64(h.cfg.Burst)
	s.seen.Store(int64(s.born))
}

// unsettle gives back all that welcome took.
func (h *Hub) unsettle(s *session) {
	h.unopened.Add(-1)
	h.depart(s.addr)
}

// attach has a poller read the session's socket or, where that cannot be, a
// goroutine. early is what has been read already.
func (h *Hub) attach(ctx context.Context, s *session, early []byte) {
	if l, ok := s.link.(*line); ok {
		h.pollers.Load().take(s, l, early)
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.mu.Lock()
	s.cancel = cancel
	s.mu.Unlock()
	go s.serve(ctx, early)
}

// offered returns the first subprotocol on the client's list that is spoken here.
func offered(header http.Header) (f form, ok bool) {
	for _, line := range header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(line, ",") {
			if i := slices.Index(subprotocols[:], strings.TrimSpace(p)); i >= 0 {
				return form(i), true
			}
		}
	}
	return formJSON, false
}

// originAllowed reports whether a page of the request's origin may connect.
func (h *Hub) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if strings.EqualFold(u.Host, r.Host) {
		return true
	}
	host := strings.ToLower(u.Host)
	for _, pattern := range h.cfg.Origins {
		target := host
		if strings.Contains(pattern, "://") {
			target = u.Scheme + "://" + host
		}
		if ok, err := path.Match(strings.ToLower(pattern), target); err == nil && ok {
			return true
		}
	}
	return false
}

// remoteAddr is the address of the connection itself.
func remoteAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr()
}

func writeProblem(w http.ResponseWriter, p *wire.Problem) {
	body, err := json.Marshal(p)
	if err != nil {
		http.Error(w, p.Title, p.Status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusUpgradeRequired {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}
